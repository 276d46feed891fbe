package doctor

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
)

// spare is about how many files a server has beside sockets of clients and callers.
const spare = 100

// enough is how many files do for a server of which nothing more is known.
const enough = 4096

// examineLimits compares what a server may open with what the system lets it.
func examineLimits(_ context.Context, s *ServerPlan, m *Machine) []Finding {
	var all []Finding
	files, who := m.OpenFiles(), "a process of "+m.User
	if s.Managed {
		files, who = m.filesOf(s.PID), "the service"
	}
	f := Finding{Check: "limits", Subject: "open files", Severity: OK, Settings: []string{"max-connections"}}
	unit := "LimitNOFILE= in the unit of the service (adit service writes one), or `ulimit -n` in the shell that starts it"
	switch want := uint64(max(s.Connections, 0)); {
	case files == 0:
		f = Finding{}
	case want > 0 && want+spare > files:
		f.Severity = Warning
		f.Found = fmt.Sprintf("--max-connections is %d, and %s may have %d files open", s.Connections, who, files)
		f.Means = "sockets beyond that are turned away, before the limit of the server is reached"
		f.Change = fmt.Sprintf("%s: at least %d", unit, want+spare)
	case want == 0 && files < enough:
		f.Severity = Note
		f.Found = fmt.Sprintf("%s may have %d files open", who, files)
		f.Means = fmt.Sprintf("the server takes about %d sockets, of clients and callers together", max(files/10*9, files/4))
		f.Change = unit
	default:
		f.Settings = nil
		f.Found = fmt.Sprintf("%s may have %d files open", who, files)
		if want > 0 {
			f.Found += fmt.Sprintf(", enough for --max-connections %d", s.Connections)
		}
	}
	if f.Found != "" {
		all = append(all, f)
	}
	want := int64(s.Connections)
	if total := m.number("/proc/sys/fs/file-max"); total > 0 && want > 0 && total < want+spare {
		all = append(all, Finding{Check: "limits", Subject: "fs.file-max", Severity: Warning,
			Found:  fmt.Sprintf("all processes of this machine together may have %d files open, and --max-connections is %d", total, s.Connections),
			Means:  "sockets beyond that are turned away",
			Change: fmt.Sprintf("sysctl -w fs.file-max=%d", 2*(want+spare)), Settings: []string{"max-connections"}})
	}
	if queue := m.number("/proc/sys/net/core/somaxconn"); queue > 0 && queue < 1024 && s.Connections > 10_000 {
		all = append(all, Finding{Check: "limits", Subject: "net.core.somaxconn", Severity: Note,
			Found:  fmt.Sprintf("at most %d connections wait to be accepted", queue),
			Means:  "when thousands of clients come back at once, some try again after a second",
			Change: "sysctl -w net.core.somaxconn=4096"})
	}
	if f := s.portsTaken(m); f.Found != "" {
		all = append(all, f)
	}
	return all
}

// portsTaken says whether programs that dial out may be given a port that a client
// wants to expose.
func (s *ServerPlan) portsTaken(m *Machine) Finding {
	text, err := m.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var first, last uint16
	if err != nil || s.PortFirst == 0 {
		return Finding{}
	}
	if _, err := fmt.Sscan(string(text), &first, &last); err != nil || s.PortLast < first || s.PortFirst > last {
		return Finding{}
	}
	from, to := max(first, s.PortFirst), min(last, s.PortLast)
	reserved, _ := m.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	if reserves(string(reserved), from, to) {
		return Finding{}
	}
	return Finding{Check: "limits", Subject: "--tcp-ports", Severity: Note,
		Found:    fmt.Sprintf("ports %d to %d are also those that programs here dial out from (%d to %d)", from, to, first, last),
		Means:    "now and then a client can't expose its port, because somebody dials from it",
		Change:   fmt.Sprintf("sysctl -w net.ipv4.ip_local_reserved_ports=%d-%d, or ports outside of that range", from, to),
		Settings: []string{"tcp-ports"}}
}

// reserves reports whether a list such as "8080,20000-20100" has all those ports
// in one range.
func reserves(list string, from, to uint16) bool {
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		first, err := strconv.ParseUint(low, 10, 16)
		last, err2 := strconv.ParseUint(high, 10, 16)
		if err == nil && err2 == nil && uint16(first) <= from && to <= uint16(last) {
			return true
		}
	}
	return false
}

// number reads a file with a number, 0 where there is none.
func (m *Machine) number(path string) int64 {
	text, err := m.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// examineMemory compares the bound of the server with what there is.
func examineMemory(_ context.Context, s *ServerPlan, m *Machine) []Finding {
	total, available := m.memory()
	group, where := int64(0), "the control group that this runs in"
	switch {
	case !s.Managed:
		group = m.groupLimit("self")
	case s.PID > 0:
		group, where = m.groupLimit(strconv.Itoa(s.PID)), "the control group of the service"
	}
	f := Finding{Check: "limits", Subject: "memory", Severity: OK, Settings: []string{"memory"}}
	switch {
	case group > 0 && s.Memory > group:
		f.Severity = Warning
		f.Found = fmt.Sprintf("--memory is %s, and %s ends processes at %s", size(s.Memory), where, size(group))
		f.Means = "the kernel kills the server before it refuses anything"
		f.Change = "--memory " + size(group/10*8) + ", or a larger MemoryMax= of the unit or limit of the container"
	case total > 0 && s.Memory > total:
		f.Severity = Warning
		f.Found = fmt.Sprintf("--memory is %s, and this machine has %s", size(s.Memory), size(total))
		f.Means = "the bound is never reached: the kernel kills something first"
		f.Change = "--memory " + size(total/2)
	case available > 0 && s.Memory > available:
		f.Severity = Note
		f.Found = fmt.Sprintf("--memory is %s, and %s are free now", size(s.Memory), size(available))
		f.Means = "other programs need what the server may take"
		f.Change = "--memory " + size(available/10*8)
	case s.Memory == 0 && group > 0:
		f.Severity = Note
		f.Found = fmt.Sprintf("processes of %s are ended at %s, and --memory sets no bound", where, size(group))
		f.Means = "under a flood the kernel kills the server; with a bound it refuses what is new"
		f.Change = "--memory " + size(group/10*8)
	case available > 0:
		f.Settings = nil
		f.Found = size(available) + " are free"
		if s.Memory > 0 {
			f.Found += ", enough for --memory " + size(s.Memory)
		}
	default:
		return nil
	}
	return []Finding{f}
}

// memory returns what the machine has and what is free, bytes; 0 not known.
func (m *Machine) memory() (total, available int64) {
	text, err := m.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch {
		case err != nil || n < 0 || n > 1<<52:
		case name == "MemTotal":
			total = n << 10
		case name == "MemAvailable":
			available = n << 10
		}
	}
	return total, available
}

// filesOf returns how many files a process may have open; 0 not known.
func (m *Machine) filesOf(pid int) uint64 {
	text, err := m.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, is := strings.CutPrefix(line, "Max open files"); is {
			if fields := strings.Fields(rest); len(fields) > 0 {
				n, _ := strconv.ParseUint(fields[0], 10, 64) // "unlimited": not known
				return n
			}
		}
	}
	return 0
}

// groupLimit returns the bound of the control group of a process, bytes; 0 none, or
// not known.
func (m *Machine) groupLimit(process string) int64 {
	text, err := m.ReadFile("/proc/" + process + "/cgroup")
	if err != nil {
		return 0
	}
	least := int64(0)
	for line := range strings.Lines(string(text)) {
		path, is := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !is {
			continue
		}
		for ; ; path = path[:strings.LastIndexByte(path, '/')] {
			if n := m.number("/sys/fs/cgroup" + strings.TrimSuffix(path, "/") + "/memory.max"); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if strings.LastIndexByte(path, '/') < 0 {
				break
			}
		}
	}
	return least
}

// size writes bytes as the settings take them, rounded down.
func size(n int64) string {
	for i, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		shift := 10 * (4 - i)
		if whole := n >> shift; whole >= 10 || whole > 0 && n == whole<<shift {
			return strconv.FormatInt(whole, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}
