package capture

import (
	"slices"

	"adit/engine"
	"adit/engine/filter"
)

// known are the fields of a record that are there when the request is sent.
var known = [...]string{"", "f", "path", "host", "query", "method", "client", "conn", "id", "caller", "way", "protocol", "time", "age"}

// Filter parses a filter of engine.Capture.Content. The error is a *[filter.Error],
// for a field too of which nothing is known yet when the filter is asked.
func Filter(text string) (*filter.Filter, error) {
	f, err := filter.Parse(filter.Requests, text)
	if err != nil {
		return nil, err
	}
	if n := unknown(f.Tree()); n != nil {
		return nil, &filter.Error{Column: n.Column, Length: max(n.Length, 1),
			Text: engine.Bound(n.String()) + " is not known when a request is sent, which is when what to capture is chosen: " +
				"use client:, host:, path:, query:, method:, way: or caller:"}
	}
	return f, nil
}

// unknown returns a clause below n about what is known later only, nil if there is
// none.
func unknown(n *filter.Node) *filter.Node {
	if n == nil {
		return nil
	}
	if n.Kind == filter.Clause && !slices.Contains(known[:], n.Field) {
		return n
	}
	for _, below := range n.Nodes {
		if found := unknown(below); found != nil {
			return found
		}
	}
	return nil
}
