//go:build chaos && linux

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSlowConsumer is row 21: a dashboard that is stopped, one whose terminal
// nobody reads, a follower that does not read, and a history that another program
// has locked. Callers do not notice, the server keeps what waits in bounds, and
// nothing is missing that is not counted.
func TestSlowConsumer(t *testing.T) {
	dir, err := os.MkdirTemp("", "adit-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path, socket := filepath.Join(dir, "history.db"), filepath.Join(dir, "s.sock")
	r := newRig(t, kept(path), serverFlags("--control", socket))
	r.works(t, 5*time.Second)
	p := r.pour(8, 2000)
	over := time.Duration(pick(t, 2, 20, 60)) * time.Second
	measure(p, time.Second) // until windows, pools and heap have their size
	before := r.server.usage()
	for round := range pick(t, 2, 5, 5) {
		alone := measure(p, over)
		release := burden(t, path, socket)
		beside := measure(p, over)
		after := r.server.usage()
		release()
		t.Logf("round %d: alone %s, beside slow consumers %s; server %d MiB, before %d MiB", round, alone, beside, after.rss>>20, before.rss>>20)
		// The queue of the history, the rings of the subscriptions, and the log.
		if most := int64(256 << 20); !raceEnabled && after.rss-before.rss > most {
			t.Errorf("round %d: the server grew by %d MiB", round, (after.rss-before.rss)>>20)
		}
	}
	p.stop()
	if failed := p.faults(); len(failed) > 0 {
		t.Errorf("requests failed: %v", failed)
	}
	ended := r.stopped(t)
	db := database(t, path)
	sound(t, db)
	complete(t, db, ended)
}

// burden attaches consumers that take nothing, until release.
func burden(t *testing.T, path, socket string) (release func()) {
	t.Helper()
	stopped := attach(t, socket)
	stopped.reads.Store(true)
	if !eventually(10*time.Second, func() bool { return stopped.drawn.Load() > 2000 }) {
		t.Error("the dashboard has drawn nothing")
	}
	if err := stopped.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Error(err)
	}
	unread := attach(t, socket)

	follower, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(follower, "GET /v1/tail?kinds=all&heads=true HTTP/1.1\r\nHost: adit\r\n\r\n"); err != nil {
		t.Error(err)
	}

	db := database(t, path)
	lock, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		t.Errorf("lock the history: %v", err)
	}
	return func() {
		if _, err := lock.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		_ = lock.Close()
		_ = db.Close()
		told(t, follower)
		drawn := stopped.drawn.Load()
		if err := stopped.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Error(err)
		}
		if !eventually(10*time.Second, func() bool { return stopped.drawn.Load() > drawn }) {
			t.Error("a dashboard that was stopped draws no more")
		}
		stopped.end()
		unread.end()
	}
}

// told checks that a follower who reads again learns that something is missing.
func told(t *testing.T, follower net.Conn) {
	defer follower.Close()
	_ = follower.SetReadDeadline(time.Now().Add(3 * time.Second))
	lines := bufio.NewScanner(follower)
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		n++
		if bytes.Contains(lines.Bytes(), []byte(`"kind":"dropped"`)) || bytes.Contains(lines.Bytes(), []byte(`"kind":"fell_behind"`)) {
			t.Logf("the follower was told after %d lines: %.120s", n, lines.Bytes())
			return
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("a follower that was too slow is told nothing in %d lines: %v", n, err)
		return
	}
	t.Logf("the follower was cut off after %d lines", n)
}

// A screen is a dashboard on a terminal of its own.
type screen struct {
	cmd     *exec.Cmd
	master  *os.File
	reads   atomic.Bool // somebody reads what it draws
	drawn   atomic.Int64
	reading sync.WaitGroup
}

// attach starts adit attach.
func attach(t *testing.T, socket string) *screen {
	t.Helper()
	s := &screen{}
	var err error
	if s.master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	raw, err := s.master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := -1
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if failed == nil {
			failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 36, Col: 120})
		}
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	dir := t.TempDir()
	s.cmd = exec.Command(binary, "attach", socket)
	s.cmd.Env = append(os.Environ(), "TERM=xterm-256color", "XDG_STATE_HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.reading.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			if !s.reads.Load() {
				time.Sleep(10 * time.Millisecond)
				if _, err := s.master.Stat(); err != nil {
					return // closed
				}
				continue
			}
			n, err := s.master.Read(buf)
			s.drawn.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	t.Cleanup(s.end)
	return s
}

// end kills it.
func (s *screen) end() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = s.master.Close()
	s.reading.Wait()
}
