package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/tui/canvas"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/vt"
	"go.uber.org/goleak"
)

// TestMain looks for goroutines that were left behind. The library's own reader
// of keys stays when a program ends with keys that it has read and not yet given
// on.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/charmbracelet/ultraviolet.(*TerminalReader).sendEvents"))
}

// A terminal runs a dashboard before a terminal emulator.
type terminal struct {
	t     *testing.T
	m     *model
	p     *tea.Program
	keys  *io.PipeWriter
	ended chan struct{} // closed when the program has ended

	mu       sync.Mutex
	emulator *vt.Emulator
	replies  sync.WaitGroup
	err      error
}

// Write implements [io.Writer]: what the program writes. Without a terminal
// driver between, newlines do not return the carriage.
func (s *terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.emulator.Write([]byte(strings.ReplaceAll(string(p), "\n", "\r\n")))
	return len(p), err
}

// start runs the dashboard of o at w by h cells until the test ends.
func start(t *testing.T, o Options, w, h int, prepare ...func(*model)) *terminal {
	t.Helper()
	t.Parallel() // they wait more than they work
	if o.Operator == "" {
		o.Operator = "local"
	}
	if o.Glyphs == "" {
		o.Glyphs = "unicode"
	}
	ctx, cancel := context.WithCancel(context.Background())
	m, err := newModel(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(m)
	}
	in, keys := io.Pipe()
	s := &terminal{t: t, m: m, keys: keys, ended: make(chan struct{}), emulator: vt.NewEmulator(max(w, 1), max(h, 1))}
	s.p = tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(s), tea.WithWindowSize(w, h),
		tea.WithFPS(120), tea.WithFilter(filter), tea.WithoutSignalHandler(),
		tea.WithEnvironment([]string{"TERM=xterm-256color", "COLORTERM=truecolor"}))
	s.replies.Go(func() { _, _ = io.Copy(io.Discard, s.emulator) })
	go func() {
		defer close(s.ended)
		_, s.err = s.p.Run()
		_ = in.Close() // nobody reads any more
	}()
	t.Cleanup(func() {
		s.p.Quit()
		<-s.ended
		m.close()
		cancel()
		_ = keys.Close()
		_ = in.Close()
		// Close would race with the reader of the replies.
		if pipe, ok := s.emulator.InputPipe().(io.Closer); ok {
			_ = pipe.Close()
		}
		s.replies.Wait()
	})
	return s
}

// text is what the screen shows.
func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.emulator.String()
}

// typed sends bytes as a terminal does.
func (s *terminal) typed(bytes string) {
	s.t.Helper()
	if _, err := s.keys.Write([]byte(bytes)); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		s.t.Fatal(err)
	}
}

// resize changes the size of the terminal.
func (s *terminal) resize(w, h int) {
	s.mu.Lock()
	s.emulator.Resize(max(w, 1), max(h, 1))
	s.mu.Unlock()
	s.p.Send(tea.WindowSizeMsg{Width: w, Height: h})
}

// until waits for the screen to satisfy ok.
func (s *terminal) until(what string, ok func(screen string) bool) string {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if text := s.text(); ok(text) {
			return text
		}
		select {
		case <-s.ended:
			if text := s.text(); ok(text) {
				return text
			}
			s.t.Fatalf("ended (%v) without %s; the screen:\n%s", s.err, what, s.text())
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.t.Fatalf("no %s; the screen:\n%s", what, s.text())
	return ""
}

// shows waits for a text on the screen.
func (s *terminal) shows(text string) string {
	s.t.Helper()
	return s.until(text, func(screen string) bool { return strings.Contains(screen, text) })
}

// hides waits for a text to leave the screen.
func (s *terminal) hides(text string) string {
	s.t.Helper()
	return s.until("screen without "+text, func(screen string) bool { return !strings.Contains(screen, text) })
}

// ends waits for the program to end and returns why it did.
func (s *terminal) ends() End {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		s.t.Fatalf("does not end; the screen:\n%s", s.text())
	}
	end, err := s.m.result()
	if err != nil {
		s.t.Fatal(err)
	}
	return end
}

// gone reports, after a moment, whether the program has ended.
func (s *terminal) gone() bool {
	select {
	case <-s.ended:
		return true
	case <-time.After(50 * time.Millisecond):
		return false
	}
}

// find returns where a text is on the screen, by cells.
func (s *terminal) find(text string) (x, y int) {
	s.t.Helper()
	for y, row := range strings.Split(s.shows(text), "\n") {
		if before, _, ok := strings.Cut(row, text); ok {
			return canvas.Width(before), y
		}
	}
	return 0, 0
}

// click presses and releases the left button on a text.
func (s *terminal) click(text string) {
	x, y := s.find(text)
	s.typed(fmt.Sprintf("\x1b[<0;%d;%dM\x1b[<0;%d;%dm", x+1, y+1, x+1, y+1))
}
