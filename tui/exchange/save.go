package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"adit/engine"
	"adit/engine/inspect"
	"adit/tui/format"
	"adit/tui/pane"
)

const (
	harPage = 500
	// harBytes bounds a HAR: it is held in memory until it is written.
	harBytes = 512 << 20
)

// HAR asks whether requests are to be exported with their secrets, then for the
// name of a file. They are those of q; n is how many these are, about.
func HAR(f *pane.Frame, name string, n int, q engine.RequestQuery) pane.Effect {
	if n == 0 {
		return pane.Say{Text: "HAR: no request here"}
	}
	version := "unknown"
	if f.Snapshot != nil && f.Snapshot.Version != "" {
		version = f.Snapshot.Version
	}
	write := func(secrets bool) pane.Effect {
		return pane.WriteFile{Name: name, Fetch: func(ctx context.Context, s pane.Source) ([]byte, error) {
			return har(ctx, s.Log, q, version, inspect.Options{Secrets: secrets})
		}}
	}
	e := pane.Choose{Title: "Export " + format.Plural(min(n, inspect.MaxExport), "request") + " as HAR", Options: []pane.Option{
		{Title: "secrets masked", Note: "credentials, and what is named like one", Effect: write(false)},
		{Title: "with secrets", Note: "as they went through the tunnel", Effect: write(true)},
	}}
	if n > inspect.MaxExport {
		e.Lines = []string{"The filter selects " + strconv.Itoa(n) + ": the first " + strconv.Itoa(inspect.MaxExport) + " are exported. Narrow it to reach the others."}
	}
	return e
}

// Only selects one request.
func Only(id engine.RequestID) engine.RequestQuery {
	return engine.RequestQuery{Filter: "is:marked", Marked: []engine.RequestID{id}}
}

func har(ctx context.Context, log engine.RequestLog, q engine.RequestQuery, version string, o inspect.Options) ([]byte, error) {
	var page engine.RequestPage
	var b bytes.Buffer
	at, given := 0, 0
	next := func() (inspect.Exchange, error) {
		if b.Len() > harBytes {
			return inspect.Exchange{}, errors.New("the HAR would be larger than 512 MiB: export fewer requests")
		}
		if at == len(page.Requests) {
			q.Offset += len(page.Requests)
			q.Count = min(harPage, inspect.MaxExport-given)
			if given > 0 && len(page.Requests) < harPage || q.Count == 0 {
				return inspect.Exchange{}, io.EOF
			}
			if err := log.Requests(ctx, q, &page); err != nil {
				return inspect.Exchange{}, err
			}
			if at = 0; len(page.Requests) == 0 {
				return inspect.Exchange{}, io.EOF
			}
		}
		row := &page.Requests[at]
		at++
		given++
		x, err := inspect.Fetch(ctx, log, row.ID)
		if errors.Is(err, engine.ErrNotFound) { // it left the log meanwhile
			return inspect.Exchange{Request: *row}, nil
		}
		return x, err
	}
	err := inspect.HAR(&b, "adit", version, next, o)
	return b.Bytes(), err
}

// Save asks which content of an exchange is to be saved, and how.
func Save(x *inspect.Exchange) pane.Effect {
	e := pane.Choose{Title: "Save content of " + x.Request.ID.String(), Lines: []string{"It is written as it is, secrets included."}}
	if x.Content == nil {
		return pane.Say{Text: "save: none of its content is kept"}
	}
	heads := x.Request.Heads
	if heads == nil {
		heads = &engine.Heads{}
	}
	for _, side := range [...]struct {
		name, head string
		part       *engine.Part
	}{{"response", heads.Response, &x.Content.Response}, {"request", heads.Request, &x.Content.Request}} {
		if len(side.part.Data) == 0 {
			continue
		}
		file := x.Request.ID.String() + "-" + side.name
		whole := ""
		if !side.part.Whole() {
			whole = ", what is kept of it"
		}
		d := inspect.Decode(inspect.Get(side.head, "content-encoding"), side.part.Data)
		coded := ""
		if len(d.Undone) > 0 {
			coded = strings.Join(d.Undone, " + ")
			e.Options = append(e.Options, saving(side.name+" content, "+coded+" undone", file+extension(side.head), whole, d.Data))
			file, coded = file+"."+d.Undone[0], ", as it came in "+coded
		}
		e.Options = append(e.Options, saving(side.name+" content"+coded, file+extension(side.head), whole, side.part.Data))
	}
	if n := len(x.Content.Messages); n > 0 {
		var b []byte
		notes := inspect.Messages(heads.Response, x.Content)
		for i := range notes {
			b = appendMessage(b, &notes[i])
		}
		e.Options = append(e.Options, saving(format.Plural(n, "message")+", a line each", x.Request.ID.String()+"-messages.txt", "", b))
	}
	switch len(e.Options) {
	case 0:
		return pane.Say{Text: "save: none of its content is kept"}
	}
	return e
}

func appendMessage(b []byte, n *inspect.Note) []byte {
	b = n.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z ")
	if n.FromCaller {
		b = append(b, "request  "...)
	} else {
		b = append(b, "response "...)
	}
	b = append(append(b, n.Kind.String()...), ' ')
	return append(append(b, n.Text(4*engine.MaxMessage, true)...), '\n')
}

func saving(title, file, whole string, data []byte) pane.Option {
	return pane.Option{Title: title, Note: format.Plural(len(data), "byte") + whole,
		Effect: pane.WriteFile{Name: file, Content: func() []byte { return data }}}
}

// extension returns what the name of a file with content of that head ends in.
func extension(head string) string {
	media, _ := inspect.MediaType(inspect.Get(head, "content-type"))
	switch inspect.KindOf(media, []byte{' '}) {
	case inspect.KindJSON:
		return ".json"
	case inspect.KindLines:
		return ".jsonl"
	case inspect.KindXML:
		if media == "text/html" {
			return ".html"
		}
		return ".xml"
	case inspect.KindImage:
		_, kind, _ := strings.Cut(media, "/")
		kind, _, _ = strings.Cut(kind, "+")
		if kind != "" && len(kind) <= 5 && strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz") == "" {
			return "." + kind
		}
	case inspect.KindText, inspect.KindForm, inspect.KindEvents:
		if media != "" {
			return ".txt"
		}
	}
	return ".bin"
}
