package pane

import (
	"slices"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/observe"
)

// Rows are the connections of a frame grouped by client, as every screen shows
// and counts them. (At a client, by server.)
type Rows struct {
	Clients []Client // in order of name

	named map[string]int // index in Clients
	meter *observe.Meter
	at    time.Time // of the snapshot
	many  bool      // connections
	round uint64
}

// Where there are more connections than these, histories are summed anew only
// when a second has passed.
const manyConnections = 2000

// A Client is everything that is known of one client id. At a client it is
// everything that is known of one server.
type Client struct {
	Known       bool   // rates are of an interval that was seen
	Name        string // not sanitised; "" where there was no greeting yet
	Connections []int  // indices into Snapshot.Connections, in order; at a client there may be none
	Busy        int
	Draining    int
	InFlight    int
	Pool        int       // connections that the pool is to hold: of the newest greeting, or a client's own; 0 unknown
	Oldest      int       // index of the connection that is open longest; -1 none
	Since       time.Time // when that was opened
	RTT         float64   // ms, mean of its connections; 0 unknown
	BytesIn     float64   // per second, as those below
	BytesOut    float64
	Requests    float64
	Failed      float64 // share; -1 unknown

	round, summed uint64
	summedAt      time.Time // snapshot that they were summed of
	newest        time.Time // greeting that Pool is of
	rtts          int
	failed        float64  // requests per second that failed
	ended         float64  // of so many whose end is known
	history       *history // nil until somebody asks: clients are moved about
}

// A history is bytes per second, one value a second.
type history struct {
	in, out [observe.HistorySamples]float32
}

// Update groups s anew; m is the meter that has seen s. It keeps m, for
// [Rows.History], and nothing of s.
func (r *Rows) Update(s *engine.Snapshot, m *observe.Meter) {
	r.round++
	if r.meter != m {
		for i := range r.Clients {
			r.Clients[i].summedAt = time.Time{}
		}
	}
	r.meter, r.at, r.many = m, s.Time, len(s.Connections) > manyConnections
	if r.named == nil {
		r.named = map[string]int{}
	}
	known := len(r.Clients)
	if s.Role == engine.RoleClient {
		for i := range s.Servers {
			c := r.client(s.Servers[i].URL)
			c.Pool = s.Servers[i].Wanted
		}
	}
	for i := range s.Connections {
		conn := &s.Connections[i]
		name := conn.Client
		if s.Role == engine.RoleClient {
			name = conn.Server
		}
		r.client(name).add(i, conn, m.Rates(i))
	}
	fewer := false
	for i := range r.Clients {
		c := &r.Clients[i]
		fewer = fewer || c.round != r.round
		if c.rtts > 0 {
			c.RTT /= float64(c.rtts)
		}
		if c.ended > 0 {
			c.Failed = c.failed / c.ended
		}
	}
	if !fewer && known == len(r.Clients) {
		return
	}
	r.Clients = slices.DeleteFunc(r.Clients, func(c Client) bool { return c.round != r.round })
	slices.SortFunc(r.Clients, func(a, b Client) int { return strings.Compare(a.Name, b.Name) })
	clear(r.named)
	for i := range r.Clients {
		r.named[r.Clients[i].Name] = i
	}
}

// client returns the client of that name, emptied if it is met for the first
// time in this round.
func (r *Rows) client(name string) *Client {
	i, ok := r.named[name]
	if !ok {
		i = len(r.Clients)
		r.Clients = append(r.Clients, Client{Name: strings.Clone(name)})
		r.named[r.Clients[i].Name] = i
	}
	c := &r.Clients[i]
	if c.round != r.round {
		c.round, c.Connections, c.Known = r.round, c.Connections[:0], true
		c.Busy, c.Draining, c.InFlight, c.Pool, c.Oldest = 0, 0, 0, 0, -1
		c.RTT, c.BytesIn, c.BytesOut, c.Requests, c.Failed = 0, 0, 0, 0, -1
		c.rtts, c.failed, c.ended, c.newest, c.Since = 0, 0, 0, time.Time{}, time.Time{}
	}
	return c
}

func (c *Client) add(i int, conn *engine.Connection, g *observe.Gauge) {
	c.Connections = append(c.Connections, i)
	switch conn.State {
	case engine.StateBusy:
		c.Busy++
	case engine.StateDraining, engine.StateClosing:
		c.Draining++
	}
	c.InFlight += conn.InFlight
	if c.Oldest < 0 || conn.Opened.Before(c.Since) {
		c.Oldest, c.Since = i, conn.Opened
	}
	if conn.Greeting != nil && conn.Greeting.PoolSize > 0 && !conn.Opened.Before(c.newest) && conn.Server == "" {
		c.newest, c.Pool = conn.Opened, conn.Greeting.PoolSize
	}
	if conn.RTT > 0 {
		c.RTT += float64(conn.RTT) / float64(time.Millisecond)
		c.rtts++
	}
	if len(c.Connections) == 1 {
		c.Known = false // of its connections one has to be
	}
	c.Known = c.Known || g.Known
	c.BytesIn += g.BytesIn
	c.BytesOut += g.BytesOut
	c.Requests += g.Requests
	if g.Failed >= 0 {
		// Connections without a request now still weigh something.
		weight := max(g.Requests, 1e-6)
		c.failed += g.Failed * weight
		c.ended += weight
	}
}

// Index returns where a client is in Clients, -1 if it is not.
func (r *Rows) Index(name string) int {
	if i, ok := r.named[name]; ok {
		return i
	}
	return -1
}

// History returns the bytes per second of all connections of a client, one value
// a second, the newest last; -1 where nothing is known. They are summed when
// asked for, where there are more than 2,000 connections every second or two, and
// valid until the next Update. What a connection that is gone had
// carried is not in them.
func (r *Rows) History(client int) (in, out []float32) {
	c := &r.Clients[client]
	if c.history == nil {
		c.history = new(history)
	}
	h := c.history
	if c.summed == r.round {
		return h.in[:], h.out[:]
	}
	c.summed = r.round
	for i := range h.in {
		h.in[i], h.out[i] = -1, -1
	}
	for _, i := range c.Connections {
		g := r.meter.Connection(i)
		sum(&h.in, &g.In)
		sum(&h.out, &g.Out)
	}
	return h.in[:], h.out[:]
}

func sum(into *[observe.HistorySamples]float32, h *observe.History) {
	for i, v := range h.Values {
		if v >= 0 {
			into[i] = max(into[i], 0) + v
		}
	}
}
