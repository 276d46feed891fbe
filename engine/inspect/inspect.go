// Package inspect reads exchanges for people and for other tools: secrets
// masked, content decoded and made readable, as a curl line, as HAR 1.2, as a
// request to be sent again, and two answers side by side. But for [Fetch] it does no
// I/O.
package inspect

import (
	"context"
	"errors"

	"adit/engine"
)

// An Exchange is a record with what was kept of its content.
type Exchange struct {
	Request engine.Request  // with Heads, if they were kept
	Content *engine.Content // nil: none was kept
}

// MaxExport is how many exchanges are put into one HAR at most, by whoever asks.
const MaxExport = 10_000

// Fetch returns an exchange as log has it.
func Fetch(ctx context.Context, log engine.RequestLog, id engine.RequestID) (Exchange, error) {
	r, err := log.Request(ctx, id)
	if err != nil {
		return Exchange{}, err
	}
	x := Exchange{Request: r, Content: new(engine.Content)}
	err = log.Content(ctx, id, x.Content)
	if errors.Is(err, engine.ErrNotFound) {
		x.Content, err = nil, nil
	}
	return x, err
}

// Options of what is written.
type Options struct {
	Secrets bool   // as they are, else masked
	Missing string // why an Exchange has no content; "" it was not kept
	Via     string // for Curl: URL of the server that a request of the forward proxy's ways goes through; "" directly
}
