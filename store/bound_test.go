package store

import (
	"fmt"
	"strings"
	"testing"

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
