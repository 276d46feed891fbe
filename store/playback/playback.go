// Package playback shows a store database as an engine, as it was at a moment
// that moves on.
package playback

import (
	"errors"

	"adit/engine"
)

// A Recording is a database that is shown as if it happened now.
type Recording struct {
	engine.Player
	engine.RequestLog
}

// Open opens the database at path. Close releases it.
func Open(path string) (*Recording, error) { return nil, errors.New("not yet") }

// Close ends what runs and closes the database.
func (r *Recording) Close() {}
