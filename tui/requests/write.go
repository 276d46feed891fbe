package requests

import (
	"context"
	"strconv"

	"adit/engine"
	"adit/engine/observe"
	"adit/tui/pane"
)

// writeMost is how many records a file gets at most.
const writeMost = 10_000

// write asks for the name of a file for the marked, else for all that the filter
// selects: one JSON object a line, as a headless run prints them.
func (l *List) write() pane.Effect {
	n := l.matched()
	if n == 0 {
		return pane.Say{Text: "no requests to write"}
	}
	q := engine.RequestQuery{Filter: l.combined, Order: l.order, Ascending: l.ascending, Marked: l.sorted, Until: l.page.Newest}
	if len(l.marks) > 0 {
		q.Filter, n = "is:marked", len(l.marks)
	}
	name := "requests.jsonl"
	if n > writeMost {
		name = "requests-first-" + strconv.Itoa(writeMost) + ".jsonl"
	}
	return pane.WriteFile{Name: name, Fetch: func(ctx context.Context, s pane.Source) ([]byte, error) {
		return records(ctx, s.Log, q)
	}}
}

// records returns what a query selects as lines.
func records(ctx context.Context, log engine.RequestLog, q engine.RequestQuery) ([]byte, error) {
	var page engine.RequestPage
	var b []byte
	for q.Offset < writeMost {
		q.Count = min(pageMost, writeMost-q.Offset)
		if err := log.Requests(ctx, q, &page); err != nil {
			return nil, err
		}
		for i := range page.Requests {
			r := &page.Requests[i]
			e := engine.Event{Kind: engine.KindRequestStarted, Time: r.Arrived, Request: r}
			if r.Outcome != engine.OutcomeNone {
				e.Kind, e.Time = engine.KindRequestFinished, r.Arrived.Add(max(r.LastByte, 0))
			}
			b = append(observe.AppendEvent(b, &e), '\n')
		}
		if len(page.Requests) < q.Count {
			break
		}
		q.Offset += len(page.Requests)
	}
	return b, nil
}
