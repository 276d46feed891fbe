package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// An audience is who can come to an address, as far as it tells.
type audience uint8

const (
	toMachine audience = iota + 1 // this machine
	toPrivate                     // a private network
	toAll
)

// audienceOf tells it of an address that is listened on. All addresses of a machine
// count as public, also where none of them is: others may be translated to it.
func audienceOf(address string) audience {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return toAll
	}
	if strings.EqualFold(host, "localhost") {
		return toMachine
	}
	a, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return toAll
	case a.Unmap().IsLoopback():
		return toMachine
	case a.IsPrivate() || a.IsLinkLocalUnicast():
		return toPrivate
	}
	return toAll
}

func (r audience) String() string {
	switch r {
	case toMachine:
		return "only this machine can reach it"
	case toPrivate:
		return "the private network can reach it"
	}
	return "everybody can reach it whom no firewall keeps away"
}

// examineDoors looks whether the server could listen, and says who may come in.
func examineDoors(ctx context.Context, s *ServerPlan, m *Machine) []Finding {
	var all []Finding
	for _, d := range s.Doors {
		ctx, cancel := context.WithTimeout(ctx, serverWait)
		err := m.Listen(ctx, d.Address)
		cancel()
		all = append(all, s.listener(d, err, m), s.exposed(d, audienceOf(d.Address)))
	}
	if len(s.Doors) > 0 {
		r := audienceOf(s.Doors[0].Address)
		if s.Fronted {
			r = toAll // a proxy on this machine hands them on
		}
		all = append(all, s.admitted(r)...)
	}
	return all
}

func (s *ServerPlan) listener(d Door, err error, m *Machine) Finding {
	_, portText, _ := net.SplitHostPort(d.Address)
	port := portOf(d.Address)
	f := Finding{Check: "listen", Subject: "--" + d.Setting + " " + d.Address, Severity: Failure, Settings: []string{d.Setting}}
	var name *net.DNSError
	switch {
	case err == nil:
		f.Severity, f.Found, f.Settings = OK, "nobody else listens there", nil
	case inUse(err) && s.listensOn(port):
		f.Severity, f.Found, f.Settings = OK, "the server "+s.Name+" listens there, which runs with this name", nil
	case inUse(err):
		f.Found = "another program listens there"
		f.Change = "end that one, or choose another port"
		if who := m.Holder(port); who != "" {
			f.Found = who + " listens there"
		} else {
			f.Change += "; as root, ss -ltnp 'sport = :" + portText + "' says which program it is"
		}
		f.Means = "adit server could not start: exit code 3"
	case errors.Is(err, fs.ErrPermission) && port > 0 && port < 1024:
		f.Found = m.User + " may not open port " + portText + ": those below 1024 take a right"
		f.Means = "adit server could not start as this user; as the service of a package it has the right"
		f.Change = "setcap cap_net_bind_service=+ep PATH-OF-ADIT, or AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit, or another port: --" + d.Setting + " :8443"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		f.Found = "no network of this machine has that address"
		f.Means = "adit server could not start: exit code 3"
		f.Change = "choose one that `ip address` lists, or --" + d.Setting + " :" + portText + " for all of them"
	case errors.As(err, &name):
		f.Found = "the host name does not resolve here: " + name.Name
		f.Means = "adit server could not start: exit code 3"
		f.Change = "give an address, or --" + d.Setting + " :" + portText + " for all of this machine"
	default:
		f.Found = "it can't be opened: " + bounded(err.Error())
		f.Means = "adit server could not start: exit code 3"
		f.Change = "choose another address"
	}
	return f
}

// admitted says who may come in at the public listener.
func (s *ServerPlan) admitted(r audience) []Finding {
	var all []Finding
	for _, f := range []Finding{s.admits(&s.Clients, "clients", r), s.admits(&s.Callers, "callers", r)} {
		if f.Found != "" {
			all = append(all, f)
		}
	}
	if s.PortFirst > 0 && (s.Callers.Open || s.Callers.Exposed) {
		all = append(all, Finding{Check: "exposure", Subject: "--tcp-ports", Severity: atMost(Note, r),
			Found:    fmt.Sprintf("TCP ports %d to %d take callers without a credential, as TCP has none", s.PortFirst, s.PortLast),
			Means:    "whoever reaches one is at what a client exposes there: " + r.String(),
			Change:   "a token with a scope says which client may expose which port; a firewall says who may come",
			Settings: []string{"tcp-ports", "open-callers"}})
	}
	return all
}

// atMost makes nothing of a finding that only this machine is concerned by.
func atMost(s Severity, r audience) Severity {
	if r == toMachine {
		return OK
	}
	return s
}

// exposed says who reaches a door and who reads along.
func (s *ServerPlan) exposed(d Door, r audience) Finding {
	f := Finding{Check: "exposure", Subject: "--" + d.Setting + " " + d.Address, Severity: OK, Found: r.String()}
	switch {
	case d.Setting == "listen-http":
		f.Found += "; it only sends callers on to https"
	case d.Setting == "control-listen" && r == toAll:
		f.Severity = Note
		f.Found += ", over TLS"
		f.Means = "whoever has a token of --control-token steers this server, from anywhere"
		f.Change = "an address of a private network, or a firewall, keeps guessers away"
		f.Settings = []string{d.Setting}
	case d.Setting == "metrics-listen" && r != toMachine:
		f.Severity = Warning
		if r == toPrivate {
			f.Severity = Note
		}
		f.Found += ", without a credential and in clear"
		f.Means = "whoever asks learns how much passes, and ids and names of clients"
		f.Change = "--metrics-listen 127.0.0.1:PORT, or an address that only the collector reaches; --control-listen serves /metrics over TLS with a token"
		f.Settings = []string{d.Setting}
	case d.Setting != "listen":
	case r == toMachine && !s.Fronted:
		f.Severity = Note
		f.Means = "clients and callers on other machines can't, unless a proxy on this one hands them on"
		f.Change = "--listen :8080 for all addresses, with a credential; behind a proxy name it with --trusted-proxy 127.0.0.1"
		f.Settings = []string{"listen", "trusted-proxy"}
	case r == toMachine || d.TLS:
	default:
		f.Severity = Warning
		f.Found += ", and what passes is in clear"
		f.Means = "whoever is on the way reads credentials of clients and callers and all content, and can change it"
		f.Change = "--tls-cert FILE --tls-key FILE, or --acme NAME"
		f.Settings = []string{"tls-cert", "tls-key", "acme"}
		if r == toPrivate {
			f.Severity = Note
		}
		if s.Fronted {
			f.Change = "if the proxy in front of it is on this machine: --listen 127.0.0.1:PORT, so that nobody comes past it"
			f.Settings = []string{"listen"}
			f.Means = "the proxy in front may speak TLS, but whoever comes past it sends in clear"
		}
	}
	return f
}

// admits says who comes in as a client or caller.
func (s *ServerPlan) admits(a *Admission, who string, r audience) Finding {
	setting, secret := "open-clients", "secret"
	if who == "callers" {
		setting, secret = "open-callers", "caller-token"
	}
	f := Finding{Check: "exposure", Subject: who, Severity: OK}
	switch {
	case a.Open:
		f.Severity = atMost(Warning, r)
		f.Found = who + " need no credential"
		f.Means = "whoever reaches the server may register under any client id and be given what callers send to it"
		if who == "callers" {
			f.Means = "whoever reaches the server may send requests into the networks of its clients, as far as their rules allow"
		}
		f.Change = "--" + secret + " @FILE, or --tokens FILE for one each; then leave --" + setting + " out"
		f.Settings = []string{setting, secret, "tokens"}
		if f.Severity == OK {
			f.Means, f.Change, f.Settings = "", "", nil
			f.Found += ", and only this machine can reach the server"
		}
		return f
	case a.Exposed:
		f.Severity = atMost(Note, r)
		f.Found = who + " need no credential for exposed names and ports"
		f.Settings = []string{setting}
		if a.keys() != "" {
			f.Found += "; for all else " + a.keys()
		}
		f.Means = "right for a public site; whatever a client exposes is open to whoever reaches the server"
		f.Change = "--" + setting + "=false with --caller-token @FILE closes it"
		if f.Severity == OK {
			f.Means, f.Change, f.Settings = "", "", nil
		}
		return f
	case a.keys() == "" && s.TokensFile == "":
		return Finding{} // it does not start so
	case a.keys() == "":
		f.Severity = Warning
		f.Found = who + " can't come in: there is no credential that is good"
		f.Means = "the file of tokens closes the server for " + who + ", and none of its tokens is for them, or all have expired"
		f.Change = "adit token new --file " + s.TokensFile + " --for " + strings.TrimSuffix(who, "s") + " --name NAME"
		f.Settings = []string{"tokens", secret}
		return f
	}
	f.Found = who + " need " + a.keys()
	return f
}

// keys says what admits, "" for nothing.
func (a *Admission) keys() string {
	var all []string
	if a.Secrets > 0 {
		all = append(all, verbFor(a.Secrets, "the shared credential", strconv.Itoa(a.Secrets)+" shared credentials"))
	}
	if a.Tokens > 0 {
		all = append(all, verbFor(a.Tokens, "the one token that is good", fmt.Sprintf("one of %d tokens", a.Tokens)))
	}
	if a.CA != "" {
		all = append(all, "a certificate of "+a.CA)
	}
	return strings.Join(all, " or ")
}
