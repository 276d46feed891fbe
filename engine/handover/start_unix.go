//go:build unix

package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Signal is what asks a process to start its successor.
func Signal() os.Signal { return syscall.SIGUSR2 }

// own makes a file of an inherited descriptor, which is not handed on again.
func own(fd int, name string) *os.File {
	syscall.CloseOnExec(fd)
	_ = syscall.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}

// itself returns the path of this program, as it was called: where a link or a
// file is replaced, the new one is meant.
func itself() string {
	self, _ := os.Executable()
	called, err := exec.LookPath(os.Args[0])
	if err != nil {
		return self
	}
	if called, err = filepath.Abs(called); err != nil {
		return self
	}
	one, err := os.Stat(called) // #nosec G703 -- whose arguments these are, it is his program
	if err != nil {
		return self
	}
	if other, err := os.Stat(self); err != nil || !os.SameFile(one, other) {
		return self
	}
	return called
}

// start is Start.
func (s *Sockets) start(ctx context.Context, o Options) (int, error) {
	if s.self == "" {
		return 0, errors.New("start the successor: the path of this program is not known")
	}
	cmd := &exec.Cmd{
		Path: s.self, Args: os.Args, Dir: s.dir,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	defer func() {
		for _, f := range cmd.ExtraFiles {
			_ = f.Close()
		}
	}()
	hello := message{}
	var names []string
	for _, l := range o.Listeners {
		f, err := fileOf(l.Listener)
		if err != nil {
			return 0, fmt.Errorf("hand on the socket %s: %w", l.Name, err)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		names = append(names, strings.ReplaceAll(l.Name, ":", "-"))
		hello.Asked = append(hello.Asked, l.Asked)
		s.mu.Lock()
		hello.Claims = append(hello.Claims, s.anywhere[l.Name])
		s.mu.Unlock()
	}
	count := strconv.Itoa(len(names))
	line, far, err := pair()
	if err != nil {
		return 0, fmt.Errorf("start the successor: %w", err)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, far)
	cmd.Env = append(s.env[:len(s.env):len(s.env)], envFDs+"="+count, envNames+"="+strings.Join(names, ":"), envFormer+"="+count)
	if err := cmd.Start(); err != nil {
		_ = line.Close()
		return 0, fmt.Errorf("start the successor: %w", err)
	}
	_ = far.Close() // else its end would not be seen
	unhook := context.AfterFunc(ctx, func() { _ = line.SetDeadline(time.Unix(1, 0)) })
	defer unhook()
	err = answer(line, hello, o.State)
	if err == nil {
		err = ctx.Err() // nobody waits for it any more
	}
	if err != nil {
		_ = line.Close()
		_ = cmd.Process.Kill()
		ended := cmd.Wait()
		switch {
		case ctx.Err() != nil:
			return 0, fmt.Errorf("the successor was not ready in time, and was ended: %w", context.Cause(ctx))
		case errors.Is(err, io.EOF) && ended != nil:
			return 0, fmt.Errorf("the successor ended before it was ready: %w", ended)
		case errors.Is(err, io.EOF):
			return 0, errors.New("the successor ended before it was ready, with exit status 0")
		}
		return 0, fmt.Errorf("the successor is not ready: %w", err)
	}
	s.mu.Lock()
	s.next = line // open until this process ends
	s.mu.Unlock()
	pid := cmd.Process.Pid
	return pid, cmd.Process.Release()
}

// answer speaks with the successor until it is ready.
func answer(line net.Conn, hello message, state func() ([]byte, error)) error {
	in, out := json.NewDecoder(io.LimitReader(line, 64<<10)), json.NewEncoder(line)
	if err := out.Encode(hello); err != nil {
		return gone(err)
	}
	for {
		var m message
		if err := in.Decode(&m); err != nil {
			return gone(err)
		}
		switch {
		case m.Ready:
			return nil
		case m.Error != "":
			return errors.New(m.Error)
		case m.Ask:
			var reply message
			if state != nil {
				var err error
				if reply.State, err = state(); err != nil {
					return err
				}
			}
			if err := out.Encode(reply); err != nil {
				return gone(err)
			}
		}
	}
}

// gone is io.EOF for whatever the end of the other process looks like.
func gone(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// fileOf returns a second descriptor of a listener's socket. Unlike that of its
// File it stays one that does not block when it is handed on: that is a matter of
// the socket, and an Accept that blocked could not be ended any more.
func fileOf(ln net.Listener) (*os.File, error) {
	l, ok := ln.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%T has no file descriptor", ln)
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var second int
	var failed error
	err = raw.Control(func(fd uintptr) {
		second, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(second), "listener"), nil
}

// pair returns the ends of a line: one for here, one to hand on.
func pair() (net.Conn, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	here := os.NewFile(uintptr(fds[0]), "line")
	there := os.NewFile(uintptr(fds[1]), "line")
	c, err := net.FileConn(here)
	_ = here.Close()
	if err != nil {
		_ = there.Close()
		return nil, nil, err
	}
	return c, there, nil
}
