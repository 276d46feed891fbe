//go:build chaos

package chaos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// A rig is an origin, a server and a client on loopback, and a caller that
// takes three of the ways in.
type rig struct {
	t      testing.TB
	origin *enginetest.Origin
	target string // http://address of the origin
	addr   string // of the server
	dial   string // where clients dial: the server, or a relay before it

	server, client         *process
	serverFlags, cliFlags  []string
	transport, viaProxy    *http.Transport
	originAddr, clientName string
	wrapper                []string    // of the server
	binary                 string      // of the server; "" the one under test
	noRoutes               bool        // classic connections carry none
	secure                 *tls.Config // of callers; nil: no TLS
	balancer               netip.Addr  // callers come from here and say in PROXY protocol who they are; zero: they do not
	hanging                sync.Once
}

// An option changes a rig before its processes start.
type option func(*rig)

// serverFlags and clientFlags add flags; the last of two with one name holds.
func serverFlags(flags ...string) option {
	return func(r *rig) { r.serverFlags = append(r.serverFlags, flags...) }
}

func clientFlags(flags ...string) option {
	return func(r *rig) { r.cliFlags = append(r.cliFlags, flags...) }
}

// classic makes the client speak wsp, which has no routes.
func classic() []option {
	return []option{clientFlags("--protocol", "wsp"), func(r *rig) { r.noRoutes = true }}
}

// secured puts TLS in front of the server: clients and callers trust its authority.
func secured(r *rig) {
	dir := r.t.TempDir()
	authority := enginetest.NewAuthority(r.t)
	root := filepath.Join(dir, "root.pem")
	if err := os.WriteFile(root, authority.PEM, 0o600); err != nil {
		r.t.Fatal(err)
	}
	cert, key := enginetest.WriteCertificate(r.t, dir, "server", authority.Server("127.0.0.1", "*."+domain))
	r.secure = &tls.Config{RootCAs: authority.Pool, ServerName: "127.0.0.1"}
	r.serverFlags = append(r.serverFlags, "--tls-cert", cert, "--tls-key", key)
	r.cliFlags = append(r.cliFlags, "--ca", root)
}

// connect opens a connection to a listener of the server as a caller does.
func (r *rig) connect(ctx context.Context, addr string) (net.Conn, error) {
	return r.connectWith(ctx, addr, r.secure)
}

func (r *rig) connectWith(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	var d net.Dialer
	if r.balancer.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.balancer, 0))
	}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if r.balancer.IsValid() {
		port := conn.LocalAddr().(*net.TCPAddr).Port
		if _, err := fmt.Fprintf(conn, "PROXY TCP4 192.0.2.%d 127.0.0.1 %d 80\r\n", port%200+1, port); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	if config == nil || addr != r.addr { // TCP ports carry what their callers say
		return conn, nil
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// through makes clients dial a relay.
func through(relay **enginetest.Relay, seed uint64) option {
	return func(r *rig) {
		made, err := enginetest.NewTCPRelay(r.addr, seed)
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { _ = made.Close() })
		*relay, r.dial = made, made.Addr().String()
	}
}

const (
	domain = "chaos.test"
	// startWait bounds the start of a process on a busy machine.
	startWait = 20 * time.Second
)

func newRig(t testing.TB, options ...option) *rig {
	t.Helper()
	r := &rig{t: t, origin: enginetest.NewOrigin(), clientName: "pi"}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.originAddr = ln.Addr().String()
	r.target = "http://" + r.originAddr
	t.Cleanup(r.origin.Serve(ln))
	r.addr = enginetest.FreeAddr(t)
	r.dial = r.addr
	for _, o := range options {
		o(r)
	}
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) { return r.connect(ctx, addr) }
	r.transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256, DialContext: dial}
	r.viaProxy = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256, DialContext: dial,
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: r.addr})}
	t.Cleanup(r.transport.CloseIdleConnections)
	t.Cleanup(r.viaProxy.CloseIdleConnections)
	r.startServer()
	r.startClient()
	return r
}

func (r *rig) startServer() {
	r.t.Helper()
	path := r.binary
	if path == "" {
		path = binary
	}
	r.server = launch(r.t, "server", append(append(r.wrapper[:len(r.wrapper):len(r.wrapper)], path, "server", "--headless", "--name", "chaos",
		"--listen", r.addr, "--domain", domain, "--ping", "1s", "--grace", "5s"), r.serverFlags...))
	ready := r.server.await(0, "ready", 1, startWait)
	if ready[0].Listen != r.addr {
		r.t.Fatalf("server says that it listens on %q, was told %q", ready[0].Listen, r.addr)
	}
}

func (r *rig) startClient() {
	r.t.Helper()
	r.client = r.newClient(r.clientName)
	r.client.await(0, "ready", 1, startWait)
}

// newClient starts a client and does not wait for it.
func (r *rig) newClient(id string, flags ...string) *process {
	r.t.Helper()
	scheme := "ws"
	if r.secure != nil {
		scheme = "wss"
	}
	args := append([]string{"client", "--headless", "--server", scheme + "://" + r.dial + "/register", "--id", id,
		"--allow", "any", "--grace", "5s"}, r.cliFlags...)
	if !r.noRoutes {
		args = append(args, "--expose", "app="+r.target)
	}
	return start(r.t, "client "+id, nil, append(args, flags...)...)
}

// do sends a request, whose URL names the origin, by one of three ways, as its
// token falls.
func (r *rig) do(req *http.Request) (*http.Response, error) {
	token := req.Header.Get(enginetest.TokenField)
	way := 0
	if token != "" {
		way = int(token[0]) % 3
	}
	if way == 2 && r.noRoutes {
		way = 0
	}
	switch way {
	case 0: // forward proxy
		return r.viaProxy.RoundTrip(req)
	case 1: // /request
		req.Header.Set("X-PROXY-DESTINATION", req.URL.String())
		req.URL = &url.URL{Scheme: "http", Host: r.addr, Path: "/request"}
		req.Host = ""
		return r.transport.RoundTrip(req)
	default: // host name
		u := *req.URL
		u.Host = r.addr
		req.URL = &u
		req.Host = "app." + domain
		return r.transport.RoundTrip(req)
	}
}

// get sends one GET for target at the origin and returns status and content.
func (r *rig) get(ctx context.Context, target string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.target+target, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := r.viaProxy.RoundTrip(enginetest.Once(req))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// works checks that a request comes through within that time.
func (r *rig) works(t testing.TB, within time.Duration) {
	t.Helper()
	var last string
	if !eventually(within, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		status, _, err := r.get(ctx, "/status?code=204")
		last = fmt.Sprintf("status %d, %v", status, err)
		return err == nil && status == http.StatusNoContent
	}) {
		t.Fatalf("no request came through within %v; the last: %s", within, last)
	}
}

// oracle returns an oracle over the rig, well-behaved until told otherwise.
func (r *rig) oracle(requests int, seed uint64) *enginetest.Oracle {
	return &enginetest.Oracle{Do: r.do, Target: r.target, Origin: r.origin, Requests: requests,
		Concurrency: 64, Seed: seed, MaxContent: 1 << 20, Timeout: 15 * time.Second, Stuck: r.hang}
}

// check fails the test when the oracle found what must never be.
func (r *rig) check(report *enginetest.Report) {
	r.t.Helper()
	r.t.Log(report)
	if report.Violated() {
		r.t.Error("an invariant is broken, see above")
	}
}

// hang is told of a request that hangs: the goroutines of all three sides go
// into the log, and the processes end.
func (r *rig) hang(token enginetest.Token) {
	r.hanging.Do(func() {
		r.t.Errorf("%v hangs; at the origin: %+v", token, r.origin.Seen(token))
		own := make([]byte, 1<<20)
		r.t.Logf("here:\n%s", own[:runtime.Stack(own, true)])
		stacks(r.server, r.client)
	})
}

// A load is an oracle that runs until it is ended.
type load struct {
	r      *rig
	cancel context.CancelFunc
	done   chan struct{} // closed once report is set
	report *enginetest.Report

	mu      sync.Mutex
	results []enginetest.Result            // since the last take
	open    map[enginetest.Token]time.Time // requests that have not ended
}

// load runs o in the background, keeping what becomes of each request.
func (r *rig) load(o *enginetest.Oracle) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{r: r, cancel: cancel, done: make(chan struct{}), open: map[enginetest.Token]time.Time{}}
	o.Requests = 0
	do := o.Do
	o.Do = func(req *http.Request) (*http.Response, error) {
		token, _ := enginetest.ParseToken(req.Header.Get(enginetest.TokenField))
		l.mu.Lock()
		l.open[token] = time.Now()
		l.mu.Unlock()
		resp, err := do(req)
		if errors.Is(err, syscall.ECONNREFUSED) {
			time.Sleep(20 * time.Millisecond) // the server is gone: do not spin
		}
		return resp, err
	}
	o.Finished = func(res enginetest.Result) {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, res.Token)
		l.results = append(l.results, res)
	}
	go func() {
		defer close(l.done)
		l.report = o.Run(ctx)
	}()
	r.t.Cleanup(func() {
		cancel()
		<-l.done
	})
	return l
}

// take returns the results since the last take.
func (l *load) take() []enginetest.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	results := l.results
	l.results = nil
	return results
}

// stuck returns how many requests that began before t have not ended.
func (l *load) stuck(t time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, began := range l.open {
		if began.Before(t) {
			n++
		}
	}
	return n
}

// finish ends the load and checks it.
func (l *load) finish() *enginetest.Report {
	l.r.t.Helper()
	l.cancel()
	<-l.done
	l.r.check(l.report)
	return l.report
}
