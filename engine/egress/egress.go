// Package egress is a client's way out to its servers: straight, or through an
// HTTP, HTTPS or SOCKS5 proxy, and what is shown and trusted in TLS on the way.
// It imports nothing of ours.
//
// Start here; connect.go speaks to HTTP proxies, explain.go says what a failure
// means.
package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync/atomic"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"
)

// Options of a Dialer. They are not changed after New.
type Options struct {
	// Proxy is the URL of an http, https, socks5 or socks5h proxy for every
	// server; None is no proxy, and "" is what the environment says: HTTPS_PROXY
	// for wss, HTTP_PROXY for ws, else ALL_PROXY, in lower case too, but for the
	// hosts that NO_PROXY names and for this machine itself.
	Proxy string

	CA         string // PEM file; "" the system's authorities
	Cert, Key  string // PEM files of what is shown to servers; "" nothing
	ServerName string // that servers' certificates must have; "" the URL's
	LookupEnv  func(key string) (string, bool)
}

// None as Options.Proxy is no proxy, whatever the environment says.
const None = "none"

// A Dialer reaches servers. Its methods may be called from any goroutine.
type Dialer struct {
	o      Options
	choose func(scheme string, host string) (*url.URL, error) // nil, nil: straight
	files  atomic.Pointer[files]
}

// files is what the files said when they were read last.
type files struct {
	roots *x509.CertPool    // nil: the system's
	shown []tls.Certificate // at most one
}

// New reads the files. Its errors show no credential.
func New(o Options) (*Dialer, error) {
	d := &Dialer{o: o}
	var err error
	if d.choose, err = chooser(&o); err != nil {
		return nil, err
	}
	swap, err := d.Prepare()
	if err != nil {
		return nil, err
	}
	swap()
	return d, nil
}

// Prepare reads the files again and changes nothing. swap puts in force what was
// read, for connections that are made from then on, and, called again, what had
// been in force.
func (d *Dialer) Prepare() (swap func(), err error) {
	f := new(files)
	if d.o.CA != "" {
		pem, err := os.ReadFile(d.o.CA)
		if err != nil {
			return nil, fmt.Errorf("read the authorities: %w", err)
		}
		f.roots = x509.NewCertPool()
		if !f.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate; want PEM", d.o.CA)
		}
	}
	if d.o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(d.o.Cert, d.o.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", d.o.Cert, d.o.Key, err)
		}
		f.shown = []tls.Certificate{pair}
	}
	return func() { f = d.files.Swap(f) }, nil
}

// TLS returns what a wss connection to a server is made with.
func (d *Dialer) TLS() *tls.Config {
	f := d.files.Load()
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: f.roots, Certificates: f.shown, ServerName: d.o.ServerName}
}

// DialContext reaches addr, of a server whose URL has the scheme ws or wss. It
// heeds ctx in every step. Where there is a proxy the error is an *Error.
func (d *Dialer) DialContext(ctx context.Context, scheme, addr string) (net.Conn, error) {
	through, err := d.choose(scheme, addr)
	if err != nil {
		return nil, err
	}
	if through == nil {
		var straight net.Dialer
		return straight.DialContext(ctx, "tcp", addr)
	}
	if isSOCKS(through) {
		return dialSOCKS(ctx, through, addr)
	}
	return d.connect(ctx, through, addr)
}

// Way says by which way addr is reached, without credentials: the URL of a
// proxy, or "".
func (d *Dialer) Way(scheme, addr string) string {
	through, err := d.choose(scheme, addr)
	if err != nil || through == nil {
		return ""
	}
	return through.Scheme + "://" + through.Host
}

// chooser returns what chooses the proxy for a server.
func chooser(o *Options) (func(scheme, addr string) (*url.URL, error), error) {
	switch o.Proxy {
	case None:
		return func(string, string) (*url.URL, error) { return nil, nil }, nil
	case "":
		return fromEnvironment(o.LookupEnv)
	}
	u, err := parseProxy(o.Proxy)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return func(string, string) (*url.URL, error) { return u, nil }, nil
}

// fromEnvironment reads the variables once: who changes them starts anew.
func fromEnvironment(env func(string) (string, bool)) (func(scheme, addr string) (*url.URL, error), error) {
	first := func(names ...string) (value, name string) {
		for _, name := range names {
			if env == nil {
				break
			}
			if v, _ := env(name); v != "" {
				return v, name
			}
		}
		return "", ""
	}
	secure, secureName := first("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
	plain, plainName := first("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
	except, _ := first("NO_PROXY", "no_proxy")
	for value, name := range map[string]string{secure: secureName, plain: plainName} {
		if value == "" {
			continue
		}
		if _, err := parseProxy(value); err != nil {
			return nil, fmt.Errorf("%s: %w; --proxy goes before it", name, err)
		}
	}
	choose := (&httpproxy.Config{HTTPSProxy: withScheme(secure), HTTPProxy: withScheme(plain), NoProxy: except}).ProxyFunc()
	return func(scheme, addr string) (*url.URL, error) {
		asked := url.URL{Scheme: "http", Host: addr}
		if scheme == "wss" {
			asked.Scheme = "https"
		}
		return choose(&asked)
	}, nil
}

// withScheme makes a URL of "proxy:3128", as people write it.
func withScheme(v string) string {
	if u, err := parseProxy(v); err == nil {
		return u.String()
	}
	return ""
}

// parseProxy reads the URL of a proxy; "HOST:PORT" alone is an http proxy. Its
// error does not show the value, which may hold a password.
func parseProxy(v string) (*url.URL, error) {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" {
		u, err = url.Parse("http://" + v)
	}
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("no URL; want http://, https:// or socks5://HOST:PORT")
	}
	usual := ""
	switch u.Scheme {
	case "http":
		usual = "80"
	case "https":
		usual = "443"
	case "socks5", "socks5h":
		usual = "1080"
	default:
		return nil, fmt.Errorf("the scheme %q is no proxy's; want http, https or socks5", u.Scheme)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), usual)
	}
	return u, nil
}

func isSOCKS(u *url.URL) bool { return u.Scheme == "socks5" || u.Scheme == "socks5h" }

// dialSOCKS has the proxy resolve names, as net/http has it.
func dialSOCKS(ctx context.Context, through *url.URL, addr string) (net.Conn, error) {
	var auth *proxy.Auth
	if through.User != nil {
		password, _ := through.User.Password()
		auth = &proxy.Auth{User: through.User.Username(), Password: password}
	}
	reached := new(hop)
	d, err := proxy.SOCKS5("tcp", through.Host, auth, reached)
	if err != nil {
		return nil, &Error{Proxy: through.Host, Err: err}
	}
	c, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, socksError(through, addr, reached.failed, err)
	}
	// The connection below is what the kernel knows.
	if inner := reached.conn; inner != nil {
		return inner, nil
	}
	return c, nil
}

// A hop dials the proxy, and remembers what came of it.
type hop struct {
	conn   net.Conn
	failed bool
}

func (h *hop) Dial(network, addr string) (net.Conn, error) {
	return h.DialContext(context.Background(), network, addr)
}

func (h *hop) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	h.conn, h.failed = c, err != nil
	return c, err
}
