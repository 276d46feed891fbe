package restore_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait.
const patience = 10 * time.Second

// A terminal is one that a test looks at from the other side.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File // kept open, so that the modes can be asked for at the end
	cmd    *exec.Cmd
	report string
	done   chan struct{} // closed when the program has ended

	mu      sync.Mutex
	written bytes.Buffer
	reading chan struct{} // closed when nobody reads any more
}

// open starts the dashboard that comes to an end on a terminal of its own. If
// nobody reads, what it writes fills the terminal.
func open(t *testing.T, end string, read bool) *terminal {
	t.Helper()
	x := &terminal{t: t, done: make(chan struct{}), reading: make(chan struct{}), report: filepath.Join(t.TempDir(), "report")}
	var err error
	if x.master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	number := -1
	raw, err := x.master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if err == nil {
			err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 36, Col: 120})
		}
	})
	if err != nil || number < 0 {
		t.Fatalf("terminal %d: %v", number, err)
	}
	if x.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	x.cmd = exec.Command(self)
	x.cmd.Env = append(os.Environ(), "RESTORE_TEST_END="+end, "RESTORE_TEST_REPORT="+x.report, "TERM=xterm-256color")
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = x.slave, x.slave, x.slave
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(x.done)
		x.cmd.Wait()
	}()
	if read {
		go x.read()
	} else {
		close(x.reading)
	}
	t.Cleanup(func() {
		x.cmd.Process.Kill()
		<-x.done
		x.slave.Close()
		x.master.Close()
		<-x.reading
	})
	return x
}

func (x *terminal) read() {
	defer close(x.reading)
	buf := make([]byte, 4<<10)
	for {
		n, err := x.master.Read(buf)
		x.mu.Lock()
		x.written.Write(buf[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.written.String()
}

func (x *terminal) await(what string, is func() bool) {
	x.t.Helper()
	for began := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > patience {
			x.t.Fatalf("waited for %s\n%q", what, x.text())
		}
	}
}

func (x *terminal) signal(s syscall.Signal) {
	x.t.Helper()
	if err := x.cmd.Process.Signal(s); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) ended() {
	x.t.Helper()
	select {
	case <-x.done:
	case <-time.After(patience):
		x.t.Fatal("it did not end")
	}
}

// cooked reports whether the line discipline is one that a shell can use.
func (x *terminal) cooked() bool {
	ok := false
	raw, err := x.slave.SyscallConn()
	if err != nil {
		x.t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		s, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		ok = err == nil && s.Oflag&unix.OPOST != 0 && s.Lflag&unix.ECHO != 0 && s.Lflag&unix.ICANON != 0
	})
	return ok
}

func (x *terminal) restored() bool {
	text := x.text()
	return !isOn(text, "1049") && !isOn(text, "1002") && !isOn(text, "1004") && !isOn(text, "2004") &&
		strings.LastIndex(text, "\x1b[?25h") > strings.LastIndex(text, "\x1b[?25l") && x.cooked()
}

// Whatever the end, the terminal is as it was 200 ms later: as anybody who
// shares a machine with these tests can tell, 200 ms with room.
func TestTerminalAfterEveryEnd(t *testing.T) {
	const bound = 200*time.Millisecond + time.Second
	for _, tt := range []struct {
		end    string
		signal syscall.Signal // instead of what the program does to itself
		report string         // of a dashboard that returned
		shown  string         // on the terminal, after it was restored
	}{
		{end: "signal", signal: syscall.SIGTERM, report: "4 <nil>"},
		{end: "engine", report: "3 <nil>"},
		{end: "panic in Update", report: "4 panic: "},
		{end: "panic in a command", report: "4 panic: "},
		{end: "panic in a goroutine", shown: "panic: broken on purpose"},
		// The runtime writes the stack of a fatal error to the guard, the
		// message to stderr only.
		{end: "fatal error", shown: "sync.fatal("},
		{end: "abort", signal: syscall.SIGABRT, shown: "SIGABRT"},
		{end: "kill", signal: syscall.SIGKILL},
	} {
		t.Run(tt.end, func(t *testing.T) {
			t.Parallel()
			x := open(t, tt.end, true)
			x.await("the dashboard", func() bool { return isOn(x.text(), "1049") && strings.Contains(x.text(), "edge-1") })
			if x.cooked() {
				t.Fatal("the terminal is not in raw mode: this test sees nothing")
			}
			if tt.signal == 0 {
				tt.signal = syscall.SIGUSR1
			}
			x.signal(tt.signal)
			x.ended()
			began := time.Now()
			x.await("the terminal", x.restored)
			if took := time.Since(began); took > bound {
				t.Errorf("it took %v", took)
			}
			if got, _ := os.ReadFile(x.report); tt.report != "" && !strings.HasPrefix(string(got), tt.report) {
				t.Errorf("reported %q, want %q", got, tt.report)
			}
			if tt.shown != "" {
				x.await(tt.shown, func() bool {
					text := x.text()
					return strings.Contains(text[strings.LastIndex(text, "\x1b[?1049l"):], tt.shown)
				})
			}
		})
	}
}

// A terminal that nobody reads any more, by flow control or because its window
// is stopped, must not hold up the end.
func TestTerminalThatNobodyReads(t *testing.T) {
	x := open(t, "signal", false)
	x.await("a full terminal", func() bool { return !x.cooked() })
	x.await("a blocked writer", func() bool { return x.blocked() })
	x.signal(syscall.SIGTERM)
	x.ended()
	got, err := os.ReadFile(x.report)
	if err != nil {
		t.Fatal(err)
	}
	var end, took int
	if _, err := fmt.Sscanf(string(got), "%d <nil> after %d ms", &end, &took); err != nil || end != 4 || took > 1200 {
		t.Errorf("reported %q", got)
	}
	if !x.cooked() {
		t.Error("the line discipline was not restored")
	}
	// Somebody reads again: the rest arrives.
	x.reading = make(chan struct{})
	go x.read()
	x.await("the terminal", x.restored)
}

// blocked fills what is left of the terminal's buffer and reports whether it
// is full. It never waits: the dashboard may fill it between a look and a write.
func (x *terminal) blocked() bool {
	fd, err := unix.Open(x.slave.Name(), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		x.t.Fatal(err)
	}
	defer unix.Close(fd)
	for range 100_000 {
		if _, err := unix.Write(fd, []byte(" ")); err != nil {
			return errors.Is(err, unix.EAGAIN)
		}
	}
	return false
}

// The window was closed: no terminal, and no process that spins without one.
func TestTerminalThatIsGone(t *testing.T) {
	x := open(t, "hangup", true)
	x.await("the dashboard", func() bool { return isOn(x.text(), "1049") && strings.Contains(x.text(), "edge-1") })
	x.slave.Close()
	x.master.Close()
	x.ended()
	if got, _ := os.ReadFile(x.report); string(got) != "2 <nil>\n" {
		t.Errorf("reported %q", got)
	}
	if cpu := x.cmd.ProcessState.UserTime() + x.cmd.ProcessState.SystemTime(); cpu > 2*time.Second {
		t.Errorf("it used %v of CPU", cpu)
	}
}
