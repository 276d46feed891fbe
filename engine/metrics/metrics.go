// Package metrics tells Prometheus what an engine does: totals from its
// snapshots, distributions from its events. Names and labels are documented in
// names.go; their number is bounded whatever peers do.
package metrics

import (
	"net/http"

	"adit/engine"
)

// Options of a Set. They are not changed after New.
type Options struct {
	Engine engine.Engine
	// Gaps returns how many records the history has lost; nil: there is none.
	Gaps func() uint64
	// Certificates returns when each certificate ends, by name, in Unix seconds;
	// nil: there are none.
	Certificates func() map[string]int64
}

// A Set follows one engine. Close ends it.
type Set struct{}

// New follows an engine that does not serve yet.
func New(o Options) (*Set, error) { return new(Set), nil }

// Handler answers GET /metrics in the text format or OpenMetrics.
func (s *Set) Handler() http.Handler { return http.NotFoundHandler() }

// Close ends what follows the engine and joins.
func (s *Set) Close() {}
