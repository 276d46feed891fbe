package playback

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"adit/engine"
	"adit/store/history"
)

// Snapshot implements [engine.Engine] with the state at the moment that is shown.
func (r *Recording) Snapshot(ctx context.Context, into *engine.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	at, _ := r.now()
	m, err := r.moment(ctx, at)
	if err != nil {
		return err
	}
	return r.details.snapshot(ctx, r, at, m, into)
}

// details are what snapshots were made of last: the next one is mostly the same.
type details struct {
	mu          sync.Mutex // held while the database is read
	connections map[engine.ConnectionID]engine.Connection
	sample      sampled
	open        []engine.ConnectionID
	sums        map[engine.RequestID]engine.Totals // of requests up to one
}

// A sampled is what was sampled at one moment.
type sampled struct {
	time        int64 // 0 nothing
	totals      engine.Totals
	waiting     int
	state       history.State
	connections map[engine.ConnectionID]counters
}

// counters are what was sampled of one connection.
type counters struct {
	state             engine.ConnectionState
	inFlight          int
	exchanges, failed uint64
	rtt               time.Duration
	traffic           engine.Traffic
}

const (
	maxDetails = 20_000 // connections
	maxSums    = 64

	maxParameters = 250 // connections that one query asks for
)

func (d *details) snapshot(ctx context.Context, r *Recording, at time.Time, m moment, into *engine.Snapshot) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	run := r.runAt(at)
	listen, connections, servers := into.Listen[:0], into.Connections[:0], into.Servers[:0]
	expose, banned, closes, limits := into.Expose[:0], into.Banned[:0], into.Closes[:0], into.Limits[:0]
	*into = engine.Snapshot{
		Seq: m.event, Time: at,
		Role: run.role, Name: run.name, Version: run.version, Instance: run.instance, Started: time.Unix(0, run.started),
	}
	d.open = r.openAt(at, d.open[:0])
	if err := d.read(ctx, r, m); err != nil {
		return err
	}
	s := &d.sample
	if s.time > 0 {
		if x := &s.state; !x.Started.IsZero() {
			into.Started, into.Instance = x.Started, x.Instance
		}
		into.Draining, into.Waiting, into.Totals = s.state.Draining, s.waiting, s.totals
		listen, servers, expose = append(listen, s.state.Listen...), append(servers, s.state.Servers...), append(expose, s.state.Expose...)
		banned, closes = append(banned, s.state.Banned...), append(closes, s.state.Closes...)
		limits = append(limits, s.state.Limits...)
	} else if !r.sampled {
		into.Draining, banned = r.totals.drained(run.id, m.event, banned)
		into.Totals = difference(d.sums[m.request], d.sums[run.firstRequest-1])
	}
	for _, id := range d.open {
		c, ok := d.connections[id]
		if !ok {
			continue
		}
		d.asOf(&c, at, m)
		connections = append(connections, c)
	}
	into.Listen, into.Connections, into.Servers, into.Expose, into.Banned, into.Closes = listen, connections, servers, expose, banned, closes
	into.Limits = limits
	return nil
}

// asOf makes c, as it is known, what it was at a moment.
func (d *details) asOf(c *engine.Connection, at time.Time, m moment) {
	c.State = engine.StateIdle
	if c.GreetingReady.IsZero() || c.GreetingReady.After(at) {
		c.State, c.Greeting, c.GreetingReady = engine.StateGreeting, nil, time.Time{}
	}
	x, ok := d.sample.connections[c.ID]
	if !ok {
		return
	}
	c.State, c.InFlight, c.Exchanges, c.Failed, c.RTT, c.Traffic = x.state, x.inFlight, x.exchanges, x.failed, x.rtt, x.traffic
}

// openAt appends the connections that were there at a moment.
func (r *Recording) openAt(at time.Time, into []engine.ConnectionID) []engine.ConnectionID {
	n := at.UnixNano()
	for i := range r.lives {
		if x := &r.lives[i]; x.opened <= n && x.closed > n {
			into = append(into, x.id)
		}
	}
	return into
}

// read makes sure that the sample, the sums and the connections that are open are
// there.
func (d *details) read(ctx context.Context, r *Recording, m moment) error {
	var missing []engine.ConnectionID
	for _, id := range d.open {
		if _, ok := d.connections[id]; !ok {
			missing = append(missing, id)
		}
	}
	var sums []engine.RequestID
	if !r.sampled {
		for _, id := range []engine.RequestID{m.request, r.runAt(m.at).firstRequest - 1} {
			if _, ok := d.sums[id]; !ok {
				sums = append(sums, id)
			}
		}
	}
	if len(missing) == 0 && len(sums) == 0 && m.sample == d.sample.time {
		return nil
	}
	return r.file.Read(ctx, func(db *sql.Conn) error {
		if err := d.readConnections(ctx, db, missing); err != nil {
			return err
		}
		for _, id := range sums {
			if err := d.sum(ctx, db, &r.totals, id); err != nil {
				return err
			}
		}
		if m.sample == d.sample.time {
			return nil
		}
		return d.readSample(ctx, db, m.sample)
	})
}

const frames = "ifnull(frames_in_text, 0), ifnull(frames_in_binary, 0), ifnull(frames_in_continuation, 0), ifnull(frames_in_close, 0), ifnull(frames_in_ping, 0), ifnull(frames_in_pong, 0), " +
	"ifnull(frames_out_text, 0), ifnull(frames_out_binary, 0), ifnull(frames_out_continuation, 0), ifnull(frames_out_close, 0), ifnull(frames_out_ping, 0), ifnull(frames_out_pong, 0)"

func framesOf(t *engine.Traffic) []any {
	in, out := &t.FramesIn, &t.FramesOut
	return []any{
		&in.Text, &in.Binary, &in.Continuation, &in.Close, &in.Ping, &in.Pong,
		&out.Text, &out.Binary, &out.Continuation, &out.Close, &out.Ping, &out.Pong,
	}
}

func (d *details) readConnections(ctx context.Context, db *sql.Conn, ids []engine.ConnectionID) error {
	if len(ids) == 0 {
		return nil
	}
	if len(d.connections)+len(ids) > maxDetails || d.connections == nil {
		d.connections, ids = map[engine.ConnectionID]engine.Connection{}, d.open
	}
	for len(ids) > 0 {
		some := ids[:min(len(ids), maxParameters)]
		ids = ids[len(some):]
		if err := d.readSome(ctx, db, some); err != nil {
			return err
		}
	}
	return nil
}

// readSome reads connections, at most maxParameters.
func (d *details) readSome(ctx context.Context, db *sql.Conn, ids []engine.ConnectionID) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = int64(id)
	}
	rows, err := db.QueryContext(ctx, "SELECT id, client, peer, ifnull(protocol, ''), ifnull(opened, 0), ifnull(greeted, 0), ifnull(greeting, '') FROM connections WHERE id IN (?"+strings.Repeat(", ?", len(ids)-1)+")", args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err tells
	for rows.Next() {
		var c engine.Connection
		var protocol, greeting string
		var opened, greeted int64
		if err := rows.Scan(&c.ID, &c.Client, &c.Peer, &protocol, &opened, &greeted, &greeting); err != nil {
			return err
		}
		switch protocol {
		case engine.ProtocolNative.String():
			c.Protocol = engine.ProtocolNative
		case engine.ProtocolClassic.String():
			c.Protocol = engine.ProtocolClassic
		}
		if opened > 0 {
			c.Opened = time.Unix(0, opened)
		}
		var g engine.Greeting
		if greeted > 0 {
			c.GreetingReady = time.Unix(0, greeted)
		}
		if greeting != "" && json.Unmarshal([]byte(greeting), &g) == nil {
			c.Greeting = &g
		}
		d.connections[c.ID] = c
	}
	return rows.Err()
}

func (d *details) readSample(ctx context.Context, db *sql.Conn, at int64) error {
	s := sampled{time: at, connections: map[engine.ConnectionID]counters{}}
	if at == 0 {
		d.sample = s
		return nil
	}
	var state string
	t := &s.totals
	err := db.QueryRowContext(ctx, "SELECT requests, failed, bytes_in, bytes_out, waiting, state FROM totals WHERE time = ?", at).
		Scan(&t.Requests, &t.Failed, &t.BytesIn, &t.BytesOut, &s.waiting, &state)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(state), &s.state); err != nil {
		return err
	}
	t.FramesIn, t.FramesOut, t.Statuses = s.state.FramesIn, s.state.FramesOut, s.state.Statuses
	rows, err := db.QueryContext(ctx, "SELECT conn, state, in_flight, exchanges, failed, ifnull(rtt_us, 0), bytes_in, bytes_out, "+frames+" FROM samples WHERE time = ?", at)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err tells
	for rows.Next() {
		var id engine.ConnectionID
		var c counters
		var state string
		var rtt int64
		if err := rows.Scan(append([]any{&id, &state, &c.inFlight, &c.exchanges, &c.failed, &rtt, &c.traffic.BytesIn, &c.traffic.BytesOut}, framesOf(&c.traffic)...)...); err != nil {
			return err
		}
		c.state, c.rtt = stateOf(state), time.Duration(rtt)*time.Microsecond
		s.connections[id] = c
	}
	if err := rows.Err(); err != nil {
		return err
	}
	d.sample = s
	return nil
}

func stateOf(name string) engine.ConnectionState {
	for x := engine.StateGreeting; x <= engine.StateClosing; x++ {
		if x.String() == name {
			return x
		}
	}
	return engine.StateIdle
}

// sum finds the totals of the requests up to one.
func (d *details) sum(ctx context.Context, db *sql.Conn, t *tally, id engine.RequestID) error {
	m, known := t.upTo(id)
	if !known {
		return nil // it is left out until it has been summed up
	}
	rows, err := db.QueryContext(ctx, "SELECT status / 100, count(*), sum(ifnull(outcome, '') != 'completed') FROM requests WHERE id > ? AND id <= ? GROUP BY 1", int64(m.id), int64(id))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err tells
	for rows.Next() {
		var class int
		var n, failed uint64
		if err := rows.Scan(&class, &n, &failed); err != nil {
			return err
		}
		m.totals.Requests += n
		m.totals.Failed += failed
		if class >= 0 && class < len(m.totals.Statuses) {
			m.totals.Statuses[class] += n
		}
	}
	if len(d.sums) >= maxSums || d.sums == nil {
		d.sums = map[engine.RequestID]engine.Totals{}
	}
	d.sums[id] = m.totals
	return rows.Err()
}

// difference returns what a has more than b.
func difference(a, b engine.Totals) engine.Totals {
	if a.Requests < b.Requests {
		return engine.Totals{}
	}
	a.Requests -= b.Requests
	a.Failed -= b.Failed
	for i := range a.Statuses {
		a.Statuses[i] -= b.Statuses[i]
	}
	return a
}

// drained returns whether a run was draining when an event had come, and who was
// banned then.
func (t *tally) drained(run int64, upTo uint64, banned []string) (bool, []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	draining := false
	end := sort.Search(len(t.drains), func(i int) bool { return t.drains[i].key > upTo })
	for _, x := range t.drains[:end] {
		if x.run != run {
			continue
		}
		switch at := slices.Index(banned, x.target); {
		case x.kind == engine.KindDraining:
			draining = true
		case x.action == engine.ActionBan && at < 0:
			banned = append(banned, x.target)
		case x.action == engine.ActionUnban && at >= 0:
			banned = slices.Delete(banned, at, at+1)
		}
	}
	return draining, banned
}
