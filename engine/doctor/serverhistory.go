package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// A HistoryPlan says where the history is kept.
type HistoryPlan struct {
	Path    string // "" in memory only
	Nowhere error  // why there is no place for it, where the settings want one
	Bytes   int64  // bound of its size; 0 none

	// Look reads an existing database, within the time of its context. Nil: it is
	// not looked into.
	Look func(ctx context.Context, path string) (History, error)
}

// A History is what stands in a database.
type History struct {
	Schema, Newest int       // version of the file, and the newest that is known
	Size           int64     // with its log, bytes
	Requests       int64     // exact if Counted, else at most
	Counted        bool      // the time was enough
	Last           time.Time // arrival of the newest; zero none
	Writer         int       // process that writes to it; 0 none
	Damage         string    // what the check has found; "" nothing
	Checked        bool      // all of it: the time was enough
}

// A Disk is where a file is or would be.
type Disk struct {
	Free int64  // for this user, bytes
	Far  string // kind of a network's file system: "nfs"; "" it is none
}

// A Place is what stands at a path, or where it would be made.
type Place struct {
	Exists    bool
	Directory bool
	Odd       bool   // neither file nor directory: a pipe, a device
	Owner     string // of what exists; "" not known
	Ours      bool   // belongs to this user
	Writable  error  // why this user can't write there: to the file, or make one in the nearest directory
	Near      string // the nearest directory that exists
}

// historyWait bounds the check of a database.
const historyWait = 5 * time.Second

// examineHistory looks where the history is kept, and into it.
func examineHistory(ctx context.Context, s *ServerPlan, m *Machine) []Finding {
	h := &s.History
	base := Finding{Check: "store", Subject: h.Path, Settings: []string{"store"}}
	if h.Path == "" && h.Nowhere != nil {
		base.Subject, base.Severity = "history", Warning
		base.Found = "it is kept in memory only: " + bounded(h.Nowhere.Error())
		base.Means = "what has happened is forgotten when the server ends"
		base.Change = "--store=PATH says where, --no-store that nowhere is meant"
		return []Finding{base}
	}
	if h.Path == "" {
		base.Subject, base.Severity, base.Found, base.Settings = "history", OK, "it is kept in memory only, as the settings say", nil
		return []Finding{base}
	}
	var all []Finding
	place := m.Place(h.Path)
	if f := s.place(base, &place, m); f.Found != "" {
		all = append(all, f)
	}
	if place.Directory || place.Odd {
		return all
	}
	var held History
	if place.Exists && h.Look != nil {
		more, got := h.look(ctx, base, m)
		all, held = append(all, more...), got
		if held.Writer > 0 && s.Running == nil {
			f := base
			f.Severity = Warning
			f.Found = fmt.Sprintf("process %d writes to it, and it is no server of this name", held.Writer)
			f.Means = "a server that starts now keeps its history in memory only"
			f.Change = "--store=PATH for another database, or end that process"
			all = append(all, f)
		}
	}
	if disk, err := m.Disk(place.Near); err == nil {
		all = append(all, h.disk(base, disk, held.Size)...)
	}
	if len(all) == 0 {
		base.Severity, base.Found, base.Settings = OK, "it can be made there", nil
		all = append(all, base)
	}
	return all
}

// place says whether the server could write there.
func (s *ServerPlan) place(f Finding, p *Place, m *Machine) Finding {
	f.Means = "the history is kept in memory only, and lost at the end"
	switch {
	case p.Directory:
		f.Severity, f.Found = Warning, "a directory stands there"
		f.Change = "--store=" + filepath.Join(f.Subject, "server.db")
	case p.Odd:
		f.Severity, f.Found = Warning, "what stands there is no file: a pipe, a socket or a device"
		f.Change = "--store=PATH for a file"
	case p.Writable != nil && p.Exists:
		f.Severity = Warning
		f.Found = fmt.Sprintf("%s can't write to it", m.User)
		f.Change = "start the server as its owner, or chown it"
		if p.Owner != "" && !p.Ours {
			f.Found += ": it belongs to " + p.Owner
			f.Change = "start the server as " + p.Owner + ", or: chown " + m.User + " " + f.Subject
		}
	case p.Writable != nil:
		f.Severity = Warning
		f.Found = fmt.Sprintf("%s can't make it in %s: %s", m.User, p.Near, bounded(reason(p.Writable)))
		f.Change = "let " + m.User + " write there, or --store=PATH for another place"
	case p.Exists && m.Root && !p.Ours && p.Owner != "" && !s.Managed:
		f.Severity = Note
		f.Found = "it belongs to " + p.Owner + ", and doctor runs as root"
		f.Means = "whether the service can write to it depends on the user that it runs as"
		f.Change = "ask as that user: sudo -u " + p.Owner + " adit doctor server …"
	default:
		return Finding{}
	}
	return f
}

// look says what stands in the database.
func (h *HistoryPlan) look(ctx context.Context, f Finding, m *Machine) ([]Finding, History) {
	ctx, cancel := context.WithTimeout(ctx, historyWait)
	defer cancel()
	began := m.Now()
	got, err := h.Look(ctx, h.Path)
	f.Took = m.Now().Sub(began)
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.Severity, f.Found = Warning, m.User+" can't read it"
		f.Means = "what is in it is not known; a server of this user keeps its history in memory only"
		f.Change = "start the server as its owner, or chown it"
		return []Finding{f}, got
	case err != nil && ctx.Err() != nil:
		f.Severity, f.Found = Note, fmt.Sprintf("it was not read within %v", historyWait)
		f.Means = "it is large, or its disk is slow"
		return []Finding{f}, got
	case err != nil:
		f.Severity, f.Found = Warning, "it can't be read: "+bounded(reason(err))
		f.Means = "a server moves a damaged database aside and begins a new one; one of another program, or of a newer adit, it leaves alone and keeps its history in memory"
		f.Change = "--store=PATH for another database, or move this one away"
		return []Finding{f}, got
	case got.Damage != "":
		f.Severity, f.Found = Warning, "it is damaged: "+bounded(got.Damage)
		f.Means = "the server moves it aside when it finds that, and begins a new one"
		f.Change = "look at the disk; `sqlite3 " + h.Path + " .recover` saves what there is"
		return []Finding{f}, got
	}
	f.Severity, f.Settings = OK, nil
	f.Found = size(got.Size) + ", no requests"
	if got.Requests > 0 {
		word := "at most "
		if got.Counted {
			word = ""
		}
		f.Found = fmt.Sprintf("%s, %s%d %s", size(got.Size), word, got.Requests, verbFor(int(got.Requests), "request", "requests"))
	}
	if !got.Last.IsZero() {
		f.Found += ", the newest of " + utcDate(got.Last)
	}
	if got.Checked {
		f.Found += "; every page is sound"
	} else {
		f.Found += fmt.Sprintf("; not all of its pages were read within %v", historyWait)
	}
	all := []Finding{f}
	if got.Schema < got.Newest {
		f.Severity, f.Took = Note, 0
		f.Found = fmt.Sprintf("its schema is version %d, and this adit has %d", got.Schema, got.Newest)
		f.Means = "the next start brings it up to date; an older adit can't write to it then"
		all = append(all, f)
	}
	if ahead := got.Last.Sub(m.Now()); ahead > time.Minute {
		f.Severity, f.Took = Warning, 0
		f.Found = fmt.Sprintf("its newest request is of %s, which is still to come", utcDate(got.Last))
		f.Means = "the clock of this machine was ahead then, or is behind now: what is kept by age goes too early or too late"
		f.Change = "timedatectl says whether the clock is right"
		all = append(all, f)
	}
	return all, got
}

// disk says whether there is room, and whether it is the machine's own.
func (h *HistoryPlan) disk(f Finding, d Disk, has int64) []Finding {
	var all []Finding
	if d.Far != "" {
		f := f
		f.Severity = Warning
		f.Found = "it lies on another machine (" + d.Far + ")"
		f.Means = "SQLite's log needs memory that all its readers share: over a network it can be damaged, and writing stops when the network does"
		f.Change = "--store=PATH on a disk of this machine"
		all = append(all, f)
	}
	const least = 256 << 20
	switch more := h.Bytes - has; {
	case d.Free < least:
		f.Severity = Warning
		f.Found = size(d.Free) + " are free on its disk"
		f.Means = "when nothing is left the history stops; the tunnel goes on"
		f.Change = "make room, or --store=PATH on another disk"
		all = append(all, f)
	case h.Bytes > 0 && d.Free < more:
		f.Severity = Note
		f.Found = fmt.Sprintf("it may grow by %s (--store-bytes %s), and %s are free on its disk", size(more), size(h.Bytes), size(d.Free))
		f.Means = "the disk is full before the bound is reached; then the history stops, and the tunnel goes on"
		f.Change = "--store-bytes " + size(has+d.Free/10*8)
		f.Settings = []string{"store-bytes"}
		all = append(all, f)
	case h.Bytes == 0:
		f.Severity = Note
		f.Found = "it may grow without a bound of its size"
		f.Means = "it fills the disk sooner or later; then the history stops, and the tunnel goes on"
		f.Change = "--store-bytes 4GiB"
		f.Settings = []string{"store-bytes"}
		all = append(all, f)
	}
	return all
}

// reason returns what went wrong without the path, which is said beside it.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
