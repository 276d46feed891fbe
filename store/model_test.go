package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"adit/engine"
	"adit/engine/filter"
)

// A model is a log that sorts and filters a slice, each time.
type model struct {
	capacity int
	records  []engine.Request // in order of id; Live where in flight
	gone     engine.RequestID
	evicted  int
}

func (m *model) find(id engine.RequestID) (int, bool) {
	return slices.BinarySearchFunc(m.records, id, func(r engine.Request, id engine.RequestID) int { return cmp.Compare(r.ID, id) })
}

func (m *model) insert(r engine.Request) {
	i, _ := m.find(r.ID)
	if len(m.records) == m.capacity {
		if i == 0 {
			return
		}
		m.gone, m.evicted = m.records[0].ID, m.evicted+1
		m.records = slices.Delete(m.records, 0, 1)
		i--
	}
	m.records = slices.Insert(m.records, i, r)
}

func (m *model) apply(e *engine.Event) {
	i, known := m.find(e.Request.ID)
	switch {
	case e.Kind == engine.KindRequestStarted && !known:
		m.insert(*e.Request)
	case e.Kind == engine.KindRequestFinished && !known:
		m.insert(*e.Request)
	case e.Kind == engine.KindRequestFinished && m.records[i].Outcome == engine.OutcomeNone:
		m.records[i] = *e.Request
	}
}

func (m *model) lose() {
	for i := range m.records {
		if r := &m.records[i]; r.Live != nil && r.Live.Over.Load() {
			r.Live.Fill(r)
			r.Live, r.Reason, r.LastByte = nil, endNotSeen, -1
		}
	}
}

func (m *model) query(t *rapid.T, q engine.RequestQuery, labels map[string]map[string]string) (page engine.RequestPage, ids []engine.RequestID) {
	f, err := filter.Parse(filter.Requests, q.Filter)
	if err != nil {
		t.Fatal(err)
	}
	c := &filter.Context{Now: time.Now(), Labels: func(c string) map[string]string { return labels[c] },
		Marked: func(id uint64) bool { return slices.Contains(q.Marked, engine.RequestID(id)) }}
	var entries []entry
	place := entry{id: q.At}
	placed := q.Order == engine.ByArrival
	for _, r := range m.records {
		if r.Live != nil {
			r.Live.Fill(&r)
			r.LastByte = time.Since(r.Arrived)
		}
		e := entryOf(&r, q.Order)
		if r.ID == q.At {
			place, placed = e, true
		}
		if q.Until > 0 && r.ID > q.Until {
			page.After++
			continue
		}
		if f.Request(&r, c) {
			entries = append(entries, e)
		}
	}
	if q.Until > 0 && m.gone > q.Until {
		page.After += min(int(m.gone-q.Until), m.evicted)
	}
	direction := 1
	if !q.Ascending {
		direction = -1
	}
	slices.SortFunc(entries, func(a, b entry) int { return compare(a, b) * direction })
	from := q.Offset
	if q.At > 0 && placed {
		rank := 0
		for rank < len(entries) && compare(entries[rank], place)*direction < 0 {
			rank++
		}
		from = max(rank-q.Offset, 0)
	}
	from = min(from, len(entries))
	page.Offset, page.Matched, page.Kept = from, len(entries), len(m.records)
	for _, e := range entries[from:min(from+q.Count, len(entries))] {
		ids = append(ids, e.id)
	}
	return page, ids
}

func idsOf(records []engine.Request) []engine.RequestID {
	var ids []engine.RequestID
	for i := range records {
		ids = append(ids, records[i].ID)
	}
	return ids
}

// TestAnswersAreThoseOfASlice holds the log to sorting and filtering a slice,
// under starts, ends, losses and standing queries.
func TestAnswersAreThoseOfASlice(t *testing.T) {
	filters := []string{"", "", "status:>=500", "is:inflight", "-is:inflight client:a", "dur:>90m", "is:marked", "path:/b OR is:unseen", "label.zone:x", "out:>2", "conn:c-1"}
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 40).Draw(t, "capacity")
		l := &Log{ring: newRing(capacity, 1<<30)}
		m := &model{capacity: capacity}
		known := map[string]map[string]string{}
		base := time.Now().Add(-30 * time.Minute)
		var next engine.RequestID
		var lives []*engine.Live
		var queries []engine.RequestQuery
		made := func(id engine.RequestID) *engine.Request {
			return &engine.Request{
				ID: id, Client: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "client"), Target: "/" + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "path"),
				Arrived: base.Add(-time.Duration(rapid.IntRange(0, 5).Draw(t, "hours")) * time.Hour), LastByte: -1, Live: new(engine.Live),
			}
		}
		end := func(id engine.RequestID) {
			r := made(id)
			r.Status = rapid.SampledFrom([]int{200, 404, 500, 503}).Draw(t, "status")
			r.LastByte = time.Duration(rapid.IntRange(0, 5).Draw(t, "took")) * time.Hour
			r.Outcome, r.Live = engine.OutcomeCompleted, nil
			e := &engine.Event{Kind: engine.KindRequestFinished, Request: r}
			l.apply(e, 0)
			m.apply(e)
		}
		t.Repeat(map[string]func(*rapid.T){
			"start": func(*rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "n") {
					next += engine.RequestID(rapid.SampledFrom([]int{1, 1, 1, 2, 9}).Draw(t, "gap"))
					e := &engine.Event{Kind: engine.KindRequestStarted, Request: made(next)}
					lives = append(lives, e.Request.Live)
					l.apply(e, 0)
					m.apply(e)
				}
			},
			"end":  func(*rapid.T) { end(engine.RequestID(rapid.IntRange(1, int(next)+3).Draw(t, "id"))) },
			"late": func(*rapid.T) { end(next + engine.RequestID(rapid.IntRange(0, 3).Draw(t, "ahead")) + 1); next += 4 },
			"start late": func(*rapid.T) {
				e := &engine.Event{Kind: engine.KindRequestStarted, Request: made(engine.RequestID(rapid.IntRange(1, int(next)+1).Draw(t, "id")))}
				l.apply(e, 0)
				m.apply(e)
			},
			"move": func(*rapid.T) {
				if len(lives) > 0 {
					live := rapid.SampledFrom(lives).Draw(t, "live")
					live.Connection.Store(1)
					live.Status.Store(int32(rapid.SampledFrom([]int{0, 200, 502}).Draw(t, "status")))
					live.ResponseBytes.Add(1)
				}
			},
			"over": func(*rapid.T) {
				if len(lives) > 0 {
					rapid.SampledFrom(lives).Draw(t, "live").Over.Store(true)
				}
			},
			"lose": func(*rapid.T) { l.distrust(false); m.lose() },
			"greet": func(*rapid.T) {
				g := &engine.Greeting{ID: "a", Labels: map[string]string{"zone": rapid.SampledFrom([]string{"x", "y"}).Draw(t, "zone")}}
				known["a"] = g.Labels
				l.apply(&engine.Event{Kind: engine.KindGreetingReceived, Greeting: g}, 0)
			},
			"ask": func(*rapid.T) {
				if len(queries) < 12 && rapid.Bool().Draw(t, "new") || len(queries) == 0 {
					queries = append(queries, engine.RequestQuery{
						Filter: rapid.SampledFrom(filters).Draw(t, "filter"), Order: engine.RequestOrder(rapid.IntRange(0, int(engine.ByPath)).Draw(t, "order")), Ascending: rapid.Bool().Draw(t, "ascending"),
					})
				}
				q := rapid.SampledFrom(queries).Draw(t, "query")
				q.Count, q.Offset = rapid.IntRange(0, 30).Draw(t, "count"), rapid.IntRange(0, 12).Draw(t, "offset")
				if rapid.Bool().Draw(t, "paused") {
					q.Until = engine.RequestID(rapid.IntRange(0, int(next)).Draw(t, "until"))
				}
				if rapid.Bool().Draw(t, "around") {
					q.At = engine.RequestID(rapid.IntRange(0, int(next)+2).Draw(t, "at"))
				}
				for id := range next {
					if rapid.IntRange(0, 9).Draw(t, "mark") == 0 {
						q.Marked = append(q.Marked, id)
					}
				}
				want, ids := m.query(t, q, known)
				var got engine.RequestPage
				if err := l.Requests(t.Context(), q, &got); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(idsOf(got.Requests), ids) {
					t.Fatalf("%+v:\n got %v\nwant %v", q, idsOf(got.Requests), ids)
				}
				if got.Offset != want.Offset || got.Matched != want.Matched || got.Kept != want.Kept || got.After != want.After || got.Capacity != capacity {
					t.Fatalf("%+v:\n got %+v\nwant %+v", q, got, want)
				}
				for i := range got.Requests {
					if fault := differs(l, m, &got.Requests[i]); fault != "" {
						t.Fatal(fault)
					}
				}
			},
			"": func(t *rapid.T) {
				if fault := unsound(l); fault != "" {
					t.Fatal(fault)
				}
			},
		})
	})
}

// differs says what a page or Request has wrong about a record.
func differs(l *Log, m *model, got *engine.Request) string {
	i, _ := m.find(got.ID)
	want := m.records[i]
	if (want.Live == nil) != (got.Live == nil) || want.Outcome != got.Outcome || want.Reason != got.Reason || want.Client != got.Client {
		return fmt.Sprintf("record %+v, want %+v", got, want)
	}
	return ""
}

// unsound says what is wrong with a log's bookkeeping.
func unsound(l *Log) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := &l.ring
	var last engine.RequestID
	bytes, flight, asides := 0, 0, 0
	texts, fields := map[uint32]int{}, map[uint32]int{}
	for p := g.first; p < g.next; p++ {
		r := g.at(p)
		if r.ID <= last {
			return fmt.Sprintf("%v stands after %v", r.ID, last)
		}
		last = r.ID
		if q, ok := g.find(r.ID); !ok || q != p {
			return fmt.Sprintf("%v is at %d, found at %d", r.ID, p, q)
		}
		if g.live(r) != nil {
			if flight++; r.settled != 0 || g.slot(g.flight[r.flight]) != r {
				return fmt.Sprintf("%v is in flight and not listed", r.ID)
			}
		} else if r.settled == 0 {
			return fmt.Sprintf("%v has no rest", r.ID)
		}
		if r.size != r.measure() {
			return fmt.Sprintf("%v has %d bytes, says %d", r.ID, r.measure(), r.size)
		}
		bytes += int(r.size)
		if r.aside > 0 {
			asides++
		}
		for of, refs := range map[*map[uint32]int][]ref{&texts: {r.text}, &fields: {r.request, r.response}} {
			for _, x := range refs {
				if x.size > 0 {
					(*of)[x.piece]++
				}
			}
		}
	}
	if used := len(g.asides) - len(g.noAside); used != asides {
		return fmt.Sprintf("%d things stand aside, %d of records", used, asides)
	}
	for of, p := range map[*map[uint32]int]*packer{&texts: &g.texts, &fields: &g.fields} {
		for n, x := range p.pieces {
			if x.uses != (*of)[uint32(n)] || x.uses == 0 && x.text != "" && uint32(n) != p.last {
				return fmt.Sprintf("a piece has %d texts, says %d and holds %d bytes", (*of)[uint32(n)], x.uses, len(x.text))
			}
		}
	}
	if bytes != g.bytes || flight != len(g.flight) {
		return strings.TrimSpace(fmt.Sprintf("%d bytes, says %d; %d in flight, says %d", bytes, g.bytes, flight, len(g.flight)))
	}
	return ""
}
