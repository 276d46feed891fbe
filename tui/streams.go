package tui

import (
	"io"
	"os"
	"sync"
)

// An output is the terminal as the renderer sees it. Its writer is a goroutine
// of its own, so that a terminal that takes nothing holds up nobody for longer
// than they choose: shut makes every Write return.
type output struct {
	*os.File
	gone func() // called when the terminal is

	mu    sync.Mutex // one Write at a time
	buf   []byte     // of the writer while it writes
	work  chan []byte
	wrote chan error
	stop  chan struct{} // closed by shut
	once  sync.Once
}

func newOutput(f *os.File, gone func()) *output {
	o := &output{File: f, gone: gone, work: make(chan []byte), wrote: make(chan error, 1), stop: make(chan struct{})}
	go func() {
		for {
			select {
			case p := <-o.work:
				_, err := o.File.Write(p)
				o.wrote <- err
			case <-o.stop:
				return
			}
		}
	}()
	return o
}

// Write writes all of p, or returns [io.ErrClosedPipe] after shut.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-o.stop:
		return 0, io.ErrClosedPipe // buf may be in use by a write that was given up
	default:
	}
	o.buf = append(o.buf[:0], p...)
	select {
	case o.work <- o.buf:
	case <-o.stop:
		return 0, io.ErrClosedPipe
	}
	select {
	case err := <-o.wrote:
		if err != nil {
			o.gone()
			return 0, err
		}
		return len(p), nil
	case <-o.stop:
		return 0, io.ErrClosedPipe
	}
}

// shut ends the writer. One that is stuck in a terminal that takes nothing ends
// with the process.
func (o *output) shut() { o.once.Do(func() { close(o.stop) }) }

// An input is the terminal as keys come from it.
type input struct {
	*os.File
	gone func() // called when the terminal is
}

// Read reads what was typed.
func (i *input) Read(p []byte) (int, error) {
	n, err := i.File.Read(p)
	if err != nil || n == 0 {
		i.gone()
	}
	return n, err
}
