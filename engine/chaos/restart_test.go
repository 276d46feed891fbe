//go:build chaos

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"adit/engine/enginetest"
)

const restartGrace = 2 * time.Second

// A succession is a server whose process changes.
type succession struct {
	*rig
	pid int
}

// newSuccession starts a rig whose server runs a copy of the binary, which can be
// replaced.
func newSuccession(t *testing.T, options ...option) *succession {
	t.Helper()
	dir := t.TempDir()
	s := &succession{}
	own := func(r *rig) {
		r.binary = filepath.Join(dir, "adit")
		replaceBinary(t, r.binary, nil)
	}
	s.rig = newRig(t, append([]option{own, serverFlags("--grace", restartGrace.String())}, options...)...)
	s.pid = s.server.cmd.Process.Pid
	// The pipes of the first process end with the last.
	t.Cleanup(func() {
		s.server.tell()
		_ = syscall.Kill(s.pid, syscall.SIGKILL)
	})
	return s
}

// replaceBinary puts another file in the place of the binary: the one under test
// with something behind it that nobody reads, or content.
func replaceBinary(t *testing.T, path string, content []byte) {
	t.Helper()
	if content == nil {
		b, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		content = append(b, time.Now().String()...)
	}
	if err := os.WriteFile(path+".new", content, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// restart asks for a successor and waits until it has taken over.
func (s *succession) restart(within time.Duration) {
	s.t.Helper()
	mark := s.server.mark()
	s.server.tell()
	if err := syscall.Kill(s.pid, syscall.SIGUSR2); err != nil {
		s.t.Fatal(err)
	}
	text := s.notice(mark, within)
	var pid int
	if _, err := fmt.Sscanf(text, "restart: process %d has taken over", &pid); err != nil {
		s.t.Fatalf("the notice is %q", text)
	}
	s.pid = pid
}

// notice waits for a notice about the restart.
func (s *succession) notice(mark int, within time.Duration) string {
	s.t.Helper()
	var text string
	if !eventually(within, func() bool {
		for _, e := range s.server.since(mark, "notice") {
			if strings.HasPrefix(e.Text, "restart: ") {
				text = e.Text
				return true
			}
		}
		return false
	}) {
		s.t.Fatalf("no word about the restart within %v", within)
	}
	return text
}

// ended reports whether a process is no more, or waits for its parent to look.
func ended(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}

// A crowd is callers of all kinds, none of whom tries anything twice.
type crowd struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
	wrong  *complaints

	reused, fresh, streams, ports, controls atomic.Int64
}

func (s *succession) crowd(port, socket string) *crowd {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{cancel: cancel, wrong: &complaints{t: s.t}}
	for i := range 16 {
		pause := time.Duration(i%4) * 40 * time.Millisecond
		c.work.Go(func() { c.reuse(ctx, s.rig, pause) })
	}
	for range 4 {
		c.work.Go(func() { c.loop(ctx, &c.fresh, func() error { return once(s.rig, s.addr, "app."+domain) }) })
	}
	if s.secure != nil {
		for range 4 {
			c.work.Go(func() { c.multiplex(ctx, s.rig) })
		}
	}
	if port != "" {
		c.work.Go(func() { c.loop(ctx, &c.ports, func() error { return once(s.rig, port, "x") }) })
	}
	local := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}}}
	c.work.Go(func() {
		c.loop(ctx, &c.controls, func() error {
			resp, err := local.Get("http://adit/v1/snapshot")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			if resp.StatusCode != http.StatusOK {
				err = errors.New(resp.Status)
			}
			return err
		})
	})
	s.t.Cleanup(c.stop)
	return c
}

func (c *crowd) stop() {
	c.cancel()
	c.work.Wait()
}

// loop does f again and again.
func (c *crowd) loop(ctx context.Context, n *atomic.Int64, f func() error) {
	for ctx.Err() == nil {
		if err := f(); err != nil {
			c.wrong.add("after %d: %v", n.Load(), err)
			time.Sleep(10 * time.Millisecond)
		}
		n.Add(1)
		time.Sleep(2 * time.Millisecond)
	}
}

// once sends a request over a connection of its own.
func once(r *rig, addr, host string) error {
	conn, err := r.connect(context.Background(), addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = exchange(conn, bufio.NewReader(conn), host, "/size?n=1000&plain=1", "close")
	return err
}

// exchange sends one request and reads its response; more says that another may
// follow.
func exchange(conn net.Conn, r *bufio.Reader, host, target, connection string) (more bool, err error) {
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n\r\n", target, host, connection); err != nil {
		return false, fmt.Errorf("send: %w", err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, fmt.Errorf("read the head: %w", err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return false, fmt.Errorf("read the content: %w", err)
	}
	if resp.StatusCode != http.StatusOK || n == 0 {
		return false, fmt.Errorf("status %s, %d bytes", resp.Status, n)
	}
	return !resp.Close, nil
}

// reuse sends requests over one connection until it is told not to, as wrk does.
func (c *crowd) reuse(ctx context.Context, rig *rig, pause time.Duration) {
	for ctx.Err() == nil {
		conn, err := rig.connect(context.Background(), rig.addr)
		if err != nil {
			c.wrong.add("connect: %v", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		r := bufio.NewReader(conn)
		for more := true; more && ctx.Err() == nil; {
			began := time.Now()
			if more, err = exchange(conn, r, "app."+domain, "/size?n=1000&plain=1", "keep-alive"); err != nil {
				c.wrong.add("on a connection that stays, after %v: %v", time.Since(began).Round(time.Millisecond), err)
			}
			c.reused.Add(1)
			time.Sleep(pause)
		}
		_ = conn.Close()
	}
}

// multiplex sends requests by HTTP/2, four at once over one connection.
func (c *crowd) multiplex(ctx context.Context, rig *rig) {
	var both http.Protocols
	both.SetHTTP2(true)
	config := rig.secure.Clone()
	config.NextProtos = []string{"h2"}
	tr := &http.Transport{Protocols: &both, DialTLSContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		return rig.connectWith(ctx, addr, config)
	}}
	defer tr.CloseIdleConnections()
	var four sync.WaitGroup
	for range 4 {
		four.Go(func() {
			c.loop(ctx, &c.streams, func() error {
				bounded, done := context.WithTimeout(context.Background(), 15*time.Second)
				defer done()
				req, err := http.NewRequestWithContext(bounded, http.MethodGet, "https://"+rig.addr+"/size?n=1000&plain=1", nil)
				if err != nil {
					return err
				}
				req.Host = "app." + domain
				resp, err := tr.RoundTrip(req)
				if err != nil {
					return fmt.Errorf("HTTP/2: %w", err)
				}
				defer resp.Body.Close()
				n, err := io.Copy(io.Discard, resp.Body)
				if err != nil || n != 1000 || resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
					return fmt.Errorf("%s: status %s, %d bytes, %v", resp.Proto, resp.Status, n, err)
				}
				return nil
			})
		})
	}
	four.Wait()
}

// TestRestart is row 23: restarts in a row under load cost no caller anything but
// endless streams, which are cut visibly.
func TestRestart(t *testing.T) {
	for _, tt := range []struct {
		name    string
		port    bool
		options []option
	}{
		{"native", true, nil},
		{"one connection", true, []option{clientFlags("--pool", "1")}},
		{"classic", false, append(classic(), clientFlags("--pool-idle", "40"))},
		{"TLS", true, []option{secured}},
		{"PROXY protocol", true, []option{announced}},
		{"PROXY protocol and TLS", true, []option{secured, announced}},
	} {
		t.Run(tt.name, func(t *testing.T) { restarts(t, tt.port, tt.options) })
	}
}

// announced has callers come by a load balancer at an address of its own, which
// says of each that it is somebody else. Clients come without it.
func announced(r *rig) {
	r.balancer = netip.MustParseAddr("127.0.0.2")
	r.serverFlags = append(r.serverFlags, "--proxy-protocol", r.balancer.String())
}

func restarts(t *testing.T, ports bool, options []option) {
	rounds := pick(t, 3, 5, 25)
	if t.Name() != "TestRestart/native" {
		rounds = pick(t, 1, 3, 10)
	}
	port := ""
	if ports {
		port = enginetest.FreeAddr(t)
		_, number, _ := net.SplitHostPort(port)
		options = append(options, serverFlags("--tcp-ports", number+"-"+number),
			func(r *rig) { r.cliFlags = append(r.cliFlags, "--expose", "tcp:"+number+"="+r.originAddr) })
	}
	host := "app." + domain
	if !ports {
		host = "" // classic connections carry no names
	}
	s := newSuccession(t, options...)
	s.works(t, 5*time.Second)
	var c *crowd
	if host != "" {
		c = s.crowd(port, filepath.Join(s.server.cmd.Dir, "adit", "server-chaos.sock"))
	}
	for round := range rounds {
		s.round(round, port)
	}
	s.works(t, 5*time.Second)
	if c != nil {
		c.stop()
		t.Logf("%d restarts: %d requests on connections that stay, %d on fresh ones, %d by HTTP/2, %d over a TCP port, %d calls of the control socket",
			rounds, c.reused.Load(), c.fresh.Load(), c.streams.Load(), c.ports.Load(), c.controls.Load())
		if c.reused.Load() < 100 || c.fresh.Load() < 100 || c.controls.Load() < 50 || s.secure != nil && c.streams.Load() < 100 {
			t.Error("there was hardly any load")
		}
	}
}

// round is one restart, with exchanges that run across it.
func (s *succession) round(n int, port string) {
	t := s.t.(*testing.T)
	short := pick(t, 100, 200, 200)
	streams := pick(t, 10, 20, 20)
	if port == "" {
		short, streams = 20, 5 // a connection each
	}
	wrong := &complaints{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	seen, _ := s.origin.Requests()
	var callers, endless sync.WaitGroup
	for range short {
		callers.Go(func() {
			status, content, err := s.get(ctx, "/slow?n=10&every=100ms")
			if err != nil || status != http.StatusOK || len(content) != 10 {
				wrong.add("round %d: an exchange: status %d, %d of 10 bytes, %v", n, status, len(content), err)
			}
		})
	}
	for range streams {
		endless.Go(func() {
			status, content, err := s.get(ctx, "/sse?every=100ms")
			if status != http.StatusOK || err == nil || strings.Count(content, "data:") < 5 {
				wrong.add("round %d: a stream: status %d, %d events, %v; want it to go on and then to be cut", n, status, strings.Count(content, "data:"), err)
			}
		})
	}
	if port != "" {
		endless.Go(func() {
			conn, err := s.connect(ctx, port)
			if err != nil {
				wrong.add("round %d: %v", n, err)
				return
			}
			defer conn.Close()
			if _, err := exchange(conn, bufio.NewReader(conn), "x", "/sse?every=100ms", "close"); err == nil {
				wrong.add("round %d: a TCP stream ended as if it were complete", n)
			}
		})
	}
	if !eventually(5*time.Second, func() bool { now, _ := s.origin.Requests(); return now >= seen+short+streams }) {
		t.Fatal("not every request reached the origin")
	}
	replaceBinary(t, s.binary, nil)
	former, mark := s.pid, s.client.mark()
	asked := time.Now()
	s.restart(startWait)
	over := time.Now()
	s.client.await(mark, "connection_opened", 1, 5*time.Second)
	back := s.client.since(mark, "connection_opened")[0].at.Sub(over)
	if exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(s.pid), "exe")); err != nil || exe != s.binary {
		t.Errorf("round %d: the successor runs %q, %v", n, exe, err)
	}
	callers.Wait()
	if !eventually(restartGrace+time.Second-time.Since(over), func() bool { return ended(former) }) {
		t.Errorf("round %d: the former process is there after %v", n, time.Since(over))
	}
	took := time.Since(over)
	endless.Wait()
	t.Logf("round %d: %v until the successor served, the client back %v later, the former process gone after %v",
		n, over.Sub(asked).Round(time.Millisecond), max(0, back).Round(time.Millisecond), took.Round(time.Millisecond))
	if back > time.Second && !raceEnabled {
		t.Errorf("round %d: the client came back after %v", n, back)
	}
	// The line is in the pipe when the process has ended, and read a moment later.
	if !eventually(2*time.Second, func() bool { return len(s.server.since(0, "stopped")) == n+1 }) {
		t.Errorf("round %d: %d processes said that they stopped", n, len(s.server.since(0, "stopped")))
	}
}

// TestRestartThatFails: a successor that does not get ready costs nothing.
func TestRestartThatFails(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "adit.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("server:\n  timeout: 2s\n")
	s := newSuccession(t, serverFlags("--config", file))
	s.works(t, 5*time.Second)
	c := s.crowd("", filepath.Join(s.server.cmd.Dir, "adit", "server-chaos.sock"))
	good := func() {
		write("server:\n  timeout: 2s\n")
		replaceBinary(t, s.binary, nil)
	}
	type fault struct {
		name   string
		make   func()
		want   string
		within time.Duration
	}
	faults := []fault{
		{"a wrong file", func() { write("server:\n  timeuot: 2s\n") }, "timeuot", 10 * time.Second},
		{"no binary", func() { _ = os.Remove(s.binary) }, "no such file", 10 * time.Second},
		{"ends at once", func() { replaceBinary(t, s.binary, []byte("#!/bin/sh\nexit 7\n")) }, "exit status 7", 10 * time.Second},
		{"not a program", func() { replaceBinary(t, s.binary, []byte("adit")) }, "exec format error", 10 * time.Second},
	}
	if pick(t, 0, 1, 1) > 0 {
		faults = append(faults, fault{"hangs", func() { replaceBinary(t, s.binary, []byte("#!/bin/sh\nexec sleep 100\n")) }, "not ready in time", 40 * time.Second})
	}
	for _, f := range faults {
		good()
		f.make()
		mark := s.server.mark()
		if err := syscall.Kill(s.pid, syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		if text := s.notice(mark, f.within); !strings.Contains(text, f.want) || !strings.Contains(text, "nothing has changed") {
			t.Errorf("%s: the notice is %q, want %q", f.name, text, f.want)
		}
		if ended(s.pid) {
			t.Fatalf("%s: the process is gone", f.name)
		}
		s.works(t, 2*time.Second)
	}
	if n := len(s.server.since(0, "draining")); n != 0 {
		t.Errorf("it drained %d times", n)
	}
	good()
	s.restart(startWait)
	s.works(t, 5*time.Second)
	c.stop()
	t.Logf("%d requests on connections that stay, %d on fresh ones", c.reused.Load(), c.fresh.Load())
}
