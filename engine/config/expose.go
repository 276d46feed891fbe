package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"adit/engine"
)

// ParseExpose reads a value of --expose. "[NAME=]URL" gives host, one DNS label
// in lower case (the client's id where NAME is left out), and origin as
// scheme://host[:port] with scheme http, https or h2c. "tcp:PORT=HOST:PORT" gives
// the port at the server and origin as host:port.
func ParseExpose(s, id string) (host string, tcp uint16, origin string, err error) {
	if rest, ok := strings.CutPrefix(s, "tcp:"); ok {
		tcp, origin, err = parseExposeTCP(rest)
	} else {
		host, origin, err = parseExposeURL(s, id)
	}
	if err != nil {
		return "", 0, "", fmt.Errorf("%q: %w", engine.Bound(withoutUser(s)), err)
	}
	return host, tcp, origin, nil
}

func parseExposeTCP(s string) (tcp uint16, origin string, err error) {
	at, target, found := strings.Cut(s, "=")
	if !found {
		return 0, "", errors.New("want tcp:PORT=HOST:PORT")
	}
	tcp, err = parsePort(at)
	if err != nil {
		return 0, "", fmt.Errorf("port at the server: %w", err)
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil || host == "" {
		return 0, "", fmt.Errorf("%q is no HOST:PORT; want tcp:PORT=HOST:PORT, an IPv6 address in brackets", engine.Bound(target))
	}
	if _, err := parsePort(port); err != nil {
		return 0, "", fmt.Errorf("port of the service: %w", err)
	}
	if !isHost(host) {
		return 0, "", fmt.Errorf("%q is no host name or address", engine.Bound(host))
	}
	return tcp, net.JoinHostPort(host, port), nil
}

func parseExposeURL(s, id string) (host, origin string, err error) {
	name, text := "", s
	if i := strings.Index(s, "="); i >= 0 && i < strings.Index(s, "://") {
		name, text = s[:i], s[i+1:]
		if name == "" {
			return "", "", errors.New("the name before = is empty; want NAME=URL")
		}
	}
	u, err := parseURL(text, "http://localhost:3000")
	if err != nil {
		return "", "", err
	}
	switch u.Scheme {
	case "http", "https", "h2c":
	default:
		return "", "", fmt.Errorf("scheme %s can't be exposed; want http, https or h2c, or tcp:PORT=HOST:PORT", engine.Bound(u.Scheme))
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery {
		return "", "", fmt.Errorf("all paths of a name are exposed; want %s://%s without a path", u.Scheme, u.Host)
	}
	host = strings.ToLower(name)
	switch {
	case name == "" && !isLabel(strings.ToLower(id)):
		return "", "", fmt.Errorf("the id %q is no DNS label, so it can't be the name; want NAME=%s://%s", engine.Bound(id), u.Scheme, u.Host)
	case name == "":
		host = strings.ToLower(id)
	case !isLabel(host):
		return "", "", fmt.Errorf("the name %q is no DNS label; want 1 to 63 letters, digits and inner hyphens", engine.Bound(name))
	}
	return host, u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// parseURL reads scheme://host[:port]… and refuses user information, fragments
// and bad ports. like is one that is right, for the error, which never shows the
// text: it may hold a password.
func parseURL(text, like string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		return nil, fmt.Errorf("no scheme; want a URL such as %s", like)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("no URL; want one such as %s", like)
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.User != nil:
		return nil, errors.New("a URL with user information; credentials have settings of their own")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("a URL with a fragment; leave out what follows #")
	case u.Hostname() == "":
		return nil, fmt.Errorf("a URL without a host; want one such as %s", like)
	case !isHost(u.Hostname()):
		return nil, fmt.Errorf("%q is no host name or address", engine.Bound(u.Hostname()))
	case strings.HasSuffix(u.Host, ":"):
		return nil, errors.New("a colon without a port")
	}
	if u.Port() != "" {
		if _, err := parsePort(u.Port()); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// withoutUser cuts what may be user information out of a text, for errors.
func withoutUser(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port; want 1 to 65535", engine.Bound(s))
	}
	return uint16(n), nil
}

// isHost takes an address, or a name of letters, digits, hyphens and underscores.
func isHost(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == ""
	}
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if !isLabel(strings.ToLower(strings.ReplaceAll(label, "_", "x"))) {
			return false
		}
	}
	return true
}

// isLabel takes one DNS label in lower case (RFC 1123 §2.1).
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
