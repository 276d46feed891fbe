// Package inspect reads exchanges for people and for other tools: secrets
// masked, content decoded and made readable, as a curl line, as HAR 1.2, as a
// request to be sent again, and two answers side by side. It does no I/O.
package inspect

import "adit/engine"

// An Exchange is a record with what was kept of its content.
type Exchange struct {
	Request engine.Request  // with Heads, if they were kept
	Content *engine.Content // nil: none was kept
}

// Options of what is written.
type Options struct {
	Secrets bool   // as they are, else masked
	Via     string // for Curl: URL of the server that a request of the forward proxy's ways goes through; "" directly
}
