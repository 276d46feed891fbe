//go:build tmux

package restore_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A window is a shell in tmux, a terminal that says which modes are on.
type window struct {
	t      *testing.T
	socket string
	dir    string
}

func openWindow(t *testing.T, adit string) *window {
	t.Helper()
	w := &window{t: t, socket: filepath.Join(t.TempDir(), "tmux"), dir: t.TempDir()}
	w.tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "36",
		"env", "PS1=$ ", "HOME="+w.dir, "XDG_STATE_HOME="+w.dir, "ADIT="+adit, "sh")
	t.Cleanup(func() { exec.Command("tmux", "-S", w.socket, "kill-server").Run() })
	return w
}

func (w *window) tmux(args ...string) string {
	w.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", w.socket}, args...)...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *window) types(keys ...string) { w.tmux(append([]string{"send-keys"}, keys...)...) }
func (w *window) screen() string       { return w.tmux("capture-pane", "-p") }

func (w *window) modes() string {
	return w.tmux("display", "-p", "alternate #{alternate_on} mouse #{mouse_any_flag} cursor #{cursor_flag}")
}

func (w *window) await(what string, wait time.Duration, is func() bool) time.Duration {
	w.t.Helper()
	began := time.Now()
	for ; !is(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > wait {
			w.t.Fatalf("waited for %s: %s\n%s", what, w.modes(), w.screen())
		}
	}
	return time.Since(began)
}

// pid returns the process that the shell started.
func (w *window) pid() int {
	w.t.Helper()
	shell := w.tmux("display", "-p", "#{pane_pid}")
	out, err := exec.Command("pgrep", "-P", shell).Output()
	if err != nil {
		w.t.Fatalf("children of %s: %v", shell, err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(out))[0])
	if err != nil {
		w.t.Fatal(err)
	}
	return pid
}

func (w *window) code() string {
	w.types("echo code $? is it", "Enter")
	w.await("the shell", 10*time.Second, func() bool { return strings.Contains(w.screen(), "is it\n") || strings.HasSuffix(w.screen(), "is it") })
	for _, line := range strings.Split(w.screen(), "\n") {
		if rest, ok := strings.CutPrefix(line, "code "); ok {
			return strings.TrimSuffix(rest, " is it")
		}
	}
	return ""
}

// The product in a real terminal: whatever ends it, the modes are off soon
// after, the shell works, and the exit code says what it was.
func TestProductInATerminal(t *testing.T) {
	adit := filepath.Join(t.TempDir(), "adit")
	if out, err := exec.Command("go", "build", "-o", adit, "adit").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const shell = "alternate 0 mouse 0 cursor 1"
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
		keys   []string // instead of a signal
		code   string
	}{
		{name: "SIGTERM", signal: syscall.SIGTERM, code: "0"},
		{name: "SIGINT", signal: syscall.SIGINT, code: "0"},
		{name: "SIGHUP", signal: syscall.SIGHUP, code: "0"},
		{name: "SIGQUIT", signal: syscall.SIGQUIT, code: "130"},
		{name: "SIGKILL", signal: syscall.SIGKILL, code: "137"},
		{name: "SIGABRT", signal: syscall.SIGABRT, code: "2"},
		{name: "ctrl+c twice", keys: []string{"C-c", "C-c"}, code: "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := openWindow(t, adit)
			w.types("$ADIT demo", "Enter")
			w.await("the dashboard", 10*time.Second, func() bool {
				return strings.HasPrefix(w.modes(), "alternate 1 mouse 1") && strings.Contains(w.screen(), "demo")
			})
			if tt.keys != nil {
				w.types(tt.keys...)
			} else if err := syscall.Kill(w.pid(), tt.signal); err != nil {
				t.Fatal(err)
			}
			// 200 ms are the budget; the machine may be busy.
			if took := w.await("the terminal", 5*time.Second, func() bool { return w.modes() == shell }); took > time.Second {
				t.Errorf("the terminal was as it was after %v", took)
			}
			w.await("the end", 10*time.Second, func() bool { return w.tmux("display", "-p", "#{pane_current_command}") == "sh" })
			if got := w.code(); got != tt.code {
				t.Errorf("exit code %s, want %s\n%s", got, tt.code, w.screen())
			}
		})
	}
}

// With --keep-engine a server outlives its window; without, it ends with it.
func TestWindowThatIsClosed(t *testing.T) {
	adit := filepath.Join(t.TempDir(), "adit")
	if out, err := exec.Command("go", "build", "-o", adit, "adit").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keep=%v", keep), func(t *testing.T) {
			w := openWindow(t, adit)
			command := "$ADIT server --listen 127.0.0.1:0 --name closed"
			if keep {
				command += " --keep-engine"
			}
			w.types(command, "Enter")
			w.await("the dashboard", 10*time.Second, func() bool { return strings.HasPrefix(w.modes(), "alternate 1") })
			pid := w.pid()
			w.tmux("kill-server")
			alive := func() bool {
				state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				return err == nil && !strings.Contains(string(state), ") Z ")
			}
			if !keep {
				for began := time.Now(); alive(); time.Sleep(10 * time.Millisecond) {
					if time.Since(began) > 5*time.Second {
						syscall.Kill(pid, syscall.SIGKILL)
						t.Fatal("it is still there 5 s after its window")
					}
				}
				return
			}
			time.Sleep(time.Second)
			if !alive() {
				t.Fatal("it ended with its window")
			}
			before := cpuTicks(t, pid)
			time.Sleep(time.Second)
			if used := cpuTicks(t, pid) - before; used > 20 {
				t.Errorf("it uses %d %% of CPU without a terminal", used)
			}
			syscall.Kill(pid, syscall.SIGTERM)
			for began := time.Now(); alive() && time.Since(began) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
			}
			if alive() {
				syscall.Kill(pid, syscall.SIGKILL)
				t.Error("it does not end")
			}
		})
	}
}

// cpuTicks returns what a process used, in hundredths of a second.
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}
