package command

import (
	"encoding/base64"
	"unicode/utf8"

	"adit/engine"
	"adit/engine/inspect"
	"adit/engine/observe"
)

// maxNote bounds what one message takes of a line, in bytes.
const maxNote = 400

// content shows what was kept of the content, read for people.
func (f *facts) content(x *inspect.Exchange, o showOptions) {
	if x.Content == nil {
		f.title("content was not kept; --capture content on the run keeps it from then on")
		return
	}
	look := inspect.Look{Secrets: o.secrets}
	for _, side := range sidesOf(x) {
		// Of a WebSocket there are messages and nothing beside them.
		if len(side.part.Data) == 0 && (side.part.Size == 0 || len(x.Content.Messages) > 0) {
			continue
		}
		v := inspect.Read(side.head, side.part, look)
		f.title(side.name + " content: " + v.Title + ", " + sizeText(uint64(max(v.Size, 0))))
		f.lines(v.Lines)
		for _, note := range v.Notes {
			f.title("  (" + note + ")")
		}
	}
	if len(x.Content.Messages) == 0 {
		return
	}
	f.title("messages")
	if x.Content.MessagesLost > 0 {
		f.title("  (" + countText(x.Content.MessagesLost) + " older ones were not kept)")
	}
	for _, n := range inspect.Messages(responseHead(x), x.Content) {
		from := "<"
		if n.FromCaller {
			from = ">"
		}
		text := n.Text(maxNote, o.secrets)
		if n.Problem != "" {
			text += " (" + n.Problem + ")"
		}
		f.lines([]string{n.Time.Local().Format(clock) + " " + from + " " + string(appendCell(nil, n.Kind.String(), 6, false)) + " " +
			string(appendCell(nil, sizeText(uint64(max(n.Size, 0))), 5, true)) + "  " + text})
	}
}

// A side is the content of one direction with the head that describes it.
type side struct {
	name, head string
	part       *engine.Part
}

func sidesOf(x *inspect.Exchange) []side {
	request := ""
	if x.Request.Heads != nil {
		request = x.Request.Heads.Request
	}
	return []side{{"request", request, &x.Content.Request}, {"response", responseHead(x), &x.Content.Response}}
}

func responseHead(x *inspect.Exchange) string {
	if x.Request.Heads == nil {
		return ""
	}
	return x.Request.Heads.Response
}

// appendExchange appends a request with its heads and content as one object.
func appendExchange(b []byte, x *inspect.Exchange, o showOptions) []byte {
	b = observe.AppendRequest(b, &x.Request)
	b = b[:len(b)-1]
	if h := x.Request.Heads; h != nil {
		if !o.secrets {
			h = inspect.MaskHeads(h)
		}
		b = append(appendName(b, "heads"), '{')
		b = appendMember(b, "request", h.Request)
		b = appendMember(b, "response", h.Response)
		b = append(appendFlag(b, "cut", h.Cut), '}')
	}
	if x.Content == nil {
		return append(b, "}\n"...)
	}
	b = append(appendName(b, "content"), '{')
	for _, side := range sidesOf(x) {
		v := inspect.Read(side.head, side.part, inspect.Look{Plain: true, Secrets: o.secrets})
		b = append(appendName(b, side.name), '{')
		b = appendMember(b, "type", v.Media)
		b = appendNumber(b, "size", side.part.Size)
		b = appendFlag(b, "whole", side.part.Whole())
		if len(v.Lines) > 0 {
			b = appendTexts(appendName(b, "lines"), v.Lines)
		}
		if len(v.Notes) > 0 {
			b = appendTexts(appendName(b, "notes"), v.Notes)
		}
		b = append(b, '}')
	}
	b = append(appendName(b, "messages"), '[')
	for i, n := range inspect.Messages(responseHead(x), x.Content) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendMember(b, "time", n.Time.UTC().Format("2006-01-02T15:04:05.000000000Z"))
		b = appendFlag(b, "from_caller", n.FromCaller)
		b = appendMember(b, "type", n.Kind.String())
		b = appendNumber(b, "size", n.Size)
		b = appendBody(b, n.Body, o.secrets)
		b = append(appendMember(b, "problem", n.Problem), '}')
	}
	b = append(b, ']')
	if x.Content.MessagesLost > 0 {
		b = appendNumber(b, "messages_lost", int64(x.Content.MessagesLost))
	}
	return append(b, "}}\n"...)
}

// appendBody appends a message: as text where it is UTF-8, else in base64.
func appendBody(b, body []byte, secrets bool) []byte {
	if !utf8.Valid(body) {
		return appendMember(b, "data", base64.StdEncoding.EncodeToString(body))
	}
	if !secrets {
		body = inspect.MaskText(inspect.KindText, body)
	}
	return appendMember(b, "text", string(body))
}
