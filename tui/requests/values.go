package requests

import (
	"cmp"
	"slices"
	"strconv"

	"adit/engine"
	"adit/tui/exchange"
	"adit/tui/pane"
)

// Matches says how much the filter selects, of how much, and what finding it
// took.
func (l *List) Matches() pane.Matches {
	p := l.page
	if p == nil {
		return pane.Matches{}
	}
	return pane.Matches{Matched: p.Matched, Of: p.Kept + p.Stored, Least: p.Cut, Searching: p.Searching, Took: p.Took}
}

// Values returns the values of a field in the rows that are here, the most
// frequent first.
func (l *List) Values(field string) []pane.Value {
	if l.page == nil {
		return nil
	}
	counts := map[string]int{}
	for i := range l.page.Requests {
		if v := valueOf(&l.page.Requests[i], field); v != "" {
			counts[v]++
		}
	}
	values := make([]pane.Value, 0, len(counts))
	for v, n := range counts {
		values = append(values, pane.Value{Text: v, Count: n})
	}
	slices.SortFunc(values, func(a, b pane.Value) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Text, b.Text))
	})
	return values
}

// valueOf returns what a field of the language of filters is of r, "" where it
// is no word to complete.
func valueOf(r *engine.Request, field string) string {
	switch field {
	case "status":
		if r.Status != 0 {
			return strconv.Itoa(r.Status)
		}
	case "method":
		return r.Method
	case "path":
		_, path := exchange.SplitTarget(r.Target)
		return path
	case "host":
		host, _ := exchange.SplitTarget(r.Target)
		return host
	case "client":
		return r.Client
	case "conn":
		return r.Connection.String()
	case "id":
		return r.ID.String()
	case "way":
		if r.Way != 0 {
			return r.Way.String()
		}
	case "outcome":
		if r.Outcome != engine.OutcomeNone {
			return r.Outcome.String()
		}
	case "reason":
		return r.Reason
	case "caller":
		return r.Caller
	}
	return ""
}
