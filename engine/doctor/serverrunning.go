package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"adit/engine"
)

// Running is what a server of the plan's name that runs says of itself.
type Running struct {
	Socket   string // where it was asked
	Snapshot engine.Snapshot
	Problem  string         // why nothing is written to its history, and what to do; "" it is
	Lost     uint64         // records that it was too slow for
	Events   []engine.Event // the newest first
	Other    []string       // settings that it has otherwise than the plan
	Doors    []string       // HOST:PORT that it listens on beside those of the snapshot
}

// listensOn reports whether a server that runs with this name listens at a port.
func (s *ServerPlan) listensOn(port uint16) bool {
	if s.Running == nil {
		return false
	}
	return slices.ContainsFunc(s.Running.ports(), func(a netip.AddrPort) bool { return a.Port() == port }) ||
		slices.ContainsFunc(s.Running.Doors, func(door string) bool { return portOf(door) == port })
}

// portOf returns the port of HOST:PORT, 0 if there is none.
func portOf(address string) uint16 {
	_, text, _ := net.SplitHostPort(address)
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

func (r *Running) ports() (all []netip.AddrPort) {
	for _, text := range r.Snapshot.Listen {
		if a, err := netip.ParseAddrPort(text); err == nil {
			all = append(all, a)
		}
	}
	return all
}

// examineRunning says what the server that runs tells of itself.
func examineRunning(ctx context.Context, s *ServerPlan, m *Machine) []Finding {
	r := s.Running
	if r == nil {
		return nil
	}
	snap := &r.Snapshot
	base := Finding{Check: "running", Subject: r.Socket}
	clients := map[string]bool{}
	for i := range snap.Connections {
		clients[snap.Connections[i].Client] = true
	}
	up := base
	up.Severity = OK
	up.Found = fmt.Sprintf("server %s, version %s, %d %s of %d %s, %d %s since %s", bounded(snap.Name), bounded(snap.Version),
		len(snap.Connections), verbFor(len(snap.Connections), "connection", "connections"), len(clients), verbFor(len(clients), "client", "clients"),
		snap.Totals.Requests, verbFor(int(min(snap.Totals.Requests, 2)), "request", "requests"), utcDate(snap.Started))
	all := []Finding{up}
	add := func(severity Severity, found, means, change string, settings ...string) {
		f := base
		f.Severity, f.Found, f.Means, f.Change, f.Settings = severity, found, means, change, settings
		all = append(all, f)
	}
	if snap.Draining {
		add(Warning, "it is about to end", "it takes nobody new, and lets requests finish", "start another one")
	}
	if s.Version != "" && snap.Version != "" && snap.Version != s.Version {
		add(Note, fmt.Sprintf("it runs version %s, and this binary is %s", bounded(snap.Version), s.Version),
			"what this one knows of settings may not hold for it", "adit restart --addr "+r.Socket+" replaces it without a gap")
	}
	if len(r.Other) > 0 {
		add(Note, "it has other settings than these: "+few(r.Other), "what is said here of these is not what runs",
			"give doctor the flags, the environment and the file that it was started with: adit config show --addr "+r.Socket+" lists its settings; after a change of the file, adit reload and adit restart have it take them", r.Other...)
	}
	if r.Problem != "" {
		add(Warning, "nothing is written to its history: "+bounded(r.Problem), "requests of now are lost to it when memory is full; the tunnel goes on", "do what it says: it goes on by itself then", "store")
	}
	if r.Lost > 0 {
		add(Note, fmt.Sprintf("it was too slow for %d records", r.Lost), "so many requests passed that are in no list", "")
	}
	r.limits(add)
	r.refusals(m.Now(), add)
	if f := s.shows(ctx, base); f.Found != "" {
		all = append(all, f)
	}
	return all
}

// times says how often.
func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return strconv.FormatUint(n, 10) + " times"
}

// limits says which were reached.
func (r *Running) limits(add func(Severity, string, string, string, ...string)) {
	var texts, names []string
	for _, l := range r.Snapshot.Limits {
		if l.Count > 0 {
			texts, names = append(texts, bounded(l.Name)+" "+times(l.Count)), append(names, bounded(l.Name))
		}
	}
	if len(texts) > 0 {
		add(Note, "limits were reached since its start: "+few(texts), "somebody was turned away or had to wait, as the limit says",
			"adit ls events --addr "+r.Socket+" --filter kind:limit_reached says who; raise the limit if they were welcome", names...)
	}
}

// refusals says whom it has not let in within the last hour.
func (r *Running) refusals(now time.Time, add func(Severity, string, string, string, ...string)) {
	type cause struct{ reason, peer string }
	count, all := map[cause]int{}, 0
	for i := range r.Events {
		e := &r.Events[i]
		if (e.Kind != engine.KindAdmissionRefused && e.Kind != engine.KindGreetingRejected) || now.Sub(e.Time) > time.Hour {
			continue
		}
		host, _, err := net.SplitHostPort(e.Peer)
		if err != nil {
			host = e.Peer
		}
		n := max(e.Count, 1) // one event tells of all within a second
		count[cause{e.Reason, host}] += n
		all += n
	}
	if all == 0 {
		return
	}
	most := slices.MaxFunc(slices.Collect(maps.Keys(count)), func(a, b cause) int {
		return cmp.Or(cmp.Compare(count[a], count[b]), strings.Compare(b.reason+b.peer, a.reason+a.peer))
	})
	means := "a client with a wrong or expired credential, or somebody who guesses"
	if strings.Contains(most.reason, "websocket handshake") {
		means = "somebody opened /register in a browser, or a proxy in front of it takes the WebSocket upgrade out"
	}
	add(Note, fmt.Sprintf("it has refused %s within the last hour, most often (%d) %s: %s", times(uint64(all)), count[most], bounded(cmp.Or(most.peer, "an unknown address")), bounded(most.reason)),
		means, "adit ls events --addr "+r.Socket+" --filter kind:admission_refused lists them; adit doctor on that client's machine says what is wrong", "secret", "tokens")
}

// shows asks the public listener for its certificate and says whether it is that of
// a file.
func (s *ServerPlan) shows(ctx context.Context, f Finding) Finding {
	ports := s.Running.ports()
	if len(s.Pairs) == 0 || len(s.Pairs[0].Chain) == 0 || len(ports) == 0 {
		return Finding{}
	}
	ctx, cancel := context.WithTimeout(ctx, serverWait)
	defer cancel()
	leaf := s.Pairs[0].Chain[0]
	name := ""
	if len(leaf.DNSNames) > 0 {
		name = strings.Replace(leaf.DNSNames[0], "*", "adit-doctor", 1)
	}
	shown, err := handshake(ctx, ports[0], name)
	f.Check = "certificate"
	switch {
	case err != nil && s.Fronted:
		return Finding{} // it may wait for what only the load balancer sends
	case err != nil:
		f.Severity, f.Found = Warning, "its public listener gives no certificate: "+bounded(err.Error())
		f.Means = "it may have been started without TLS, or something else listens there"
	case shown.Equal(leaf):
		f.Severity, f.Found = OK, "it shows the certificate that stands in "+s.Pairs[0].File
	default:
		f.Severity, f.Settings = Warning, []string{"tls-cert"}
		f.Found = fmt.Sprintf("it shows another certificate than stands in %s: one that ends on %s", s.Pairs[0].File, utcDate(shown.NotAfter))
		f.Means = "the file was changed and has not been taken"
		f.Change = "adit reload --addr " + s.Running.Socket
	}
	return f
}

// handshake returns the certificate that a listener of this machine shows. Nothing
// is sent to it but that question, so there is nothing to verify.
func handshake(ctx context.Context, to netip.AddrPort, name string) (*x509.Certificate, error) {
	if a := to.Addr(); a.IsUnspecified() {
		to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
		if a.Is6() {
			to = netip.AddrPortFrom(netip.IPv6Loopback(), to.Port())
		}
	}
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, ServerName: name, MinVersion: tls.VersionTLS12}}
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}
