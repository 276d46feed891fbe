package pane

import (
	"fmt"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/observe"
)

func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }

// seen is a meter that saw bytes move for some seconds, and the last snapshot.
func seen(role engine.Role, conns ...engine.Connection) (*observe.Meter, *engine.Snapshot) {
	m := observe.NewMeter()
	s := &engine.Snapshot{Role: role, Started: at(-100), Connections: conns}
	for i := range 5 {
		s.Time = at(i)
		for n := range s.Connections {
			s.Connections[n].BytesIn += 1000 * uint64(n+1)
			s.Connections[n].Exchanges += 10
			s.Connections[n].Failed += uint64(n)
		}
		m.Add(s)
	}
	return m, s
}

func names(r *Rows) (all []string) {
	for _, c := range r.Clients {
		all = append(all, fmt.Sprintf("%s %v", c.Name, c.Connections))
	}
	return all
}

func TestConnectionsGroupedByClient(t *testing.T) {
	m, s := seen(engine.RoleServer,
		engine.Connection{ID: 1, Client: "b", Opened: at(-10), State: engine.StateBusy, InFlight: 2, RTT: 10 * time.Millisecond},
		engine.Connection{ID: 2, Client: "a", Opened: at(-9), State: engine.StateIdle},
		engine.Connection{ID: 3, Client: "b", Opened: at(-30), State: engine.StateDraining, RTT: 30 * time.Millisecond,
			Greeting: &engine.Greeting{PoolSize: 2}},
		engine.Connection{ID: 4, Opened: at(-1), State: engine.StateGreeting})
	r := new(Rows)
	r.Update(s, m)
	if got := fmt.Sprint(names(r)); got != "[ [3] a [1] b [0 2]]" {
		t.Fatalf("%v", got)
	}
	b := r.Clients[r.Index("b")]
	if b.Busy != 1 || b.Draining != 1 || b.InFlight != 2 || b.Oldest != 2 || b.RTT != 20 || b.Pool != 2 || r.Index("c") != -1 {
		t.Errorf("%+v", b)
	}
	if b.BytesIn < 3900 || b.BytesIn > 4100 || b.Failed < 0.09 || b.Failed > 0.11 {
		t.Errorf("%v bytes per second, %v failed", b.BytesIn, b.Failed)
	}
	if in, out := r.History(r.Index("b")); in[observe.HistorySamples-2] != 4000 || in[0] != -1 || out[observe.HistorySamples-2] != 0 {
		t.Errorf("in %v\nout %v", in, out)
	}

	s.Connections = s.Connections[1:2]
	m.Add(s)
	r.Update(s, m)
	if got := fmt.Sprint(names(r)); got != "[a [0]]" || r.Index("b") != -1 {
		t.Errorf("%v after the others have gone", got)
	}
}

func TestConnectionsGroupedByServer(t *testing.T) {
	m, s := seen(engine.RoleClient, engine.Connection{ID: 1, Client: "me", Server: "wss://two/register", Opened: at(-3)})
	s.Servers = []engine.Server{{URL: "wss://one/register", Wanted: 4}, {URL: "wss://two/register", Wanted: 8}}
	r := new(Rows)
	r.Update(s, m)
	if got := fmt.Sprint(names(r)); got != "[wss://one/register [] wss://two/register [0]]" {
		t.Fatalf("%v", got)
	}
	if c := r.Clients[0]; c.Pool != 4 || c.Oldest != -1 || c.Failed != -1 {
		t.Errorf("a server without a connection: %+v", c)
	}
}

func TestGroupingThatAllocates(t *testing.T) {
	conns := make([]engine.Connection, 500)
	for i := range conns {
		conns[i] = engine.Connection{ID: engine.ConnectionID(i + 1), Client: fmt.Sprint("client-", i%17), Opened: at(-i)}
	}
	m, s := seen(engine.RoleServer, conns...)
	r := new(Rows)
	r.Update(s, m)
	if n := testing.AllocsPerRun(20, func() {
		r.Update(s, m)
		r.History(3)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRows(b *testing.B) {
	for _, n := range []int{42, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			conns := make([]engine.Connection, n)
			for i := range conns {
				conns[i] = engine.Connection{ID: engine.ConnectionID(i + 1), Client: fmt.Sprint("client-", i%100), Opened: at(-i)}
			}
			m, s := seen(engine.RoleServer, conns...)
			r := new(Rows)
			b.ReportAllocs()
			for b.Loop() {
				r.Update(s, m)
				r.History(1)
			}
		})
	}
}
