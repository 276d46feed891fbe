package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"adit/engine"
)

// ErrEmpty is that an edited text is empty: nothing is to be sent.
var ErrEmpty = errors.New("the text is empty: nothing is sent")

// unchanged stands for content that is no text.
const unchanged = "@unchanged"

// EditText returns a replay as a text to be edited: an HTTP/1.1 request with
// comments before it. Content that is no text is not in it; a line stands for
// it.
func EditText(p *engine.Replay) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Replay of %v. Change what you like, save and leave the editor; it is asked again\n", p.Of)
	b.WriteString("# before it is sent. Empty the file to send nothing. Lines that begin with # before\n" +
		"# the request line are comments; Content-Length is counted anew.\n")
	if p.Client != "" {
		fmt.Fprintf(&b, "# It goes to the client %s.\n", Quote(p.Client))
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\n", p.Method, p.Target)
	for _, f := range p.Fields {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	b.WriteByte('\n')
	switch {
	case isEditable(p.Content):
		b.Write(p.Content)
	default:
		fmt.Fprintf(&b, "%s %d bytes", unchanged, len(p.Content))
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// isEditable reports whether content comes back from an editor as it was.
func isEditable(content []byte) bool {
	return looksLikeText(content) && bytes.IndexByte(content, '\r') < 0 && bytes.IndexByte(content, '\f') < 0 &&
		!bytes.HasPrefix(content, []byte(unchanged+" "))
}

// A LineError is what is wrong in an edited text.
type LineError struct {
	Line int // from 1 on
	Text string
}

func (e *LineError) Error() string { return "line " + strconv.Itoa(e.Line) + ": " + e.Text }

// ParseEdit reads what became of the text of [EditText] for p. The error is
// [ErrEmpty], or a [LineError].
func ParseEdit(text []byte, p *engine.Replay) (engine.Replay, error) {
	edited := engine.Replay{Of: p.Of, Client: p.Client, Way: p.Way}
	line := 0
	next := func() (string, bool) {
		if len(text) == 0 {
			return "", false
		}
		line++
		l, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		return strings.TrimSuffix(string(l), "\r"), true
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return edited, ErrEmpty
	}
	request := ""
	for request == "" {
		l, ok := next()
		if !ok {
			return edited, ErrEmpty
		}
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' {
			request = l
		}
	}
	words := strings.Fields(request)
	if len(words) == 3 && strings.HasPrefix(words[2], "HTTP/") {
		words = words[:2]
	}
	if len(words) != 2 {
		return edited, &LineError{line, "a request line is wanted: METHOD http://host/path HTTP/1.1"}
	}
	edited.Method, edited.Target = words[0], words[1]
	if err := Check(&edited); err != nil {
		return edited, &LineError{line, err.Error()}
	}
	for {
		l, ok := next()
		if !ok || l == "" {
			break
		}
		name, value, ok := strings.Cut(l, ":")
		f := engine.Field{Name: name, Value: strings.Trim(value, " \t")}
		if !ok {
			return edited, &LineError{line, "a header field is wanted, name: value, or an empty line before the content"}
		}
		if strings.EqualFold(name, "host") {
			return edited, &LineError{line, "the host is that of the request line"}
		}
		if err := Check(&engine.Replay{Method: edited.Method, Target: edited.Target, Fields: []engine.Field{f}}); err != nil {
			return edited, &LineError{line, err.Error()}
		}
		if !ofTheWay(name) {
			edited.Fields = append(edited.Fields, f)
		}
	}
	// The line break at the end is EditText's, or the editor's.
	content := bytes.TrimSuffix(text, []byte{'\n'})
	if bytes.HasPrefix(content, []byte(unchanged+" ")) {
		if isEditable(p.Content) {
			return edited, &LineError{line + 1, unchanged + " stands for content that is no text; this one was"}
		}
		content = p.Content
	}
	edited.Content = bytes.Clone(content)
	if len(edited.Content) > engine.MaxReplay {
		return edited, &LineError{line + 1, "the content is " + size(len(edited.Content)) + ", more than the " + size(engine.MaxReplay) + " that a replay takes"}
	}
	if err := checkContent(&edited); err != nil {
		return edited, &LineError{line + 1, err.Error()}
	}
	return edited, nil
}
