package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
)

// A callerWatch learns from the kernel that callers close their side: one epoll
// instance and one goroutine for all of them, which cost a request nothing.
type callerWatch struct {
	mu    sync.Mutex // a leaf below callerConn.mu
	runs  bool
	ended bool
	last  watchID
	conns map[watchID]*callerConn

	epoll *os.File // in the runtime's poller, so that the goroutine costs no thread
	raw   syscall.RawConn
	done  chan struct{} // closed when the goroutine has returned
}

// A watchID is never used again: an event of a connection that has gone, whose
// file descriptor another one has now, must reach nobody.
type watchID uint64

// begin starts the goroutine if ln accepts sockets. Where it can't, nobody is
// watched.
func (w *callerWatch) begin(ln net.Listener) {
	if _, ok := ln.(*net.TCPListener); !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done != nil || w.ended {
		return
	}
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return
	}
	w.epoll = os.NewFile(uintptr(fd), "epoll")
	if w.raw, err = w.epoll.SyscallConn(); err != nil {
		w.epoll.Close()
		return
	}
	w.conns, w.done, w.runs = make(map[watchID]*callerConn), make(chan struct{}), true
	go w.run()
}

func (w *callerWatch) run() {
	defer close(w.done)
	var events [64]syscall.EpollEvent
	for {
		n := 0
		var fault error
		err := w.raw.Read(func(fd uintptr) bool {
			for {
				if n, fault = syscall.EpollWait(int(fd), events[:], 0); fault != syscall.EINTR {
					return n != 0
				}
			}
		})
		if err != nil || fault != nil {
			// Closed. If it is anything else, net/http has to read in the
			// background again, or nobody would learn that a caller has left.
			w.mu.Lock()
			w.runs = false
			w.mu.Unlock()
			return
		}
		for _, e := range events[:n] {
			id := watchID(uint32(e.Fd)) | watchID(uint32(e.Pad))<<32
			w.mu.Lock()
			c := w.conns[id]
			w.mu.Unlock()
			if c != nil {
				c.left()
			}
		}
	}
}

// close ends the goroutine and joins it. Nobody is watched any more.
func (w *callerWatch) close() {
	w.mu.Lock()
	begun := w.done != nil
	w.runs, w.ended = false, true
	w.mu.Unlock()
	if begun {
		w.epoll.Close()
		<-w.done
	}
}

// add begins to watch c, which has a socket, and returns 0 where that can't be.
func (w *callerWatch) add(c *callerConn) watchID {
	w.mu.Lock()
	if !w.runs {
		w.mu.Unlock()
		return 0
	}
	w.last++
	id := w.last
	w.conns[id] = c
	w.mu.Unlock()
	event := syscall.EpollEvent{
		// Edge-triggered: once for FIN, once more for RST.
		Events: syscall.EPOLLRDHUP | 1<<31, /* EPOLLET, which package syscall has as a negative number */
		Fd:     int32(uint32(id)), Pad: int32(uint32(id >> 32)),
	}
	if err := w.control(c.socket, syscall.EPOLL_CTL_ADD, &event); err != nil {
		w.forget(id)
		return 0
	}
	return id
}

func (w *callerWatch) remove(c *callerConn) {
	w.forget(c.watched)
	w.control(c.socket, syscall.EPOLL_CTL_DEL, nil)
}

func (w *callerWatch) forget(id watchID) {
	w.mu.Lock()
	delete(w.conns, id)
	w.mu.Unlock()
}

func (w *callerWatch) control(tcp *net.TCPConn, op int, event *syscall.EpollEvent) error {
	socket, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var fault error
	err = socket.Control(func(fd uintptr) {
		closed := w.raw.Control(func(epoll uintptr) {
			fault = syscall.EpollCtl(int(epoll), op, int(fd), event)
		})
		fault = errors.Join(fault, closed)
	})
	return errors.Join(err, fault)
}

// exhausted reports whether nothing is left to read from a socket, whose other
// end has closed.
func exhausted(tcp *net.TCPConn) bool {
	socket, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	more := false
	err = socket.Control(func(fd uintptr) {
		var p [1]byte
		for {
			n, _, err := syscall.Recvfrom(int(fd), p[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if err == syscall.EINTR {
				continue
			}
			more = n > 0 || err == syscall.EAGAIN
			return
		}
	})
	return err == nil && !more
}
