//go:build unix && !solaris && !aix

package restore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/charmbracelet/x/term"
)

// pipeFd is where a guard finds its end of the pipe.
const pipeFd = 3

// isRaw: nothing is processed and keys make no signals, which no shell leaves so.
func isRaw(s *term.State) bool {
	return s.Oflag&syscall.OPOST == 0 && s.Lflag&syscall.ISIG == 0
}

// Ignored are the signals that a guard ignores: those of the terminal, so that
// it can work on it from the background, and of the pipe.
func Ignored() []os.Signal {
	return []os.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU,
	}
}

// A Guard is the process that restores the terminal if this one can't. A nil
// *Guard does nothing.
type Guard struct {
	pipe *os.File
	gone chan struct{} // closed when it has ended
}

// Start starts command, which calls [Main] with the arguments after [Verb], as
// the guard of a terminal. It does not wait for it.
func Start(command []string, tty *os.File, inline bool) (*Guard, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("guard of the terminal: %w", err)
	}
	defer theirs.Close()
	cmd := exec.Command(command[0], command[1:]...)
	if inline {
		cmd.Args = append(cmd.Args, "inline")
	}
	cmd.Env = []string{}
	cmd.Stdin = tty
	cmd.ExtraFiles = []*os.File{theirs}
	// Neither a signal of the terminal nor one to our group is for the guard.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("guard of the terminal: %w", err)
	}
	g := &Guard{pipe: ours, gone: make(chan struct{})}
	go func() {
		defer close(g.gone)
		cmd.Wait()
	}()
	return g, nil
}

// encode writes the state of a terminal as decode of the same binary reads it.
// Its last byte is never done, whatever the state ends in.
func encode(s *term.State) ([]byte, error) {
	text, err := binary.Append(nil, binary.NativeEndian, s.Termios)
	return append(text, armed), err
}

// decode reads a state, and returns what follows it.
func decode(text []byte) (s *term.State, rest []byte, err error) {
	s = new(term.State)
	size := binary.Size(s.Termios)
	if len(text) <= size {
		return nil, nil, fmt.Errorf("state of the terminal: %d bytes of %d", len(text), size)
	}
	err = binary.Read(bytes.NewReader(text[:size]), binary.NativeEndian, &s.Termios)
	return s, text[size+1:], err
}

// Arm tells the guard how the terminal is; from then on it takes over when this
// process ends. It reports whether there is one.
func (g *Guard) Arm(t *Terminal) bool {
	if g == nil {
		return false
	}
	state, err := encode(t.state)
	if err != nil {
		return false
	}
	if _, err := g.pipe.Write(append([]byte{armed}, state...)); err != nil {
		return false
	}
	debug.SetCrashOutput(g.pipe, debug.CrashOptions{})
	return true
}

// Done tells the guard that there is nothing to do, and waits for its end.
func (g *Guard) Done() { g.end(true) }

// Leave has the guard restore the terminal now, as soon as that takes something
// again.
func (g *Guard) Leave() { g.end(false) }

func (g *Guard) end(well bool) {
	if g == nil {
		return
	}
	debug.SetCrashOutput(nil, debug.CrashOptions{})
	if well {
		g.pipe.Write([]byte{done})
	}
	g.pipe.Close()
	if !well {
		return
	}
	late := time.NewTimer(100 * time.Millisecond)
	defer late.Stop()
	select {
	case <-g.gone:
	case <-late.C:
	}
}
