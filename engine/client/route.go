package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"adit/engine/origin"
	"adit/engine/policy"
)

// A route is where an Expose leads.
type route struct {
	host      string
	tcp       uint16
	scheme    string // http, https or h2c; "" for TCP
	authority string // as the URL has it
	address   string // host:port to dial
}

func parseRoutes(expose []Expose) ([]route, error) {
	var routes []route
	for _, e := range expose {
		r, err := parseRoute(e)
		if err != nil {
			return nil, err
		}
		for _, other := range routes {
			if other.host == r.host && other.tcp == r.tcp {
				return nil, fmt.Errorf("expose %s: named twice", r.name())
			}
		}
		routes = append(routes, r)
	}
	return routes, nil
}

func parseRoute(e Expose) (route, error) {
	r := route{host: strings.ToLower(e.Host), tcp: e.TCP}
	if (e.Host == "") == (e.TCP == 0) {
		return r, errors.New("expose: want either a name or a tcp port")
	}
	if e.TCP != 0 {
		host, port, err := net.SplitHostPort(e.Origin)
		if err != nil || host == "" || port == "" {
			return r, fmt.Errorf("expose %s: want HOST:PORT to lead to", r.name())
		}
		r.address = e.Origin
		return r, nil
	}
	u, err := url.Parse(e.Origin)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return r, fmt.Errorf("expose %s: want an origin like http://localhost:3000", r.name())
	}
	switch u.Scheme {
	case "http", "https", "h2c":
	default:
		return r, fmt.Errorf("expose %s: the scheme of an origin is http, https or h2c", r.name())
	}
	r.scheme, r.authority, r.address = u.Scheme, u.Host, hostPort(u.Scheme, u.Host)
	return r, nil
}

func (r route) name() string {
	if r.tcp != 0 {
		return fmt.Sprintf("tcp:%d", r.tcp)
	}
	return r.host
}

// hostPort adds the default port of scheme to an authority without one.
func hostPort(scheme, authority string) string {
	port := "80"
	if scheme == "https" {
		port = "443"
	}
	switch i := strings.LastIndexByte(authority, ':'); {
	case i < 0 || strings.HasSuffix(authority, "]"):
		return authority + ":" + port
	case i == len(authority)-1:
		return authority + port
	}
	return authority
}

// dial is the one way by which anything here reaches an origin. class is the
// permit where a caller chose it, and nil where a route leads there: the user
// named that.
func (f *force) dial(ctx context.Context, class origin.Class, addr string) (net.Conn, error) {
	permit, chosen := class.(policy.Permit)
	switch {
	case chosen || class != nil:
		return f.dialer.DialContext(ctx, permit, addr)
	case f.dialer.Dial != nil:
		return f.dialer.Dial(ctx, "tcp", addr)
	}
	d := net.Dialer{Timeout: originDial}
	return d.DialContext(ctx, "tcp", addr)
}

// credential is the field that both kinds of server know.
func credential(secret string) (http.Header, error) {
	h := make(http.Header)
	if secret == "" {
		return h, nil
	}
	if !httpguts.ValidHeaderFieldValue(secret) || strings.TrimSpace(secret) != secret {
		return nil, errors.New("client secret: not a valid field value")
	}
	h.Set("X-Secret-Key", secret)
	return h, nil
}
