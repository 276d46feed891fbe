package tunnel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

func rec(t wire.Type, end bool, id uint64, payload []byte) []byte {
	return append(wire.AppendRecordHeader(nil, t, end, id, len(payload)), payload...)
}

func response(status int, fields ...wire.Field) []byte {
	return wire.AppendResponse(nil, &wire.Response{Status: status, Fields: fields})
}

func length(n int) wire.Field {
	return wire.Field{Name: "content-length", Value: fmt.Sprint(n)}
}

// readRecords reads the records of one message.
func readRecords(t testing.TB, p *enginetest.Peer) []wire.Record {
	t.Helper()
	op, msg, err := p.ReadMessage()
	if err != nil || op != enginetest.OpBinary {
		t.Fatalf("opcode %d, %v", op, err)
	}
	var all []wire.Record
	for len(msg) > 0 {
		r, rest, err := wire.NextRecord(msg)
		if err != nil {
			t.Fatal(err)
		}
		all, msg = append(all, r), rest
	}
	return all
}

// A hostile client can cost its own connection, or an exchange of its own, and
// nothing else; no order of messages gets a caller an answer that is not its own.
func TestHostilePeerAtServer(t *testing.T) {
	const fatal, fails, fine = "1002", "fails", "fine"
	ok := response(200, length(5))
	cases := []struct {
		name string
		msg  [][]byte
		want string // of the connection, or of exchange 1 (GET)
	}{
		{"response before request", [][]byte{rec(2, true, 99, ok)}, fatal},
		{"response to exchange 0", [][]byte{rec(2, true, 0, ok)}, fatal},
		{"two heads", [][]byte{rec(2, false, 1, ok), rec(2, false, 1, ok)}, fatal},
		{"head after content", [][]byte{rec(2, false, 1, ok), rec(3, false, 1, []byte("ab")), rec(2, false, 1, ok)}, fatal},
		{"content before the head", [][]byte{rec(3, false, 1, []byte("x"))}, fatal},
		{"trailers before the head", [][]byte{rec(4, true, 1, wire.AppendTrailers(nil, nil))}, fatal},
		{"content for an exchange not opened", [][]byte{rec(3, false, 2, []byte("x"))}, fatal},
		{"credit for an exchange not opened", [][]byte{rec(5, false, 2, wire.AppendWindow(nil, 1))}, fatal},
		{"reset of an exchange not opened", [][]byte{rec(6, false, 7, wire.AppendReset(nil, 1, ""))}, fatal},
		{"request from a client", [][]byte{rec(1, true, 5, wire.AppendRequest(nil, get("/")))}, fatal},
		{"connect from a client", [][]byte{rec(7, false, 5, wire.AppendConnect(nil, wire.Connect{Target: "a:1"}))}, fatal},
		{"unknown type", [][]byte{rec(8, false, 1, nil)}, fatal},
		{"type 0", [][]byte{rec(0, false, 1, nil)}, fatal},
		{"unknown flag", [][]byte{{3, 0x02, 1, 1, 'x'}}, fatal},
		{"record cut off", [][]byte{{3, 0, 1, 5, 'x'}}, fatal},
		{"record header cut off", [][]byte{{3, 0}}, fatal},
		{"remainder after a record", [][]byte{append(rec(2, false, 1, ok), 3)}, fatal},
		{"varint that never ends", [][]byte{append([]byte{3, 0}, bytes.Repeat([]byte{0x80}, 12)...)}, fatal},
		{"end on informational", [][]byte{rec(2, true, 1, response(103))}, fatal},
		{"end on window", [][]byte{rec(5, true, 1, wire.AppendWindow(nil, 1))}, fatal},
		{"end on reset", [][]byte{rec(6, true, 1, wire.AppendReset(nil, 1, ""))}, fatal},
		{"trailers without end", [][]byte{rec(2, false, 1, response(200)), rec(4, false, 1, wire.AppendTrailers(nil, nil))}, fatal},
		{"credit of nothing", [][]byte{rec(5, false, 1, []byte{0})}, fatal},
		{"credit beyond its limit", [][]byte{rec(5, false, 1, wire.AppendWindow(nil, wire.MaxCredit))}, fatal},
		{"credit summed beyond its limit", [][]byte{rec(5, false, 1, wire.AppendWindow(nil, 1<<30)), rec(5, false, 1, wire.AppendWindow(nil, 1<<30))}, fatal},
		{"empty content without end", [][]byte{rec(2, false, 1, response(200)), rec(3, false, 1, nil)}, fatal},
		{"content beyond credit", [][]byte{rec(2, false, 1, response(200)), rec(3, false, 1, make([]byte, 60<<10)), rec(3, false, 1, make([]byte, 60<<10))}, fatal},
		{"reset with a long reason", [][]byte{rec(6, false, 1, append([]byte{1}, make([]byte, 300)...))}, fatal},
		{"head that is too long", [][]byte{rec(2, true, 1, response(200, wire.Field{Name: "x", Value: string(bytes.Repeat([]byte("v"), 64<<10))}))}, fatal},
		{"head with too many fields", [][]byte{rec(2, true, 1, response(200, manyFields(257)...))}, fatal},
		{"head that promises fields it has not", [][]byte{rec(2, true, 1, []byte{200, 1, 0, 0, 0xff, 0x7f})}, fatal},
		{"status 99", [][]byte{rec(2, true, 1, response(99))}, fails},
		{"status 1000", [][]byte{rec(2, true, 1, response(1000))}, fails},
		{"field name with a space", [][]byte{rec(2, true, 1, response(200, wire.Field{Name: "a b", Value: "x"}))}, fails},
		{"field value with crlf", [][]byte{rec(2, true, 1, response(200, wire.Field{Name: "a", Value: "x\r\nset-cookie: y"}))}, fails},
		{"connection field", [][]byte{rec(2, true, 1, response(200, wire.Field{Name: "connection", Value: "close"}))}, fails},
		{"transfer-encoding field", [][]byte{rec(2, true, 1, response(200, wire.Field{Name: "transfer-encoding", Value: "chunked"}))}, fails},
		{"two content-lengths", [][]byte{rec(2, true, 1, response(200, length(5), length(6)))}, fails},
		{"content-length that is no number", [][]byte{rec(2, true, 1, response(200, wire.Field{Name: "content-length", Value: "+5"}))}, fails},
		{"101 that was not asked for", [][]byte{rec(2, false, 1, response(101, wire.Field{Name: "upgrade", Value: "x"}))}, fails},
		{"nine informational", func() (m [][]byte) {
			for range 9 {
				m = append(m, rec(2, false, 1, response(103)))
			}
			return m
		}(), fails},
		{"content longer than content-length", [][]byte{rec(2, false, 1, ok), rec(3, true, 1, []byte("123456"))}, fails},
		{"content shorter than content-length", [][]byte{rec(2, false, 1, ok), rec(3, true, 1, []byte("1234"))}, fails},
		{"no content in spite of content-length", [][]byte{rec(2, true, 1, ok)}, fails},
		{"trailers before content-length was met", [][]byte{rec(2, false, 1, ok), rec(4, true, 1, wire.AppendTrailers(nil, nil))}, fails},
		{"trailers with a forbidden field", [][]byte{rec(2, false, 1, response(200)), rec(4, true, 1, wire.AppendTrailers(nil, []wire.Field{{Name: "content-length", Value: "1"}}))}, fails},
		{"content to a 204", [][]byte{rec(2, false, 1, response(204)), rec(3, true, 1, []byte("x"))}, fails},
		{"content to a 304", [][]byte{rec(2, false, 1, response(304)), rec(3, true, 1, []byte("x"))}, fails},
		{"reset", [][]byte{rec(6, false, 1, wire.AppendReset(nil, wire.ResetOriginFailed, "no"))}, fails},
		{"reset of an unknown code", [][]byte{rec(6, false, 1, wire.AppendReset(nil, 77, ""))}, fails},
		{"reset after the head", [][]byte{rec(2, false, 1, ok), rec(6, false, 1, wire.AppendReset(nil, 2, ""))}, fails},
		{"content after the end is dropped", [][]byte{rec(2, false, 1, ok), rec(3, true, 1, []byte("right")), rec(3, false, 1, []byte("wrong"))}, fine},
		{"a second end is dropped", [][]byte{rec(2, false, 1, ok), rec(3, true, 1, []byte("right")), rec(3, true, 1, nil)}, fine},
		{"a second response after the end is dropped", [][]byte{rec(2, false, 1, ok), rec(3, true, 1, []byte("right")), rec(2, true, 1, ok)}, fine},
		{"records after a reset are dropped", [][]byte{rec(6, false, 1, wire.AppendReset(nil, 2, "")), rec(2, false, 1, ok), rec(3, true, 1, []byte("wrong"))}, fails},
		{"credit after the end is dropped", [][]byte{rec(2, false, 1, ok), rec(3, true, 1, []byte("right")), rec(5, false, 1, wire.AppendWindow(nil, 9))}, fine},
		{"all at once in one message", [][]byte{bytes.Join([][]byte{rec(2, false, 1, response(103)), rec(2, false, 1, ok), rec(3, false, 1, []byte("ri")), rec(3, true, 1, []byte("ght"))}, nil)}, fine},
	}
	if len(cases) < 50 {
		t.Errorf("only %d cases", len(cases))
	}
	s := newHostileServer(t, Limits{})
	bystander, other := s.register(t)
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p, c := s.register(t)
			p.Timeout = 5 * time.Second
			if !c.Reserve() {
				t.Fatal("no slot")
			}
			x, err := c.Open(context.Background(), get("/"), true)
			if err != nil {
				t.Fatal(err)
			}
			if got := readRecords(t, p); got[0].Exchange != 1 || got[0].Type != wire.TypeRequest {
				t.Fatalf("%+v", got)
			}
			for _, m := range tc.msg {
				if err := p.WriteMessage(enginetest.OpBinary, m); err != nil {
					t.Fatal(err)
				}
			}
			if tc.want == fatal {
				if got, err := p.ReadClose(); err != nil || got == nil || got.Code != 1002 {
					t.Errorf("closed with %v, %v", got, err)
				}
			}
			var content []byte
			r, err := x.ReadResponse()
			for err == nil && r.Status < 200 {
				r, err = x.ReadResponse()
			}
			if err == nil {
				content, err = readAll(x)
			}
			switch {
			case tc.want == fine && (err != nil || string(content) != "right"):
				t.Errorf("got %q, %v", content, err)
			case tc.want != fine && err == nil:
				t.Errorf("delivered %d %q", r.Status, content)
			}
			x.Close()
			if tc.want != fatal {
				pinged(t, p, "the connection goes on")
			}
			_ = p.Conn.Close()
			<-c.Done()
		})
	}
	pinged(t, bystander, "others are undisturbed")
	_ = bystander.Conn.Close()
	<-other.Done()
}

func manyFields(n int) (fields []wire.Field) {
	for range n {
		fields = append(fields, wire.Field{Name: "a", Value: "b"})
	}
	return fields
}

// The same at the client, whose server is hostile.
func TestHostilePeerAtClient(t *testing.T) {
	request := func(id uint64, end bool, r *wire.Request) []byte { return rec(1, end, id, wire.AppendRequest(nil, r)) }
	raw := rec(7, false, 1, wire.AppendConnect(nil, wire.Connect{Target: "db:1"}))
	const fatal = -1
	cases := []struct {
		name string
		msg  [][]byte
		want int // RESET code that exchange 1 gets, 0 an answer, fatal
	}{
		{"id 0", [][]byte{request(0, true, get("/"))}, fatal},
		{"id used twice", [][]byte{request(1, true, get("/")), request(1, true, get("/"))}, fatal},
		{"id going back", [][]byte{request(5, true, get("/")), request(4, true, get("/"))}, fatal},
		{"response from a server", [][]byte{rec(2, true, 1, response(200))}, fatal},
		{"content for an exchange not opened", [][]byte{rec(3, true, 1, []byte("x"))}, fatal},
		{"credit for an exchange not opened", [][]byte{rec(5, false, 1, wire.AppendWindow(nil, 5))}, fatal},
		{"reset of an exchange not opened", [][]byte{rec(6, false, 1, wire.AppendReset(nil, 1, ""))}, fatal},
		{"content after the request's end", [][]byte{request(1, true, get("/hang")), rec(3, false, 1, []byte("x"))}, fatal},
		{"trailers after the request's end", [][]byte{request(1, true, get("/hang")), rec(4, true, 1, wire.AppendTrailers(nil, nil))}, fatal},
		{"content after its own end", [][]byte{request(1, false, post("/hang")), rec(3, true, 1, []byte("x")), rec(3, true, 1, nil)}, fatal},
		{"content beyond credit", [][]byte{request(1, false, post("/hang")), rec(3, false, 1, make([]byte, 60<<10)), rec(3, false, 1, make([]byte, 60<<10))}, fatal},
		{"end on connect", [][]byte{rec(7, true, 1, wire.AppendConnect(nil, wire.Connect{Target: "db:1"}))}, fatal},
		{"trailers on a raw stream", [][]byte{raw, rec(4, true, 1, wire.AppendTrailers(nil, nil))}, fatal},
		{"request cut off", [][]byte{rec(1, true, 1, []byte{1, 3, 'G'})}, fatal},
		{"request with too many fields", [][]byte{request(1, true, get("/", manyFields(300)...))}, fatal},
		{"request that is too long", [][]byte{request(1, true, get("/"+string(bytes.Repeat([]byte("a"), 65<<10))))}, fatal},
		{"request after drain", [][]byte{nil, request(1, true, get("/"))}, fatal},
		{"method connect", [][]byte{request(1, true, &wire.Request{Method: "CONNECT", Scheme: "http", Authority: "a", Path: "/"})}, int(wire.ResetMalformed)},
		{"method with a space", [][]byte{request(1, true, &wire.Request{Method: "GE T", Scheme: "http", Authority: "a", Path: "/"})}, int(wire.ResetMalformed)},
		{"path without a slash", [][]byte{request(1, true, &wire.Request{Method: "GET", Scheme: "http", Authority: "a", Path: "x"})}, int(wire.ResetMalformed)},
		{"path with crlf", [][]byte{request(1, true, get("/\r\nX: y"))}, int(wire.ResetMalformed)},
		{"scheme file", [][]byte{request(1, true, &wire.Request{Method: "GET", Scheme: "file", Authority: "a", Path: "/"})}, int(wire.ResetMalformed)},
		{"authority with user information", [][]byte{request(1, true, &wire.Request{Method: "GET", Scheme: "http", Authority: "u:p@a", Path: "/"})}, int(wire.ResetMalformed)},
		{"host field", [][]byte{request(1, true, get("/", wire.Field{Name: "Host", Value: "evil"}))}, int(wire.ResetMalformed)},
		{"te field", [][]byte{request(1, true, get("/", wire.Field{Name: "te", Value: "gzip"}))}, int(wire.ResetMalformed)},
		{"request shorter than content-length", [][]byte{request(1, true, post("/", length(5)))}, int(wire.ResetMalformed)},
		{"content shorter than content-length", [][]byte{request(1, false, post("/read", length(5))), rec(3, true, 1, []byte("1234"))}, int(wire.ResetMalformed)},
		{"content longer than content-length", [][]byte{request(1, false, post("/read", length(5))), rec(3, true, 1, []byte("123456"))}, int(wire.ResetMalformed)},
		{"well formed", [][]byte{request(1, false, post("/read", length(5))), rec(3, true, 1, []byte("12345"))}, 0},
		{"reset twice is dropped", [][]byte{request(1, true, get("/hang")), rec(6, false, 1, wire.AppendReset(nil, 1, "")), rec(6, false, 1, wire.AppendReset(nil, 1, "")), request(2, true, get("/"))}, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p, session := hostileClient(t, Limits{}, func(in Incoming) {
				if r := in.Request(); r == nil || r.Path == "/hang" {
					<-in.Context().Done()
					return
				}
				if _, err := io.Copy(io.Discard, in); err != nil {
					return
				}
				_ = answer(in, 200, []byte("right"))
			})
			p.Timeout = 5 * time.Second
			for _, m := range tc.msg {
				var err error
				if m == nil {
					err = p.WriteMessage(enginetest.OpText, wire.AppendDrain(nil, "bye"))
				} else {
					err = p.WriteMessage(enginetest.OpBinary, m)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if tc.want == fatal {
				if got, err := p.ReadClose(); err != nil || got == nil || got.Code != 1002 {
					t.Errorf("closed with %v, %v", got, err)
				}
			} else {
				got := readRecords(t, p)[0]
				if tc.want == 0 && got.Type != wire.TypeResponse {
					t.Errorf("got %+v", got)
				}
				if tc.want != 0 {
					if code, _, err := wire.ParseReset(got.Payload); got.Type != wire.TypeReset || err != nil || int(code) != tc.want {
						t.Errorf("got %+v code %d, %v", got, code, err)
					}
				}
				pinged(t, p, "the connection goes on")
			}
			_ = p.Conn.Close()
			<-session.Done()
		})
	}
}

// A flood of requests that are reset at once ("rapid reset") is refused beyond
// the limit and costs the connection when the refusals are not even read.
func TestRapidResetIsBounded(t *testing.T) {
	p, session := hostileClient(t, Limits{MaxExchanges: 10}, func(in Incoming) {
		<-in.Context().Done()
		<-time.After(50 * time.Millisecond) // slow to let go
	})
	go func() {
		for id := uint64(1); id <= 20_000; id++ {
			m := append(rec(1, true, id, wire.AppendRequest(nil, get("/"))), rec(6, false, id, wire.AppendReset(nil, 1, ""))...)
			if p.WriteMessage(enginetest.OpBinary, m) != nil {
				return
			}
		}
	}()
	refused := 0
	for refused < 100 {
		op, msg, err := p.ReadMessage()
		var ce *enginetest.CloseError
		if errors.As(err, &ce) {
			if ce.Code != uint16(engine.CloseTryLater) {
				t.Errorf("closed with %v", ce)
			}
			break
		}
		if err != nil || op != enginetest.OpBinary {
			t.Fatalf("%d %v", op, err)
		}
		for len(msg) > 0 {
			var r wire.Record
			if r, msg, err = wire.NextRecord(msg); err != nil {
				t.Fatal(err)
			}
			if code, _, _ := wire.ParseReset(r.Payload); r.Type == wire.TypeReset && code == wire.ResetRefused {
				refused++
			}
		}
	}
	var st engine.Connection
	session.Status(&st)
	if st.InFlight > 13 {
		t.Errorf("%d handlers for a limit of 10", st.InFlight)
	}
	_ = p.Conn.Close()
	<-session.Done()
}

// Greetings that are none are refused with the right code, in time, and leave
// the reason behind.
func TestGreetingIsRefused(t *testing.T) {
	native := func(members string) string { return `{"type":"greeting",` + members + `}` }
	cases := []struct {
		name, proto, text string
		code              uint16
	}{
		{"wsp without underscore", "", "x", 1008},
		{"wsp empty", "", "", 1008},
		{"wsp negative", "", "a_-1", 1008},
		{"wsp exponent", "", "a_9e9", 1008},
		{"wsp huge pool", "", "a_100001", 1008},
		{"wsp without id", "", "_5", 1008},
		{"wsp control character", "", "a\x1b[2J_5", 1008},
		{"wsp long id", "", string(bytes.Repeat([]byte("a"), 129)) + "_1", 1008},
		{"wsp one mebibyte", "", string(make([]byte, 1<<20)), 1009},
		{"native no json", wire.Subprotocol, "edge_5", 1002},
		{"native without id", wire.Subprotocol, native(`"pool_size":1`), 1002},
		{"native of another type", wire.Subprotocol, `{"type":"welcome","id":"a"}`, 1002},
		{"native with a number as id", wire.Subprotocol, native(`"id":5`), 1002},
		{"native too long", wire.Subprotocol, native(`"id":"a","x":"` + string(bytes.Repeat([]byte("a"), 64<<10)) + `"`), 1009},
	}
	s := newHostileServer(t, Limits{})
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var sub []string
			if tc.proto != "" {
				sub = []string{tc.proto}
			}
			p := s.dial(t, sub...)
			go func() { _ = p.WriteMessage(enginetest.OpText, []byte(tc.text)) }()
			got, err := p.ReadClose()
			if err != nil || got == nil || got.Code != tc.code {
				t.Errorf("closed with %v, %v; want %d", got, err, tc.code)
			}
			_ = p.Conn.Close()
			var oe *OpeningError
			if err := <-s.rejected; !errors.As(err, &oe) || uint16(oe.Code) != tc.code || oe.Err.Error() == "" {
				t.Errorf("server says %v", err)
			}
		})
	}
	t.Run("binary greeting", func(t *testing.T) {
		p := s.dial(t)
		_ = p.WriteMessage(enginetest.OpBinary, []byte("a_1"))
		if got, err := p.ReadClose(); err != nil || got == nil || got.Code != 1003 {
			t.Errorf("closed with %v, %v", got, err)
		}
		_ = p.Conn.Close()
		<-s.rejected
	})
	t.Run("silence", func(t *testing.T) {
		s := newHostileServer(t, Limits{Greeting: 50 * time.Millisecond})
		p := s.dial(t)
		if got, err := p.ReadClose(); err != nil || got == nil || got.Code != 1008 {
			t.Errorf("closed with %v, %v", got, err)
		}
		_ = p.Conn.Close()
		<-s.rejected
	})
}
