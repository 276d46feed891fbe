package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/certs"
	"adit/engine/config"
	"adit/engine/proxyproto"
	"adit/engine/server"
)

const (
	plainTime   = 5 * time.Second // for a request to --listen-http, and for its answer
	plainIdle   = 15 * time.Second
	plainEnd    = 500 * time.Millisecond // for answers that are begun when the run ends
	plainHeader = 16 << 10               // bytes of a request head there
	plainMost   = 1024                   // sockets there
)

// A door is what a server has beside its engine for TLS: certificates, and the
// listener for who comes in clear. A nil door is that of a server without TLS.
type door struct {
	certs  *certs.Source
	server atomic.Pointer[server.Server] // nil until it is made

	plain   *http.Server // nil: no --listen-http
	leaving sync.Once
	serving sync.WaitGroup
}

// certSources are those of the listeners of a run.
type certSources struct {
	mu  sync.Mutex
	all []*certs.Source
}

func (c *certSources) add(s *certs.Source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, s)
}

// ends returns when the certificates end: those of files by the file, those of ACME
// by their name.
func (c *certSources) ends() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := map[string]time.Time{}
	for _, s := range c.all {
		for _, one := range s.Certificates() {
			name := one.From
			if name == certs.FromACME && len(one.Names) > 0 {
				name = one.Names[0]
			}
			ends[name] = one.NotAfter
		}
	}
	return ends
}

// openDoor reads the certificates, begins to get those of ACME, and serves
// --listen-http. public is the listener that is to be secured. What it opens ends
// with the run.
func (r *run) openDoor(ctx context.Context, c *config.Server, public net.Listener, o *server.Options) (*door, error) {
	t := &c.TLS
	if !t.On() {
		return nil, nil
	}
	d := &door{}
	acme, err := r.acme(t, d)
	if err != nil {
		return nil, err
	}
	var plain net.Listener
	if t.ListenHTTP != "" {
		if plain, err = r.listen(ctx, "listen-http", t.ListenHTTP); err != nil {
			return nil, &exit{codeUnreachable, fmt.Errorf("%w; --listen-http chooses another address", err)}
		}
	}
	d.certs, err = certs.New(certs.Options{
		Cert: t.Cert, Key: t.Key, MinVersion: versionOf(t.Min), HTTP2: true, AskPeer: t.ClientCA != "" || t.CallerCA != "",
		ACME: acme, Notice: r.certNotice, Logger: r.component("certificates"),
	})
	if err != nil {
		if plain != nil {
			plain.Close()
		}
		if len(t.Cert) > 0 {
			err = fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		return nil, &exit{codeUsage, err}
	}
	r.closers = append(r.closers, d.close)
	r.sources.add(d.certs)
	r.refreshes("certificates", d.certs.Prepare)
	o.TLS = d.certs.Config()
	if plain != nil {
		d.servePlain(plain, public, r.component("listen-http"))
	}
	return d, nil
}

// acme returns what of the certificates comes by ACME, nil for none.
func (r *run) acme(t *config.TLS, d *door) (*certs.ACME, error) {
	if len(t.ACME) == 0 {
		return nil, nil
	}
	a := &certs.ACME{Mail: t.ACMEMail, Server: t.ACMEServer, Cache: t.ACMECache}
	for _, name := range t.ACME {
		if name != config.ACMEExposed {
			a.Names = append(a.Names, name)
			continue
		}
		a.Exposed = func(name string) bool {
			srv := d.server.Load()
			return srv != nil && srv.Exposes(name)
		}
	}
	if a.Cache == "" {
		dir, err := stateDir(r.process.LookupEnv)
		if err != nil {
			return nil, &exit{codeUsage, fmt.Errorf("no place for certificates: %w; --acme-cache names one", err)}
		}
		a.Cache = filepath.Join(dir, "acme")
	}
	if t.ACMECA != "" {
		pool, err := certs.Pool(t.ACMECA)
		if err != nil {
			return nil, &exit{codeUsage, fmt.Errorf("--acme-ca: %w", err)}
		}
		a.Roots = pool
	}
	return a, nil
}

// certNotice tells of a certificate what an operator should know. Who calls it
// does not wait for a terminal.
func (r *run) certNotice(text string) {
	r.component("certificates").Warn(text)
	r.bus.Publish(engine.Event{Kind: engine.KindNotice, Reason: engine.Bound(text)})
}

func versionOf(min string) uint16 {
	if min == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// of tells the door which server is behind it.
func (d *door) of(srv *server.Server) {
	if d != nil {
		d.server.Store(srv)
	}
}

// wss has a line for a client say that the server speaks TLS.
func (d *door) wss(line string) string {
	if d == nil {
		return line
	}
	return strings.Replace(line, " ws://", " wss://", 1)
}

// close ends what the door runs, and joins.
func (d *door) close() {
	if d.plain != nil {
		ctx, cancel := context.WithTimeout(context.Background(), plainEnd)
		defer cancel()
		if d.plain.Shutdown(ctx) != nil {
			_ = d.plain.Close()
		}
	}
	d.serving.Wait()
	d.certs.Close()
}

// leave closes --listen-http, where a successor answers from now on: answers that
// are begun are finished. It does not wait for them.
func (d *door) leave() {
	if d == nil || d.plain == nil {
		return
	}
	d.leaving.Do(func() {
		d.serving.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), plainTime)
			defer cancel()
			if d.plain.Shutdown(ctx) != nil {
				_ = d.plain.Close()
			}
		})
	})
}

// servePlain answers HTTP-01 on ln and sends all else to where public is.
func (d *door) servePlain(ln, public net.Listener, log *slog.Logger) {
	_, port, _ := net.SplitHostPort(public.Addr().String())
	d.plain = &http.Server{
		Handler:           d.certs.Challenges(toHTTPS(port)),
		ReadHeaderTimeout: plainTime,
		ReadTimeout:       plainTime,
		WriteTimeout:      plainTime,
		IdleTimeout:       plainIdle,
		MaxHeaderBytes:    plainHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),

		DisableGeneralOptionsHandler: true,
	}
	balancer := func(a netip.Addr) bool {
		srv := d.server.Load()
		return srv != nil && srv.Balancer(a)
	}
	few := &fewListener{Listener: proxyproto.Listen(ln, balancer), places: make(chan struct{}, plainMost)}
	d.serving.Go(func() {
		if err := d.plain.Serve(few); !errors.Is(err, http.ErrServerClosed) {
			log.Error("no longer served", "err", err)
		}
	})
}

// toHTTPS redirects to the same host and target over https, and to nothing else:
// what names no plain host gets 400.
func toHTTPS(port string) http.Handler {
	if port == "443" {
		port = ""
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, p, err := net.SplitHostPort(host); err == nil && p != "" && !strings.HasPrefix(host, "[") {
			host = h
		} else if err == nil {
			host = "[" + h + "]"
		}
		// An absolute-form target would be the Host that was asked; a path that does
		// not begin with a slash would become part of it.
		if r.Method == http.MethodConnect || r.URL.IsAbs() || !strings.HasPrefix(r.RequestURI, "/") || !plainHost(host) {
			http.Error(w, "this is the door to https: ask it for a path of a host", http.StatusBadRequest)
			return
		}
		if port != "" {
			host += ":" + port
		}
		w.Header().Set("Connection", "close")
		http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}

// plainHost accepts a host name, or an address in the form that it has in a URL.
func plainHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		return ok && err == nil && a.Is6() && a.Zone() == ""
	}
	if host == "" || len(host) > 253 || strings.Contains(host, "..") || host[0] == '.' || host[0] == '-' {
		return false
	}
	return strings.IndexFunc(host, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_'
	}) < 0
}

// A fewListener has at most so many connections open as there are places. Who
// comes then is closed at once.
type fewListener struct {
	net.Listener
	places chan struct{} // one for each connection
}

func (l *fewListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &fewConn{Conn: c, places: l.places}, nil
		default:
			_ = c.Close()
		}
	}
}

type fewConn struct {
	net.Conn
	places chan struct{}
	once   sync.Once
}

func (c *fewConn) Close() error {
	c.once.Do(func() { <-c.places })
	return c.Conn.Close()
}

// listenTLS opens --control-listen, nil where there is none.
func (r *run) listenTLS(ctx context.Context) (net.Listener, error) {
	c := &r.plan.control
	if c.Listen == "" {
		return nil, nil
	}
	source, err := certs.New(certs.Options{
		Cert: []string{c.Cert}, Key: []string{c.Key}, AskPeer: c.ClientCA != "", Notice: r.certNotice, Logger: r.component("certificates"),
	})
	if err != nil {
		return nil, &exit{codeUsage, fmt.Errorf("--control-cert and --control-key: %w", err)}
	}
	ln, err := r.listen(ctx, "control-tls", c.Listen)
	if err != nil {
		source.Close()
		return nil, &exit{codeUnreachable, fmt.Errorf("%w; --control-listen chooses another address", err)}
	}
	r.closers = append(r.closers, source.Close)
	r.sources.add(source)
	r.refreshes("control certificate", source.Prepare)
	return tls.NewListener(ln, source.Config()), nil
}

// fixedControl returns the settings of the control listener that a run can't
// change which was started with first: one that asks nobody for a certificate
// does not begin to.
func fixedControl(first *config.Control) []string {
	if first.Listen != "" && first.ClientCA != "" {
		return nil
	}
	return []string{"control-client-ca"}
}

// nextControlCA reads --control-client-ca of a reload; nil where there is none.
func (r *run) nextControlCA(next *loading) (*x509.CertPool, error) {
	if len(fixedControl(&r.plan.control)) > 0 {
		return nil, nil
	}
	return controlCA(r.plan.control.Listen, next.control.ClientCA)
}

// controlCA reads --control-client-ca; nil where there is none.
func controlCA(listen, path string) (*x509.CertPool, error) {
	if path == "" || listen == "" {
		return nil, nil
	}
	pool, err := certs.Pool(path)
	if err != nil {
		return nil, &exit{codeUsage, fmt.Errorf("--control-client-ca: %w", err)}
	}
	return pool, nil
}
