package inspect

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"net/http"
	"strings"
	"unicode/utf8"

	"adit/engine"
)

// maxArgument is how much content stands in an argument of curl: systems bound
// one at 128 KiB. More goes through a pipe.
const maxArgument = 96 << 10

// Curl returns a command for a POSIX shell that sends the request of x again, as
// far as it is known, its content included. What is missing, or masked, is said
// in a comment at its end. An exchange of bytes, which are no HTTP, gives "".
func Curl(x *Exchange, o Options) string {
	r := &x.Request
	if r.Method == "" || r.Way == engine.WayTCP || r.Method == http.MethodConnect {
		return ""
	}
	c := curl{o: o}
	host := ""
	c.WriteString("curl")
	body, notes := requestBody(x, o)
	hasBody := body != nil || r.RequestBytes > 0
	switch {
	case r.Method == http.MethodHead && !hasBody:
		c.WriteString(" --head")
	case r.Method == http.MethodGet && !hasBody, r.Method == http.MethodPost && hasBody:
	default:
		c.WriteString(" -X " + Quote(r.Method))
	}
	if x.Request.Heads != nil {
		host = c.fields(r, hasBody)
	}
	switch {
	case body != nil:
		c.content(body)
	case hasBody:
		c.option("--data-binary @content")
	}
	target := URL(r, host)
	if o.Via != "" && (r.Way == engine.WayRequest || r.Way == engine.WayProxy) {
		c.option("-x " + Quote(o.Via))
	}
	if strings.ContainsAny(target, "[]{}") {
		c.option("--globoff")
	}
	if strings.Contains(target, "/.") {
		c.option("--path-as-is")
	}
	c.option(Quote(target))
	if _, query, _ := strings.Cut(target, "?"); strings.Contains(query, "="+Masked) {
		notes = append(notes, "secrets of its query were masked when it was recorded")
	}
	if c.masked {
		notes = append(notes, "secrets are masked")
	}
	if r.Heads == nil {
		notes = append(notes, "its header fields were not kept")
	} else if r.Heads.Cut {
		notes = append(notes, "some fields were too long to be kept")
	}
	line := c.pipe + c.String()
	if len(notes) > 0 {
		line += " # " + strings.Join(notes, "; ")
	}
	return line
}

type curl struct {
	strings.Builder
	o      Options
	pipe   string // what stands before curl
	masked bool
}

func (c *curl) option(s string) { c.WriteString(" \\\n  " + s) }

// fields writes the header fields, and against those that curl adds by itself,
// and returns the host.
func (c *curl) fields(r *engine.Request, hasBody bool) (host string) {
	own := []string{"User-Agent", "Accept"}
	if hasBody {
		own = append(own, "Content-Type")
	}
	compressed := false
	for _, f := range Fields(r.Heads.Request) {
		for i, name := range own {
			if strings.EqualFold(name, f.Name) {
				own = append(own[:i:i], own[i+1:]...)
				break
			}
		}
		switch strings.ToLower(f.Name) {
		case "host":
			host = f.Value
			continue
		case "content-length", "transfer-encoding", "connection", "te", "trailer", "expect":
			continue // of the content and the connection that curl makes itself
		case "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via", "x-proxy-destination", "x-proxy-client":
			continue // the tunnel's, which adds them again
		case "accept-encoding":
			compressed = true
		}
		value := Value(f.Name, f.Value, c.o.Secrets)
		c.masked = c.masked || value != f.Value
		field := f.Name + ": " + value
		if value == "" {
			field = f.Name + ";" // an empty one, to curl
		}
		c.option("-H " + Quote(field))
	}
	if !r.Heads.Cut {
		for _, name := range own {
			c.option("-H " + Quote(name+":")) // curl is not to add it
		}
	}
	if compressed {
		c.option("--compressed")
	}
	return host
}

// content writes what is sent: in the command where that is text, else through a
// pipe.
func (c *curl) content(body []byte) {
	if len(body) <= maxArgument && isPlain(body) && !bytes.HasPrefix(body, []byte{'@'}) {
		c.option("--data-binary " + Quote(string(body)))
		return
	}
	var b strings.Builder
	b.WriteString("printf '")
	for i, ch := range body {
		switch {
		case ch == '%':
			b.WriteString("%%")
		case ch == '\\':
			b.WriteString(`\\`)
		case ch == '\n':
			b.WriteString(`\n`)
		case ch < ' ' || ch >= 0x7f || ch == '\'' || ch == '-' && i == 0:
			b.WriteByte('\\')
			b.WriteByte('0' + ch>>6)
			b.WriteByte('0' + ch>>3&7)
			b.WriteByte('0' + ch&7)
		default:
			b.WriteByte(ch)
		}
	}
	b.WriteString("' | ")
	c.pipe = b.String()
	c.option("--data-binary @-")
}

// isPlain reports whether body is UTF-8 that does nothing to a terminal it is
// pasted into: line breaks aside, no control character.
func isPlain(body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	for _, r := range string(body) {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || isFormat(r) {
			return false
		}
	}
	return true
}

// isFormat reports whether r changes the direction or the order in which text is
// shown: what is pasted would not be what is read.
func isFormat(r rune) bool {
	return r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x2069 || r == 0xfeff || r == 0xad
}

// notKept is why there is no content where nothing else is said.
const notKept = "not kept"

// requestBody returns the content of the request as it can be shown, nil where
// it is not all there, and what is to be said of it.
func requestBody(x *Exchange, o Options) (body []byte, notes []string) {
	n := x.Request.RequestBytes
	switch c := x.Content; {
	case c != nil && c.Request.Whole() && c.Request.Size >= n:
		if len(c.Request.Data) == 0 {
			return nil, nil
		}
		body = c.Request.Data
	case n <= 0:
		return nil, nil
	case c != nil && c.Request.Over && len(c.Request.Data) > 0:
		return nil, []string{"its content was cut: put all of it into the file content"}
	case c != nil && len(c.Request.Data) > 0:
		return nil, []string{"its content is not all there: put it into the file content"}
	default:
		return nil, []string{"its content was " + cmp.Or(o.Missing, notKept) + ": put it into the file content"}
	}
	if o.Secrets {
		return body, nil
	}
	head := ""
	if x.Request.Heads != nil {
		head = x.Request.Heads.Request
	}
	shown, masked, ok := maskContent(head, body)
	switch {
	case !ok:
		return nil, []string{"its content holds secrets and is coded: put it into the file content"}
	case masked:
		return shown, []string{"secrets in its content are masked"}
	}
	return body, nil
}

// maskContent returns content with its secrets masked. ok is false where there
// are some and a content coding is in the way.
func maskContent(head string, data []byte) (shown []byte, masked, ok bool) {
	media, parameters := MediaType(Get(head, "content-type"))
	d := Decode(Get(head, "content-encoding"), data)
	kind := KindOf(media, d.Data)
	if kind == KindMultipart {
		shown = maskMultipart(d.Data)
		return shown, !bytes.Equal(shown, d.Data), len(d.Undone) == 0 || bytes.Equal(shown, d.Data)
	}
	text, isText := Text(d.Data, parameters["charset"])
	if !isText || kind == KindBinary || kind == KindImage || kind == KindGRPC {
		return data, false, true
	}
	shown = MaskText(kind, text)
	if bytes.Equal(shown, text) {
		return data, false, true
	}
	return shown, true, len(d.Undone) == 0
}

// MaskContent returns content with its secrets masked, as it may be kept where
// others read it; head is its head. In a coding that can't be made again there is
// none left.
func MaskContent(head string, data []byte) (shown []byte, masked bool) {
	shown, masked, ok := maskContent(head, data)
	if !masked || ok {
		return shown, masked
	}
	codings := codingsOf(Get(head, "content-encoding"))
	if len(codings) != 1 || codings[0] != "gzip" {
		return nil, true
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(shown) // a buffer takes everything
	_ = z.Close()
	return b.Bytes(), true
}

// URL returns where r was sent to; host is its Host field, for a target that
// has none of its own.
func URL(r *engine.Request, host string) string {
	switch {
	case strings.Contains(r.Target, "://") && !strings.HasPrefix(r.Target, "/"):
		return r.Target
	case strings.HasPrefix(r.Target, "/") && host != "":
		scheme := "http"
		if r.Way == engine.WayHost && r.Heads != nil && Get(r.Heads.Request, "x-forwarded-proto") == "https" {
			scheme = "https"
		}
		return scheme + "://" + host + r.Target
	}
	return r.Target
}

// Quote returns s as one word of a POSIX shell. Control characters but line
// breaks, which would do something to the terminal that it is pasted into, are
// left out, as is what is no UTF-8.
func Quote(s string) string {
	plain := s != ""
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_./:@%+,=", c) >= 0) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch {
		case r == '\'':
			b.WriteString(`'\''`)
		case r < ' ' && r != '\n' || r >= 0x7F && r < 0xA0:
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
