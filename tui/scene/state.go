package scene

import (
	"math"
	"time"

	"adit/engine"
)

// At fills into with the state so long after the moment of the pictures, reusing
// its slices.
func (s *Scene) At(t time.Duration, into *engine.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Origin.Add(t)
	listen, conns, banned, closes := into.Listen[:0], into.Connections[:0], into.Banned[:0], into.Closes[:0]
	*into = engine.Snapshot{
		Seq: uint64(max(0, 9800+int64(t/time.Second))), Time: now, Role: engine.RoleServer, Name: "edge-1", Version: "1.0.0",
		Started:  s.o.Origin.Add(-6*24*time.Hour - 3*time.Hour),
		Draining: s.stopping,
		Listen:   append(listen, "[::]:8080"),
		Banned:   append(banned, s.banned...),
		Closes: append(closes, engine.CloseCount{Code: 1000, Count: 14}, engine.CloseCount{Code: 1001, Count: 5},
			engine.CloseCount{Code: 1006, Count: 2}),
	}
	seconds := t.Seconds()
	total := &into.Totals
	// What ended connections carried.
	*total = engine.Totals{
		Requests: 61_000_000, Failed: 330_000, BytesIn: 11 << 30, BytesOut: 95 << 30,
		FramesIn:  engine.Frames{Text: 8_000, Binary: 320_000, Continuation: 204, Close: 12, Ping: 410, Pong: 409},
		FramesOut: engine.Frames{Text: 7_990, Binary: 1_100_000, Continuation: 8, Close: 9, Ping: 409, Pong: 410},
		Statuses:  [6]uint64{0, 1_204, 53_000_000, 4_200_000, 3_400_000, 398_796},
	}
	for i := range s.conns {
		c := &s.conns[i]
		if s.closed[c.id] || t < -c.opened {
			continue
		}
		conns = append(conns, engine.Connection{})
		s.fill(&conns[len(conns)-1], c, now, seconds)
		add(total, &conns[len(conns)-1], c)
	}
	into.Connections = conns
}

// add counts what a connection carried.
func add(t *engine.Totals, c *engine.Connection, of *connection) {
	t.Requests += c.Exchanges
	t.BytesIn += c.BytesIn
	t.BytesOut += c.BytesOut
	addFrames(&t.FramesIn, &c.FramesIn)
	addFrames(&t.FramesOut, &c.FramesOut)
	gone := uint64(float64(c.Exchanges) * of.client.callerGone)
	t.Failed += c.Failed + gone
	// Of what failed most have a status of 500 or more.
	server := uint64(float64(c.Failed) * 0.77)
	rest := c.Exchanges - min(c.Exchanges, c.Failed+gone)
	t.Statuses[5] += server
	t.Statuses[4] += gone + c.Failed - server + rest*3/100
	t.Statuses[3] += rest * 9 / 100
	t.Statuses[2] += rest - rest*3/100 - rest*9/100
}

func addFrames(t, f *engine.Frames) {
	t.Text += f.Text
	t.Binary += f.Binary
	t.Continuation += f.Continuation
	t.Close += f.Close
	t.Ping += f.Ping
	t.Pong += f.Pong
}

func (s *Scene) fill(into *engine.Connection, c *connection, now time.Time, t float64) {
	opened := s.o.Origin.Add(-c.opened)
	age := c.opened.Seconds() + t
	scale := max(0, age+wave(t, c.tide)-wave(0, c.tide)) * s.pace * c.share
	carried := func(rate float64) uint64 { return uint64(rate * scale) }
	*into = engine.Connection{
		ID: c.id, Client: c.client.name, Peer: c.peer, Protocol: c.client.protocol, State: c.state, Opened: opened,
		Greeting: c.hello, InFlight: c.flight, GreetingReady: opened.Add(4 * time.Millisecond),
		PingEvery: pingEvery, Credential: "edge",
		Exchanges: carried(c.client.requests),
	}
	if c.client.protocol == engine.ProtocolClassic {
		into.Credential = ""
	}
	if s.draining[c.id] || s.stopping {
		into.State = engine.StateDraining
	}
	into.Failed = uint64(float64(into.Exchanges) * c.client.failed)
	into.BytesIn, into.BytesOut = carried(c.client.in*1024), carried(c.client.out*1024)
	pings := uint64(max(0, (age+c.pinged.Seconds())/pingEvery.Seconds()))
	into.FramesIn = engine.Frames{
		Text: carried(c.client.requests * 0.99), Binary: carried(c.client.requests * 8.1),
		Continuation: carried(2.0 / 6), Ping: pings, Pong: pings,
	}
	into.FramesOut = engine.Frames{
		Text: carried(c.client.requests * 0.99), Binary: carried(c.client.requests * 50.6),
		Ping: pings, Pong: pings,
	}
	into.ShapeIn, into.ShapeOut = shape(into.FramesIn, c), shape(into.FramesOut, c)
	into.ShapeIn.Fragmented = into.FramesIn.Continuation
	into.RTT = rtt(c, pings)
	into.RTTMin = time.Duration(c.client.rtt * 0.86 * float64(time.Millisecond))
	next := float64(pings+1)*pingEvery.Seconds() - c.pinged.Seconds() - age
	into.PingNext = now.Add(time.Duration(next * float64(time.Second)))
}

// shape spreads the data frames over sizes.
func shape(f engine.Frames, c *connection) engine.FrameShape {
	n := f.Text + f.Binary + f.Continuation
	last := []struct {
		opcode uint8
		length uint64
	}{{10, 4}, {2, 4096}, {1, 312}, {9, 4}, {2, 16384}}[uint64(c.id)%5]
	return engine.FrameShape{Sizes: [4]uint64{n * 3 / 25, n * 5 / 25, n * 12 / 25, n - n*3/25 - n*5/25 - n*12/25},
		LastOpcode: last.opcode, LastLength: last.length}
}

// rtt is what the newest ping took: now and then one takes long.
func rtt(c *connection, ping uint64) time.Duration {
	n := noise(uint64(c.id)<<20+ping, 5)
	ms := c.client.rtt * (0.9 + 0.2*n)
	if n > 0.97 {
		ms = c.client.rtt * 1.78
	}
	return time.Duration(math.Round(ms*1000)) * time.Microsecond
}
