package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
)

var noon = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

// sound is a machine on which nothing is wrong, with files of its kernel.
func sound(files map[string]string) *Machine {
	return &Machine{
		Listen:  func(context.Context, string) error { return nil },
		Holder:  func(uint16) string { return "" },
		Resolve: func(context.Context, string) ([]netip.Addr, error) { return addresses("203.0.113.7"), nil },
		Addresses: func() []netip.Addr {
			return addresses("127.0.0.1", "10.0.0.2", "203.0.113.7")
		},
		OpenFiles: func() uint64 { return 1 << 20 },
		ReadFile: func(path string) ([]byte, error) {
			if text, is := files[path]; is {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		},
		Disk:         func(string) (Disk, error) { return Disk{Free: 100 << 30}, nil },
		Place:        func(string) Place { return Place{Near: "/var/lib"} },
		Synchronised: func() (bool, bool) { return true, true },
		User:         "adit",
		Now:          func() time.Time { return noon },
	}
}

func addresses(texts ...string) (all []netip.Addr) {
	for _, t := range texts {
		all = append(all, netip.MustParseAddr(t))
	}
	return all
}

// A want is the finding that a test expects.
type want struct {
	severity Severity
	says     string // part of Found
	change   string // part of Change
	setting  string // one of Settings; "" none is asked for
}

// check looks for the finding among those of one check.
func (w *want) check(t *testing.T, check string, all []Finding) {
	t.Helper()
	for _, f := range all {
		if f.Check == check && f.Severity == w.severity && strings.Contains(f.Found, w.says) {
			if !strings.Contains(f.Change, w.change) {
				t.Errorf("it advises %q, not %q", f.Change, w.change)
			}
			if w.setting != "" && !slices.Contains(f.Settings, w.setting) {
				t.Errorf("it names the settings %q, not %q", f.Settings, w.setting)
			}
			if f.Severity > OK && (f.Means == "" && f.Change == "") {
				t.Errorf("it says neither what that means nor what to do: %+v", f)
			}
			return
		}
	}
	t.Errorf("no %s of check %q says %q:\n%s", w.severity, check, w.says, show(all))
}

func show(all []Finding) string {
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "%s %s %q: %s | %s | %s %v\n", f.Severity, f.Check, f.Subject, f.Found, f.Means, f.Change, f.Settings)
	}
	return b.String()
}

func examine(t *testing.T, s *ServerPlan, m *Machine) (all []Finding) {
	t.Helper()
	ExamineServer(t.Context(), s, m, func(f Finding) { all = append(all, f) })
	for _, f := range all {
		if f.Check == "" || f.Severity == 0 || f.Found == "" || strings.HasSuffix(f.Found, ".") {
			t.Errorf("not a finding: %+v", f)
		}
	}
	return all
}

// secured is a plan in which nothing is wrong.
func secured() *ServerPlan {
	return &ServerPlan{
		Name:    "edge",
		Doors:   []Door{{"listen", "0.0.0.0:443", true}},
		Clients: Admission{Secrets: 1}, Callers: Admission{Tokens: 2},
	}
}

func TestNothingWrong(t *testing.T) {
	if all := examine(t, secured(), sound(nil)); Worst(all) != OK {
		t.Errorf("it finds fault with a sound server:\n%s", show(all))
	}
}

func TestListeners(t *testing.T) {
	refused := func(err error) func(context.Context, string) error {
		return func(context.Context, string) error {
			return &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", err)}
		}
	}
	for name, c := range map[string]struct {
		address string
		err     error
		holder  string
		running bool
		want    want
	}{
		"free":                    {":8080", nil, "", false, want{OK, "nobody else listens", "", ""}},
		"held":                    {":8080", syscall.EADDRINUSE, "nginx (pid 7)", false, want{Failure, "nginx (pid 7) listens there", "choose another port", "listen"}},
		"held, by an unknown one": {":8080", syscall.EADDRINUSE, "", false, want{Failure, "another program", "sport = :8080", "listen"}},
		"held by ours":            {":8080", syscall.EADDRINUSE, "adit (pid 9)", true, want{OK, "the server edge listens there", "", ""}},
		"without the right":       {":443", syscall.EACCES, "", false, want{Failure, "may not open port 443", "CAP_NET_BIND_SERVICE", "listen"}},
		"of another machine":      {"192.0.2.1:80", syscall.EADDRNOTAVAIL, "", false, want{Failure, "no network of this machine", "ip address", "listen"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, m := secured(), sound(nil)
			s.Doors = []Door{{"listen", c.address, true}}
			m.Listen, m.Holder = refused(c.err), func(uint16) string { return c.holder }
			if c.err == nil {
				m.Listen = sound(nil).Listen
			}
			if c.running {
				s.Running = &Running{Snapshot: engine.Snapshot{Listen: []string{"[::]:8080"}}}
			}
			c.want.check(t, "listen", examine(t, s, m))
		})
	}
	t.Run("name", func(t *testing.T) {
		s, m := secured(), sound(nil)
		m.Listen = func(context.Context, string) error {
			return &net.OpError{Err: &net.DNSError{Name: "edge.example", Err: "no such host"}}
		}
		(&want{Failure, "does not resolve here: edge.example", "", "listen"}).check(t, "listen", examine(t, s, m))
	})
}

func TestExposure(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ServerPlan)
		want   want
	}{
		"in clear":                {func(s *ServerPlan) { s.Doors[0].TLS = false }, want{Warning, "in clear", "--tls-cert", "tls-cert"}},
		"in clear past the proxy": {func(s *ServerPlan) { s.Doors[0].TLS, s.Fronted = false, true }, want{Warning, "in clear", "127.0.0.1", "listen"}},
		"in clear, private":       {func(s *ServerPlan) { s.Doors[0] = Door{"listen", "10.0.0.2:80", false} }, want{Note, "private network", "", "tls-cert"}},
		"loopback":                {func(s *ServerPlan) { s.Doors[0] = Door{"listen", "127.0.0.1:80", false} }, want{Note, "only this machine", "--listen :8080", "listen"}},
		"loopback behind a proxy": {func(s *ServerPlan) { s.Doors[0], s.Fronted = Door{"listen", "127.0.0.1:80", false}, true }, want{OK, "only this machine", "", ""}},
		"metrics":                 {func(s *ServerPlan) { s.Doors = append(s.Doors, Door{"metrics-listen", ":9090", false}) }, want{Warning, "without a credential", "--metrics-listen 127.0.0.1", "metrics-listen"}},
		"metrics, private":        {func(s *ServerPlan) { s.Doors = append(s.Doors, Door{"metrics-listen", "10.0.0.2:9090", false}) }, want{Note, "without a credential", "", "metrics-listen"}},
		"control":                 {func(s *ServerPlan) { s.Doors = append(s.Doors, Door{"control-listen", ":9443", true}) }, want{Note, "over TLS", "firewall", "control-listen"}},
		"open clients":            {func(s *ServerPlan) { s.Clients = Admission{Open: true} }, want{Warning, "clients need no credential", "--secret @FILE", "open-clients"}},
		"open callers":            {func(s *ServerPlan) { s.Callers = Admission{Open: true} }, want{Warning, "callers need no credential", "--caller-token @FILE", "open-callers"}},
		"open callers, here only": {func(s *ServerPlan) {
			s.Doors[0], s.Callers = Door{"listen", "[::1]:80", false}, Admission{Open: true}
		}, want{OK, "callers need no credential, and only this machine", "", ""}},
		"open callers behind a proxy": {func(s *ServerPlan) {
			s.Doors[0], s.Fronted, s.Callers = Door{"listen", "127.0.0.1:80", false}, true, Admission{Open: true}
		}, want{Warning, "callers need no credential", "--caller-token @FILE", "open-callers"}},
		"open for what is exposed": {func(s *ServerPlan) { s.Callers = Admission{Exposed: true, Tokens: 1} }, want{Note, "exposed names and ports; for all else the one token that is good", "", "open-callers"}},
		"nobody":                   {func(s *ServerPlan) { s.Clients, s.TokensFile = Admission{}, "t.yaml" }, want{Warning, "clients can't come in", "adit token new --file t.yaml --for client", "tokens"}},
		"ports": {func(s *ServerPlan) {
			s.Callers, s.PortFirst, s.PortLast = Admission{Exposed: true}, 20000, 20100
		}, want{Note, "TCP ports 20000 to 20100", "", "tcp-ports"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := secured()
			c.change(s)
			c.want.check(t, "exposure", examine(t, s, sound(nil)))
		})
	}
}

func TestDomain(t *testing.T) {
	for name, c := range map[string]struct {
		answer []netip.Addr
		err    error
		want   want
	}{
		"ours":              {addresses("203.0.113.7"), nil, want{OK, "which is this machine", "", ""}},
		"another":           {addresses("198.51.100.1"), nil, want{Note, "198.51.100.1, which is no address of this machine", "203.0.113.7", "domain"}},
		"without an answer": {nil, nil, want{Warning, "does not resolve: adit-doctor-", "*.tunnels.example. A 203.0.113.7", "domain"}},
		"none":              {nil, &net.DNSError{IsNotFound: true}, want{Warning, "does not resolve: adit-doctor-", "*.tunnels.example. A 203.0.113.7", "domain"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, m := secured(), sound(nil)
			s.Domain = "tunnels.example"
			asked := ""
			m.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) { asked = host; return c.answer, c.err }
			c.want.check(t, "dns", examine(t, s, m))
			if !strings.HasSuffix(asked, ".tunnels.example") || len(asked) < len(".tunnels.example")+8 {
				t.Errorf("it asks for %q: no name that nobody has written down", asked)
			}
		})
	}
}

// Many a libc knows no names below localhost; callers need none that does.
func TestDomainOfThisMachine(t *testing.T) {
	for _, domain := range []string{"localhost", "Dev.localhost"} {
		s, m := secured(), sound(nil)
		s.Domain = domain
		m.Resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, &net.DNSError{IsNotFound: true} }
		(&want{OK, "curl and browsers", "", ""}).check(t, "dns", examine(t, s, m))
	}
}

// The port of a server's own metrics is not taken by another program.
func TestOwnDoorsOfTheRun(t *testing.T) {
	s, m := secured(), sound(nil)
	s.Doors = []Door{{"listen", ":443", true}, {"metrics-listen", "127.0.0.1:9090", false}, {"control-listen", ":9443", true}}
	s.Running = &Running{Snapshot: engine.Snapshot{Listen: []string{"[::]:443"}}, Doors: []string{"127.0.0.1:9090"}}
	m.Listen = func(context.Context, string) error {
		return &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	m.Holder = func(uint16) string { return "adit (pid 9)" }
	for _, f := range examine(t, s, m) {
		if f.Check == "listen" && (f.Severity == OK) == strings.Contains(f.Subject, "control-listen") {
			t.Errorf("%s of %s: %s", f.Severity, f.Subject, f.Found)
		}
	}
}

// A resolver that does not answer costs its own finding, not the rest.
func TestResolverThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := secured(), sound(nil)
		s.Domain = "tunnels.example"
		m.Resolve = func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		all := examine(t, s, m)
		(&want{Note, "no answer", "resolver", ""}).check(t, "dns", all)
		(&want{OK, "time service", "", ""}).check(t, "clock", all)
	})
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ServerPlan, *Machine)
		files  map[string]string
		want   want
	}{
		"too few files": {func(s *ServerPlan, m *Machine) {
			s.Connections, m.OpenFiles = 5000, func() uint64 { return 4096 }
		}, nil, want{Warning, "--max-connections is 5000", "LimitNOFILE", "max-connections"}},
		"few files": {func(_ *ServerPlan, m *Machine) { m.OpenFiles = func() uint64 { return 1024 } }, nil,
			want{Note, "may have 1024 files", "ulimit -n", "max-connections"}},
		"enough": {func(s *ServerPlan, _ *Machine) { s.Connections = 5000 }, nil, want{OK, "enough for --max-connections 5000", "", ""}},
		"file-max": {func(s *ServerPlan, _ *Machine) { s.Connections = 5000 }, map[string]string{"/proc/sys/fs/file-max": "4000\n"},
			want{Warning, "all processes of this machine together may have 4000", "sysctl -w fs.file-max", "max-connections"}},
		"somaxconn": {func(s *ServerPlan, _ *Machine) { s.Connections = 50000 }, map[string]string{"/proc/sys/net/core/somaxconn": "128\n"},
			want{Note, "at most 128 connections wait", "somaxconn=4096", ""}},
		"ports": {func(s *ServerPlan, _ *Machine) { s.PortFirst, s.PortLast = 32000, 33000 },
			map[string]string{"/proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n"},
			want{Note, "ports 32768 to 33000", "ip_local_reserved_ports=32768-33000", "tcp-ports"}},
		"memory of the group": {func(s *ServerPlan, _ *Machine) { s.Memory = 2 << 30 },
			map[string]string{"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/memory.max": "1073741824\n", "/sys/fs/cgroup/a/b/memory.max": "max\n"},
			want{Warning, "ends processes at 1GiB", "--memory", "memory"}},
		"no bound in a group": {func(*ServerPlan, *Machine) {},
			map[string]string{"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "1073741824\n"},
			want{Note, "--memory sets no bound", "--memory 819MiB", "memory"}},
		"files of the service": {func(s *ServerPlan, _ *Machine) { s.Managed, s.PID, s.Connections = true, 7, 5000 },
			map[string]string{"/proc/7/limits": "Limit   Soft   Hard  Units\nMax open files            1024                 4096                 files\n"},
			want{Warning, "and the service may have 1024 files open", "LimitNOFILE", "max-connections"}},
		"memory of the service": {func(s *ServerPlan, _ *Machine) { s.Managed, s.PID = true, 7 },
			map[string]string{"/proc/7/cgroup": "0::/system.slice/adit-server.service\n", "/sys/fs/cgroup/system.slice/adit-server.service/memory.max": "1073741824\n"},
			want{Note, "the control group of the service are ended at 1GiB", "--memory 819MiB", "memory"}},
		"memory of the machine": {func(s *ServerPlan, _ *Machine) { s.Memory = 16 << 30 },
			map[string]string{"/proc/meminfo": "MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\n"}, want{Warning, "this machine has 8GiB", "--memory 4GiB", "memory"}},
		"memory that is not free": {func(s *ServerPlan, _ *Machine) { s.Memory = 6 << 30 },
			map[string]string{"/proc/meminfo": "MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\n"}, want{Note, "4GiB are free now", "", "memory"}},
		"memory enough": {func(*ServerPlan, *Machine) {},
			map[string]string{"/proc/meminfo": "MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\n"}, want{OK, "4GiB are free", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			s, m := secured(), sound(c.files)
			c.change(s, m)
			c.want.check(t, "limits", examine(t, s, m))
		})
	}
}

// Ports that the kernel keeps free are no cause for a finding.
func TestReservedPorts(t *testing.T) {
	s := secured()
	s.PortFirst, s.PortLast = 40000, 40100
	all := examine(t, s, sound(map[string]string{
		"/proc/sys/net/ipv4/ip_local_port_range":     "32768 60999",
		"/proc/sys/net/ipv4/ip_local_reserved_ports": "8080,40000-40100\n",
	}))
	if Worst(all) != OK {
		t.Errorf("it finds fault:\n%s", show(all))
	}
}

func TestTokensAndClock(t *testing.T) {
	s, m := secured(), sound(nil)
	s.TokensFile = "t.yaml"
	s.Tokens = []TokenEnd{{"aaaa", "ci", noon.Add(-time.Hour)}, {"bbbb", "pi", noon.Add(3 * day)}, {"cccc", "nas", time.Time{}}, {"dddd", "far", noon.Add(99 * day)}}
	m.Synchronised = func() (bool, bool) { return false, true }
	all := examine(t, s, m)
	(&want{Warning, "pi (bbbb): expires within 14 days, the first in 3 days", "adit token new", "tokens"}).check(t, "tokens", all)
	(&want{Note, "ci (aaaa): has expired", "adit token revoke", "tokens"}).check(t, "tokens", all)
	(&want{Note, "nothing keeps the clock right", "timedatectl", ""}).check(t, "clock", all)
	m.Synchronised = func() (bool, bool) { return false, false }
	if slices.ContainsFunc(examine(t, s, m), func(f Finding) bool { return f.Check == "clock" }) {
		t.Error("it says something of a clock that nothing is known of")
	}
}

var errFull = errors.New("database disk image is malformed")

func TestHistory(t *testing.T) {
	const path = "/var/lib/adit/server-edge.db"
	there := Place{Exists: true, Near: "/var/lib/adit", Owner: "adit", Ours: true}
	denied := &fs.PathError{Op: "write", Path: path, Err: syscall.EACCES}
	for name, c := range map[string]struct {
		plan    HistoryPlan
		place   Place
		disk    Disk
		history History
		err     error
		running bool
		want    want
	}{
		"none": {HistoryPlan{}, Place{}, Disk{Free: 1 << 40}, History{}, nil, false, want{OK, "memory only", "", ""}},
		"nowhere": {HistoryPlan{Nowhere: errors.New("neither XDG_STATE_HOME nor HOME is set")}, Place{}, Disk{Free: 1 << 40}, History{}, nil, false,
			want{Warning, "memory only: neither XDG_STATE_HOME", "--store=PATH", "store"}},
		"new": {HistoryPlan{Path: path, Bytes: 1 << 30}, Place{Near: "/var/lib"}, Disk{Free: 1 << 40}, History{}, nil, false, want{OK, "can be made", "", ""}},
		"not to be made": {HistoryPlan{Path: path, Bytes: 1 << 30}, Place{Near: "/var/lib", Writable: denied}, Disk{Free: 1 << 40}, History{}, nil, false,
			want{Warning, "adit can't make it in /var/lib: permission denied", "--store=PATH", "store"}},
		"a directory": {HistoryPlan{Path: path}, Place{Exists: true, Directory: true}, Disk{Free: 1 << 40}, History{}, nil, false,
			want{Warning, "a directory stands there", "server.db", "store"}},
		"of another": {HistoryPlan{Path: path, Bytes: 1 << 30}, Place{Exists: true, Near: "/", Owner: "root", Writable: denied}, Disk{Free: 1 << 40}, History{}, nil, false,
			want{Warning, "it belongs to root", "chown adit", "store"}},
		"sound": {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 40}, History{Schema: 2, Newest: 2, Size: 20 << 20, Requests: 12, Counted: true, Last: noon, Checked: true}, nil, false,
			want{OK, "20MiB, 12 requests, the newest of 2031-05-01 12:00 UTC; every page is sound", "", ""}},
		"not counted": {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 40}, History{Size: 20 << 20, Requests: 200_012}, nil, false,
			want{OK, "20MiB, at most 200012 requests; not all of its pages", "", ""}},
		"older": {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 40}, History{Schema: 1, Newest: 2}, nil, false,
			want{Note, "version 1, and this adit has 2", "", ""}},
		"damaged": {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 40}, History{Damage: "row 3 missing", Checked: true}, nil, false,
			want{Warning, "damaged: row 3 missing", "recover", "store"}},
		"unreadable": {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 40}, History{}, errFull, false,
			want{Warning, "malformed", "--store=PATH", "store"}},
		"written by another": {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 40}, History{Writer: 77}, nil, false,
			want{Warning, "process 77 writes to it", "--store=PATH", "store"}},
		"written by ours": {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 40}, History{Writer: 77, Checked: true}, nil, true,
			want{OK, "every page is sound", "", ""}},
		"of tomorrow": {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 40}, History{Last: noon.Add(day)}, nil, false,
			want{Warning, "still to come", "timedatectl", ""}},
		"far":             {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 40, Far: "nfs"}, History{}, nil, false, want{Warning, "another machine (nfs)", "--store=PATH", "store"}},
		"full":            {HistoryPlan{Path: path, Bytes: 1 << 30}, there, Disk{Free: 1 << 20}, History{}, nil, false, want{Warning, "1MiB are free", "make room", "store"}},
		"small":           {HistoryPlan{Path: path, Bytes: 4 << 30}, there, Disk{Free: 1 << 30}, History{}, nil, false, want{Note, "1GiB are free", "--store-bytes 819MiB", "store-bytes"}},
		"without a bound": {HistoryPlan{Path: path}, there, Disk{Free: 1 << 40}, History{}, nil, false, want{Note, "without a bound", "--store-bytes", "store-bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, m := secured(), sound(nil)
			s.History = c.plan
			if c.running {
				s.Running = &Running{}
			}
			if c.place.Exists {
				s.History.Look = func(context.Context, string) (History, error) { return c.history, c.err }
			}
			m.Place, m.Disk = func(string) Place { return c.place }, func(string) (Disk, error) { return c.disk, nil }
			all := examine(t, s, m)
			c.want.check(t, "store", all)
			if c.want.severity == OK && Worst(all) != OK {
				t.Errorf("it finds fault:\n%s", show(all))
			}
		})
	}
}

// What this machine answers must be an answer, whatever it is.
func TestThisMachine(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	m := ThisMachine()
	if err := m.Listen(t.Context(), ln.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a listener that is there: %v", err)
	}
	if got, want := m.Holder(uint16(ln.Addr().(*net.TCPAddr).Port)), fmt.Sprintf("(pid %d)", os.Getpid()); got != "" && !strings.HasSuffix(got, want) {
		t.Errorf("it is held by %q, want %s", got, want)
	}
	dir := t.TempDir()
	if p := m.Place(dir + "/a/b.db"); p.Exists || p.Near != dir || p.Writable != nil {
		t.Errorf("a place that is not there: %+v", p)
	}
	if p := m.Place(dir); !p.Directory || !p.Exists {
		t.Errorf("a directory: %+v", p)
	}
}
