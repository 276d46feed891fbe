package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"adit/engine"
)

// Edits change a request before it is sent again.
type Edits struct {
	Client  string         // that is to serve it; "" the same, or any that exposes the name
	Method  string         // "" as it was
	Target  string         // "" as it was
	Set     []engine.Field // replace every field of the name; that of Host is of Target's
	Remove  []string
	Content []byte // nil as it was
}

// Prepare makes what can be sent again out of what was kept. The error says why
// it can't be: heads were not kept or cut, content was not kept or cut and none
// is given, it was no HTTP. Where only [Check] objects, such as to a secret that
// was masked when it was recorded, what is to be changed comes with the error;
// else its Of is 0.
func Prepare(x *Exchange, e *Edits) (engine.Replay, error) {
	if e == nil {
		e = &Edits{}
	}
	r := &x.Request
	switch {
	case r.Way == engine.WayTCP || r.Method == "" || r.Method == http.MethodConnect:
		return engine.Replay{}, fmt.Errorf("%v carried bytes, not HTTP: there is nothing to send again", r.ID)
	case r.Heads == nil:
		return engine.Replay{}, fmt.Errorf("the header fields of %v were not kept, or went with a restart or for newer ones: replay one that came since, while heads are captured", r.ID)
	case r.Heads.Cut:
		return engine.Replay{}, fmt.Errorf("%v had more header fields than are kept: what would be sent is not what it was", r.ID)
	case Get(r.Heads.Request, "upgrade") != "" && e.Method == "":
		return engine.Replay{}, fmt.Errorf("%v asked for an upgrade to %s: a conversation can't be sent again", r.ID, Get(r.Heads.Request, "upgrade"))
	}
	p := engine.Replay{Of: r.ID, Client: e.Client, Way: r.Way, Method: r.Method, Target: URL(r, Get(r.Heads.Request, "host"))}
	if e.Method != "" {
		p.Method = e.Method
	}
	if e.Target != "" {
		p.Target = e.Target
	}
	if p.Way == 0 {
		p.Way = engine.WayRequest
	}
	if p.Client == "" && p.Way != engine.WayHost {
		p.Client = r.Client // another one may stand in another network
	}
	p.Fields = editedFields(r, e)
	switch c := x.Content; {
	case e.Content != nil:
		p.Content = e.Content
	case c != nil && c.Request.Whole() && c.Request.Size >= r.RequestBytes:
		p.Content = c.Request.Data
	case r.RequestBytes <= 0 && r.Outcome != engine.OutcomeNone:
	case r.RequestBytes <= 0:
		return engine.Replay{}, fmt.Errorf("the content of %v is still on its way", r.ID)
	case c != nil && len(c.Request.Data) > 0:
		return engine.Replay{}, fmt.Errorf("of the content of %v only the first %s of %s are kept: give it, or capture one that is smaller",
			r.ID, size(len(c.Request.Data)), size(int(r.RequestBytes)))
	default:
		return engine.Replay{}, fmt.Errorf("the content of %v was not kept: give it, or capture content and replay one that comes then", r.ID)
	}
	return p, Check(&p)
}

// editedFields returns the fields of the request, without those that the tunnel
// and the connection add, changed by e.
func editedFields(r *engine.Request, e *Edits) []engine.Field {
	var fields []engine.Field
	for _, f := range Fields(r.Heads.Request) {
		if !ofTheWay(f.Name) && !named(e.Remove, f.Name) && !slices.ContainsFunc(e.Set, func(s engine.Field) bool { return strings.EqualFold(s.Name, f.Name) }) {
			fields = append(fields, f)
		}
	}
	for _, f := range e.Set {
		if !ofTheWay(f.Name) {
			fields = append(fields, f)
		}
	}
	return fields
}

// ofTheWay reports whether a field is of a connection, which makes it anew, or for
// the server alone. What the tunnel added (Forwarded, Via) is not made anew: an
// origin may answer by it.
func ofTheWay(name string) bool {
	switch strings.ToLower(name) {
	case "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "expect", "upgrade",
		"x-proxy-destination", "x-proxy-client":
		return true
	}
	return false
}

func named(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// Check says what is wrong with a replay before it is sent.
func Check(p *engine.Replay) error {
	u, err := url.Parse(p.Target)
	switch {
	case !httpguts.ValidHeaderFieldName(p.Method):
		return fmt.Errorf("%q is no method", p.Method)
	case p.Method == http.MethodConnect:
		return errors.New("CONNECT can't be sent again")
	case err != nil:
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return fmt.Errorf("the target is no URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("the target %q is not absolute: http://host/path is wanted", bounded(p.Target))
	case u.User != nil:
		return errors.New("the target has user information: send it in the authorization field")
	case strings.Contains(u.RawQuery, "="+Masked):
		return errors.New("a secret in the target was masked when it was recorded: give the target")
	case u.Fragment != "":
		return errors.New("the target has a fragment, which is never sent: leave out what stands from # on")
	case len(p.Content) > engine.MaxReplay:
		return fmt.Errorf("its content is %s, more than the %s that a replay takes", size(len(p.Content)), size(engine.MaxReplay))
	}
	for _, f := range p.Fields {
		if !httpguts.ValidHeaderFieldName(f.Name) {
			return fmt.Errorf("%q is no name of a header field", bounded(f.Name))
		}
		if !httpguts.ValidHeaderFieldValue(f.Value) {
			return fmt.Errorf("the value of %s has characters that a header field can't have", f.Name)
		}
		if f.Value == Masked && Secret(f.Name) {
			return fmt.Errorf("the value of %s was masked when it was recorded: give it, or remove the field", f.Name)
		}
	}
	return checkContent(p)
}

// checkContent objects to content in which a secret was masked when it was
// stored: nobody ever sent that.
func checkContent(p *engine.Replay) error {
	media := ""
	for _, f := range p.Fields {
		if strings.EqualFold(f.Name, "content-type") {
			media, _ = MediaType(f.Value)
		}
	}
	kind := KindOf(media, p.Content)
	hide := func(content []byte) []byte { return MaskText(kind, content) }
	// What is masked stays as it is, and is masked again where it was another
	// value.
	other := p.Content
	for _, sign := range [...]string{`"` + Masked + `"`, "=" + Masked, "://" + Masked + "@", "\n" + Masked} {
		other = bytes.ReplaceAll(other, []byte(sign), []byte(strings.Replace(sign, Masked, "-", 1)))
	}
	masked := len(other) != len(p.Content) && bytes.Equal(hide(p.Content), p.Content) && !bytes.Equal(hide(other), other)
	if masked {
		return errors.New("secrets in its content were masked when it was recorded: give the content")
	}
	return nil
}

func bounded(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// Idempotent reports whether sending a request of that method twice is meant to
// have the effect of sending it once (RFC 9110 §9.2.2).
func Idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
