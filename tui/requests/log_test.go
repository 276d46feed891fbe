package requests_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
	"adit/tui/requests"
)

// now is when the tests play.
func now() time.Time { return time.Date(2026, 11, 22, 15, 4, 12, 0, time.UTC) }

// A plainLog answers as the log is documented to, by filtering and sorting a
// slice: nothing of it is clever.
type plainLog struct {
	records []engine.Request
	lost    uint64
	err     error
	asked   int
	match   func(text string, r *engine.Request) bool // nil: the language
}

func (l *plainLog) Requests(_ context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	l.asked++
	if l.err != nil {
		return l.err
	}
	f, err := filter.Parse(filter.Requests, q.Filter)
	if err != nil {
		return err
	}
	c := filter.Context{Now: now(), Marked: func(id uint64) bool { return slices.Contains(q.Marked, engine.RequestID(id)) }}
	var found []engine.Request
	into.After = 0
	for _, r := range l.records {
		if q.Until != 0 && r.ID > q.Until {
			into.After++
			continue
		}
		if l.match != nil && q.Filter != "" {
			if l.match(q.Filter, &r) {
				found = append(found, r)
			}
		} else if f.Request(&r, &c) {
			found = append(found, r)
		}
	}
	sorted := func(a, b engine.Request) int {
		d := 0
		switch q.Order {
		case engine.ByDuration:
			d = int(a.LastByte - b.LastByte)
		case engine.BySize:
			d = int(a.RequestBytes + a.ResponseBytes - b.RequestBytes - b.ResponseBytes)
		case engine.ByStatus:
			d = a.Status - b.Status
		case engine.ByClient:
			d = strings.Compare(a.Client, b.Client)
		case engine.ByPath:
			d = strings.Compare(a.Target, b.Target)
		}
		if d == 0 {
			d = int(a.ID) - int(b.ID)
		}
		if !q.Ascending {
			d = -d
		}
		return d
	}
	switch {
	case q.Order != engine.ByArrival:
		slices.SortStableFunc(found, sorted)
	case !q.Ascending:
		slices.Reverse(found)
	}
	from := q.Offset
	if q.At != 0 {
		at := slices.IndexFunc(found, func(r engine.Request) bool { return r.ID == q.At })
		if at < 0 && q.Order == engine.ByArrival {
			at = slices.IndexFunc(found, func(r engine.Request) bool {
				return !q.Ascending && r.ID < q.At || q.Ascending && r.ID > q.At
			})
			if at < 0 {
				at = len(found)
			}
		}
		from = max(max(at, 0)-q.Offset, 0)
	}
	from = min(from, len(found))
	to := min(from+q.Count, len(found))
	into.Requests = append(into.Requests[:0], found[from:to]...)
	for i := range into.Requests {
		into.Requests[i].Heads = nil
	}
	into.Offset, into.Matched, into.Kept, into.Lost = from, len(found), len(l.records), l.lost
	into.Capacity, into.Took = 100_000, 900*time.Microsecond
	into.Oldest, into.Newest = 0, 0
	if n := len(l.records); n > 0 {
		into.Oldest, into.Newest = l.records[0].ID, l.records[n-1].ID
	}
	return nil
}

func (l *plainLog) Request(_ context.Context, id engine.RequestID) (engine.Request, error) {
	for _, r := range l.records {
		if r.ID == id {
			return r, nil
		}
	}
	return engine.Request{}, engine.ErrNotFound
}

// add appends n records as the pictures have them.
func (l *plainLog) add(n int) {
	methods := [...]string{"GET", "POST", "PUT", "GET"}
	statuses := [...]int{200, 201, 502, 304, 499, 200, 404, 200}
	clients := [...]string{"edge-iad-01", "edge-sin-01", "edge-fra-02", "kiosk-berlin"}
	paths := [...]string{"/api/search", "/api/orders", "/static/app.js", "/api/upload?part=2", "/healthz"}
	took := [...]time.Duration{31 * time.Millisecond, 240 * time.Millisecond, 5 * time.Second, 900 * time.Millisecond, 30 * time.Second}
	for range n {
		id := len(l.records) + 1
		if len(l.records) > 0 {
			id = int(l.records[len(l.records)-1].ID) + 1
		}
		r := engine.Request{ID: engine.RequestID(id), Connection: engine.ConnectionID(10 + id%7), Client: clients[id%4],
			Caller: "203.0.113.9:40110", Way: engine.WayHost, Protocol: engine.ProtocolNative, Method: methods[id%4],
			Target: paths[id%5], Status: statuses[id%8], RequestBytes: 31, ResponseBytes: int64(id%6) * 5000,
			Arrived: now().Add(-time.Hour + time.Duration(id)*137*time.Millisecond),
			Queued:  400 * time.Microsecond, Sent: 1500 * time.Microsecond, Connect: -1,
			FirstByte: took[id%5] - 200*time.Microsecond, LastByte: took[id%5], Outcome: engine.OutcomeCompleted}
		switch r.Status {
		case 499:
			r.Outcome, r.Reason = engine.OutcomeCallerGone, "caller gone"
		case 502:
			r.Outcome, r.Reason = engine.OutcomeOriginFailed, "dial origin: connection refused"
		}
		l.records = append(l.records, r)
	}
}

func (l *plainLog) run(id engine.RequestID) *engine.Request {
	for i := range l.records {
		if l.records[i].ID == id {
			r := &l.records[i]
			r.Outcome, r.Status, r.Reason, r.FirstByte, r.LastByte = 0, 0, "", -1, -1
			r.Arrived = now().Add(-3 * time.Second)
			return r
		}
	}
	return nil
}

type memory map[string]string

func (m memory) Get(name string) string { return m[name] }
func (m memory) Set(name, value string) { m[name] = value }

// A stage draws frames of a list as the dashboard does.
type stage struct {
	t      *testing.T
	log    *plainLog
	list   *requests.List
	frame  pane.Frame
	canvas *canvas.Canvas
}

func newStage(t *testing.T, w, h, records int, o requests.Options) *stage {
	s := &stage{t: t, log: &plainLog{}, list: requests.NewList(o), canvas: canvas.New()}
	s.log.add(records)
	theme, _ := themes.ByName("midnight")
	s.frame = pane.Frame{Now: now(), Class: pane.ClassOf(w, h), Width: w, Height: h, Theme: theme,
		Glyphs: themes.Unicode(), UTC: true, Memory: memory{}}
	s.canvas.Resize(w, h)
	s.draw()
	s.step()
	s.step()
	return s
}

// step fetches and draws one frame 300 ms later.
func (s *stage) step() {
	s.frame.Now = s.frame.Now.Add(300 * time.Millisecond)
	for _, w := range s.list.Wants(&s.frame) {
		w.Fetch(context.Background(), pane.Source{Log: s.log})
		w.Deliver(&s.frame)
	}
	s.draw()
}

func (s *stage) draw() string {
	s.canvas.Clear()
	s.list.Draw(s.canvas.Area(), &s.frame, true)
	return s.canvas.Plain()
}

func (s *stage) selected() engine.RequestID {
	s.t.Helper()
	r := s.list.Selected()
	if r == nil {
		return 0
	}
	return r.ID
}

// Content implements [engine.RequestLog].
func (*plainLog) Content(context.Context, engine.RequestID, *engine.Content) error {
	return engine.ErrNotFound
}

// Events implements [engine.RequestLog].
func (*plainLog) Events(_ context.Context, _ engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	return nil
}
