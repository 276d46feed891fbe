package exchange

import (
	"adit/engine"
	"adit/engine/inspect"
	"adit/tui/pane"
)

// HostOf returns the Host field of r, "" if it is not known.
func HostOf(r *engine.Request) string {
	if r.Heads == nil {
		return ""
	}
	return inspect.Get(r.Heads.Request, "host")
}

// Via returns the URL under which callers of this machine reach the server that
// f is of, "" where that is not known: what the forward proxy's ways go through.
func Via(f *pane.Frame) string {
	if f.Link != nil || f.Playback != nil || f.Snapshot == nil || f.Snapshot.Role != engine.RoleServer || len(f.Snapshot.Listen) == 0 {
		return ""
	}
	return "http://" + f.Snapshot.Listen[0]
}

// Choices are what can be copied of an exchange: what it does not have is not
// among them.
func Choices(x *inspect.Exchange, o inspect.Options) []pane.Choice {
	r := &x.Request
	all := []pane.Choice{
		{Title: "url", Text: inspect.URL(r, HostOf(r))},
		{Title: "request id", Text: r.ID.String()},
		{Title: "curl", Text: inspect.Curl(x, o)},
		{Title: "connection id", Text: r.Connection.String()},
		{Title: "client id", Text: r.Client},
		{Title: "caller", Text: r.Caller},
		{Title: "reason", Text: r.Reason},
	}
	if x.Content != nil {
		heads := r.Heads
		if heads == nil {
			heads = &engine.Heads{}
		}
		look := inspect.Look{Plain: true, Secrets: o.Secrets}
		all = append(all,
			pane.Choice{Title: "request content", Text: lines(inspect.Read(heads.Request, &x.Content.Request, look))},
			pane.Choice{Title: "response content", Text: lines(inspect.Read(heads.Response, &x.Content.Response, look))})
	}
	choices := make([]pane.Choice, 0, len(all))
	for _, c := range all {
		if c.Text != "" {
			choices = append(choices, c)
		}
	}
	return choices
}

// lines returns a view as a text for the clipboard, "" where it is none.
func lines(v *inspect.View) string {
	if v.Kind == inspect.KindBinary || v.Kind == inspect.KindImage || v.Kind == inspect.KindGRPC {
		return ""
	}
	n := 0
	for _, l := range v.Lines {
		n += len(l) + 1
	}
	b := make([]byte, 0, n)
	for i, l := range v.Lines {
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(b, l...)
	}
	return string(b)
}
