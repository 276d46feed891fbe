package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/egress"
)

// conn reaches the server as its client would, without TLS.
func (w *way) conn(ctx context.Context) (net.Conn, error) {
	if w.through == "" {
		return w.c.dial(ctx, w.address)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*w.c.o.pace.step)
	defer cancel()
	return w.c.o.Egress.DialContext(ctx, w.u.Scheme, w.address)
}

// tlsConfig is what a client would make a connection with.
func (w *way) tlsConfig() *tls.Config {
	config := w.c.o.Egress.TLS()
	if config.ServerName == "" {
		config.ServerName = w.host
	}
	config.NextProtos = []string{"http/1.1"}
	return config
}

// tls looks at what the server shows of itself, and reports whether a client would
// go on. Bounds: one step for the connection, one for the handshake, one for the
// date where the certificate is of another time.
func (w *way) tls(ctx context.Context) bool {
	w.c.progress("shaking hands by TLS")
	f := Finding{Check: "tls", Severity: Failure}
	raw, err := w.conn(ctx)
	if err != nil {
		f.Found = "no connection for TLS: " + dialText(err, w.c.o.pace.step)
		w.found(f)
		return false
	}
	defer raw.Close()
	config := w.tlsConfig()
	// It is judged here, and nothing is told to who does not pass: whose certificate
	// this client shows neither.
	var failed error
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		failed = verify(&state, config.ServerName, config.RootCAs, time.Now())
		return nil
	}
	shown := config.Certificates
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if failed != nil || len(shown) == 0 {
			return new(tls.Certificate), nil
		}
		return &shown[0], nil
	}
	secure := tls.Client(raw, config)
	step, cancel := context.WithTimeout(ctx, w.c.o.pace.step)
	defer cancel()
	began := time.Now()
	err = secure.HandshakeContext(step)
	f.Took = time.Since(began)
	if err != nil {
		judgeHandshake(&f, w, err)
		w.found(f)
		return false
	}
	state := secure.ConnectionState()
	if failed == nil {
		w.found(w.sound(&state, f.Took))
		return true
	}
	if ofTime(failed) {
		if at, skew, ok := w.dateOver(ctx, secure); ok && verify(&state, config.ServerName, config.RootCAs, at) == nil {
			w.found(Finding{Check: "clock", Severity: Failure, Settings: nil,
				Found:  fmt.Sprintf("the clock of this machine is %s: here it is %s, by the server %s", skewText(skew), stamp(time.Now()), stamp(at)),
				Means:  "the certificate of the server is sound, but not at the time that this machine believes it is: no client gets past that",
				Change: "set the clock of this machine (timedatectl set-ntp true), and try again"})
			return false
		}
	}
	w.judgeChain(&f, &state, config, failed)
	w.found(f)
	return false
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// verify judges a chain as a client does, but by the time given.
func verify(state *tls.ConnectionState, name string, roots *x509.CertPool, at time.Time) error {
	all := state.PeerCertificates
	if len(all) == 0 {
		return errors.New("no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool(), CurrentTime: at}
	for _, c := range all[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := all[0].Verify(o)
	return err
}

func ofTime(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

// sound tells of a chain that holds.
func (w *way) sound(state *tls.ConnectionState, took time.Duration) Finding {
	leaf := state.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	f := Finding{Check: "tls", Severity: OK, Took: took, Found: fmt.Sprintf("%s, certificate of %s from %s, %d days left",
		tls.VersionName(state.Version), few(namesOf(leaf)), quoted(issuerOf(leaf)), int(left/day))}
	if left < endsSoon {
		f.Severity = Warning
		f.Found = fmt.Sprintf("the certificate of the server ends %s, at %s", inTime(left), stamp(leaf.NotAfter))
		f.Means = "from then on no client connects"
		f.Change = "renew it at the server; a changed file is read without a restart"
		f.Settings = []string{"tls-cert"}
	}
	return f
}

// judgeHandshake says why there was no handshake.
func judgeHandshake(f *Finding, w *way, err error) {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		f.Found = "what answers there speaks no TLS"
		f.Means = "the server serves in clear, or something on the way ends TLS and this is behind it"
		f.Change = "use ws:// in --server, or give the server a certificate (--tls-cert, --acme)"
		f.Settings = []string{"server"}
	case isTimeout(err):
		f.Found = fmt.Sprintf("the TLS handshake is not answered within %v", w.c.o.pace.step)
		f.Means = "something lets the connection open and then passes nothing on: a firewall that looks into TLS, a server that speaks something else, or a way on which packets of full size get lost (its MTU)"
		f.Change = "check that --server names the port of adit; elsewhere in the network, try without what inspects TLS, or with a smaller MTU here (ip link set dev DEVICE mtu 1280)"
		f.Settings = []string{"server"}
	case errors.Is(err, io.EOF), isReset(err), errors.Is(err, io.ErrUnexpectedEOF):
		f.Found = "the connection is cut in the TLS handshake"
		f.Means = "a firewall that does not like the name " + w.host + " does that, or a server that has no certificate for it"
		f.Change = "check the name in --server, and whether the network allows it"
		f.Settings = []string{"server"}
	default:
		f.Found = "TLS fails: " + errorText(err)
		f.Change = egress.Advice(err)
	}
}

// judgeChain says why a client does not believe a chain.
func (w *way) judgeChain(f *Finding, state *tls.ConnectionState, config *tls.Config, err error) {
	var (
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
	)
	leaf, now := state.PeerCertificates[0], time.Now()
	top := state.PeerCertificates[len(state.PeerCertificates)-1]
	from := quoted(issuerOf(top))
	switch {
	case ofTime(err) && now.Before(leaf.NotBefore):
		f.Found = fmt.Sprintf("the certificate of the server begins at %s, and here it is %s", stamp(leaf.NotBefore), stamp(now))
		f.Means = "either the clock of this machine is behind, or the certificate was made for later"
		f.Change = "check the clock of this machine first (timedatectl)"
	case ofTime(err):
		f.Found = fmt.Sprintf("the certificate of the server has ended at %s", stamp(leaf.NotAfter))
		f.Means = "no client connects; unless the clock of this machine is ahead, for here it is " + stamp(now)
		f.Change = "renew the certificate at the server; a changed file is read without a restart"
		f.Settings = []string{"tls-cert"}
	case errors.As(err, &host):
		f.Found = fmt.Sprintf("the certificate is for %s, not for %s", few(namesOf(leaf)), config.ServerName)
		f.Means = "the name in --server is another one than the server was given a certificate for, or something else answers"
		f.Change = "use a name of the certificate in --server, or say with --server-name which one is meant"
		f.Settings = []string{"server", "server-name"}
	case errors.As(err, &authority) && w.c.o.CA != "" && verify(state, config.ServerName, nil, now) == nil:
		f.Found = fmt.Sprintf("the certificate comes from %s, a public authority, and not from those in %s", from, engine.Bound(w.c.o.CA))
		f.Means = "the server has got a public certificate, or another server answers"
		f.Change = "leave --ca out to trust public authorities"
		f.Settings = []string{"ca"}
	case errors.As(err, &authority) && leaf.CheckSignatureFrom(leaf) == nil:
		f.Found = "the certificate of the server is signed by itself: " + few(namesOf(leaf))
		f.Means = "nobody vouches for it: it may be the server's own, or of something that reads along"
		f.Change = "if it is the server's own, give it with --ca FILE; --acme at the server gets a public one"
		f.Settings = []string{"ca"}
	case errors.As(err, &authority):
		f.Found = "the certificate comes from " + from + ", an authority that " + w.trusts() + " not know"
		f.Means = "either that is an authority of your own, or something on the way opens TLS and reads along (a proxy that inspects, antivirus)"
		if len(state.PeerCertificates) == 1 {
			f.Means += "; or the server does not send the certificate between its own and the authority's"
		}
		f.Change = "if " + from + " is to be trusted, give its certificate with --ca FILE; if you do not know it, do not go on: ask who runs this network"
		f.Settings = []string{"ca"}
	default:
		f.Found = "the certificate does not hold: " + errorText(err)
		f.Change = egress.Advice(err)
	}
}

func (w *way) trusts() string {
	if w.c.o.CA != "" {
		return engine.Bound(w.c.o.CA) + " does"
	}
	return "this machine does"
}

func issuerOf(c *x509.Certificate) string {
	name := c.Issuer.CommonName
	if len(c.Issuer.Organization) > 0 && !strings.Contains(name, c.Issuer.Organization[0]) {
		name = strings.TrimSpace(c.Issuer.Organization[0] + " " + name)
	}
	if name == "" {
		name = c.Issuer.String()
	}
	return engine.Bound(name)
}

func quoted(s string) string { return `"` + s + `"` }
