// Package inspect reads exchanges for people and for other tools: secrets
// masked, content decoded and made readable, as a curl line, as HAR 1.2, as a
// request to be sent again, and two answers side by side. It does no I/O.
package inspect

import (
	"io"

	"adit/engine"
)

// An Exchange is a record with what was kept of its content.
type Exchange struct {
	Request engine.Request  // with Heads, if they were kept
	Content *engine.Content // nil: none was kept
}

// Options of what is written.
type Options struct {
	Secrets bool // as they are, else masked
}

// HAR writes exchanges as HAR 1.2 (one log with an entry for each) as next
// returns them, until it returns io.EOF; another error of next, or of w, ends it.
func HAR(w io.Writer, creator, version string, next func() (Exchange, error), o Options) error {
	return nil
}

// Edits change a request before it is sent again.
type Edits struct {
	Client  string
	Method  string         // "" as it was
	Target  string         // "" as it was
	Set     []engine.Field // replace every field of the name
	Remove  []string
	Content []byte // nil as it was
}

// Prepare makes what can be sent again out of what was kept. The error says why
// it can't be: heads were not kept or cut, content was not kept or cut and none
// is given, it was no HTTP.
func Prepare(x *Exchange, e *Edits) (engine.Replay, error) { return engine.Replay{}, nil }
