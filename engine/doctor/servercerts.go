package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// A Pair is a certificate of a file with the key that belongs to it.
type Pair struct {
	File  string
	Chain []*x509.Certificate // as the file has it, the server's own first; empty where Err says why
	Doubt []string            // what is wrong with it and can be lived with, in words
	Err   error               // it can't be served
}

// An ACMEPlan says what comes by ACME.
type ACMEPlan struct {
	Names     []string
	Exposed   bool                         // exposed names too
	Cache     string                       // directory
	Kept      map[string]*x509.Certificate // what stands there, by name
	Listen    string                       // the public listener
	Plain     string                       // --listen-http; "" none
	Authority string                       // host of the directory, for words
}

// certNote is what is left of a certificate's life when ACME and others renew it.
const certNote = 30 * day

// examineCertificates looks at those of files.
func examineCertificates(_ context.Context, s *ServerPlan, m *Machine) []Finding {
	var all []Finding
	for i := range s.Pairs {
		all = append(all, s.Pairs[i].examine(m.Now())...)
	}
	if f := s.covered(); f.Found != "" {
		all = append(all, f)
	}
	return all
}

// examine looks at one, the worst first.
func (p *Pair) examine(now time.Time) []Finding {
	base := Finding{Check: "certificate", Subject: p.File, Settings: []string{"tls-cert"}}
	if p.Err != nil {
		f := base
		f.Severity, f.Found = Failure, bounded(p.Err.Error())
		f.Means = "adit server could not start: exit code 2"
		f.Settings = []string{"tls-cert", "tls-key"}
		return []Finding{f}
	}
	leaf := p.Chain[0]
	all := []Finding{p.life(base, leaf, now)}
	for _, text := range p.Doubt {
		f := base
		f.Severity, f.Found = Warning, bounded(text)
		all = append(all, f)
	}
	if f := p.trust(base, now); f.Found != "" {
		all = append(all, f)
	}
	return all
}

// life says how long a certificate holds.
func (p *Pair) life(f Finding, leaf *x509.Certificate, now time.Time) Finding {
	left := leaf.NotAfter.Sub(now)
	names := few(namesOf(leaf))
	switch {
	case now.Before(leaf.NotBefore):
		f.Severity = Failure
		f.Found = fmt.Sprintf("the certificate for %s is not valid before %s, and the clock here says %s", names, utcDate(leaf.NotBefore), utcDate(now))
		f.Means = "no client and no browser accepts it yet"
		f.Change = "set the clock of this machine (timedatectl) if it is wrong; else take another certificate"
	case left <= 0:
		f.Severity = Failure
		f.Found = fmt.Sprintf("the certificate for %s expired on %s", names, utcDate(leaf.NotAfter))
		f.Means = "no client and no browser accepts it"
		f.Change = "put a new one in its place: a running server takes it by itself, without --no-watch"
	case left < certNote:
		f.Severity = Note
		if left < endsSoon {
			f.Severity = Warning
		}
		f.Found = fmt.Sprintf("the certificate for %s expires %s, on %s", names, inTime(left), utcDate(leaf.NotAfter))
		f.Means = "from then on no client and no browser accepts it"
		f.Change = "put a new one in its place: a running server takes it by itself, without --no-watch"
	default:
		f.Severity, f.Settings = OK, nil
		f.Found = fmt.Sprintf("the certificate for %s fits its key and holds until %s", names, utcDate(leaf.NotAfter))
	}
	return f
}

// trust says whether who knows the usual authorities trusts a certificate.
func (p *Pair) trust(f Finding, now time.Time) Finding {
	middle := x509.NewCertPool()
	for _, c := range p.Chain[1:] {
		middle.AddCert(c)
	}
	leaf, last := p.Chain[0], p.Chain[len(p.Chain)-1]
	// Whether it holds now is told apart.
	at := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
	if now.After(leaf.NotBefore) && now.Before(leaf.NotAfter) {
		at = now
	}
	_, err := leaf.Verify(x509.VerifyOptions{Intermediates: middle, CurrentTime: at})
	var unknown x509.UnknownAuthorityError
	var roots x509.SystemRootsError
	switch {
	case err == nil || !errors.As(err, &unknown) || errors.As(err, &roots):
		return Finding{}
	case last.CheckSignatureFrom(last) == nil:
		f.Severity = Note
		f.Found = fmt.Sprintf("it comes from an authority of one's own, %q", bounded(last.Issuer.String()))
		f.Means = "clients and browsers accept it only where that authority is installed"
		f.Change = "give it to clients: adit client --ca FILE"
		f.Settings = []string{"tls-cert"}
	case len(p.Chain) == 1:
		f.Severity = Warning
		f.Found = fmt.Sprintf("the file has no chain, and this machine does not know who signed: %q", bounded(leaf.Issuer.String()))
		f.Means = "if that is an intermediate authority, clients refuse the certificate while browsers may have the missing part by chance"
		f.Change = "put the certificates in between below the server's own in the same file (fullchain.pem, not cert.pem); of an authority of one's own: adit client --ca FILE"
	default:
		f.Severity = Warning
		f.Found = fmt.Sprintf("the chain ends at %q, which this machine does not know", bounded(last.Issuer.String()))
		f.Means = "clients refuse the certificate unless they know that authority"
		f.Change = "add what is missing to the file; of an authority of one's own: adit client --ca FILE"
	}
	return f
}

// covered says whether the certificates are for the names that are served.
func (s *ServerPlan) covered() Finding {
	if s.Domain == "" || len(s.Pairs) == 0 || s.ACME != nil && s.ACME.Exposed {
		return Finding{}
	}
	f := Finding{Check: "certificate", Subject: "*." + s.Domain, Settings: []string{"tls-cert", "acme", "domain"}}
	for i := range s.Pairs {
		if c := s.Pairs[i].Chain; len(c) > 0 && c[0].VerifyHostname("adit-doctor."+s.Domain) == nil {
			f.Severity, f.Found, f.Settings = OK, "there is a certificate for all names below "+s.Domain, nil
			return f
		}
	}
	f.Severity = Warning
	f.Found = "no certificate is for all names below " + s.Domain
	f.Means = "callers of most exposed names are shown a certificate of another name, and refuse it"
	f.Change = "take a certificate for *." + s.Domain + ", or add --acme exposed, which gets one for each"
	return f
}

// examineACME looks whether an authority could prove the names, and what it gave
// before.
func examineACME(ctx context.Context, s *ServerPlan, m *Machine) []Finding {
	a := s.ACME
	if a == nil {
		return nil
	}
	all := []Finding{a.way()}
	own := m.Addresses()
	const most = 8
	for _, name := range a.Names[:min(len(a.Names), most)] {
		all = append(all, a.name(ctx, name, own, m))
	}
	if len(a.Names) > most {
		all = append(all, Finding{Check: "acme", Severity: Note, Found: fmt.Sprintf("only the first %d of %d names were looked up", most, len(a.Names))})
	}
	var kept []string
	for name := range a.Kept {
		kept = append(kept, name)
	}
	slices.Sort(kept)
	var over []string
	for _, name := range kept {
		if left := a.Kept[name].NotAfter.Sub(m.Now()); left < endsSoon {
			over = append(over, fmt.Sprintf("%s %s", name, inTime(left)))
		}
	}
	f := Finding{Check: "acme", Subject: a.Cache, Severity: OK, Found: fmt.Sprintf("%d %s kept", len(kept), verbFor(len(kept), "certificate is", "certificates are"))}
	if len(over) > 0 {
		f.Severity = Warning
		f.Found = "certificates that end soon and were not renewed: " + few(over)
		f.Means = "they are renewed 30 days before their end; the authority refused, or no server ran"
		f.Change = "the log of the server says why (component certificates); see the other findings of acme"
		f.Settings = []string{"acme", "listen-http"}
	}
	return append(all, f)
}

// way says whether an authority reaches one of the ports that it tries.
func (a *ACMEPlan) way() Finding {
	f := Finding{Check: "acme", Subject: "challenges", Severity: OK}
	_, public, _ := net.SplitHostPort(a.Listen)
	_, plain, _ := net.SplitHostPort(a.Plain)
	switch {
	case public == "443" && plain == "80":
		f.Found = "the authority may prove names at ports 443 and 80"
	case public == "443":
		f.Found = "the authority may prove names at port 443 (TLS-ALPN-01)"
	case plain == "80":
		f.Found = "the authority may prove names at port 80 (HTTP-01)"
	default:
		f.Severity = Warning
		f.Found = "the server listens neither at port 443 nor, with --listen-http, at 80"
		f.Means = "authorities prove a name at these ports and at no other: without a firewall that leads one here there will be no certificate"
		f.Change = "--listen :443, or --listen-http :80 beside it"
		f.Settings = []string{"listen", "listen-http"}
	}
	return f
}

func (a *ACMEPlan) name(ctx context.Context, name string, own []netip.Addr, m *Machine) Finding {
	ctx, cancel := context.WithTimeout(ctx, serverWait)
	defer cancel()
	f := Finding{Check: "acme", Subject: name, Settings: []string{"acme"}}
	addresses, err := m.Resolve(ctx, name)
	switch {
	case err != nil || len(addresses) == 0:
		f.Severity, f.Found = Failure, "the name does not resolve"
		f.Means = "the authority can't prove it, so there will be no certificate for it"
		f.Change = "add a record: " + name + ". A " + ownAddress(own)
		if err != nil && ctx.Err() != nil {
			f.Severity, f.Found = Warning, fmt.Sprintf("no answer for the name within %v", serverWait)
		}
	case ours(addresses, own):
		f.Severity, f.Found, f.Settings = OK, fmt.Sprintf("it resolves to %s, which is this machine", some(addresses)), nil
	default:
		f.Severity, f.Found = Note, fmt.Sprintf("it resolves to %s, which is no address of this machine", some(addresses))
		f.Means = "right where that address is translated to this machine; else the authority asks another one and gives no certificate"
		f.Change = "if it is not, have " + name + " lead to " + ownAddress(own)
	}
	if kept := a.Kept[name]; kept != nil && f.Severity == Failure {
		f.Found += fmt.Sprintf("; a certificate that holds until %s is kept", utcDate(kept.NotAfter))
	}
	return f
}

// namesOf returns what a certificate is for; of one for no host also whom it names.
func namesOf(c *x509.Certificate) []string {
	var all []string
	for _, name := range c.DNSNames {
		all = append(all, bounded(name))
	}
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		all = append(all, "no host ("+bounded(c.Subject.String())+")")
	}
	return all
}

func utcDate(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
