//go:build chaos

package chaos

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A manager is what a service manager is told.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

// newManager listens where processes that are started from now on will tell.
func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t, conn}
}

// await waits until it is told something that begins so.
func (m *manager) await(want string) string {
	m.t.Helper()
	_ = m.conn.SetReadDeadline(time.Now().Add(startWait))
	b := make([]byte, 4096)
	for {
		n, err := m.conn.Read(b)
		if err != nil {
			m.t.Fatalf("not told %q: %v", want, err)
		}
		if said := string(b[:n]); strings.HasPrefix(said, want) {
			return said
		}
	}
}

// TestServiceManager: a service of Type=notify is told when it serves, which
// process it is after a restart, and when it stops.
func TestServiceManager(t *testing.T) {
	m := newManager(t)
	s := newSuccession(t)
	m.await("READY=1")
	m.await("READY=1") // the client
	s.restart(startWait)
	var pid int
	if _, err := fmt.Sscanf(m.await("MAINPID="), "MAINPID=%d", &pid); err != nil || pid != s.pid {
		t.Errorf("told of process %d, the successor is %d: %v", pid, s.pid, err)
	}
	if err := syscall.Kill(s.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.await("STOPPING=1")
}

// TestSocketActivationOfAnOpenServer: a socket that others can reach needs credentials
// as well as --listen does, though the default of that is for this machine only.
func TestSocketActivationOfAnOpenServer(t *testing.T) {
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_ = ln.Close()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary, "server", "--headless", "--for", "10s")
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=listen")
	cmd.ExtraFiles = []*os.File{f}
	said, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(said), "others can reach") {
		t.Errorf("it ended with %v and said %s", err, said)
	}
}

// TestSocketActivation: sockets that a service manager opened are served, all of
// them after a restart too.
func TestSocketActivation(t *testing.T) {
	var files []*os.File
	var addrs []string
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		_ = ln.Close()
		t.Cleanup(func() { _ = f.Close() })
		files, addrs = append(files, f), append(addrs, ln.Addr().String())
	}
	t.Setenv("LISTEN_FDS", "2")
	_, port, _ := net.SplitHostPort(addrs[1])
	t.Setenv("LISTEN_FDNAMES", "http:tcp-"+port)
	p := launch(t, "server", []string{"/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary, "server", "--headless", "--name", "chaos",
		"--domain", domain, "--tcp-ports", port + "-" + port, "--timeout", "1s"}, files...)
	pid := p.cmd.Process.Pid
	t.Cleanup(func() {
		p.tell()
		_ = syscall.Kill(pid, syscall.SIGKILL)
	})
	if listen := p.await(0, "ready", 1, startWait)[0].Listen; listen != addrs[0] {
		t.Fatalf("it listens on %s, was given %s", listen, addrs[0])
	}
	for _, name := range []string{"LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name)
	}
	s := &succession{rig: &rig{t: t, server: p}, pid: pid}
	check := func() {
		t.Helper()
		conn, err := net.Dial("tcp", addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprint(conn, "GET /status HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 12)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Read(b); err != nil || string(b) != "HTTP/1.0 200" {
			t.Errorf("answer %q, %v", b, err)
		}
		// Nobody exposes the port: who connects is told so, and not left waiting.
		conn2, err := net.Dial("tcp", addrs[1])
		if err != nil {
			t.Fatal(err)
		}
		defer conn2.Close()
		_ = conn2.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn2.Read(b); err == nil || os.IsTimeout(err) {
			t.Errorf("a port that nobody exposes: %v, want it to be reset", err)
		}
	}
	check()
	s.restart(startWait)
	pid = s.pid
	if listen := p.await(0, "ready", 2, startWait)[1].Listen; listen != addrs[0] {
		t.Errorf("the successor listens on %s", listen)
	}
	check()
	if notices := p.since(0, "notice"); len(notices) != 1 {
		t.Errorf("notices %+v", notices)
	}
}
