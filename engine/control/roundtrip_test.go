package control

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"adit/engine"
)

// What a link may carry, drawn: whole microseconds, local times, strings of UTF-8
// (others become U+FFFD but in heads and greetings).
func drawText(t *rapid.T) string {
	return engine.Bound(rapid.StringN(0, 20, 200).Draw(t, "text"))
}

func drawTime(t *rapid.T) time.Time {
	if rapid.Bool().Draw(t, "zero") {
		return time.Time{}
	}
	return time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
}

func drawMicros(t *rapid.T) time.Duration {
	return time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "us")) * time.Microsecond
}

func drawMaybe(t *rapid.T) time.Duration {
	if rapid.Bool().Draw(t, "unknown") {
		return -1
	}
	return drawMicros(t)
}

func drawFrames(t *rapid.T) engine.Frames {
	n := rapid.Uint64()
	return engine.Frames{Text: n.Draw(t, "text"), Binary: n.Draw(t, "binary"), Close: n.Draw(t, "close"), Pong: n.Draw(t, "pong")}
}

func drawTraffic(t *rapid.T) engine.Traffic {
	return engine.Traffic{BytesIn: rapid.Uint64().Draw(t, "in"), BytesOut: rapid.Uint64().Draw(t, "out"), FramesIn: drawFrames(t), FramesOut: drawFrames(t)}
}

func drawGreeting(t *rapid.T) *engine.Greeting {
	g := &engine.Greeting{
		ID: drawText(t), PoolSize: rapid.Int().Draw(t, "pool"), Version: drawText(t), Hostname: drawText(t), OS: drawText(t), Arch: drawText(t),
		Instance: drawText(t), ExposedOnly: rapid.Bool().Draw(t, "only"), Size: rapid.Int().Draw(t, "size"),
		Raw: string(rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "raw")),
	}
	if rapid.Bool().Draw(t, "labels") {
		g.Labels = map[string]string{drawText(t): drawText(t), "region": drawText(t)}
	}
	if rapid.Bool().Draw(t, "expose") {
		g.Expose = []engine.Expose{{Host: drawText(t), URL: drawText(t)}, {TCP: rapid.Uint16Min(1).Draw(t, "tcp")}}
	}
	return g
}

func drawConnection(t *rapid.T, id engine.ConnectionID) engine.Connection {
	c := engine.Connection{
		ID: id, Client: drawText(t), Peer: drawText(t), Server: drawText(t),
		Protocol: engine.Protocol(rapid.IntRange(0, 2).Draw(t, "protocol")), State: engine.ConnectionState(rapid.IntRange(0, 5).Draw(t, "state")),
		Opened: drawTime(t), Traffic: drawTraffic(t),
		ShapeIn:  engine.FrameShape{Sizes: [4]uint64{1, rapid.Uint64().Draw(t, "size")}, LastOpcode: 2},
		ShapeOut: engine.FrameShape{Fragmented: rapid.Uint64().Draw(t, "fragmented"), LastLength: 7},
		InFlight: rapid.IntRange(0, 100).Draw(t, "flight"), Exchanges: rapid.Uint64().Draw(t, "exchanges"), Failed: rapid.Uint64().Draw(t, "failed"),
		RTT: drawMicros(t), RTTMin: drawMicros(t), LateRecords: rapid.Uint64().Draw(t, "late"), GreetingReady: drawTime(t),
		PingEvery: drawMicros(t), PingNext: drawTime(t), Credential: drawText(t),
		TLS: engine.TLS{Version: drawText(t), Cipher: drawText(t), Peer: drawText(t)},
	}
	if rapid.Bool().Draw(t, "greeted") {
		c.Greeting = drawGreeting(t)
	}
	return c
}

func drawSnapshot(t *rapid.T) engine.Snapshot {
	s := engine.Snapshot{
		Seq: rapid.Uint64().Draw(t, "seq"), Time: drawTime(t), Role: engine.Role(rapid.IntRange(0, 2).Draw(t, "role")), Name: drawText(t),
		Instance: drawText(t), Version: drawText(t), Started: drawTime(t), Draining: rapid.Bool().Draw(t, "draining"),
		Listen: []string{}, Servers: []engine.Server{}, Expose: []engine.Expose{}, Banned: []string{}, Closes: []engine.CloseCount{}, Limits: []engine.LimitCount{},
		Waiting: rapid.IntRange(0, 9).Draw(t, "waiting"),
		Totals:  engine.Totals{Requests: 1, Failed: rapid.Uint64().Draw(t, "failed"), FramesIn: drawFrames(t), Statuses: [6]uint64{5: rapid.Uint64().Draw(t, "5xx")}},
		Capture: engine.CaptureState{Capture: engine.Capture{Mode: engine.CaptureMode(rapid.IntRange(0, 3).Draw(t, "mode"))},
			Bytes: rapid.Int64Min(0).Draw(t, "bytes"), Dropped: rapid.Uint64().Draw(t, "dropped")},
	}
	for range rapid.IntRange(0, 2).Draw(t, "lists") {
		s.Listen, s.Banned = append(s.Listen, drawText(t)), append(s.Banned, drawText(t))
		s.Expose = append(s.Expose, engine.Expose{Host: drawText(t)})
		s.Closes = append(s.Closes, engine.CloseCount{Code: engine.CloseCode(rapid.Uint16().Draw(t, "code")), Count: 3})
		s.Limits = append(s.Limits, engine.LimitCount{Name: drawText(t), Count: rapid.Uint64().Draw(t, "bites")})
		s.Capture.Content = append(s.Capture.Content, drawText(t))
		s.Servers = append(s.Servers, engine.Server{URL: drawText(t), Name: drawText(t), Connected: 2, Wanted: 3, RetryAt: drawTime(t), LastError: drawText(t)})
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "connections") {
		if id := engine.ConnectionID(i + 1); rapid.Bool().Draw(t, "there") {
			s.Connections = append(s.Connections, drawConnection(t, id))
		}
	}
	return s
}

// patchLines applies lines of a stream to what was known.
func patchLines(t *rapid.T, e *encoder, now, was *engine.Snapshot, known *engine.Snapshot) {
	err := e.delta(now, was, 1, func(line []byte) error {
		var w wireLine
		if err := json.Unmarshal(line, &w); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		return w.Snapshot.patch(known)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotThatChangesOnItsWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e encoder
		var known engine.Snapshot
		var was *engine.Snapshot
		for range rapid.IntRange(1, 4).Draw(t, "deltas") {
			now := drawSnapshot(t)
			if was != nil {
				// A greeting does not go away, and one that was told is the same value.
				for i := range now.Connections {
					if k := was.Index(now.Connections[i].ID); k >= 0 && now.Connections[i].Greeting == nil {
						now.Connections[i].Greeting = was.Connections[k].Greeting
					}
				}
			}
			patchLines(t, &e, &now, was, &known)
			if len(known.Connections) == 0 {
				known.Connections = nil
			}
			if !reflect.DeepEqual(known, now) {
				t.Fatalf("\n%+v\n%+v", known, now)
			}
			was = &now
		}
		var whole engine.Snapshot
		if err := DecodeSnapshot(AppendSnapshot(nil, was), &whole); err != nil {
			t.Fatal(err)
		}
		if len(whole.Connections) == 0 {
			whole.Connections = nil
		}
		if !reflect.DeepEqual(whole, *was) {
			t.Fatalf("\n%+v\n%+v", whole, *was)
		}
	})
}

func drawRequest(t *rapid.T) *engine.Request {
	r := &engine.Request{
		ID: engine.RequestID(rapid.Uint64Min(1).Draw(t, "id")), Connection: engine.ConnectionID(rapid.Uint64().Draw(t, "conn")),
		Client: drawText(t), Caller: drawText(t), Way: engine.Way(rapid.IntRange(0, 5).Draw(t, "way")),
		Protocol: engine.Protocol(rapid.IntRange(0, 2).Draw(t, "protocol")), Method: drawText(t), Target: drawText(t),
		Status: rapid.IntRange(0, 599).Draw(t, "status"), Upgraded: rapid.Bool().Draw(t, "upgraded"),
		RequestBytes: rapid.Int64Min(0).Draw(t, "up"), ResponseBytes: rapid.Int64Min(0).Draw(t, "down"), Arrived: drawTime(t),
		Queued: drawMaybe(t), Sent: drawMaybe(t), Connect: drawMaybe(t), FirstByte: drawMaybe(t), LastByte: drawMaybe(t),
		Outcome: engine.Outcome(rapid.IntRange(1, 7).Draw(t, "outcome")), Reason: drawText(t), Replay: rapid.Bool().Draw(t, "replay"),
	}
	if rapid.Bool().Draw(t, "heads") {
		r.Heads = &engine.Heads{Request: string(rapid.SliceOfN(rapid.Byte(), 0, 99).Draw(t, "head")), Response: drawText(t), Cut: rapid.Bool().Draw(t, "cut")}
	}
	return r
}

func drawEvent(t *rapid.T) engine.Event {
	e := engine.Event{Seq: rapid.Uint64().Draw(t, "seq"), Time: drawTime(t), Kind: engine.Kind(rapid.IntRange(1, int(engine.KindStopped)).Draw(t, "kind"))}
	for e.Time.IsZero() {
		e.Time = time.Unix(1, 0)
	}
	switch e.Kind {
	case engine.KindRequestStarted, engine.KindRequestFinished:
		r := drawRequest(t)
		if e.Kind == engine.KindRequestStarted {
			r.Status, r.RequestBytes, r.ResponseBytes, r.Outcome = 0, 0, 0, 0
			r.Queued, r.Sent, r.Connect, r.FirstByte, r.LastByte = -1, -1, -1, -1, -1
		}
		e.Request, e.Connection, e.Client, e.Protocol = r, r.Connection, r.Client, r.Protocol
		return e
	case engine.KindNotice:
		e.Reason = drawText(t)
		return e
	}
	e.Connection, e.Client, e.Peer, e.Reason = engine.ConnectionID(rapid.Uint64().Draw(t, "conn")), drawText(t), drawText(t), drawText(t)
	e.Protocol = engine.Protocol(rapid.IntRange(0, 2).Draw(t, "protocol"))
	switch e.Kind {
	case engine.KindReady:
		e.Listen, e.Server = drawText(t), drawText(t)
	case engine.KindGreetingReceived:
		e.Greeting = drawGreeting(t)
	case engine.KindGreetingRejected:
		e.Code = rapid.Uint16().Draw(t, "code")
	case engine.KindConnectionClosed:
		tr := drawTraffic(t)
		e.Code, e.Duration, e.Closed = rapid.Uint16().Draw(t, "code"), drawMicros(t), &tr
	case engine.KindDialFailed:
		e.Server, e.Duration = drawText(t), drawMicros(t)
	case engine.KindAdmissionRefused:
		e.Code, e.Way = rapid.Uint16Max(999).Draw(t, "status"), engine.Way(rapid.IntRange(0, 5).Draw(t, "way"))
		if e.Count = rapid.IntRange(1, 1000).Draw(t, "count"); e.Count > 1 {
			e.Duration = drawMicros(t)
		}
	case engine.KindOperatorAction:
		e.Action, e.Operator, e.Target = engine.Action(drawText(t)), drawText(t), drawText(t)
	case engine.KindDraining:
		e.Count = rapid.IntRange(0, 1000).Draw(t, "count")
	case engine.KindLimitReached:
		e.Target, e.Count = drawText(t), rapid.IntRange(0, 1000).Draw(t, "count")
	case engine.KindStopped:
		tr := drawTraffic(t)
		e.Duration = drawMicros(t)
		e.Totals = &engine.Totals{Requests: 3, Failed: rapid.Uint64().Draw(t, "failed"), BytesIn: tr.BytesIn, BytesOut: tr.BytesOut,
			FramesIn: tr.FramesIn, FramesOut: tr.FramesOut, Statuses: [6]uint64{2: 7}}
	}
	return e
}

func TestEventThatChangesOnItsWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawEvent(t)
		var e encoder
		e.event(&want, true, true)
		got, err := DecodeEvent(e.b)
		if err != nil {
			t.Fatalf("%v: %s", err, e.b)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n%+v %+v\n%+v %+v", e.b, got, got.Request, want, want.Request)
		}
	})
}

func TestRecordThatChangesOnItsWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRequest(t)
		var e encoder
		e.record(want, true)
		got, err := DecodeRecord(e.b)
		if err != nil {
			t.Fatalf("%v: %s", err, e.b)
		}
		if !reflect.DeepEqual(got, *want) {
			t.Fatalf("%s\n%+v\n%+v", e.b, got, *want)
		}
	})
}
