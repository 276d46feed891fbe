package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"adit/engine"
)

// TLS is how the public listener of a server is secured, and what stands in
// front of it.
type TLS struct {
	Cert, Key  []string // PEM files, in pairs
	Min        string   // "1.2" or "1.3"
	ClientCA   string   // PEM file: its certificates admit clients; "" none
	CallerCA   string   // the same for callers
	ACME       []string // host names to get certificates for; ACMEExposed: exposed names too
	ACMEMail   string
	ACMEServer string // directory URL; "" Let's Encrypt
	ACMECA     string // PEM file with the root of ACMEServer; "" the system's
	ACMECache  string // directory; "" below the state directory
	ListenHTTP string // HOST:PORT for ACME's HTTP-01 and redirects; "" none

	ProxyProtocol  []string // CIDRs of peers that speak PROXY protocol to us
	TrustedProxies []string // CIDRs of peers whose forwarding fields are believed
}

// ACMEExposed in TLS.ACME stands for every name that somebody exposes.
const ACMEExposed = "exposed"

// On reports whether the public listener speaks TLS.
func (t *TLS) On() bool { return len(t.Cert) > 0 || len(t.ACME) > 0 }

// TLSSettings defines the settings of the public listener's security; each sets
// its field of t.
func TLSSettings(t *TLS) []Setting {
	return []Setting{
		reads(listSetting(&t.Cert, "tls-cert", "FILE", "certificate chain of the public listener, PEM; several are chosen by name", notEmpty)),
		reads(listSetting(&t.Key, "tls-key", "FILE", "private key of each --tls-cert, PEM, in the same order", notEmpty)),
		choiceSetting(&t.Min, "tls-min", "1.2", "least version of TLS", "1.2", "1.3"),
		live(reads(textSetting(&t.ClientCA, "client-ca", "FILE", "", "clients may show a certificate of this authority, PEM, instead of a secret", notEmpty))),
		live(reads(textSetting(&t.CallerCA, "caller-ca", "FILE", "", "callers may show a certificate of this authority, PEM, instead of a token", notEmpty))),
		listSetting(&t.ACME, "acme", "NAME|exposed", "get a certificate for this host name by ACME; exposed: for exposed names as well", checkACMEName),
		textSetting(&t.ACMEMail, "acme-email", "ADDRESS", "", "where the authority writes to about certificates", notEmpty),
		textSetting(&t.ACMEServer, "acme-directory", "URL", "", "directory of the ACME server (default: Let's Encrypt)", checkHTTPS),
		textSetting(&t.ACMECA, "acme-ca", "FILE", "", "authority of a private ACME server, PEM", notEmpty),
		textSetting(&t.ACMECache, "acme-cache", "DIRECTORY", "", "where certificates are kept (default: below XDG_STATE_HOME)", notEmpty),
		textSetting(&t.ListenHTTP, "listen-http", "HOST:PORT", "", "answer ACME's HTTP-01 here and redirect all else to https", checkListen),
		live(listSetting(&t.ProxyProtocol, "proxy-protocol", "CIDR", "load balancers that say in PROXY protocol who connects", checkCIDR)),
		live(listSetting(&t.TrustedProxies, "trusted-proxy", "CIDR", "proxies whose X-Forwarded-* and Forwarded are believed and kept", checkCIDR)),
	}
}

func (t *TLS) check() error {
	switch {
	case len(t.Cert) != len(t.Key):
		return fmt.Errorf("there are %d of --tls-cert and %d of --tls-key; every certificate needs its key", len(t.Cert), len(t.Key))
	case !t.On() && t.ClientCA != "":
		return errors.New("--client-ca needs TLS; give --tls-cert and --tls-key, or --acme")
	case !t.On() && t.CallerCA != "":
		return errors.New("--caller-ca needs TLS; give --tls-cert and --tls-key, or --acme")
	case !t.On() && t.ListenHTTP != "":
		return errors.New("--listen-http redirects to https, which is not there; give --tls-cert and --tls-key, or --acme")
	}
	return nil
}

// idle says which of the settings nothing comes of, "" if none.
func (t *TLS) idle() string {
	if len(t.ACME) > 0 {
		return ""
	}
	for _, given := range []struct{ name, value string }{
		{"acme-email", t.ACMEMail}, {"acme-directory", t.ACMEServer}, {"acme-ca", t.ACMECA}, {"acme-cache", t.ACMECache},
	} {
		if given.value != "" {
			return "--" + given.name + " means nothing without --acme NAME, which gets a certificate"
		}
	}
	return ""
}

// Prefixes parses CIDRs and addresses that a setting has checked.
func Prefixes(list []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, v := range list {
		if p, err := parsePrefix(v); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

func parsePrefix(v string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(v); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	return p.Masked(), err
}

func checkCIDR(v string) (string, error) {
	if _, err := parsePrefix(v); err != nil {
		return "", fmt.Errorf("%q is neither an address nor a CIDR; want one such as 10.0.0.0/8", engine.Bound(v))
	}
	return v, nil
}

func checkACMEName(v string) (string, error) {
	if v == ACMEExposed {
		return v, nil
	}
	name, err := checkDomain(v)
	switch {
	case err != nil:
	case name == "":
		err = errors.New("is empty; want a host name")
	case !strings.Contains(name, "."):
		err = fmt.Errorf("%q is no public host name; want one such as tunnels.example.com", engine.Bound(v))
	}
	return name, err
}

func checkHTTPS(v string) (string, error) {
	u, err := parseURL(v, "https://acme.example.com/directory")
	if err != nil {
		return "", err
	}
	if u.Scheme != "https" {
		return "", fmt.Errorf("the scheme %q is not https; an ACME server has no other", engine.Bound(u.Scheme))
	}
	return v, nil
}
