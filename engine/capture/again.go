package capture

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"adit/engine"
	"adit/engine/wire"
)

// Again returns the head of a request that is sent again: what r says, without
// what belonged to one connection (RFC 9110 §7.6.1) or to this tunnel, and with
// the length of the content. It has no route. The error is for the operator; of
// too much content it is [engine.ErrTooMuch].
func Again(r *engine.Replay) (*wire.Request, error) {
	if len(r.Content) > engine.MaxReplay {
		return nil, fmt.Errorf("%d bytes of content, at most %d: %w", len(r.Content), engine.MaxReplay, engine.ErrTooMuch)
	}
	if !httpguts.ValidHeaderFieldName(r.Method) || r.Method == "CONNECT" {
		return nil, fmt.Errorf("method %q can't be sent again", engine.Bound(r.Method))
	}
	head := &wire.Request{Method: r.Method}
	if err := target(head, r.Target); err != nil {
		return nil, err
	}
	if len(r.Fields) > wire.MaxFields-1 {
		return nil, fmt.Errorf("%d fields, at most %d", len(r.Fields), wire.MaxFields-1)
	}
	var hops []string
	length := len(r.Content) > 0
	for _, f := range r.Fields {
		if !httpguts.ValidHeaderFieldName(f.Name) || !httpguts.ValidHeaderFieldValue(f.Value) {
			return nil, fmt.Errorf("field %q is not valid", engine.Bound(f.Name))
		}
		switch strings.ToLower(f.Name) {
		case "upgrade":
			return nil, errors.New("a request that upgrades can't be sent again: take the field upgrade out")
		case "connection":
			for hop := range strings.SplitSeq(f.Value, ",") {
				hops = append(hops, strings.TrimSpace(hop))
			}
		case "content-length":
			length = true
		}
	}
	for _, f := range r.Fields {
		if isHop(f, hops) {
			continue
		}
		head.Fields = append(head.Fields, wire.Field{Name: f.Name, Value: f.Value})
	}
	if length {
		head.Fields = append(head.Fields, wire.Field{Name: "Content-Length", Value: strconv.Itoa(len(r.Content))})
	}
	return head, wire.CheckRequest(head)
}

// isHop reports whether a field does not go on: hops are those that a connection
// field names.
func isHop(f engine.Field, hops []string) bool {
	for _, hop := range hops {
		if strings.EqualFold(hop, f.Name) {
			return true
		}
	}
	name := strings.ToLower(f.Name)
	switch name {
	case "te":
		return !strings.EqualFold(f.Value, "trailers")
	case "content-length", "expect", "trailer", "http2-settings", "x-secret-key",
		"proxy-authenticate", "proxy-authorization":
		return true
	}
	return !wire.Carried(name) || strings.HasPrefix(name, "x-proxy-")
}

// target reads an absolute URL byte by byte as it is given.
func target(head *wire.Request, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.Hostname() == "" || u.User != nil || strings.Contains(text, "#") ||
		!strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") || !httpguts.ValidHostHeader(u.Host) {
		// The error of url.Parse would quote it, secrets and all.
		return errors.New("the target is not an absolute url such as http://api.internal/x, without user information and fragment")
	}
	rest := text[strings.Index(text, "://")+len("://"):]
	path := "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		if path = rest[i:]; path[0] == '?' {
			path = "/" + path
		}
	} else if head.Method == "OPTIONS" {
		path = "*"
	}
	for i := range len(path) {
		if path[i] <= ' ' || path[i] == 0x7F {
			return errors.New("the path of the target has a space or a control character: escape it by %20")
		}
	}
	head.Scheme, head.Authority, head.Path = strings.ToLower(u.Scheme), strings.TrimSuffix(u.Host, ":"), path
	return nil
}
