//go:build chaos

package chaos

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An event is what a test reads of one line on stdout.
type event struct {
	Time      time.Time `json:"time"`
	Seq       uint64    `json:"seq"`
	Kind      string    `json:"kind"`
	Conn      string    `json:"conn"`
	Client    string    `json:"client"`
	Reason    string    `json:"reason"`
	Listen    string    `json:"listen"`
	Server    string    `json:"server"`
	Limit     string    `json:"limit"`
	Code      int       `json:"code"`
	Status    int       `json:"status"`
	Outcome   string    `json:"outcome"`
	Text      string    `json:"text"`
	Requests  uint64    `json:"requests"`
	Failed    uint64    `json:"failed"`
	Exchanges int       `json:"exchanges"`
	Method    string    `json:"method"`
	Target    string    `json:"target"`
	Content   int64     `json:"request_bytes"`

	at time.Time // read by the test
}

// A process is a running adit. Its events but request_finished are kept; those
// are counted by outcome, and kept once keepRequests was called.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd

	mu       sync.Mutex
	changed  chan struct{} // closed, and replaced, by every line
	events   []event
	outcomes map[string]int
	keeps    bool     // requests are kept
	requests []event  // request_finished, in order
	broken   []string // lines that are not events
	stdout   []byte   // the first 1 MiB
	stderr   []byte   // the last 1 MiB
	dumped   bool     // stacks were asked for
	told     bool     // a signal told it to end while it ran
	faults   []string // lines on stderr that must never be

	exited chan struct{} // closed when it has ended and its output was read
	state  *os.ProcessState
}

// start runs adit and kills it at the end of the test. Which arguments come
// before is for a test that needs a wrapper: nil but there.
func start(t testing.TB, name string, wrapper []string, args ...string) *process {
	t.Helper()
	return launch(t, name, append(append(append([]string(nil), wrapper...), binary), args...))
}

// launch is start with a whole command line, and files that the process inherits
// from descriptor 3 on.
func launch(t testing.TB, name string, argv []string, files ...*os.File) *process {
	t.Helper()
	p := &process{
		t: t, name: name, cmd: exec.Command(argv[0], argv[1:]...),
		changed: make(chan struct{}), outcomes: map[string]int{}, exited: make(chan struct{}),
	}
	p.cmd.ExtraFiles = files
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=0 atexit_sleep_ms=0", "GOTRACEBACK=all",
		"XDG_STATE_HOME="+p.cmd.Dir, "XDG_RUNTIME_DIR="+p.cmd.Dir)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.readEvents(stdout) })
	readers.Go(func() { p.readErrors(stderr) })
	go func() {
		defer close(p.exited)
		readers.Wait()
		_ = p.cmd.Wait()
		p.state = p.cmd.ProcessState
	}()
	t.Cleanup(func() {
		p.kill()
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.told {
			t.Errorf("%s ended by itself: %v", p.name, p.state)
		}
		for _, f := range p.faults {
			t.Errorf("%s: %s", p.name, f)
		}
		for _, b := range p.broken {
			t.Errorf("%s: stdout has a line that is no event: %q", p.name, b)
		}
		if t.Failed() {
			tail := p.stderr
			if cut := len(tail) - 8<<10; cut > 0 && !p.dumped {
				tail = tail[cut:]
			}
			t.Logf("%s, outcomes %v, end of stderr:\n%s", p.name, p.outcomes, tail)
		}
	})
	return p
}

func (p *process) readEvents(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		err := json.Unmarshal(lines.Bytes(), &e)
		p.mu.Lock()
		if len(p.stdout) < 1<<20 {
			p.stdout = append(append(p.stdout, lines.Bytes()...), '\n')
		}
		switch {
		case err != nil || e.Kind == "":
			if len(p.broken) < 5 {
				p.broken = append(p.broken, lines.Text())
			}
		case e.Kind == "request_finished":
			p.outcomes[e.Outcome]++
			if p.keeps {
				p.requests = append(p.requests, e)
			}
		default:
			e.at = time.Now()
			p.events = append(p.events, e)
		}
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *process) readErrors(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		b := lines.Bytes()
		p.mu.Lock()
		if p.dumped {
			b = bytes.ReplaceAll(b, []byte("panic"), []byte("pan*c")) // names of functions, not faults
		}
		p.stderr = append(append(p.stderr, b...), '\n')
		if cut := len(p.stderr) - 1<<20; cut > 0 {
			p.stderr = append(p.stderr[:0], p.stderr[cut:]...)
		}
		for _, word := range []string{"panic", "fatal error:", "DATA RACE"} {
			if bytes.Contains(b, []byte(word)) && len(p.faults) < 5 {
				p.faults = append(p.faults, string(b))
			}
		}
		p.mu.Unlock()
	}
}

// keepRequests makes the process keep what it tells of requests from now on.
func (p *process) keepRequests() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeps = true
}

// finished returns the requests that were kept.
func (p *process) finished() []event {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// mark returns a position in the events for await: what comes after it.
func (p *process) mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.events)
}

// since returns the events after a mark that are of kind.
func (p *process) since(mark int, kind string) []event {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []event
	for _, e := range p.events[mark:] {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// await waits for n events of kind after a mark.
func (p *process) await(mark int, kind string, n int, within time.Duration) []event {
	p.t.Helper()
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		found := p.since(mark, kind)
		if len(found) >= n {
			return found
		}
		select {
		case <-changed:
		case <-p.exited:
			if found := p.since(mark, kind); len(found) >= n {
				return found
			}
			p.t.Fatalf("%s ended (%v) before %d events %q came", p.name, p.state, n, kind)
		case <-late.C:
			p.t.Fatalf("%s: %d of %d events %q within %v", p.name, len(found), n, kind, within)
		}
	}
}

// tell notes that an end from now on is what the test wants.
func (p *process) tell() {
	select {
	case <-p.exited:
	default:
		p.mu.Lock()
		p.told = true
		p.mu.Unlock()
	}
}

// signal sends sig to a process that runs.
func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	p.tell()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("signal %s: %v", p.name, err)
	}
}

// kill ends the process at once, with SIGKILL, and waits for it.
func (p *process) kill() {
	p.tell()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("kill %s: %v", p.name, err)
	}
	<-p.exited
}

// wait waits for the process to end by itself and returns its exit code.
func (p *process) wait(within time.Duration) int {
	p.t.Helper()
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-p.exited:
		return p.state.ExitCode()
	case <-late.C:
		stacks(p)
		p.t.Fatalf("%s did not end within %v", p.name, within)
		return -1
	}
}

// stacks makes the Go runtimes of processes print their goroutines and end:
// what a hang needs. All are told before any has ended, so that none sees
// another go.
func stacks(processes ...*process) {
	for _, p := range processes {
		p.tell()
		p.mu.Lock()
		p.dumped = true
		p.mu.Unlock()
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	}
	for _, p := range processes {
		select {
		case <-p.exited:
		case <-time.After(5 * time.Second):
		}
	}
}

// usage is what /proc tells of a process; zero where there is none.
type usage struct {
	rss, peak int64 // bytes
	cpu       time.Duration
	files     int
}

func (p *process) usage() (u usage) {
	dir := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	if b, err := os.ReadFile(filepath.Join(dir, "status")); err == nil {
		for line := range strings.Lines(string(b)) {
			var kib int64
			if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
				u.rss = kib << 10
			}
			if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
				u.peak = kib << 10
			}
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "stat")); err == nil {
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 12 {
			user, _ := strconv.ParseInt(f[11], 10, 64)
			system, _ := strconv.ParseInt(f[12], 10, 64)
			u.cpu = time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
		}
	}
	if files, err := os.ReadDir(filepath.Join(dir, "fd")); err == nil {
		u.files = len(files)
	}
	return u
}

// settle waits until the process has at most files open files.
func (p *process) settle(files int, within time.Duration) {
	p.t.Helper()
	if !eventually(within, func() bool { return p.usage().files <= files }) {
		p.t.Errorf("%s has %d open files, %d before the load", p.name, p.usage().files, files)
	}
}

// eventually asks every 20 ms whether ok, until within has passed.
func eventually(within time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}
