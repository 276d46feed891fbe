package tunnel

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

// heardRequest reads a request head and its content.
func heardRequest(t testing.TB, p *enginetest.Peer) (wire.ClassicRequest, string) {
	t.Helper()
	var r wire.ClassicRequest
	hearJSON(t, p, &r)
	return r, string(hear(t, p, opBinary))
}

const ok200 = `{"StatusCode":200,"Header":{"Content-Length":["2"]},"ContentLength":2}`

func TestClassicRequestHead(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   *wire.Request
		end  bool
		want wire.ClassicRequest
	}{
		{"get", ask("GET", "/a?b=%20", wire.Field{Name: "accept", Value: "*/*"}, wire.Field{Name: "Accept", Value: "x"}), true,
			wire.ClassicRequest{Method: "GET", URL: "http://api.test:8080/a?b=%20", Header: map[string][]string{"Accept": {"*/*", "x"}}, ContentLength: 0}},
		{"unknown length", ask("POST", "/"), false,
			wire.ClassicRequest{Method: "POST", URL: "http://api.test:8080/", Header: map[string][]string{}, ContentLength: -1}},
		{"known length", ask("PUT", "/", wire.Field{Name: "content-length", Value: "7"}), false,
			wire.ClassicRequest{Method: "PUT", URL: "http://api.test:8080/", Header: map[string][]string{"Content-Length": {"7"}}, ContentLength: 7}},
		{"options of the server", ask("OPTIONS", "*"), true,
			wire.ClassicRequest{Method: "OPTIONS", URL: "http://api.test:8080", Header: map[string][]string{}, ContentLength: 0}},
		{"what does not go on", ask("GET", "/", wire.Field{Name: "expect", Value: "100-continue"}, wire.Field{Name: "X-Secret-Key", Value: "s"},
			wire.Field{Name: "x-proxy-destination", Value: "u"}, wire.Field{Name: "X-PROXY-CLIENT", Value: "c"}, wire.Field{Name: "te", Value: "trailers"},
			wire.Field{Name: "proxy-authorization", Value: "s"}, wire.Field{Name: "Authorization", Value: "the origin's"}), true,
			wire.ClassicRequest{Method: "GET", URL: "http://api.test:8080/", Header: map[string][]string{"Authorization": {"the origin's"}}, ContentLength: 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := classicRequest(tc.in, tc.end)
			if err != nil {
				t.Fatal(err)
			}
			text, want := string(wire.AppendClassicRequest(nil, got)), string(wire.AppendClassicRequest(nil, &tc.want))
			if text != want {
				t.Fatalf("got  %s\nwant %s", text, want)
			}
		})
	}
}

func TestClassicNotCarriedIsUnsupported(t *testing.T) {
	c, _ := served(t, classicOptions{})
	exposed := ask("GET", "/")
	exposed.Route = 1
	for name, r := range map[string]*wire.Request{
		"upgrade": ask("GET", "/", wire.Field{Name: "upgrade", Value: "websocket"}),
		"connect": {Method: "CONNECT", Scheme: "http", Authority: "a:1", Path: "/"},
		"trailer": ask("POST", "/", wire.Field{Name: "Trailer", Value: "x-sum"}),
		"route":   exposed,
	} {
		if !c.Reserve() {
			t.Fatal(name, "took the slot")
		}
		_, err := c.Open(t.Context(), r, false)
		wantReason(t, err, engine.ReasonUnsupported)
		c.Unreserve()
	}
	if !c.Reserve() {
		t.Fatal("no slot")
	}
	_, err := c.OpenConnect(t.Context(), 0, "db.test:5432")
	wantReason(t, err, engine.ReasonUnsupported)
	_, err = c.Open(t.Context(), &wire.Request{Method: "GET", Scheme: "http", Authority: "a", Path: "no"}, true)
	wantReason(t, err, engine.ReasonMalformed)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Open(gone, ask("GET", "/"), true)
	wantReason(t, err, engine.ReasonCallerGone)
	c.Unreserve()
	if !c.Reserve() {
		t.Fatal("a caller that had gone before Open cost the connection")
	}
}

// TestClassicRequestFrames holds the forms of content: empty, whole, in pieces.
func TestClassicRequestFrames(t *testing.T) {
	big := strings.Repeat("b", 100<<10)
	for _, tc := range []struct {
		name   string
		fields []wire.Field
		pieces []string
		end    bool
		want   []enginetest.Frame // payload lengths matter
	}{
		{"none", nil, nil, true, []enginetest.Frame{{Opcode: opBinary, Fin: true}}},
		{"empty", nil, nil, false, []enginetest.Frame{{Opcode: opBinary, Fin: true}}},
		{"whole", []wire.Field{{Name: "content-length", Value: "5"}}, []string{"whole"}, false,
			[]enginetest.Frame{{Opcode: opBinary, Fin: true, Payload: []byte("whole")}}},
		{"pieces", nil, []string{"a", "bc"}, false, []enginetest.Frame{{Opcode: opBinary, Payload: []byte("a")},
			{Opcode: opContinuation, Payload: []byte("bc")}, {Opcode: opContinuation, Fin: true}}},
		{"pieces of a known length", []wire.Field{{Name: "content-length", Value: "3"}}, []string{"a", "bc"}, false,
			[]enginetest.Frame{{Opcode: opBinary, Payload: []byte("a")}, {Opcode: opContinuation, Payload: []byte("bc")}, {Opcode: opContinuation, Fin: true}}},
		{"above 32 KiB", nil, []string{big}, false, []enginetest.Frame{{Opcode: opBinary, Payload: []byte(big[:32<<10])},
			{Opcode: opContinuation, Payload: []byte(big[:32<<10])}, {Opcode: opContinuation, Payload: []byte(big[:32<<10])},
			{Opcode: opContinuation, Payload: []byte(big[:4<<10])}, {Opcode: opContinuation, Fin: true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, peer := served(t, classicOptions{})
			x := opened(t, c, t.Context(), ask("POST", "/", tc.fields...), tc.end)
			defer x.Close()
			hear(t, peer, opText)
			go func() {
				for _, p := range tc.pieces {
					_, _ = x.Write([]byte(p))
				}
				if !tc.end {
					_ = x.CloseWrite(nil)
				}
			}()
			for i, want := range tc.want {
				f, err := peer.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				if f.Opcode != want.Opcode || f.Fin != want.Fin || f.Masked || string(f.Payload) != string(want.Payload) {
					t.Fatalf("frame %d: opcode %d fin %v masked %v of %d bytes, want opcode %d fin %v of %d bytes",
						i, f.Opcode, f.Fin, f.Masked, len(f.Payload), want.Opcode, want.Fin, len(want.Payload))
				}
			}
			respond(t, peer, ok200, "ok")
			if _, err := x.ReadResponse(); err != nil {
				t.Fatal(err)
			}
			content(t, x)
		})
	}
}

// TestClassicPieceIsNotHeldBack writes a piece only when the one before arrived,
// both ways: the library's writer would deadlock here.
func TestClassicPieceIsNotHeldBack(t *testing.T) {
	c, peer := served(t, classicOptions{})
	x := opened(t, c, t.Context(), ask("POST", "/"), false)
	defer x.Close()
	hear(t, peer, opText)
	say(t, peer, opText, `{"StatusCode":200,"Header":{},"ContentLength":-1}`)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := x.Write([]byte("up")); err != nil {
			t.Fatal(err)
		}
		if f, err := peer.ReadFrame(); err != nil || string(f.Payload) != "up" {
			t.Fatal(f, err)
		}
		opcode := byte(opBinary)
		if i > 0 {
			opcode = opContinuation
		}
		if err := peer.WriteFrame(enginetest.Frame{Opcode: opcode, Masked: true, Payload: []byte("down")}); err != nil {
			t.Fatal(err)
		}
		if p, err := x.Next(); err != nil || string(p) != "down" {
			t.Fatal(string(p), err)
		}
	}
}

func TestClassicResponseThatIsNotWhole(t *testing.T) {
	for _, tc := range []struct {
		name, method, head, content string
		fin                         bool
		want                        engine.Reason // ReasonNone: it is whole
	}{
		{"whole", "GET", ok200, "ok", true, engine.ReasonNone},
		{"no FIN=1", "GET", `{"StatusCode":200,"ContentLength":-1}`, "ok", false, engine.ReasonTunnelFailed},
		{"no FIN=1 at the full length", "GET", ok200, "ok", false, engine.ReasonTunnelFailed},
		{"short", "GET", ok200, "o", true, engine.ReasonTunnelFailed},
		{"long", "GET", ok200, "okk", true, engine.ReasonTunnelFailed},
		{"empty and should not be", "GET", ok200, "", true, engine.ReasonTunnelFailed},
		{"HEAD", "HEAD", ok200, "", true, engine.ReasonNone},
		{"HEAD with content", "HEAD", ok200, "ok", true, engine.ReasonTunnelFailed},
		{"304", "GET", `{"StatusCode":304,"Header":{"Content-Length":["9"]},"ContentLength":0}`, "", true, engine.ReasonNone},
		{"204", "GET", `{"StatusCode":204,"Header":{"Content-Length":["9"]},"ContentLength":9}`, "", true, engine.ReasonNone},
		{"204 with content", "GET", `{"StatusCode":204,"ContentLength":0}`, "x", true, engine.ReasonTunnelFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, peer := served(t, classicOptions{})
			x := opened(t, c, t.Context(), ask(tc.method, "/"), true)
			heardRequest(t, peer)
			say(t, peer, opText, tc.head)
			if err := peer.WriteFrame(enginetest.Frame{Opcode: opBinary, Fin: tc.fin, Masked: true, Payload: []byte(tc.content)}); err != nil {
				t.Fatal(err)
			}
			if !tc.fin {
				_ = peer.Conn.Close()
			}
			// Content that is there when its head is read is checked with it.
			r, err := x.ReadResponse()
			if err == nil {
				if r.Status == 204 && wire.Get(r.Fields, "content-length") != "" {
					t.Fatal("204 with a content-length")
				}
				_, err = readAll(x)
			}
			if tc.want == engine.ReasonNone {
				if err != nil {
					t.Fatal(err)
				}
				x.Close()
				if !c.Reserve() {
					t.Fatal("a whole exchange did not give its connection back")
				}
				return
			}
			wantReason(t, err, tc.want)
			x.Close()
			if c.Reserve() {
				t.Fatal("the connection goes on after a doubt")
			}
			if tc.fin {
				hearClose(t, peer, engine.CloseProtocolError)
			}
			<-c.Done()
		})
	}
}

func TestClassicServerRefusesBadMessages(t *testing.T) {
	huge := strings.Repeat(" ", maxClassicText+1)
	for _, tc := range []struct {
		name string
		busy bool
		play func(t *testing.T, p *enginetest.Peer)
		want engine.CloseCode
	}{
		{"text while idle", false, func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, ok200) }, engine.CloseProtocolError},
		{"binary while idle", false, func(t *testing.T, p *enginetest.Peer) { say(t, p, opBinary, "x") }, engine.CloseProtocolError},
		{"binary first", true, func(t *testing.T, p *enginetest.Peer) { say(t, p, opBinary, "x") }, engine.CloseProtocolError},
		{"two texts", true, func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, ok200); say(t, p, opText, ok200) }, engine.CloseProtocolError},
		{"oversize text", true, func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, huge) }, engine.CloseTooBig},
		{"declared oversize text", true, func(t *testing.T, p *enginetest.Peer) {
			_ = p.WriteFrame(enginetest.Frame{Fin: true, Opcode: opText, Masked: true, Declared: 1 << 40})
		}, engine.CloseTooBig},
		{"oversize text in fragments", true, func(t *testing.T, p *enginetest.Peer) {
			_ = p.WriteFragments(opText, []byte(huge[:maxClassicText]), []byte("{}"))
		}, engine.CloseTooBig},
		{"garbage", true, func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, "garbage") }, engine.CloseProtocolError},
		{"not an object", true, func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, "[]") }, engine.CloseProtocolError},
		{"not UTF-8", true, func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, "\xff") }, engine.CloseInvalidText},
		{"status out of range", true, func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, `{"StatusCode":99}`) }, engine.CloseProtocolError},
		{"informational", true, func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, `{"StatusCode":103}`) }, engine.CloseProtocolError},
		{"lengths differ", true, func(t *testing.T, p *enginetest.Peer) {
			say(t, p, opText, `{"StatusCode":200,"Header":{"Content-Length":["3"]},"ContentLength":2}`)
		}, engine.CloseProtocolError},
		{"a field with a line break", true, func(t *testing.T, p *enginetest.Peer) {
			say(t, p, opText, `{"StatusCode":200,"Header":{"A":["b\r\nC: d"]},"ContentLength":0}`)
		}, engine.CloseProtocolError},
		{"not masked", true, func(t *testing.T, p *enginetest.Peer) {
			_ = p.WriteFrame(enginetest.Frame{Fin: true, Opcode: opText, Payload: []byte(ok200)})
		}, engine.CloseProtocolError},
		{"reserved bit", true, func(t *testing.T, p *enginetest.Peer) {
			_ = p.WriteFrame(enginetest.Frame{Fin: true, Rsv: 4, Opcode: opText, Masked: true, Payload: []byte(ok200)})
		}, engine.CloseProtocolError},
		{"reserved opcode", false, func(t *testing.T, p *enginetest.Peer) { say(t, p, 3, "") }, engine.CloseProtocolError},
		{"continuation of nothing", false, func(t *testing.T, p *enginetest.Peer) { say(t, p, opContinuation, "") }, engine.CloseProtocolError},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, peer := served(t, classicOptions{})
			if tc.busy {
				x := opened(t, c, t.Context(), ask("GET", "/"), true)
				heardRequest(t, peer)
				tc.play(t, peer)
				_, err := x.ReadResponse()
				if err == nil {
					_, err = readAll(x)
				}
				if r := engine.ReasonOf(err); r != engine.ReasonTunnelFailed && r != engine.ReasonOriginFailed {
					t.Fatalf("exchange fails with %v", err)
				}
				x.Close()
			} else {
				tc.play(t, peer)
			}
			hearClose(t, peer, tc.want)
			wantEnd(t, c, tc.want)
			if c.Reserve() {
				t.Fatal("a closed connection takes work")
			}
		})
	}
}

// TestClassicLibraryNeverWrites sends broken frames while content is written:
// the library's own Close would run into ours (seen by -race in the frame tap).
func TestClassicLibraryNeverWrites(t *testing.T) {
	for range 20 {
		c, peer := served(t, classicOptions{})
		x := opened(t, c, t.Context(), ask("POST", "/"), false)
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			piece := make([]byte, 1000)
			for {
				if _, err := x.Write(piece); err != nil {
					return
				}
			}
		}()
		hear(t, peer, opText)
		_ = peer.WriteFrame(enginetest.Frame{Fin: true, Opcode: 7, Masked: true})
		hearClose(t, peer, engine.CloseProtocolError)
		<-wrote
		x.Close()
		wantEnd(t, c, engine.CloseProtocolError)
	}
}

func TestClassicNotPerformedClosesConnection(t *testing.T) {
	c, peer := served(t, classicOptions{})
	x := opened(t, c, t.Context(), ask("POST", "/x?token=secret"), true)
	heardRequest(t, peer)
	text := "Unable to execute request : Post \"http://api.test/x?token=secret\": refused for good\nsecond line"
	respond(t, peer, `{"StatusCode":527,"Header":{},"ContentLength":99}`, text)
	_, err := x.ReadResponse()
	wantReason(t, err, engine.ReasonOriginFailed)
	if got := err.Error(); strings.Contains(got, "secret") || strings.Contains(got, "second") || !strings.Contains(got, "refused for good") {
		t.Fatalf("cause %q", got)
	}
	x.Close()
	if c.Reserve() {
		t.Fatal("root-gg's client would answer the next request twice")
	}
	hearClose(t, peer, engine.CloseNormal)
}

// earlyAnswers are answers that come while the request is still written.
func TestClassicEarlyAnswerStopsTheRequest(t *testing.T) {
	for _, tc := range []struct{ name, head, content string }{
		{"error", `{"StatusCode":413,"Header":{},"ContentLength":9}`, "too large"},
		{"complete", `{"StatusCode":200,"Header":{},"ContentLength":9}`, "good news"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, peer := served(t, classicOptions{})
			x := opened(t, c, t.Context(), ask("POST", "/"), false)
			wrote := make(chan error, 1)
			go func() {
				piece := make([]byte, 32<<10)
				for {
					if _, err := x.Write(piece); err != nil {
						wrote <- err
						return
					}
				}
			}()
			hear(t, peer, opText)
			respond(t, peer, tc.head, tc.content) // and reads no more of the request
			if _, err := x.ReadResponse(); err != nil {
				t.Fatal(err)
			}
			if got := content(t, x); got != tc.content {
				t.Fatalf("got %q", got)
			}
			if err := <-wrote; !errors.Is(err, errOver) {
				t.Fatalf("writing ends with %v", err)
			}
			if err := x.CloseWrite(nil); !errors.Is(err, errOver) {
				t.Fatalf("CloseWrite: %v", err)
			}
			x.Close()
			if c.Reserve() {
				t.Fatal("the connection goes on after half a request")
			}
			hearEnd(t, peer)
			<-c.Done()
		})
	}
}

// TestClassicAnswerAlongsideRequest lets both directions flow together.
func TestClassicAnswerAlongsideRequest(t *testing.T) {
	c, peer := served(t, classicOptions{})
	x := opened(t, c, t.Context(), ask("POST", "/"), false)
	hear(t, peer, opText)
	say(t, peer, opText, `{"StatusCode":200,"Header":{},"ContentLength":-1}`)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Write([]byte("up")); err != nil {
		t.Fatal(err)
	}
	if err := x.CloseWrite(nil); err != nil {
		t.Fatal(err)
	}
	if got := hear(t, peer, opBinary); string(got) != "up" {
		t.Fatalf("got %q", got)
	}
	say(t, peer, opBinary, "down")
	if got := content(t, x); got != "down" {
		t.Fatalf("got %q", got)
	}
	x.Close()
	if !c.Reserve() {
		t.Fatal("the connection did not come back")
	}
}

func TestClassicCallerGoneClosesConnection(t *testing.T) {
	for _, phase := range []string{"head", "content", "writing"} {
		t.Run(phase, func(t *testing.T) {
			c, peer := served(t, classicOptions{})
			ctx, cancel := context.WithCancel(t.Context())
			x := opened(t, c, ctx, ask("POST", "/"), phase != "writing")
			hear(t, peer, opText)
			failed := make(chan error, 1)
			switch phase {
			case "head":
				go func() {
					_, err := x.ReadResponse()
					failed <- err
				}()
			case "content":
				say(t, peer, opText, `{"StatusCode":200,"Header":{},"ContentLength":-1}`)
				if _, err := x.ReadResponse(); err != nil {
					t.Fatal(err)
				}
				go func() {
					_, err := x.Next()
					failed <- err
				}()
			case "writing":
				go func() {
					var err error
					for err == nil {
						_, err = x.Write(make([]byte, 8<<10))
					}
					failed <- err
				}()
			}
			begin := time.Now()
			cancel()
			wantReason(t, <-failed, engine.ReasonCallerGone)
			x.Close()
			<-c.Done()
			if took := time.Since(begin); took > 500*time.Millisecond {
				t.Fatalf("took %v", took)
			}
			if _, _, err := peer.ReadMessage(); phase == "head" && err != nil {
				t.Fatal("the empty content of the request is missing:", err)
			}
			if phase != "writing" {
				hearEnd(t, peer)
			}
		})
	}
}

func TestClassicContentAgainstItsLength(t *testing.T) {
	for _, tc := range []struct {
		name  string
		write string
	}{{"short", "abc"}, {"long", "abcdefg"}} {
		t.Run(tc.name, func(t *testing.T) {
			c, peer := served(t, classicOptions{})
			x := opened(t, c, t.Context(), ask("POST", "/", wire.Field{Name: "content-length", Value: "5"}), false)
			hear(t, peer, opText)
			_, err := x.Write([]byte(tc.write))
			if err == nil {
				err = x.CloseWrite(nil)
			}
			wantReason(t, err, engine.ReasonMalformed)
			hearEnd(t, peer)
			x.Close()
			<-c.Done()
		})
	}
}
