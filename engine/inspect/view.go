package inspect

import (
	"bytes"
	"image"
	_ "image/gif" // their sizes
	_ "image/jpeg"
	_ "image/png"
	"net/url"
	"strconv"
	"strings"

	"adit/engine"
)

// A Look says how content is to be read.
type Look struct {
	Plain   bool // as it came, only its codings undone; else laid out
	Hex     bool
	Secrets bool // as they are, else masked
	Columns int  // that there are for a line of a hex dump; 0 as many as it takes
}

// bytesOf returns how many bytes a line of a hex dump shows.
func (l *Look) bytesOf() int {
	switch {
	case l.Columns <= 0 || l.Columns >= 76:
		return 16
	case l.Columns >= 43:
		return 8
	}
	return 4
}

const (
	// MaxLines bounds the lines of a [View].
	MaxLines = 20_000
	// maxForm bounds the pairs of a form that are laid out.
	maxForm = 2000
)

// A View is content for people to read.
type View struct {
	Kind  Kind
	Media string // its type as the head says; "" not said
	Title string // what it is and how it is shown: "json, gzip undone"
	Lines []string
	Notes []string // what is missing, and why
	Size  int64    // bytes that passed, codings not undone

	Masked bool // values were masked

	partial bool
}

// Partial reports whether content is missing, at its end or for being masked.
func (v *View) Partial() bool { return v.partial || v.Masked }

// Read makes a view of the content of one direction; head is its head, as in
// [engine.Heads].
func Read(head string, part *engine.Part, look Look) *View {
	media, parameters := MediaType(Get(head, "content-type"))
	v := &View{Media: media, Size: part.Size}
	d := Decode(Get(head, "content-encoding"), part.Data)
	switch {
	case len(part.Data) == 0 && part.Size > 0:
		v.note("none of its bytes are kept") // of a WebSocket messages are
	case part.Size > int64(len(part.Data)):
		v.note("only the first " + size(len(part.Data)) + " of " + size(int(part.Size)) + " are kept")
	}
	switch {
	case d.Bounded:
		v.note("only the first " + size(len(d.Data)) + " of what it decodes to are shown")
	case d.Problem != "" && d.Left == "":
		v.note("decoding ends early: " + d.Problem)
	case d.Cut && part.Whole():
		v.note("its " + strings.Join(d.Undone, ", ") + " ends in the middle")
	}
	v.Kind = KindOf(media, d.Data)
	switch {
	case d.Left == "":
	case d.Problem != "" && looksLikeText(d.Data):
		v.note("said to be coded with " + d.Left + ", but is not")
	case d.Problem != "":
		v.Kind = KindBinary
		v.note("coded with " + d.Left + ", which can't be undone: " + d.Problem)
	default:
		v.Kind = KindBinary
		v.note("coded with " + d.Left + ", which can't be undone")
	}
	whole := part.Whole() && !d.Cut && !d.Bounded && d.Problem == ""
	v.partial = !whole
	v.read(part.Data, d.Data, parameters["charset"], whole, look)
	v.Title = v.Kind.String()
	if v.Kind == KindXML && v.Media == "text/html" {
		v.Title = "html"
	}
	if look.Hex && v.Kind != KindNone {
		v.Title += ", hex"
	}
	if len(d.Undone) > 0 && (!look.Hex || v.Masked) {
		v.Title += ", " + strings.Join(d.Undone, " + ") + " undone"
	}
	return v
}

func (v *View) note(s string) { v.Notes = append(v.Notes, s) }

// read fills in the lines; raw is what decoded was before its codings were
// undone.
func (v *View) read(raw, decoded []byte, charset string, whole bool, look Look) {
	text, isText := decoded, false
	if v.Kind == KindMultipart && !look.Secrets { // with files it may be no text
		masked := maskMultipart(decoded)
		v.Masked = !bytes.Equal(masked, decoded)
		decoded, text = masked, masked
	}
	switch v.Kind {
	case KindNone:
		return
	case KindBinary, KindImage, KindGRPC:
	default:
		text, isText = Text(decoded, charset)
	}
	if isText && !look.Secrets {
		masked := MaskText(v.Kind, text)
		v.Masked = v.Masked || !bytes.Equal(masked, text)
		text = masked
	}
	switch {
	case look.Hex && v.Masked:
		v.dump(text, look.bytesOf())
	case look.Hex:
		v.dump(raw, look.bytesOf())
	case v.Kind == KindImage:
		v.image(decoded)
	case v.Kind == KindGRPC:
		v.grpc(decoded, whole, look.bytesOf())
	case !isText && v.Kind != KindBinary:
		v.note("not text, though it is said to be " + v.Kind.String())
		v.Kind = KindBinary
		v.dump(text, look.bytesOf())
	case !isText:
		v.dump(decoded, look.bytesOf())
	case look.Plain:
		v.split(text)
	default:
		v.pretty(text, whole)
	}
	if v.Masked {
		v.note("values that are secret by their names are masked")
	}
}

// pretty lays text out by its kind.
func (v *View) pretty(text []byte, whole bool) {
	switch v.Kind {
	case KindJSON:
		out, ok := prettyJSON(text, whole)
		if !ok {
			v.note("not valid JSON: shown as it came")
			break
		}
		text = out
	case KindLines:
		for line := range bytes.Lines(text) {
			out, ok := prettyJSON(bytes.TrimSpace(bytes.TrimLeft(line, "\x1e")), false)
			if !ok {
				out = bytes.TrimRight(line, "\r\n")
			}
			v.split(out)
		}
		return
	case KindForm:
		v.form(text)
		return
	case KindEvents:
		for _, e := range Events(text) {
			v.event(&e)
		}
		return
	}
	v.split(text)
}

// split appends text line by line.
func (v *View) split(text []byte) {
	all := string(text)
	for all != "" {
		line, rest, _ := strings.Cut(all, "\n")
		v.line(strings.TrimSuffix(line, "\r"))
		all = rest
		if len(v.Lines) >= MaxLines {
			return
		}
	}
}

// line appends one; the last that there is room for says so.
func (v *View) line(s string) {
	switch {
	case len(v.Lines) < MaxLines:
		v.Lines = append(v.Lines, s)
	case len(v.Lines) == MaxLines:
		v.Lines = append(v.Lines, "")
		v.note("only the first " + strconv.Itoa(MaxLines) + " lines are shown")
		v.Lines = v.Lines[:MaxLines]
	}
}

// form appends a pair a line, decoded.
func (v *View) form(text []byte) {
	n := 0
	for pair := range strings.SplitSeq(strings.TrimRight(string(text), "\r\n"), "&") {
		if n++; n > maxForm {
			v.note("only the first " + strconv.Itoa(maxForm) + " pairs are shown")
			return
		}
		name, value, ok := strings.Cut(pair, "=")
		if ok {
			v.line(formText(name) + " = " + formText(value))
		} else if pair != "" {
			v.line(formText(pair))
		}
	}
}

func formText(s string) string {
	if text, err := url.QueryUnescape(s); err == nil {
		return text
	}
	return s
}

// event appends a server-sent event.
func (v *View) event(e *Event) {
	if len(v.Lines) > 0 {
		v.line("")
	}
	for _, f := range [...]struct{ name, value string }{{"event", e.Name}, {"id", e.ID}, {"retry", e.Retry}} {
		if f.value != "" {
			v.line(f.name + ": " + f.value)
		}
	}
	for _, c := range e.Comments {
		v.line(": " + c)
	}
	if e.Data == "" {
		return
	}
	data := []byte(e.Data)
	if start := skipSpace(data, 0); start < len(data) && (data[start] == '{' || data[start] == '[') {
		if out, ok := prettyJSON(data, false); ok {
			v.split(out)
			return
		}
	}
	v.split(data)
}

// image says what there is in words.
func (v *View) image(data []byte) {
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		v.line(strings.TrimPrefix(v.Media, "image/") + " image, " + size(int(v.Size)))
		return
	}
	v.line(format + " image, " + strconv.Itoa(config.Width) + "x" + strconv.Itoa(config.Height) + ", " + size(int(v.Size)))
}

// grpc says what messages there are (length-prefixed messages of gRPC over
// HTTP/2): what is in them only their schema tells.
func (v *View) grpc(data []byte, whole bool, width int) {
	n := 0
	for len(data) >= 5 && len(v.Lines) < MaxLines {
		n++
		length := int(data[1])<<24 | int(data[2])<<16 | int(data[3])<<8 | int(data[4])
		words := "message " + strconv.Itoa(n) + "  " + size(length)
		if data[0]&1 != 0 {
			words += ", compressed"
		}
		if length > len(data)-5 {
			if whole {
				words += ", ends in the middle"
			}
			v.line(words)
			return
		}
		v.line(words)
		for _, line := range hexLines(data[5:5+min(length, 64)], width) {
			v.line("  " + line)
		}
		data = data[5+length:]
	}
	if len(data) > 0 && whole {
		v.line(size(len(data)) + " that are no message")
	}
}

// dump appends data as a hex dump, width bytes a line.
func (v *View) dump(data []byte, width int) {
	most := MaxLines * width
	if len(data) > most {
		data = data[:most]
		v.note("only the first " + size(most) + " are shown")
	}
	v.Lines = append(v.Lines, hexLines(data, width)...)
}

// hexLines returns so many bytes a line: offset, hex, and what is printable.
func hexLines(data []byte, width int) []string {
	const digits = "0123456789abcdef"
	lines := make([]string, 0, (len(data)+width-1)/width)
	var b []byte
	for i := 0; i < len(data); i += width {
		row := data[i:min(i+width, len(data))]
		b = b[:0]
		for shift := 28; shift >= 0; shift -= 4 {
			b = append(b, digits[i>>shift&15])
		}
		b = append(b, ' ', ' ')
		for j := range width {
			if j == 8 {
				b = append(b, ' ')
			}
			if j < len(row) {
				b = append(b, digits[row[j]>>4], digits[row[j]&15], ' ')
			} else {
				b = append(b, ' ', ' ', ' ')
			}
		}
		b = append(b, ' ')
		for _, c := range row {
			if c < ' ' || c >= 0x7f {
				c = '.'
			}
			b = append(b, c)
		}
		lines = append(lines, string(b))
	}
	return lines
}

// size returns a number of bytes in words: "31 B", "4.0 KiB".
func size(n int) string {
	const unit = 1024
	switch {
	case n < unit:
		return strconv.Itoa(n) + " B"
	case n < unit*unit:
		return strconv.FormatFloat(float64(n)/unit, 'f', 1, 64) + " KiB"
	case n < unit*unit*unit:
		return strconv.FormatFloat(float64(n)/unit/unit, 'f', 1, 64) + " MiB"
	}
	return strconv.FormatFloat(float64(n)/unit/unit/unit, 'f', 1, 64) + " GiB"
}
