package wire_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"runtime"
	"runtime/metrics"
	"testing"

	"adit/engine/wire"
)

// bounded runs f and fails if it allocates more than a few times its input; the
// constant covers 256 empty fields. The metric is cheap but includes what ran
// before and beside, so a suspicion is put to the proof: what f itself
// allocates, it allocates every time.
func bounded(t *testing.T, input []byte, f func()) {
	t.Helper()
	limit := uint64(10*len(input) + 16<<10)
	metric := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(metric[:])
	before := metric[0].Value.Uint64()
	f()
	metrics.Read(metric[:])
	n := metric[0].Value.Uint64() - before
	for range 10 {
		if n <= limit {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		n = after.TotalAlloc - before.TotalAlloc
	}
	t.Fatalf("%d bytes allocated for an input of %d", n, len(input))
}

// FuzzGreeting has both greetings: a connection's first text is either.
func FuzzGreeting(f *testing.F) {
	for _, s := range []string{fullHello, "x", "", "a_-1", "a_9e9", "a_b_3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var h *wire.Hello
		var id string
		var pool int
		var err, classicErr error
		bounded(t, text, func() {
			h, err = wire.ParseHello(text)
			id, pool, classicErr = wire.ParseClassicGreeting(text)
		})
		if err == nil {
			again, err := wire.ParseHello(wire.AppendHello(nil, h))
			if err != nil {
				t.Fatal(err)
			}
			// What is empty is not written.
			for _, h := range []*wire.Hello{h, again} {
				if len(h.Greeting.Labels) == 0 {
					h.Greeting.Labels = nil
				}
			}
			if !reflect.DeepEqual(again, h) {
				t.Fatalf("got %+v, want %+v", again, h)
			}
		}
		if classicErr == nil {
			want := string(bytes.ReplaceAll([]byte(id), []byte("_"), []byte("-")))
			id, again, err := wire.ParseClassicGreeting(wire.AppendClassicGreeting(nil, id, pool))
			if err != nil || id != want || again != pool {
				t.Fatalf("got %q %d, %v; want %q %d", id, again, err, want, pool)
			}
		}
	})
}

func FuzzWelcome(f *testing.F) {
	f.Add([]byte(fullWelcome))
	f.Add([]byte(`{"type":"drain","reason":"\ud83d\ude00"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var w *wire.Welcome
		var kind, reason string
		var err, textErr error
		bounded(t, text, func() {
			w, err = wire.ParseWelcome(text)
			kind, reason, textErr = wire.ParseText(text)
		})
		if err == nil {
			again, err := wire.ParseWelcome(wire.AppendWelcome(nil, w))
			if err != nil || !reflect.DeepEqual(again, w) {
				t.Fatalf("got %+v, %v; want %+v", again, err, w)
			}
		}
		if textErr == nil && !json.Valid(text) {
			t.Fatal("accepted what is no json")
		}
		if textErr == nil && kind == "drain" {
			_, again, err := wire.ParseText(wire.AppendDrain(nil, reason))
			if err != nil || again != reason {
				t.Fatalf("got %q, %v; want %q", again, err, reason)
			}
		}
	})
}

func FuzzRequestHead(f *testing.F) {
	f.Add(wire.AppendRequest(nil, get(field("content-length", "5"), field("te", "trailers"))))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var r *wire.Request
		var err error
		bounded(t, payload, func() { r, err = wire.ParseRequest(payload) })
		if err != nil {
			return
		}
		if err := wire.CheckRequest(r); err != nil {
			t.Fatalf("parsed, but %v", err)
		}
		again, err := wire.ParseRequest(wire.AppendRequest(nil, r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("got %+v, %v; want %+v", again, err, r)
		}
	})
}

func FuzzResponseHead(f *testing.F) {
	f.Add(wire.AppendResponse(nil, &wire.Response{Status: 200, Connect: 1, FirstByte: 1 << 40, Fields: manyFields(3)}))
	f.Add(wire.AppendResponse(nil, &wire.Response{Status: 101, Fields: []wire.Field{field("upgrade", "websocket")}}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var r *wire.Response
		var err error
		bounded(t, payload, func() { r, err = wire.ParseResponse(payload) })
		if err != nil {
			return
		}
		if err := wire.CheckResponse(r); err != nil {
			t.Fatalf("parsed, but %v", err)
		}
		again, err := wire.ParseResponse(wire.AppendResponse(nil, r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("got %+v, %v; want %+v", again, err, r)
		}
	})
}

func FuzzTrailers(f *testing.F) {
	f.Add(wire.AppendTrailers(nil, []wire.Field{field("grpc-status", "0"), field("grpc-message", "")}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var fields []wire.Field
		var err error
		bounded(t, payload, func() { fields, err = wire.ParseTrailers(payload) })
		if err != nil {
			return
		}
		if err := wire.CheckTrailers(fields); err != nil {
			t.Fatalf("parsed, but %v", err)
		}
		again, err := wire.ParseTrailers(wire.AppendTrailers(nil, fields))
		if err != nil || !reflect.DeepEqual(again, fields) {
			t.Fatalf("got %+v, %v; want %+v", again, err, fields)
		}
	})
}

// FuzzRecords reads a whole binary message, and writes each record again.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x03\x00\x01\x02hi\x03\x01\x01\x00"))
	f.Fuzz(func(t *testing.T, message []byte) {
		var written []byte
		var records []wire.Record
		rest := message
		for first := true; first || len(rest) > 0; first = false {
			var r wire.Record
			var err error
			before := rest
			peeked, size, ok := wire.PeekRecord(before[:min(len(before), wire.MaxRecordHeader)])
			if r, rest, err = wire.NextRecord(before); err != nil {
				return
			}
			if !ok || peeked.Type != r.Type || peeked.End != r.End || peeked.Exchange != r.Exchange || size != uint64(len(before)-len(rest)) {
				t.Fatalf("peeked at %+v of %d, read %+v", peeked, size, r)
			}
			payload := again(t, r)
			written = wire.AppendRecordHeader(written, r.Type, r.End, r.Exchange, len(payload))
			written = append(written, payload...)
			records = append(records, r)
		}
		if len(written) > len(message) {
			t.Fatalf("%d bytes became %d", len(message), len(written))
		}
		rest = written
		for _, want := range records {
			var got wire.Record
			var err error
			if got, rest, err = wire.NextRecord(rest); err != nil {
				t.Fatal(err)
			}
			if got.Type != want.Type || got.End != want.End || got.Exchange != want.Exchange {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		}
	})
}

// again returns the payload as it reads and is written; what is invalid as it is.
func again(t *testing.T, r wire.Record) []byte {
	var payload []byte
	var err error
	bounded(t, r.Payload, func() {
		switch r.Type {
		case wire.TypeRequest:
			var head *wire.Request
			if head, err = wire.ParseRequest(r.Payload); err == nil {
				payload = wire.AppendRequest(nil, head)
			}
		case wire.TypeResponse:
			var head *wire.Response
			if head, err = wire.ParseResponse(r.Payload); err == nil {
				payload = wire.AppendResponse(nil, head)
			}
		case wire.TypeTrailers:
			var fields []wire.Field
			if fields, err = wire.ParseTrailers(r.Payload); err == nil {
				payload = wire.AppendTrailers(nil, fields)
			}
		case wire.TypeWindow:
			var credit uint64
			if credit, err = wire.ParseWindow(r.Payload); err == nil {
				payload = wire.AppendWindow(nil, credit)
			}
		case wire.TypeReset:
			var code wire.ResetCode
			var reason string
			if code, reason, err = wire.ParseReset(r.Payload); err == nil {
				payload = wire.AppendReset(nil, code, reason)
			}
		case wire.TypeConnect:
			var c wire.Connect
			if c, err = wire.ParseConnect(r.Payload); err == nil {
				payload = wire.AppendConnect(nil, c)
			}
		default:
			payload = r.Payload
		}
	})
	if err != nil {
		return r.Payload
	}
	return payload
}

func FuzzClassicHead(f *testing.F) {
	f.Add([]byte(`{"Method":"GET","URL":"http://a/?b\u0026c","Header":{"Accept":["*/*"],"X":null},"ContentLength":-1}`))
	f.Add([]byte(`{"StatusCode":527,"Header":{},"ContentLength":117}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var q *wire.ClassicRequest
		var s *wire.ClassicResponse
		var qErr, sErr error
		bounded(t, text, func() {
			q, qErr = wire.ParseClassicRequest(text)
			s, sErr = wire.ParseClassicResponse(text)
		})
		if qErr == nil {
			again, err := wire.ParseClassicRequest(wire.AppendClassicRequest(nil, q))
			if err != nil || !reflect.DeepEqual(again, q) {
				t.Fatalf("got %+v, %v; want %+v", again, err, q)
			}
		}
		if sErr == nil {
			again, err := wire.ParseClassicResponse(wire.AppendClassicResponse(nil, s))
			if err != nil || !reflect.DeepEqual(again, s) {
				t.Fatalf("got %+v, %v; want %+v", again, err, s)
			}
		}
		if (qErr == nil || sErr == nil) && !json.Valid(text) {
			t.Fatal("accepted what is no json")
		}
	})
}
