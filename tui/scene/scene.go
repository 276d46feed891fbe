// Package scene is an invented engine for pictures, benchmarks and measuring: a
// server with clients and traffic of which every number follows from the time
// alone. Nothing in it is random, so that two looks at the same moment are the
// same.
package scene

import (
	"fmt"
	"math"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/observe"
)

// Clock is the moment of the pictures.
func Clock() time.Time { return time.Date(2026, 11, 22, 15, 4, 12, 0, time.UTC) }

// Options say how large a scene is.
type Options struct {
	Connections int       // 0: the 42 of the pictures
	Requests    int       // kept by the log; 0: 98,204
	Rate        float64   // requests per second; 0: 1,204
	Origin      time.Time // what stands for [Clock]; zero: Clock itself
}

// A Scene is the state of an invented engine. Its methods may be called from any
// goroutine.
type Scene struct {
	o       Options
	pace    float64 // of everything, against the pictures
	clients []client
	conns   []connection
	own     map[string][]int // indices in conns, by client

	mu       sync.Mutex // guards what follows
	closed   map[engine.ConnectionID]bool
	draining map[engine.ConnectionID]bool
	banned   []string
	stopping bool
}

// A client of the pictures; rates are per second, of all its connections.
type client struct {
	name            string
	pool, busy      int
	region, arch    string
	rtt             float64 // ms
	in, out         float64 // KiB
	requests        float64
	failed          float64 // share
	protocol        engine.Protocol
	expose          []engine.Expose
	peer            string
	drains          int     // index of a connection that drains, -1 none
	tide            float64 // where in its wave the traffic is
	openedHours     float64 // the oldest connection
	callerGone      float64 // share
	labelOwner, ver string
}

func clients() []client {
	const native, classic = engine.ProtocolNative, engine.ProtocolClassic
	shop := []engine.Expose{
		{Host: "shop", URL: "https://shop.example.com"},
		{Host: "api", URL: "https://api.example.com"},
	}
	ssh := []engine.Expose{{TCP: 2222, URL: "tcp://example.com:2222"}}
	return []client{
		{"edge-fra-01", 8, 2, "fra", "amd64", 3.1, 1.9 * 1024, 14.2 * 1024, 212, 0, native, nil, "192.0.2.14", -1, 1.3, 146.5, 0.01, "ops", "0.9.3"},
		{"edge-fra-02", 8, 1, "fra", "amd64", 3.4, 1.7 * 1024, 11.0 * 1024, 188, 0.001, native, nil, "192.0.2.15", 3, 2.6, 146.2, 0.01, "ops", "0.9.3"},
		{"edge-iad-01", 12, 3, "iad", "amd64", 88.2, 4.0 * 1024, 31.9 * 1024, 410, 0.004, native, shop, "198.51.100.20", -1, 0.2, 146.8, 0.02, "ops", "0.9.3"},
		{"edge-sin-01", 8, 2, "sin", "arm64", 231.5, 4.6 * 1024, 29.9 * 1024, 371, 0.029, native, shop, "203.0.113.77", 4, 4.1, 146.1, 0.02, "ops", "0.9.3"},
		{"kiosk-berlin", 4, 1, "ber", "amd64", 41.7, 210, 1.1 * 1024, 22, 0, classic, nil, "198.51.100.93", -1, 5.0, 30.4, 0, "", ""},
		{"lab-rpi4", 2, 0, "lab", "arm64", 19.0, 3, 12, 1, 0, native, ssh, "203.0.113.9", -1, 0.9, 9.2, 0, "lab", "0.9.2"},
	}
}

// A connection of a scene.
type connection struct {
	id     engine.ConnectionID
	client *client
	nth    int
	share  float64 // of what its client carries
	opened time.Duration
	pinged time.Duration // when in its 20 s this end pings
	peer   string
	state  engine.ConnectionState
	flight int
	hello  *engine.Greeting
	tide   float64
}

// pingEvery is the interval of the server's pings.
const pingEvery = 20 * time.Second

// New returns a scene.
func New(o Options) *Scene {
	if o.Connections <= 0 {
		o.Connections = 42
	}
	if o.Requests <= 0 {
		o.Requests = 98_204
	}
	if o.Rate <= 0 {
		o.Rate = 1204
	}
	if o.Origin.IsZero() {
		o.Origin = Clock()
	}
	s := &Scene{o: o, pace: o.Rate / 1204, closed: map[engine.ConnectionID]bool{}, draining: map[engine.ConnectionID]bool{}, own: map[string][]int{}}
	s.clients = clients()
	all := s.clients
	counts := make([]int, len(all))
	for id := 1; len(s.conns) < o.Connections; id++ {
		// Pools fill in turns, as they do when a server starts.
		i := fill(all, counts, len(s.conns))
		s.conns = append(s.conns, s.connection(engine.ConnectionID(id*7+3), &all[i], counts[i]))
		counts[i]++
		s.own[all[i].name] = append(s.own[all[i].name], len(s.conns)-1)
	}
	sums := map[*client]float64{}
	for i := range s.conns {
		sums[s.conns[i].client] += s.conns[i].share
	}
	for i := range s.conns {
		s.conns[i].share /= sums[s.conns[i].client]
	}
	return s
}

// fill returns the client whose pool is filled least.
func fill(all []client, counts []int, n int) int {
	best, least := 0, math.Inf(1)
	for i := range all {
		if part := (float64(counts[i]) + 0.5) / float64(all[i].pool); part < least {
			best, least = i, part
		}
	}
	return best
}

func (s *Scene) connection(id engine.ConnectionID, c *client, nth int) connection {
	n := noise(uint64(id), 1)
	conn := connection{
		id: id, client: c, nth: nth,
		share:  0.4 + n,
		opened: time.Duration(math.Pow(noise(uint64(id), 2), 3) * 1.3 * float64(time.Hour)),
		pinged: time.Duration(noise(uint64(id), 3) * float64(pingEvery)),
		peer:   fmt.Sprintf("%s:%d", c.peer, 40000+uint64(id)%20000),
		state:  engine.StateIdle,
	}
	conn.opened += 2 * time.Minute
	if nth == 0 {
		conn.opened = time.Duration(c.openedHours * float64(time.Hour))
	}
	switch {
	case nth%c.pool < c.busy:
		conn.state, conn.flight = engine.StateBusy, 1+int(noise(uint64(id), 4)*3)
		if c.protocol == engine.ProtocolClassic {
			conn.flight = 1
		}
	case nth%c.pool == c.drains:
		conn.state = engine.StateDraining
	}
	conn.hello = greeting(c)
	conn.tide = 0.1*c.tide + 0.03*float64(nth%12) - 0.33
	return conn
}

func greeting(c *client) *engine.Greeting {
	g := &engine.Greeting{ID: c.name, PoolSize: c.pool, Expose: c.expose}
	if c.protocol == engine.ProtocolClassic {
		g.Raw = fmt.Sprintf("%s_%d", c.name, c.pool)
		g.Size = len(g.Raw)
		return g
	}
	g.Version, g.Hostname, g.OS, g.Arch, g.Instance = c.ver, c.name, "linux", c.arch, "0190f0c2"
	g.Labels = map[string]string{"region": c.region, "tier": "edge", "owner": c.labelOwner}
	g.Raw = fmt.Sprintf(`{"id":%q,"pool":%d,"version":%q,"os":"linux","arch":%q,"labels":{"region":%q,"tier":"edge"}}`,
		c.name, c.pool, c.ver, c.arch, c.region)
	g.Size = len(g.Raw)
	return g
}

// noise is a number of 0 to 1 that follows from two others.
func noise(n, kind uint64) float64 {
	n = n*0x9e3779b97f4a7c15 + kind*0xbf58476d1ce4e5b9
	n ^= n >> 30
	n *= 0xbf58476d1ce4e5b9
	n ^= n >> 27
	n *= 0x94d049bb133111eb
	n ^= n >> 31
	return float64(n>>11) / (1 << 53)
}

// wave is how far ahead of its even rate something is after t seconds. It is
// never so steep that a total would fall.
func wave(t, tide float64) float64 {
	return 0.35*math.Sin(t/19+math.Pi/2+tide)*19 + 0.15*math.Sin(t/3.1+math.Pi/2+2*tide+0.15)*3.1
}

// Snapshot returns the state at the moment of the pictures.
func Snapshot() *engine.Snapshot {
	s := new(engine.Snapshot)
	New(Options{}).At(0, s)
	return s
}

// Meter returns a meter that has seen a scene up to the moment of the pictures,
// every second for so long, and the snapshot that it saw last.
func (s *Scene) Meter(long time.Duration) (*observe.Meter, *engine.Snapshot) {
	m, at := observe.NewMeter(), new(engine.Snapshot)
	for t := -long.Truncate(time.Second); t <= 0; t += time.Second {
		s.At(t, at)
		m.Add(at)
	}
	return m, at
}
