package config

import (
	"errors"
	"fmt"
	"net/url"
)

// Egress is how a client reaches its servers.
type Egress struct {
	Proxy      string // URL; None for none, "" for what the environment says
	CA         string // PEM file; "" the system's
	Cert, Key  string // PEM files: what the client shows
	ServerName string // that certificates of servers must have; "" the URL's
}

// EgressSettings defines the settings of a client's way out; each sets its field
// of e.
func EgressSettings(e *Egress) []Setting {
	proxy := secretSetting(&e.Proxy, "proxy", "proxy on the way to the servers, by http, https or socks5, with user and password where it asks for them (default: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY of the environment)")
	proxy.Value = "URL|@FILE|none"
	set := proxy.Set
	proxy.Set = func(values []string) error {
		if err := set(values); err != nil {
			return err
		}
		return checkProxy(e.Proxy)
	}
	return []Setting{
		proxy,
		reads(textSetting(&e.CA, "ca", "FILE", "", "authorities that servers' certificates must come from, PEM (default: the system's)", notEmpty)),
		reads(textSetting(&e.Cert, "tls-cert", "FILE", "", "certificate to show to servers, PEM", notEmpty)),
		reads(textSetting(&e.Key, "tls-key", "FILE", "", "private key of --tls-cert, PEM", notEmpty)),
		textSetting(&e.ServerName, "server-name", "NAME", "", "name in the servers' certificate (default: that of the URL)", notEmpty),
	}
}

func (e *Egress) check() error {
	if (e.Cert == "") != (e.Key == "") {
		return errors.New("--tls-cert and --tls-key belong together; give both")
	}
	return nil
}

// checkProxy never shows the value: it may hold a password.
func checkProxy(v string) error {
	if v == None {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" {
		return errors.New("is no URL; want http://, https:// or socks5://HOST:PORT, or none")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return nil
	}
	return fmt.Errorf("has the scheme %q; want http, https or socks5", u.Scheme)
}
