package server

import (
	"net/netip"
	"time"

	"adit/engine"
	"adit/engine/policy"
)

// Live is what of a server's options may change while it runs. Its values are
// not changed after they were handed over.
type Live struct {
	Clients *policy.Clients // nil: open
	Callers *policy.Callers // nil: open
	// Rules judge every request and CONNECT, those to exposed names by the URL
	// that the caller used; TCP ports have none. nil allows all: the client decides.
	Rules *policy.Rules
	Caps  Caps

	ProxyProtocol  []netip.Prefix // peers that say in PROXY protocol who connects
	TrustedProxies []netip.Prefix // peers whose forwarding fields are believed and kept
}

// Caps are what a server does not let peers exceed. The zero value of each is
// the default, a negative one no bound.
type Caps struct {
	HeaderBytes   int           // of a request head; what is above that of New has no effect
	HeaderFields  int           // of a request head
	HeaderTimeout time.Duration // for a request head, and for a TLS handshake
	KeepAlive     time.Duration // between requests of a caller; of HTTP/2 at New only
	Stall         time.Duration // a caller moves no byte that is due; default 60 s
	Body          int64         // bytes of a request's content; default no bound

	// An address is a /64 in IPv6. This machine, trusted proxies and who speaks PROXY
	// protocol stand for many: what counts by address does not count them.
	Connections           int     // sockets of all listeners, those of clients too; default by the open files of the process
	ConnectionsPerAddress int     // of these of one address
	ConnectionsPerClient  int     // WebSockets of one client id
	HandshakeRate         float64 // opening handshakes a second from one address, and ten times as many at once
	FailureRate           float64 // wrong credentials a second from one address, likewise
	ExchangesPerClient    int     // in flight to one client id
	Waiting               int     // callers that wait per client or route; default 1,000
	Bandwidth             int64   // bytes a second to one client id, and from it
	Memory                int64   // bytes of the process above which nothing new is taken
}

// live returns what is in force.
func (s *Server) live() *Live { return s.now.Load() }

// settle fills in defaults.
func (l *Live) settle() {
	if l.Clients == nil {
		l.Clients = &policy.Clients{}
	}
	if l.Callers == nil {
		l.Callers = &policy.Callers{}
	}
	l.Caps.settle()
}

// portsOpen reports whether callers of TCP ports, who can show nothing, may come in.
func (s *Server) portsOpen() bool {
	_, err := s.live().Callers.Admit(&policy.Presented{}, engine.WayTCP)
	return err == nil
}
