package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/policy"
)

func newInstance() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func newToken(text string, i int, readOnly bool) token {
	name := "token-" + strconv.Itoa(i+1)
	if readOnly {
		name = "reader-" + strconv.Itoa(i+1)
	}
	// What base64 is filled up with is no secret of its own.
	if n, secret, named := strings.Cut(text, "="); named && n != "" && strings.Trim(secret, "=") != "" && isName(n) {
		name, text = n, secret
	}
	return token{hash: sha256.Sum256([]byte(text)), name: name, readOnly: readOnly}
}

func isName(s string) bool {
	return len(s) <= 32 && strings.IndexFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' && r != '.' && r != '@'
	}) < 0
}

// A peer is who is at the other end of a socket.
type peer struct {
	unix   bool
	name   string // Unix: "root@unix"
	tls    *tls.Conn
	denied error
}

type peerKey struct{}

// sharedKey is whether the listener lets in a group.
type sharedKey struct{}

// withPeer finds out who has connected, once for each socket.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if counted, ok := c.(*countedConn); ok {
		c = counted.Conn
	}
	p := &peer{}
	switch c := c.(type) {
	case *net.UnixConn:
		p.unix = true
		uid, err := peerUser(c)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			// The mode of the socket and of its directory is all there is.
			p.name = userName(os.Getuid())
		case err != nil:
			p.denied = fmt.Errorf("it is not known who is at the other end of the socket: %w", err)
		case uid != 0 && uid != os.Getuid() && ctx.Value(sharedKey{}) != true:
			p.denied = fmt.Errorf("user %s may not use this socket; become %s or root", userName(uid), userName(os.Getuid()))
		default:
			p.name = userName(uid)
		}
	case *tls.Conn:
		p.tls = c
	default:
		p.denied = errors.New("plain TCP is refused; use TLS or the Unix socket")
	}
	return context.WithValue(ctx, peerKey{}, p)
}

func userName(uid int) string {
	if uid < 0 { // this system has names only
		if u, err := user.Current(); err == nil && u.Username != "" {
			return engine.Bound(u.Username) + "@unix"
		}
		return "unknown@unix"
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && u.Username != "" {
		return engine.Bound(u.Username) + "@unix"
	}
	return "uid-" + strconv.Itoa(uid) + "@unix"
}

// An operator is who makes a call.
type operator struct {
	name     string
	readOnly bool

	// hold has end called when the credential holds no more, until release is
	// called; nil: it always does.
	hold func(end func()) (release func() bool)
}

// admit says who makes a call, or with which status it is refused and why.
func (s *Server) admit(r *http.Request) (operator, int, error) {
	p, _ := r.Context().Value(peerKey{}).(*peer)
	switch {
	case p == nil:
		return operator{}, http.StatusForbidden, errors.New("it is not known who is at the other end")
	case p.denied != nil:
		return operator{}, http.StatusForbidden, p.denied
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		return operator{}, http.StatusForbidden, errors.New("browsers are refused; use adit attach, or curl")
	case p.unix:
		return operator{name: p.name}, 0, nil
	}
	state := p.tls.ConnectionState()
	if !ownHost(r.Host, state.ServerName) {
		return operator{}, http.StatusMisdirectedRequest, errors.New("the Host field has a name that this listener was not asked for; use the name in the certificate or an address")
	}
	ca := s.certified.now()
	if ca != nil && r.Header.Get("Authorization") == "" && len(state.PeerCertificates) > 0 {
		// A token beside it counts: it may be one that may only look.
		id, err := ca.Admit(&policy.Presented{Header: http.Header{}, TLS: &state})
		if err != nil {
			return operator{}, http.StatusUnauthorized, fmt.Errorf("%w; show a certificate of --control-client-ca, or a token", errors.Unwrap(err))
		}
		return operator{name: withClient(id.Name, r), hold: func(end func()) func() bool { return s.certified.hold(id, end) }}, 0, nil
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(given) == "" {
		if ca != nil {
			return operator{}, http.StatusUnauthorized, errors.New("a token or a certificate is needed; give it with --token, or with --cert and --key")
		}
		return operator{}, http.StatusUnauthorized, errors.New("a token is needed; give it with --token, or as Authorization: Bearer TOKEN")
	}
	hash := sha256.Sum256([]byte(strings.TrimSpace(given)))
	found, tokens := -1, *s.tokens.Load()
	for i := range tokens {
		if subtle.ConstantTimeCompare(hash[:], tokens[i].hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return operator{}, http.StatusUnauthorized, errors.New("the token is not known here; check which server it is for, and whether it was revoked")
	}
	t := &tokens[found]
	return operator{name: withClient(t.name, r), readOnly: t.readOnly,
		hold: func(end func()) func() bool { return context.AfterFunc(t.holds, end) }}, 0, nil
}

// withClient adds to a name what the operator's program says of who it is.
func withClient(name string, r *http.Request) string {
	if who := clientName(r.Header.Get(clientField)); who != "" {
		name += " (" + who + ")"
	}
	return name
}

// mayFilter reports why an operator may not ask for what f selects: who sees no
// secret of the traffic could guess one letter by letter, by what is found.
func (o operator) mayFilter(f *filter.Filter) error {
	if o.readOnly && f != nil && asksHeader(f.Tree()) {
		return fail(http.StatusForbidden, "%w: a filter by header fields would tell %s their secrets; leave header. out", engine.ErrReadOnly, o.name)
	}
	return nil
}

func asksHeader(n *filter.Node) bool {
	return n != nil && (strings.HasPrefix(n.Field, "header.") || slices.ContainsFunc(n.Nodes, asksHeader))
}

// requestFilter returns which requests are wanted.
func (x *exchange) requestFilter() (string, error) {
	text := x.query("filter")
	f, err := filter.Parse(filter.Requests, text)
	if err != nil {
		return "", err
	}
	return text, x.by.mayFilter(f)
}

// clientField tells who asks, for the audit where nothing better is known.
const clientField = "Adit-Client"

// clientName returns what may stand in an audit.
func clientName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "")
	}
	return s
}

// ownHost reports whether a Host field is an address or the name that TLS was
// asked for: a page whose name was made to resolve to this address has neither.
func ownHost(host, name string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || name != "" && strings.EqualFold(host, name)
}
