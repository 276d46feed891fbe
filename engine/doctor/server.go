package doctor

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A ServerPlan is what a server would start with, as far as doctor looks at it:
// paths and addresses, no credential.
type ServerPlan struct {
	Doors            []Door // the public listener first
	Clients, Callers Admission
	PortFirst        uint16 // that clients may expose, both ends included; 0 none
	PortLast         uint16
	Domain           string // of exposed names; "" none
	Fronted          bool   // proxies in front are named: they may hold the certificate
	Pairs            []Pair
	ACME             *ACMEPlan // nil: none
	Connections      int       // bound of sockets; 0: what the open files allow
	Memory           int64     // bound of the process, bytes; 0 none
	History          HistoryPlan
	Tokens           []TokenEnd
	TokensFile       string   // "" none
	Name             string   // of the server
	Managed          bool     // a service manager starts it, as a user of its own
	PID              int      // of that service; 0 it does not run
	Version          string   // of this binary; "" not known
	Running          *Running // a server of this name that has been asked; nil: none
}

// A Door is an address that the server listens on.
type Door struct {
	Setting string // "listen"
	Address string // HOST:PORT
	TLS     bool
}

// An Admission says who may come in at the public listener.
type Admission struct {
	Open    bool // everybody
	Exposed bool // everybody, to exposed names and ports
	Secrets int  // shared ones
	Tokens  int  // that have not expired
	CA      string
}

// A TokenEnd is a token of the file that ends.
type TokenEnd struct {
	ID, Name string
	Expires  time.Time // zero: never
}

// A Machine answers what depends on where doctor runs. Each of its functions is
// bounded in time by itself or by its context.
type Machine struct {
	Listen       func(ctx context.Context, address string) error // opens and closes a socket there
	Holder       func(port uint16) string                        // the program that listens there: "nginx (pid 812)"; "" not known
	Resolve      func(ctx context.Context, host string) ([]netip.Addr, error)
	Addresses    func() []netip.Addr // of the machine
	OpenFiles    func() uint64       // that a process may have; 0 not known
	ReadFile     func(path string) ([]byte, error)
	Disk         func(dir string) (Disk, error)
	Place        func(path string) Place
	Synchronised func() (is, known bool) // whether something keeps the clock right
	Root         bool                    // this user may do all
	User         string
	Now          func() time.Time
}

// serverWait bounds each question about the server's configuration that leaves the
// process: a name, a socket.
const serverWait = 3 * time.Second

// ExamineServer looks at a plan and tells each finding as it is made. It opens each
// listener for a moment, where nobody else has it, and changes nothing.
func ExamineServer(ctx context.Context, s *ServerPlan, m *Machine, tell func(Finding)) {
	for _, look := range []func(context.Context, *ServerPlan, *Machine) []Finding{
		examineRunning, examineDoors, examineCertificates, examineACME, examineDomain,
		examineLimits, examineMemory, examineHistory, examineTokens, examineClock,
	} {
		if ctx.Err() != nil {
			return
		}
		for _, f := range look(ctx, s, m) {
			tell(f)
		}
	}
}

// examineTokens looks for tokens that are over, or will be soon.
func examineTokens(_ context.Context, s *ServerPlan, m *Machine) []Finding {
	if s.TokensFile == "" {
		return nil
	}
	now := m.Now()
	var over, soon []string
	first := time.Time{}
	for _, t := range s.Tokens {
		switch name := t.Name + " (" + t.ID + ")"; {
		case t.Expires.IsZero():
		case !now.Before(t.Expires):
			over = append(over, name)
		case t.Expires.Sub(now) < endsSoon:
			soon = append(soon, name)
			if first.IsZero() || t.Expires.Before(first) {
				first = t.Expires
			}
		}
	}
	var all []Finding
	if len(soon) > 0 {
		all = append(all, Finding{Check: "tokens", Subject: s.TokensFile, Severity: Warning,
			Found:    fmt.Sprintf("%s: %s within 14 days, the first %s", few(soon), verbFor(len(soon), "expires", "expire"), inTime(first.Sub(now))),
			Means:    "who shows one is turned away from then on, and a client's connection ends at that moment",
			Change:   "make its successor and hand it out: adit token new --file " + s.TokensFile + " --for client --name NAME",
			Settings: []string{"tokens"}})
	}
	if len(over) > 0 {
		all = append(all, Finding{Check: "tokens", Subject: s.TokensFile, Severity: Note,
			Found:    fmt.Sprintf("%s: %s expired", few(over), verbFor(len(over), "has", "have")),
			Means:    "who shows one is turned away",
			Change:   "adit token revoke --file " + s.TokensFile + " ID takes it out of the file",
			Settings: []string{"tokens"}})
	}
	if len(all) == 0 {
		all = append(all, Finding{Check: "tokens", Subject: s.TokensFile, Severity: OK,
			Found: fmt.Sprintf("%d %s, none of which expires within 14 days", len(s.Tokens), verbFor(len(s.Tokens), "token", "tokens"))})
	}
	return all
}

// examineClock looks whether something keeps the clock right.
func examineClock(_ context.Context, _ *ServerPlan, m *Machine) []Finding {
	is, known := m.Synchronised()
	switch {
	case !known:
		return nil
	case is:
		return []Finding{{Check: "clock", Severity: OK, Found: "the clock is kept right by a time service"}}
	}
	return []Finding{{Check: "clock", Severity: Note,
		Found:  "the kernel says that nothing keeps the clock right",
		Means:  "a clock that runs away lets tokens and certificates expire too early or too late; some virtual machines are kept right from outside",
		Change: "timedatectl set-ntp true, or install chrony"}}
}

// examineDomain asks for a name below the domain that nobody has written down.
func examineDomain(ctx context.Context, s *ServerPlan, m *Machine) []Finding {
	if s.Domain == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, serverWait)
	defer cancel()
	began := m.Now()
	name := "adit-doctor-" + strings.ToLower(rand.Text()[:8]) + "." + s.Domain
	f := Finding{Check: "dns", Subject: "*." + s.Domain, Settings: []string{"domain"}}
	addresses, err := m.Resolve(ctx, name)
	f.Took = m.Now().Sub(began)
	own := m.Addresses()
	switch {
	case err != nil && ctx.Err() != nil:
		f.Severity, f.Found = Note, fmt.Sprintf("no answer for a name below %s within %v", s.Domain, serverWait)
		f.Means = "whether exposed names resolve is not known"
		f.Change = "look at the resolver of this machine (/etc/resolv.conf)"
	case (err != nil || len(addresses) == 0) && isLocalhost(s.Domain):
		f.Severity, f.Found = OK, "curl and browsers take names below localhost for this machine without asking"
		f.Settings = nil
	case err != nil || len(addresses) == 0:
		f.Severity, f.Found = Warning, "a name that is not written down does not resolve: "+name
		f.Means = "callers find exposed names only where each has a record of its own, or by a hosts file"
		f.Change = "add a record for all names: *." + s.Domain + ". A " + ownAddress(own)
	case ours(addresses, own):
		f.Severity, f.Found = OK, fmt.Sprintf("names below it resolve to %s, which is this machine", some(addresses))
		f.Settings = nil
	default:
		f.Severity, f.Found = Note, fmt.Sprintf("names below it resolve to %s, which is no address of this machine", some(addresses))
		f.Means = "right where that is a load balancer, or an address that is translated to this machine; else callers come to another one"
		f.Change = "if it is neither, have *." + s.Domain + " lead to " + ownAddress(own)
	}
	return []Finding{f}
}

// ours reports whether each address is one of the machine.
func ours(addresses, own []netip.Addr) bool {
	return !slices.ContainsFunc(addresses, func(a netip.Addr) bool { return !slices.Contains(own, a.Unmap()) })
}

// ownAddress returns the address that a record should most likely have.
func ownAddress(own []netip.Addr) string {
	for _, a := range own {
		if a.Is4() && a.IsGlobalUnicast() && !a.IsPrivate() {
			return a.String()
		}
	}
	return "ADDRESS"
}

// isLocalhost reports whether a domain is one that programs resolve by themselves
// (RFC 6761, 6.3), whatever the resolver of the system says.
func isLocalhost(domain string) bool {
	domain = strings.ToLower(domain)
	return domain == "localhost" || strings.HasSuffix(domain, ".localhost")
}

// some lists addresses, few of many.
func some(addresses []netip.Addr) string {
	var texts []string
	for _, a := range addresses {
		texts = append(texts, a.String())
	}
	return few(texts)
}

// few lists texts, the first four of many.
func few(texts []string) string {
	const most = 4
	if len(texts) <= most {
		return strings.Join(texts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), len(texts)-most)
}

func verbFor(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

const (
	day      = 24 * time.Hour
	endsSoon = 14 * day // of what is left of a certificate, a credential, a token
)

// inTime says when something is: "in 12 days", "in 3 hours".
func inTime(d time.Duration) string {
	switch {
	case d >= 2*day:
		return fmt.Sprintf("in %d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("in %d hours", d/time.Hour)
	}
	return "within two hours"
}
