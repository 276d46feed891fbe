package inspect

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"adit/engine"
)

// harOf returns the entry of an exchange, nil if it was no HTTP.
func harOf(x *Exchange, o Options) *harEntry {
	r := &x.Request
	if r.Method == "" || r.Method == http.MethodConnect || r.Way == engine.WayTCP {
		return nil
	}
	e := &harEntry{
		Started:      r.Arrived.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		ResourceType: "fetch", ID: r.ID.String(), Client: r.Client, Caller: r.Caller, Credential: r.Credential, Replay: r.Replay, Reason: r.Reason,
	}
	if r.Way != 0 {
		e.Way = r.Way.String()
	}
	if r.Outcome != engine.OutcomeNone {
		e.Outcome = r.Outcome.String()
	}
	if r.Connection != 0 {
		e.Connection = r.Connection.String()
	}
	var notes []string
	heads := r.Heads
	switch {
	case heads == nil:
		heads = &engine.Heads{}
		notes = append(notes, "header fields were not kept")
	case heads.Cut:
		notes = append(notes, "some header fields were too long to be kept")
	}
	if r.InFlight() {
		notes = append(notes, "still in flight when it was exported")
	}
	e.Request = harRequestOf(x, heads, o)
	e.Response = harResponseOf(x, heads, o)
	e.Time, e.Timings = harTimingsOf(r)
	if c := x.Content; c != nil && len(c.Messages) > 0 {
		e.messages(c, heads, o)
	}
	switch media, _ := MediaType(Get(heads.Response, "content-type")); {
	case r.Upgraded && strings.EqualFold(Get(heads.Request, "upgrade"), "websocket"):
		e.ResourceType = "websocket"
	case media == "text/event-stream":
		e.ResourceType = "eventsource"
	case media == "text/html":
		e.ResourceType = "document"
	case media == "text/css":
		e.ResourceType = "stylesheet"
	case strings.HasSuffix(media, "javascript"):
		e.ResourceType = "script"
	case strings.HasPrefix(media, "image/"):
		e.ResourceType = "image"
	}
	if e.EarlierMessages > 0 {
		notes = append(notes, "earlier messages were not kept")
	}
	e.Comment = strings.Join(notes, "; ")
	return e
}

func harRequestOf(x *Exchange, heads *engine.Heads, o Options) harRequest {
	r := &x.Request
	q := harRequest{
		Method: r.Method, URL: harURL(r), HTTPVersion: "HTTP/1.1",
		Cookies: []harCookie{}, Headers: harHeaders(heads.Request, o), QueryString: []harPair{},
		HeadersSize: -1, BodySize: max(r.RequestBytes, -1),
	}
	if r.Heads != nil && !heads.Cut {
		_, path, _ := strings.Cut(q.URL, "://")
		if i := strings.IndexByte(path, '/'); i >= 0 {
			path = path[i:]
		}
		q.HeadersSize = int64(len(r.Method)+1+len(path)+len(" HTTP/1.1\r\n")) + headSize(heads.Request)
	}
	if _, query, ok := strings.Cut(q.URL, "?"); ok {
		query, _, _ = strings.Cut(query, "#")
		q.QueryString = harPairs(query)
	}
	for _, f := range Fields(heads.Request) {
		if strings.EqualFold(f.Name, "cookie") {
			cookies, _ := http.ParseCookie(f.Value)
			for _, c := range cookies {
				q.Cookies = append(q.Cookies, harCookie{Name: c.Name, Value: shownValue(c.Value, o)})
			}
		}
	}
	if r.RequestBytes <= 0 && (x.Content == nil || len(x.Content.Request.Data) == 0) {
		return q
	}
	q.PostData = &harPostData{MimeType: Get(heads.Request, "content-type"), Params: []harPair{}}
	if x.Content == nil || len(x.Content.Request.Data) == 0 {
		q.PostData.Comment = missing(x.Content, o)
		return q
	}
	t := harText(heads.Request, &x.Content.Request, o)
	q.PostData.Text, q.PostData.Encoding, q.PostData.Comment = t.text, t.encoding, t.comment
	if t.kind == KindForm && t.encoding == "" {
		q.PostData.Params = harPairs(t.text)
	}
	return q
}

func harResponseOf(x *Exchange, heads *engine.Heads, o Options) harResponse {
	r := &x.Request
	p := harResponse{
		Status: r.Status, StatusText: http.StatusText(r.Status), HTTPVersion: "HTTP/1.1",
		Cookies: []harCookie{}, Headers: harHeaders(heads.Response, o), HeadersSize: -1, BodySize: max(r.ResponseBytes, -1),
		RedirectURL: Value("location", Get(heads.Response, "location"), o.Secrets),
		Content:     harContent{Size: max(r.ResponseBytes, 0), MimeType: Get(heads.Response, "content-type")},
	}
	if p.Content.MimeType == "" {
		p.Content.MimeType = "x-unknown"
	}
	if heads.Response != "" && !heads.Cut {
		p.HeadersSize = int64(len("HTTP/1.1 200 \r\n")+len(p.StatusText)) + headSize(heads.Response)
	}
	for _, f := range Fields(heads.Response) {
		if !strings.EqualFold(f.Name, "set-cookie") {
			continue
		}
		if c, err := http.ParseSetCookie(f.Value); err == nil {
			cookie := harCookie{Name: c.Name, Value: shownValue(c.Value, o), Path: c.Path, Domain: c.Domain, HTTPOnly: c.HttpOnly, Secure: c.Secure}
			if !c.Expires.IsZero() {
				cookie.Expires = c.Expires.UTC().Format(time.RFC3339)
			}
			p.Cookies = append(p.Cookies, cookie)
		}
	}
	switch {
	case r.ResponseBytes <= 0 && (x.Content == nil || len(x.Content.Response.Data) == 0):
	case x.Content == nil || len(x.Content.Response.Data) == 0:
		p.Content.Comment = missing(x.Content, o)
	default:
		t := harText(heads.Response, &x.Content.Response, o)
		p.Content.Text, p.Content.Encoding, p.Content.Comment = t.text, t.encoding, t.comment
		if t.decoded && t.whole {
			saved := t.size - x.Content.Response.Size
			p.Content.Size, p.Content.Compression = t.size, &saved
		}
	}
	return p
}

// missing says why there is no content where some passed.
func missing(c *engine.Content, o Options) string {
	if c != nil && len(c.Messages) > 0 {
		return "what was said stands in the messages"
	}
	return "the content was " + cmp.Or(o.Missing, notKept)
}

// A harBody is content as HAR has it: text, its codings undone, or base64.
type harBody struct {
	text, encoding, comment string
	kind                    Kind
	size                    int64 // of what text stands for, secrets not masked
	decoded, whole          bool
}

func harText(head string, part *engine.Part, o Options) harBody {
	media, parameters := MediaType(Get(head, "content-type"))
	d := Decode(Get(head, "content-encoding"), part.Data)
	t := harBody{kind: KindOf(media, d.Data), size: int64(len(d.Data)), decoded: len(d.Undone) > 0,
		whole: part.Whole() && !d.Cut && !d.Bounded && d.Problem == ""}
	var notes []string
	switch {
	case part.Size > int64(len(part.Data)):
		notes = append(notes, "cut: the first "+size(len(part.Data))+" of "+size(int(part.Size)))
	case !part.Over:
		notes = append(notes, "not at its end")
	}
	if d.Bounded {
		notes = append(notes, "cut: the first "+size(len(d.Data))+" of what it decodes to")
	}
	if d.Problem != "" {
		notes = append(notes, "decoding ends early: "+d.Problem)
	}
	if d.Left != "" {
		notes = append(notes, "coded with "+d.Left)
	}
	if t.kind == KindMultipart && !o.Secrets { // with files it may be no text
		if masked := maskMultipart(d.Data); !bytes.Equal(masked, d.Data) {
			notes = append(notes, "secrets are masked")
			d.Data = masked
		}
	}
	text, ok := Text(d.Data, parameters["charset"])
	ok = ok && (d.Left == "" || d.Problem != "" && looksLikeText(d.Data)) && (t.kind != KindBinary && t.kind != KindGRPC)
	if t.kind == KindImage && media != "image/svg+xml" {
		ok = false
	}
	switch {
	case !ok:
		t.text, t.encoding = base64.StdEncoding.EncodeToString(d.Data), "base64"
	case o.Secrets:
		t.text = string(text)
	default:
		masked := MaskText(t.kind, text)
		if string(masked) != string(text) {
			notes = append(notes, "secrets are masked")
		}
		t.text = string(masked)
	}
	t.comment = strings.Join(notes, "; ")
	return t
}

// messages fills in what was said over a WebSocket, or streamed as events.
func (e *harEntry) messages(c *engine.Content, heads *engine.Heads, o Options) {
	e.EarlierMessages = c.MessagesLost
	for _, n := range Messages(heads.Response, c) {
		at := float64(n.Time.UnixMicro()) / 1e6
		if n.Kind == engine.MessageEvent {
			for _, event := range Events(n.Body) {
				data := []byte(event.Data)
				if !o.Secrets {
					data = MaskText(KindText, data)
				}
				name := event.Name
				if name == "" {
					name = "message"
				}
				e.StreamedEvents = append(e.StreamedEvents, harEvent{Time: at, Name: name, ID: event.ID, Data: string(data)})
			}
			continue
		}
		m := harMessage{Type: "receive", Time: at, Comment: n.Problem}
		if n.FromCaller {
			m.Type = "send"
		}
		switch n.Kind {
		case engine.MessageText:
			m.Opcode = 1
		case engine.MessageClose:
			m.Opcode = 8
		case engine.MessagePing:
			m.Opcode = 9
		case engine.MessagePong:
			m.Opcode = 10
		default:
			m.Opcode = 2
		}
		if m.Opcode == 1 && looksLikeText(n.Body) {
			m.Data = string(n.Body)
			if !o.Secrets {
				m.Data = string(MaskText(KindText, n.Body))
			}
		} else {
			m.Data = base64.StdEncoding.EncodeToString(n.Body)
		}
		e.SocketMessages = append(e.SocketMessages, m)
	}
}

// harURL returns an absolute URL: where the host is not known, one that can't
// exist (RFC 6761).
func harURL(r *engine.Request) string {
	host := ""
	if r.Heads != nil {
		host = Get(r.Heads.Request, "host")
	}
	target := URL(r, host)
	if !strings.Contains(target, "://") {
		target = "http://unknown.invalid/" + strings.TrimPrefix(target, "/")
	}
	if u, err := url.Parse(target); err == nil {
		return u.String()
	}
	return "http://unknown.invalid/" + url.PathEscape(target)
}

func harHeaders(head string, o Options) []harPair {
	fields := Fields(head)
	pairs := make([]harPair, len(fields))
	for i, f := range fields {
		pairs[i] = harPair{f.Name, Value(f.Name, f.Value, o.Secrets)}
	}
	return pairs
}

// harPairs takes a query or a form apart, what is percent-encoded decoded.
func harPairs(query string) []harPair {
	pairs := []harPair{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair != "" && len(pairs) < maxForm {
			name, value, _ := strings.Cut(pair, "=")
			pairs = append(pairs, harPair{formText(name), formText(value)})
		}
	}
	return pairs
}

func shownValue(value string, o Options) string {
	if o.Secrets {
		return value
	}
	return Masked
}

// headSize is what the fields of a head take on an HTTP/1.1 connection, the
// empty line after them included.
func headSize(head string) int64 {
	return int64(len(head) + strings.Count(head, "\n") + len("\r\n"))
}

// harTimingsOf returns what an exchange took, and the parts of it that are
// known: together they are the whole.
func harTimingsOf(r *engine.Request) (total float64, t harTimings) {
	t = harTimings{Blocked: -1, DNS: -1, Connect: -1, SSL: -1}
	end := r.LastByte
	if end < 0 {
		end = max(r.Queued, r.Sent, r.Connect, r.FirstByte, 0)
	}
	var at time.Duration
	step := func(to time.Duration, part *float64) {
		if to > at && to <= end {
			*part = max(*part, 0) + ms(to-at)
			at = to
		}
	}
	if r.Queued >= 0 {
		t.Blocked = 0
	}
	step(r.Queued, &t.Blocked)
	if r.Connect > 0 && r.Connect <= r.Sent || r.Sent < 0 {
		step(r.Connect, &t.Connect)
		step(r.Sent, &t.Send)
	} else {
		step(r.Sent, &t.Send)
		step(r.Connect, &t.Connect)
	}
	step(r.FirstByte, &t.Wait)
	last := &t.Receive
	if r.FirstByte < 0 {
		last = &t.Wait
	}
	step(end, last)
	total = max(t.Blocked, 0) + max(t.Connect, 0) + t.Send + t.Wait + t.Receive
	return math.Round(total*1000) / 1000, t
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
