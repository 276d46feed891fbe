package tunnel

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

// fieldsOfSize returns fields that encode to exactly n bytes, count included.
func fieldsOfSize(t testing.TB, n int, count int) []wire.Field {
	t.Helper()
	fields := manyFields(count - 1)
	fixed := len(wire.AppendTrailers(nil, append(fields, wire.Field{Name: "x", Value: ""})))
	for pad := max(0, n-fixed-8); pad <= n; pad++ {
		all := append(fields[:count-1:count-1], wire.Field{Name: "x", Value: strings.Repeat("v", pad)})
		if len(wire.AppendTrailers(nil, all)) == n {
			return all
		}
	}
	t.Fatalf("no %d fields of %d bytes", count, n)
	return nil
}

// TestLimits holds every fixed bound to its exact value: the last byte that is
// allowed passes, one more is refused, with the right code, and a peer can't
// make this end allocate by announcing.
func TestLimits(t *testing.T) {
	const reqHead = 1 + 4 + 5 + 9 + 2 // route, method, scheme, authority and path of get("/"), each with its length
	type side struct {
		server bool
		setup  [][]byte
	}
	server := side{server: true}
	opened := side{setup: [][]byte{rec(1, false, 1, wire.AppendRequest(nil, post("/")))}}
	answered := side{server: true, setup: [][]byte{rec(2, false, 1, response(200))}}
	headOf := func(n, count int) []byte { // a RESPONSE payload of n bytes
		return append([]byte{200, 1, 0, 0}, wire.AppendTrailers(nil, fieldsOfSize(t, n-4, count))...)
	}
	requestOf := func(n, count int) []byte {
		return wire.AppendRequest(nil, &wire.Request{Route: 1, Method: "GET", Scheme: "http", Authority: "app.test", Path: "/", Fields: fieldsOfSize(t, n-reqHead, count)})
	}
	target := func(n int) []byte {
		return wire.AppendConnect(nil, wire.Connect{Target: strings.Repeat("a", n-4) + ":443"})
	}
	cases := []struct {
		name string
		side side
		msg  []byte
		ok   bool
	}{
		{"response head of 64 KiB", server, rec(2, true, 1, headOf(wire.MaxHead, 10)), true},
		{"response head of 64 KiB + 1", server, rec(2, true, 1, headOf(wire.MaxHead+1, 10)), false},
		{"response of 256 fields", server, rec(2, true, 1, headOf(4000, 256)), true},
		{"response of 257 fields", server, rec(2, true, 1, headOf(4000, 257)), false},
		{"response of 10,000 fields", server, rec(2, true, 1, headOf(60_000, 10_000)), false},
		{"request head of 64 KiB", side{}, rec(1, true, 1, requestOf(wire.MaxHead, 10)), true},
		{"request head of 64 KiB + 1", side{}, rec(1, true, 1, requestOf(wire.MaxHead+1, 10)), false},
		{"request of 256 fields", side{}, rec(1, true, 1, requestOf(4000, 256)), true},
		{"request of 257 fields", side{}, rec(1, true, 1, requestOf(4000, 257)), false},
		{"request of 10,000 fields", side{}, rec(1, true, 1, requestOf(60_000, 10_000)), false},
		{"trailers of 64 KiB", answered, rec(4, true, 1, wire.AppendTrailers(nil, fieldsOfSize(t, wire.MaxHead, 10))), true},
		{"trailers of 64 KiB + 1", answered, rec(4, true, 1, wire.AppendTrailers(nil, fieldsOfSize(t, wire.MaxHead+1, 10))), false},
		{"trailers of 256 fields", answered, rec(4, true, 1, wire.AppendTrailers(nil, manyFields(256))), true},
		{"trailers of 257 fields", answered, rec(4, true, 1, wire.AppendTrailers(nil, manyFields(257))), false},
		{"request trailers of 256 fields", opened, rec(4, true, 1, wire.AppendTrailers(nil, manyFields(256))), true},
		{"request trailers of 257 fields", opened, rec(4, true, 1, wire.AppendTrailers(nil, manyFields(257))), false},
		{"content of all credit", answered, rec(3, false, 1, make([]byte, 64<<10)), true},
		{"content of all credit + 1", answered, rec(3, false, 1, make([]byte, 64<<10+1)), false},
		{"request content of all credit", opened, rec(3, false, 1, make([]byte, 64<<10)), true},
		{"request content of all credit + 1", opened, rec(3, false, 1, make([]byte, 64<<10+1)), false},
		{"credit up to its limit", server, rec(5, false, 1, wire.AppendWindow(nil, wire.MaxCredit-64<<10)), true},
		{"credit up to its limit + 1", server, rec(5, false, 1, wire.AppendWindow(nil, wire.MaxCredit-64<<10+1)), false},
		{"request credit up to its limit + 1", opened, rec(5, false, 1, wire.AppendWindow(nil, wire.MaxCredit-64<<10+1)), false},
		{"reason of 256 bytes", server, rec(6, false, 1, append([]byte{2}, bytes.Repeat([]byte("r"), 256)...)), true},
		{"reason of 257 bytes", server, rec(6, false, 1, append([]byte{2}, bytes.Repeat([]byte("r"), 257)...)), false},
		{"a payload that ends beyond the message", server, []byte{3, 0, 1, 0x80, 0x80, 0x80, 0x80, 4}, false},
		{"a payload of 2^62 bytes", server, []byte{3, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40}, false},
		{"fields counted in millions", server, rec(2, true, 1, []byte{200, 1, 0, 0, 0xff, 0xff, 0xff, 0x7f, 1, 'a', 0}), false},
		{"a name of 2^40 bytes", server, rec(2, true, 1, []byte{200, 1, 0, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 'a'}), false},
		{"trailers counted in millions", answered, rec(4, true, 1, []byte{0xff, 0xff, 0xff, 0x7f}), false},
		{"a request counted in millions", side{}, rec(1, true, 1, append(wire.AppendRequest(nil, get("/"))[:reqHead], 0xff, 0xff, 0xff, 0x7f)), false},
		{"a target of 255 bytes", side{}, rec(7, false, 1, target(255)), true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := newConn(&socket{server: tc.side.server, limits: DefaultLimits(), opened: time.Now()}, 1, nil, nil)
			c.capacity, c.peerWindow = 10, 64<<10
			served := make(chan struct{})
			c.handler = func(in Incoming) { <-served }
			if tc.side.server {
				x := newExchange(c, nil)
				c.out.heads = append(c.out.heads, outHead{x: x, kind: wire.TypeRequest, end: true, payload: newChunk(10)})
				c.collect(nil, nil)
			}
			for _, m := range tc.side.setup {
				if end, ok := c.gotBinary(message(m)); !ok {
					t.Fatalf("setup: %v", end)
				}
			}
			msg := message(tc.msg)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			end, ok := c.gotBinary(msg)
			runtime.ReadMemStats(&after)
			if ok != tc.ok || !ok && end.code != engine.CloseProtocolError {
				t.Errorf("ok %v, %d %q", ok, end.code, end.text)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
			close(served)
			c.handlers.Wait()
			c.finish(ending{code: 1000})
			c.limit.Stop()
		})
	}

	// What this end would send is held to the same bounds, where the caller
	// still gets a status for it.
	l := newLink(t, linkOptions{handler: func(in Incoming) {
		n := 0
		_, _ = fmt.Sscanf(in.Request().Path, "/%d", &n)
		err := in.WriteResponse(&wire.Response{Status: 200, Fields: manyFields(n)}, true)
		if n > wire.MaxFields && engine.ReasonOf(err) != engine.ReasonHeadTooBig {
			t.Errorf("%d fields: %v", n, err)
		}
		if err != nil {
			in.Reset(wire.ResetOriginFailed, "head too big")
		}
	}})
	defer l.close()
	for n, want := range map[int]engine.Reason{256: engine.ReasonNone, 257: engine.ReasonOriginFailed} {
		x := l.open(t, context.Background(), get(fmt.Sprintf("/%d", n)), true)
		if _, err := x.ReadResponse(); engine.ReasonOf(err) != want {
			t.Errorf("response of %d fields: %v", n, err)
		}
		x.Close()
	}
	for name, r := range map[string]*wire.Request{
		"fields": get("/", manyFields(257)...),
		"bytes":  get("/", wire.Field{Name: "x", Value: strings.Repeat("v", 64<<10)}),
		"path":   get("/" + strings.Repeat("p", 64<<10)),
	} {
		if !l.server.Reserve() {
			t.Fatal("no slot")
		}
		if _, err := l.server.Open(context.Background(), r, true); engine.ReasonOf(err) != engine.ReasonHeadTooBig {
			t.Errorf("request with too many %s: %v", name, err)
		}
		l.server.Unreserve()
	}

	// A frame that announces a gibibyte costs nothing but its connection.
	s := newHostileServer(t, Limits{})
	for _, declared := range []uint64{256<<10 + 1, 1 << 30, 1 << 40, 1<<63 - 1} {
		p, c := s.register(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = p.WriteRaw(enginetest.AppendFrame(nil, enginetest.Frame{Fin: true, Opcode: enginetest.OpBinary, Masked: true, Declared: declared, LengthBytes: 9, Payload: []byte("x")}))
		if got, err := p.ReadClose(); err != nil || got == nil || got.Code != uint16(engine.CloseTooBig) {
			t.Errorf("%d bytes announced: %v %v", declared, got, err)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("%d bytes announced: %d allocated", declared, grown)
		}
		_ = p.Conn.Close()
		<-c.Done()
	}
}

// message is a binary message as the reader has it.
func message(b []byte) **chunk {
	k := &chunk{data: b, buf: b, class: -1}
	return &k
}
