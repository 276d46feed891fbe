package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"adit/engine"
)

// Clients choose their labels: many that say much must not fill the memory.
func TestLabelsAreBounded(t *testing.T) {
	l := empty(10, 1<<20)
	greet := func(client string, value string) {
		g := &engine.Greeting{ID: client, Labels: map[string]string{}}
		for i := range 64 {
			g.Labels[fmt.Sprint("label-", i)] = value
		}
		put(l, engine.Event{Kind: engine.KindGreetingReceived, Greeting: g})
	}
	for i := range 2000 {
		greet(fmt.Sprint("edge-", i), strings.Repeat("x", 256))
	}
	b := &l.labels
	if b.bytes > maxLabelBytes || len(b.of) < 100 || len(b.of) != len(b.clients) || b.of["edge-1999"] == nil || b.of["edge-0"] != nil {
		t.Errorf("%d clients, %d listed, %d bytes", len(b.of), len(b.clients), b.bytes)
	}
	greet("edge-1999", "y")
	sum := 0
	for _, of := range b.of {
		sum += labelBytes(of)
	}
	if b.bytes != sum {
		t.Errorf("%d bytes, says %d", sum, b.bytes)
	}
}

// While new records push heads out, exchanges that took long end far behind
// them. To go back for the heads of each would take the ingest milliseconds.
func TestLateHeadsDoNotMakeTrimGoBack(t *testing.T) {
	const many, late = 60_000, 200
	text := strings.Repeat("a", 4000)
	with := func(id int) engine.Event {
		e := finished(id)
		e.Request.Heads = &engine.Heads{Request: text, Response: text}
		return e
	}
	l := empty(defaultRecords, defaultBytes)
	for id := 1; id <= late; id++ {
		put(l, started(id))
	}
	for id := late + 1; id <= many; id++ {
		put(l, with(id))
	}
	before := l.ring.heads
	for id := 1; id <= late; id++ {
		put(l, with(id))
		if l.ring.heads < before {
			t.Fatalf("back from %d to %d", before, l.ring.heads)
		}
		put(l, with(many+id))
	}
	if fault := unsound(l); fault != "" {
		t.Error(fault)
	}
	if r, err := l.Request(t.Context(), many); err != nil || r.Heads == nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// While a filter is slower than what comes, a query ends all the same, and at no
// time keeps the ingest waiting for long: it would lose events.
func TestFilterThatCannotKeepUpHoldsNobodyUp(t *testing.T) {
	const many, bunch = 1500, 1000
	head := &engine.Heads{Request: "x: " + strings.Repeat("ab", 2000) + "\n"}
	l := empty(defaultRecords, 1<<30)
	for id := 1; id <= many; id++ {
		e := finished(id)
		e.Request.Heads = head
		put(l, e)
	}
	const slow = `header.x:/(a.*b.*c|x.*y.*z)/`
	done := make(chan engine.RequestPage)
	go func() {
		var page engine.RequestPage
		if err := l.Requests(t.Context(), engine.RequestQuery{Filter: slow, Count: 1}, &page); err != nil {
			t.Error(err)
		}
		done <- page
	}()
	var longest time.Duration
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for id := many + 1; ; {
		select {
		case page := <-done:
			if longest > page.Took/4 {
				t.Errorf("the ingest waited for %v of %v", longest, page.Took)
			}
			sameWhenAskedAnew(t, l, []engine.RequestQuery{{Filter: slow}})
			return
		case <-tick.C:
			events := make([]engine.Event, bunch)
			for i := range events {
				events[i] = finished(id)
				id++
			}
			begun := time.Now()
			put(l, events...)
			longest = max(longest, time.Since(begun))
		}
	}
}
