// Package restore gives a terminal back as it was, whatever becomes of the
// process that draws on it.
//
// A process can put its terminal right after most ends, but not after a panic in
// a goroutine of somebody else, a fatal error of the runtime, or SIGKILL. So a
// [Guard] does: a small process, started from the same binary, that holds
// one end of a pipe, through which it is told the state the terminal had. When
// the pipe ends without the word that all is well, it restores the terminal and
// shows what the runtime wrote into the pipe about the crash. Nobody waits for
// it: what it has to know is in the pipe before the terminal is changed, however
// late it reads that.
package restore

import (
	"bytes"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
)

// Verb is the argument that makes a process of this binary a guard: its main
// calls [Main] then, before anything else.
const Verb = "restore-terminal"

// What is kept of the text of a crash, in bytes, and what is shown of it.
const (
	maxCrash   = 64 << 10
	crashLines = 40
)

// What goes through the pipe, beside the text of a crash.
const (
	armed = 'A'    // from now on the terminal is not as it was; its state follows
	done  = '\x00' // it is again
)

// sequence takes back every mode that Bubble Tea or we set: synchronised
// output, mouse, focus, bracketed paste, light and dark reports, grapheme
// clustering, keyboard enhancements, progress, colours, title, cursor. The
// alternate screen has a stack of keyboard enhancements of its own, so what it
// has is popped before it is left.
func sequence(inline bool) string {
	var b strings.Builder
	b.WriteString("\x1b[?2026l" +
		"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l" +
		"\x1b[?1004l\x1b[?2004l\x1b[?2031l\x1b[?2027l" +
		"\x1b[>4m\x1b[<u" +
		"\x1b]9;4;0\x07\x1b]110\x07\x1b]111\x07\x1b]112\x07\x1b]2;\x07" +
		"\x1b[0m")
	if !inline {
		b.WriteString("\x1b[?1049l")
	}
	b.WriteString("\x1b[0 q\x1b[?25h\r")
	return b.String()
}

// A Terminal is a terminal as it was when [Save] was called.
type Terminal struct {
	file   *os.File
	state  *term.State
	inline bool
}

// Save remembers the state of a terminal. Inline says that the alternate screen
// will not be used.
func Save(file *os.File, inline bool) (*Terminal, error) {
	state, err := term.GetState(file.Fd())
	if err != nil {
		return nil, err
	}
	return &Terminal{file: file, state: state, inline: inline}, nil
}

// Restore puts the terminal right, at most once in wait: a terminal that takes
// nothing gets its line discipline back at once and the rest when it reads
// again. It reports whether all of it arrived in time.
func (t *Terminal) Restore(wait time.Duration) bool {
	if t.raw() {
		if term.Restore(t.file.Fd(), t.state) != nil {
			return false
		}
	}
	written := make(chan bool, 1)
	go func() {
		_, err := io.WriteString(t.file, sequence(t.inline))
		written <- err == nil
	}()
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case ok := <-written:
		return ok
	case <-late.C:
		return false
	}
}

// raw reports whether the terminal still is as a dashboard left it: a shell that
// took over has set what it wants.
func (t *Terminal) raw() bool {
	state, err := term.GetState(t.file.Fd())
	return err == nil && isRaw(state)
}

// Main is what a guard does: args are its arguments after [Verb]. It returns the
// exit code.
func Main(args []string) int {
	inline := len(args) > 0 && args[0] == "inline"
	pipe := os.NewFile(pipeFd, "pipe")
	if pipe == nil {
		return 2
	}
	text, last := readCrash(pipe)
	if len(text) == 0 || text[0] != armed || last == done {
		return 0
	}
	state, text, err := decode(text[1:])
	if err != nil {
		return 1
	}
	t := &Terminal{file: os.Stdin, state: state, inline: inline}
	if t.raw() {
		if term.Restore(t.file.Fd(), t.state) != nil {
			return 1
		}
	}
	// Whoever stopped reading the terminal may read again: this can wait.
	if _, err := io.WriteString(t.file, sequence(inline)); err != nil {
		return 1
	}
	if len(text) > 0 {
		io.WriteString(t.file, "adit crashed:\n"+visible(text)+"\n")
	}
	return 0
}

// readCrash reads to the end: the beginning of it, and the last byte.
func readCrash(r io.Reader) (text []byte, last byte) {
	buf := make([]byte, 4<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			last = buf[n-1]
			text = append(text, buf[:min(n, maxCrash-len(text))]...)
		}
		if err != nil {
			return text, last
		}
	}
}

// visible takes out what could do more to a terminal than show text, and what is
// more than a screen: the cause comes first.
func visible(text []byte) string {
	lines := bytes.SplitAfterN(text, []byte("\n"), crashLines+1)
	if len(lines) > crashLines {
		lines[crashLines] = []byte("…")
	}
	text = bytes.Join(lines, nil)
	return string(bytes.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 {
			return '?'
		}
		return c
	}, bytes.TrimRight(text, "\n")))
}
