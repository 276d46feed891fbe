//go:build unix

package handover

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// envRole makes this test's binary play a successor.
const envRole = "HANDOVER_TEST_ROLE"

// play is a successor: it serves one connection on "listen" and ends with the
// former process.
func play(role string) int {
	s, err := Inherited()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch role {
	case "exits":
		return 3
	case "hangs":
		select {}
	case "fails":
		s.Fail("no such key in adit.yaml")
		return 2
	}
	state, err := s.State()
	if err != nil {
		return 4
	}
	ln := s.Take("listen", "127.0.0.1:0")
	control := s.Take("control", "/run/x.sock")
	if ln == nil || control == nil || !s.Successor() {
		s.Fail(fmt.Sprintf("listen %v, control %v", ln, control))
		return 5
	}
	rest := s.CloseRest()
	if err := s.Ready(); err != nil {
		return 6
	}
	c, err := ln.Accept()
	if err != nil {
		return 7
	}
	_, leaked := os.LookupEnv(envFDs)
	fmt.Fprintf(c, "%d %s %v %v %v\n", os.Getpid(), state, rest, leaked, s.Ports())
	_ = c.Close()
	<-s.Gone()
	return 0
}

// playing returns what starts this binary in a role.
func playing(t *testing.T, role string) *Sockets {
	t.Helper()
	s := &Sockets{self: itself(), env: append(os.Environ(), envRole+"="+role)}
	t.Cleanup(s.Close)
	return s
}

func listen(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// A successor that does not get the sockets, or not what is told beside them.
func TestSuccessorServesOnTheSocketsThatItGot(t *testing.T) {
	ln := listen(t, "tcp", "127.0.0.1:0")
	control := listen(t, "unix", filepath.Join(t.TempDir(), "s"))
	port := listen(t, "tcp", "127.0.0.1:0")
	s := playing(t, "serves")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	asked := 0
	pid, err := s.Start(ctx, Options{
		Listeners: []Listener{{"listen", "127.0.0.1:0", ln}, {"control", "/run/x.sock", control},
			{PortName + "20001", "", port}, {"metrics", "127.0.0.1:9090", listen(t, "tcp", "127.0.0.1:0")}},
		State: func() ([]byte, error) { asked++; return []byte(`{"hosts":["app"]}`), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if asked != 1 {
		t.Errorf("the state was asked for %d times", asked)
	}
	// What waits in the queue is not lost when the former process closes its own.
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	said, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(said, strconv.Itoa(pid)+` {"hosts":["app"]} [`) || !strings.Contains(said, "metrics (127.0.0.1:") ||
		!strings.Contains(said, "tcp-20001 (") || !strings.HasSuffix(said, "false []\n") {
		t.Errorf("the successor %d says %q", pid, said)
	}
}

// What costs the former process something when the new one does not get ready.
func TestSuccessorThatDoesNotGetReadyCostsNothing(t *testing.T) {
	tests := []struct {
		role string
		self string
		want string
	}{
		{"exits", "", "ended before it was ready: exit status 3"},
		{"fails", "", "no such key in adit.yaml"},
		{"hangs", "", "not ready in time"},
		{"missing", "/nonexistent/adit", "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.role, func(t *testing.T) {
			ln := listen(t, "tcp", "127.0.0.1:0")
			s := playing(t, tt.role)
			if tt.self != "" {
				s.self = tt.self
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			began := time.Now()
			_, err := s.Start(ctx, Options{Listeners: []Listener{{"listen", "127.0.0.1:0", ln}}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			accepts(t, ln)
			// A descriptor that was set to block would hold Close up.
			closed := make(chan error, 1)
			accepting := make(chan error, 1)
			go func() { _, err := ln.Accept(); accepting <- err }()
			time.Sleep(20 * time.Millisecond) // until it waits
			go func() { closed <- ln.Close() }()
			for _, ch := range []chan error{closed, accepting} {
				select {
				case <-ch:
				case <-time.After(5 * time.Second):
					t.Fatal("the listener does not close: its descriptor blocks")
				}
			}
		})
	}
}

func accepts(t *testing.T, ln net.Listener) {
	t.Helper()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Close()
}

// A former process that dies leaves its successor in doubt for ever.
func TestEndOfTheFormerProcessIsSeen(t *testing.T) {
	line, far, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.FileConn(far)
	if err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	s := successor(c)
	done := make(chan error, 1)
	go func() { done <- answer(line, message{}, nil) }()
	if state, err := s.State(); err != nil || len(state) != 0 {
		t.Errorf("state %q, %v", state, err)
	}
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	select {
	case <-s.Gone():
		t.Fatal("the former process is gone before it is")
	case <-time.After(20 * time.Millisecond):
	}
	_ = line.Close()
	select {
	case <-s.Gone():
	case <-time.After(5 * time.Second):
		t.Fatal("the end of the former process was not seen")
	}
	if state, err := s.State(); state != nil || err != nil {
		t.Errorf("state of a process that is gone: %q, %v", state, err)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("ready without the former process: %v", err)
	}
}

// The program that is started again is the one at the path, not the file that
// runs: that may have been replaced.
func TestProgramIsFoundByItsPath(t *testing.T) {
	self := itself()
	if !filepath.IsAbs(self) {
		t.Fatalf("path %q", self)
	}
	if _, err := os.Stat(self); err != nil {
		t.Error(err)
	}
}

// Whatever a successor writes on the line must not make the former one fail.
func TestGarbageOnTheLine(t *testing.T) {
	for _, text := range []string{"x", `{"ready":`, strings.Repeat(`{}`, 40<<10), ""} {
		line, far := net.Pipe()
		go func() {
			go func() { _, _ = io.Copy(io.Discard, far) }()
			_, _ = io.WriteString(far, text)
			_ = far.Close()
		}()
		if err := answer(line, message{}, nil); err == nil {
			t.Errorf("%.20q is taken for ready", text)
		}
		_ = line.Close()
	}
}

func TestOnlyListenersAreHandedOn(t *testing.T) {
	s := playing(t, "serves")
	_, err := s.Start(t.Context(), Options{Listeners: []Listener{{"listen", "", struct{ net.Listener }{}}}})
	if err == nil || !strings.Contains(err.Error(), "no file descriptor") {
		t.Error(err)
	}
	if _, err := (*Sockets)(nil).Start(t.Context(), Options{}); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	if slices.Contains(os.Environ(), envFormer) {
		t.Error("the environment tells of sockets")
	}
}
