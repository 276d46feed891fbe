package inspect

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"

	"adit/engine"
)

// An Event is a server-sent event (HTML, 9.2.6), its lines taken apart.
type Event struct {
	Name, ID, Retry string
	Data            string // its lines joined by \n
	Comments        []string
}

// maxEvents bounds what [Events] returns.
const maxEvents = 10_000

// Events takes a stream of server-sent events apart. What its end cuts is the
// last one.
func Events(stream []byte) []Event {
	var events []Event
	var e Event
	any, data := false, []string(nil)
	flush := func() {
		if any {
			e.Data = strings.Join(data, "\n")
			events = append(events, e)
		}
		e, any, data = Event{}, false, data[:0]
	}
	text := strings.TrimPrefix(string(stream), "\ufeff")
	for text != "" && len(events) < maxEvents {
		end := strings.IndexAny(text, "\r\n")
		line := text
		if end < 0 {
			text = ""
		} else {
			line = text[:end]
			if strings.HasPrefix(text[end:], "\r\n") {
				end++
			}
			text = text[end+1:]
		}
		if line == "" {
			flush()
			continue
		}
		any = true
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
			e.Comments = append(e.Comments, value)
		case "event":
			e.Name = value
		case "id":
			e.ID = value
		case "retry":
			e.Retry = value
		case "data":
			data = append(data, value)
		}
	}
	flush()
	return events
}

// A Note is a message that can be read.
type Note struct {
	*engine.Message
	Body    []byte // its compression undone, at most [engine.MaxMessage] times 4 bytes
	Problem string // why Body is not what was said, or not all of it; "" it is
}

// maxBody bounds a message that is inflated, in bytes.
const maxBody = 4 * engine.MaxMessage

// Messages returns the messages of an exchange, compression (RFC 7692) undone:
// response is the head that negotiated it. Where a message can only be read with
// those before it, and these are not all kept, it says so.
func Messages(response string, c *engine.Content) []Note {
	notes := make([]Note, len(c.Messages))
	takeover := [2]bool{true, true} // of the server, of the client
	extensions := strings.ToLower(Get(response, "sec-websocket-extensions"))
	for parameter := range strings.SplitSeq(extensions, ";") {
		switch strings.TrimSpace(parameter) {
		case "server_no_context_takeover":
			takeover[0] = false
		case "client_no_context_takeover":
			takeover[1] = false
		}
	}
	var windows [2][]byte
	broken := [2]bool{c.MessagesLost > 0, c.MessagesLost > 0}
	for i := range c.Messages {
		m := &c.Messages[i]
		n := Note{Message: m, Body: m.Data}
		from := 0
		if m.FromCaller {
			from = 1
		}
		cut := m.Size > int64(len(m.Data))
		switch {
		case m.Compressed && takeover[from] && broken[from]:
			n.Body, n.Problem = nil, "compressed by what earlier messages said, which are not kept"
		case m.Compressed:
			var err error
			n.Body, err = inflate(m.Data, windows[from], cut)
			switch {
			case len(n.Body) > maxBody:
				n.Body, n.Problem, broken[from] = n.Body[:maxBody], "only its beginning is shown", true
			case cut:
				n.Problem, broken[from] = "only its beginning is kept", true
			case err != nil:
				n.Problem, broken[from] = "can't be inflated: "+err.Error(), true
			}
			if takeover[from] {
				windows[from] = slide(windows[from], n.Body)
			}
		case cut:
			n.Problem = "only its beginning is kept"
		}
		notes[i] = n
	}
	return notes
}

// slide returns the newest 32 KiB of what was said.
func slide(window, more []byte) []byte {
	const most = 32 << 10
	window = append(window, more...)
	if len(window) > most {
		window = bytes.Clone(window[len(window)-most:])
	}
	return window
}

// inflate undoes RFC 7692 §7.2.2. At the end of cut data that is no error.
func inflate(data, window []byte, cut bool) ([]byte, error) {
	sources := []io.Reader{bytes.NewReader(data)}
	if !cut {
		// The tail that the sender left out, and an empty final block.
		sources = append(sources, strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))
	}
	r := flate.NewReaderDict(io.MultiReader(sources...), window)
	var out bytes.Buffer
	_, err := io.Copy(&out, io.LimitReader(r, maxBody+1))
	if cut && errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return out.Bytes(), err
}

// CloseCode returns code and reason of a close message (RFC 6455 §5.5.1); 0 if
// it has none.
func (n *Note) CloseCode() (code int, reason string) {
	if n.Kind != engine.MessageClose || len(n.Body) < 2 {
		return 0, ""
	}
	return int(binary.BigEndian.Uint16(n.Body)), string(n.Body[2:])
}

// Text returns the message in one line, as a list shows it: at most most bytes,
// secrets masked unless asked for.
func (n *Note) Text(most int, secrets bool) string {
	body := n.Body
	switch n.Kind {
	case engine.MessageClose:
		code, reason := n.CloseCode()
		if code == 0 {
			return ""
		}
		return strings.TrimSpace(strconv.Itoa(code) + " " + reason)
	case engine.MessageEvent:
		var b strings.Builder
		for _, e := range Events(body) {
			if e.Name != "" {
				b.WriteString(e.Name + "  ")
			}
			if e.Data != "" {
				b.WriteString(e.Data)
			} else if len(e.Comments) > 0 {
				b.WriteString(": " + e.Comments[0])
			}
		}
		body = []byte(b.String())
	default:
		if !looksLikeText(body) {
			row := body[:min(len(body), most/3)]
			b := make([]byte, 0, 3*len(row))
			for _, c := range row {
				b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15], ' ')
			}
			return strings.TrimRight(string(b), " ")
		}
	}
	if !secrets {
		body = MaskText(KindText, body)
	}
	if len(body) > most {
		body = body[:most]
	}
	return strings.Join(strings.Fields(string(body)), " ")
}

// View returns the message for people to read.
func (n *Note) View(look Look) *View {
	v := &View{Size: n.Size}
	media := ""
	if n.Kind == engine.MessageEvent {
		media = "text/event-stream"
	}
	v.Kind = KindOf(media, n.Body)
	if n.Problem != "" {
		v.note(n.Problem)
	}
	if n.Kind == engine.MessageClose {
		code, reason := n.CloseCode()
		v.Kind = KindText
		if code != 0 && !look.Hex {
			v.Title = n.Kind.String()
			v.line("code    " + strconv.Itoa(code))
			v.line("reason  " + reason)
			return v
		}
	}
	v.read(n.Body, n.Body, "", n.Problem == "", look)
	v.Title = n.Kind.String() + " message, " + v.Kind.String()
	if look.Hex {
		v.Title += ", hex"
	}
	if n.Compressed && n.Problem == "" {
		v.Title += ", inflated"
	}
	return v
}
