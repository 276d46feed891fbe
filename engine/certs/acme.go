package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
)

// FromACME is what Certificate.From is of those that are in no file.
const FromACME = "acme"

const (
	challengeProto = acme.ALPNProto // of TLS-ALPN-01 (RFC 8737)
	challengePath  = "/.well-known/acme-challenge/"

	// handshakeWait bounds how long a handshake waits for an order. The order
	// goes on, and the next handshake finds its certificate.
	handshakeWait = 9 * time.Second
	orderTime     = 3 * time.Minute

	// firstPause is that after the first failure of a name, doubled with each
	// further one. Let's Encrypt takes five failures of a name an hour.
	firstPause = 5 * time.Minute
	mostPause  = 6 * time.Hour

	// Orders for exposed names, which others choose: a burst, then one in a while.
	// Let's Encrypt gives 50 certificates a week below one domain.
	exposedBurst = 20
	exposedEvery = 30 * time.Minute

	ordersAtOnce = 4
)

// An issuer keeps the certificates of ACME. Its own code makes the orders and not
// autocert's, whose renewals can't be ended or seen.
type issuer struct {
	s      *Source
	o      *ACME
	names  []string // of o, lower case
	cache  cache
	ctx    context.Context // ends with the Source
	slots  chan struct{}   // one for each order that runs
	client clientOnce

	mu       sync.Mutex
	certs    map[string]*tls.Certificate // by name, with Leaf
	orders   map[string]*order           // that run
	failures map[string]*failure
	tokens   map[string]string           // of HTTP-01: path → answer
	alpn     map[string]*tls.Certificate // of TLS-ALPN-01, by name
	web      bool                        // HTTP-01 is answered
	last     string                      // type of challenge that worked last
	exposed  bucket
}

// An order is one attempt to get a certificate.
type order struct {
	done chan struct{} // closed when cert and err are set
	cert *tls.Certificate
	err  error
}

// A failure is why a name has no certificate, and when it is tried again.
type failure struct {
	err   error
	times int
	until time.Time
}

// A bucket holds what is left of a burst.
type bucket struct {
	left float64
	at   time.Time
}

func (b *bucket) take(now time.Time) bool {
	b.left = min(exposedBurst, b.left+float64(now.Sub(b.at))/float64(exposedEvery))
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

func newIssuer(ctx context.Context, s *Source) (*issuer, error) {
	o := s.o.ACME
	c, err := openCache(o.Cache, o.Server)
	if err != nil {
		return nil, err
	}
	a := &issuer{s: s, o: o, cache: c, ctx: ctx,
		slots: make(chan struct{}, ordersAtOnce), client: clientOnce{turn: make(chan struct{}, 1)},
		certs: c.certificates(o.Names, s.o.Logger), orders: map[string]*order{}, failures: map[string]*failure{},
		tokens: map[string]string{}, alpn: map[string]*tls.Certificate{},
		exposed: bucket{left: exposedBurst, at: time.Now()},
	}
	for _, n := range o.Names {
		name, err := hostName(n)
		if err != nil {
			return nil, fmt.Errorf("ACME: %q: %w", printable(n), err)
		}
		a.names = append(a.names, name)
	}
	return a, nil
}

// hostName returns a name as it stands in a certificate: in lower case, ASCII, of
// several labels, none of which could be a path.
func hostName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if len(name) > 253 || !strings.Contains(name, ".") {
		return "", errors.New("is no public host name")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return "", errors.New("is no host name")
		}
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", errors.New("is an address, not a name")
	}
	return name, nil
}

// wanted reports whether a name is to have a certificate at this moment, and
// whether that is because somebody exposes it.
func (a *issuer) wanted(name string) (ok, exposed bool) {
	if slices.Contains(a.names, name) {
		return true, false
	}
	return a.o.Exposed != nil && a.o.Exposed(name), true
}

// certificate returns what there is for the name that a peer asks for, and waits
// for an order where there is none yet: nil without an error for a name that is
// not to have one. A name that nobody exposes causes nothing at all.
func (a *issuer) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	asked := hello.ServerName
	if asked == "" && len(a.names) > 0 {
		asked = a.names[0] // who asks by address
	}
	name, err := hostName(asked)
	if err != nil {
		return nil, nil
	}
	if cert := a.kept(name); cert != nil && time.Now().Before(cert.Leaf.NotAfter) {
		return cert, nil // whether or not somebody exposes the name at this moment
	}
	if ok, _ := a.wanted(name); !ok {
		return nil, nil
	}
	o, err := a.order(name)
	if err != nil {
		return nil, err
	}
	late := time.NewTimer(handshakeWait)
	defer late.Stop()
	select {
	case <-o.done:
		return o.cert, o.err
	case <-hello.Context().Done():
		return nil, hello.Context().Err()
	case <-late.C:
		return nil, fmt.Errorf("the certificate of %s is being ordered; try again", name)
	}
}

// kept returns the certificate of a name; nil where there is none.
func (a *issuer) kept(name string) *tls.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.certs[name]
}

// order begins an order for a name that is wanted, or returns the one that runs:
// there is never a second. The error says why none may be begun now.
func (a *issuer) order(name string) (*order, error) {
	_, exposed := a.wanted(name)
	o, begun, err := a.begin(name, exposed)
	if err == nil && begun && !a.s.spawn(func() { a.fill(name, o) }) {
		o.err = errors.New("the server is stopping")
		close(o.done)
	}
	return o, err
}

// begin notes an order that is to be carried out, unless one runs already.
func (a *issuer) begin(name string, exposed bool) (o *order, begun bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.orders[name]; o != nil {
		return o, false, nil
	}
	now := time.Now()
	if f := a.failures[name]; f != nil && now.Before(f.until) {
		return nil, false, fmt.Errorf("no certificate for %s: %w; tried again after %s", name, f.err, f.until.Local().Format("15:04:05"))
	}
	if exposed && !a.exposed.take(now) {
		return nil, false, fmt.Errorf("no certificate for %s yet: certificates of exposed names are ordered once in %v", name, exposedEvery)
	}
	o = &order{done: make(chan struct{})}
	a.orders[name] = o
	return o, true, nil
}

// fill carries out an order and notes how it ended.
func (a *issuer) fill(name string, o *order) {
	ctx, cancel := context.WithTimeout(a.ctx, orderTime)
	defer cancel()
	var err error
	select {
	case a.slots <- struct{}{}:
		o.cert, err = a.obtain(ctx, name)
		<-a.slots
	case <-ctx.Done():
		err = ctx.Err()
	}
	var text string
	a.mu.Lock()
	delete(a.orders, name)
	if err == nil {
		delete(a.failures, name)
		a.certs[name] = o.cert
	} else if a.ctx.Err() == nil {
		f := a.failures[name]
		if f == nil {
			if len(a.failures) > 10_000 {
				clear(a.failures)
			}
			f = new(failure)
			a.failures[name] = f
		}
		pause := min(firstPause<<min(f.times, 10), mostPause)
		f.err, f.times, f.until = err, f.times+1, time.Now().Add(pause)
		text = fmt.Sprintf("no certificate for %s from ACME: %v; tried again in %v", name, err, pause)
	}
	if err != nil {
		o.err = fmt.Errorf("no certificate for %s from ACME: %w", name, err)
	}
	a.mu.Unlock()
	close(o.done)
	select {
	case a.s.wake <- struct{}{}: // when to look again has changed
	default:
	}
	if text != "" {
		a.s.o.Notice(text)
		return
	}
	if err == nil {
		a.s.o.Logger.Info("certificate from ACME", "name", name, "expires", o.cert.Leaf.NotAfter)
	}
}

// forgive lets names be ordered again that failed.
func (a *issuer) forgive() {
	a.mu.Lock()
	clear(a.failures)
	a.mu.Unlock()
	a.renew()
}

// renew begins orders for the names of the configuration that have no certificate,
// and for every certificate near its end whose name is still wanted. It returns
// when to look again at the latest.
func (a *issuer) renew() time.Duration {
	now, next := time.Now(), lookEvery
	due := slices.Clone(a.names)
	a.mu.Lock()
	for name := range a.certs {
		if !slices.Contains(a.names, name) {
			due = append(due, name)
		}
	}
	for _, f := range a.failures {
		if wait := f.until.Sub(now); wait > 0 {
			next = min(next, wait)
		}
	}
	a.mu.Unlock()
	for _, name := range due {
		cert := a.kept(name)
		if cert != nil {
			if wait := cert.Leaf.NotAfter.Add(-a.before(cert.Leaf)).Sub(now); wait > 0 {
				next = min(next, wait)
				continue
			}
		}
		if ok, _ := a.wanted(name); !ok {
			if cert != nil && now.After(cert.Leaf.NotAfter) {
				a.mu.Lock()
				delete(a.certs, name)
				a.mu.Unlock()
			}
			continue
		}
		if _, err := a.order(name); err != nil {
			a.s.o.Logger.Debug("certificate not renewed", "name", name, "error", err)
		}
	}
	return max(next, time.Second)
}

// before returns how long before its end a certificate is replaced.
func (a *issuer) before(leaf *x509.Certificate) time.Duration {
	if a.o.RenewBefore > 0 {
		return a.o.RenewBefore
	}
	return min(leaf.NotAfter.Sub(leaf.NotBefore)/3, 30*24*time.Hour)
}

// list returns what the issuer has, by name.
func (a *issuer) list() []Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]Certificate, 0, len(a.certs))
	for _, c := range a.certs {
		all = append(all, Certificate{Names: names(c.Leaf), NotAfter: c.Leaf.NotAfter, From: FromACME})
	}
	slices.SortFunc(all, func(x, y Certificate) int { return slices.Compare(x.Names, y.Names) })
	return all
}

// handler answers HTTP-01.
func (a *issuer) handler(next http.Handler) http.Handler {
	a.mu.Lock()
	a.web = true
	a.mu.Unlock()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, challengePath) {
			a.mu.Lock()
			answer := a.tokens[r.URL.Path]
			a.mu.Unlock()
			if answer != "" {
				w.Header().Set("Content-Type", "text/plain")
				_, _ = w.Write([]byte(answer))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// challenge returns the certificate that proves that we are who answers for name.
func (a *issuer) challenge(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cert := a.alpn[strings.ToLower(name)]; cert != nil {
		return cert, nil
	}
	return nil, fmt.Errorf("no challenge for %q is open", printable(name))
}
