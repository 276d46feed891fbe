package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

// jsonRequest is a request head as a real server writes it.
func jsonRequest(method, path string, length int) string {
	return fmt.Sprintf(`{"Method":%q,"URL":"http://api.test%s","Header":{"X-Proxy-Destination":["http://api.test%s"]},"ContentLength":%d}`, method, path, path, length)
}

// heardResponse reads a response head and its content.
func heardResponse(t testing.TB, p *enginetest.Peer) (wire.ClassicResponse, string) {
	t.Helper()
	var r wire.ClassicResponse
	hearJSON(t, p, &r)
	return r, string(hear(t, p, opBinary))
}

func TestClassicRequestFromRealServer(t *testing.T) {
	head := &wire.ClassicRequest{Method: "POST", URL: "https://api.test:1?q=1#part", ContentLength: 3, Header: map[string][]string{
		"Connection": {"keep-alive, X-Hop", "x-other"}, "X-Hop": {"1"}, "X-Other": {"2"}, "Keep-Alive": {"3"}, "Te": {"trailers"},
		"Upgrade": {"websocket"}, "Expect": {"100-continue"}, "Trailer": {"X-Sum"}, "X-Proxy-Destination": {"u"}, "X-Secret-Key": {"s"},
		"Transfer-Encoding": {"chunked"}, "Host": {"other"}, "Proxy-Connection": {"x"}, "Proxy-Authorization": {"s"}, "B": {"2", "3"}, "A": {"1"},
	}}
	r, err := nativeRequest(head)
	if err != nil {
		t.Fatal(err)
	}
	want := &wire.Request{Method: "POST", Scheme: "https", Authority: "api.test:1", Path: "/?q=1",
		Fields: []wire.Field{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: "B", Value: "3"}, {Name: "Content-Length", Value: "3"}}}
	if fmt.Sprint(r) != fmt.Sprint(want) {
		t.Fatalf("got  %v\nwant %v", r, want)
	}
	for url, path := range map[string]string{"http://a": "/", "http://a/": "/", "http://a/x?y": "/x?y", "http://a#f": "/"} {
		if r, err := nativeRequest(&wire.ClassicRequest{Method: "GET", URL: url}); err != nil || r.Path != path || r.Authority != "a" {
			t.Errorf("%s: %v, %v", url, r, err)
		}
	}
	if r, err := nativeRequest(&wire.ClassicRequest{Method: "OPTIONS", URL: "http://a"}); err != nil || r.Path != "*" {
		t.Errorf("OPTIONS without a path: %v, %v", r, err)
	}
	head = &wire.ClassicRequest{Method: "POST", URL: "http://a/", ContentLength: -1, Header: map[string][]string{"Content-Length": {"3"}}}
	if _, err := nativeRequest(head); !errors.Is(err, errLengths) {
		t.Errorf("contradicting lengths: %v", err)
	}
}

// TestClassicClientFrames holds the forms of a response on the wire.
func TestClassicClientFrames(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	length := func(n int) wire.Field { return wire.Field{Name: "Content-Length", Value: fmt.Sprint(n)} }
	for _, tc := range []struct {
		name, method string
		play         func(in Incoming) error
		status       int
		length       int64
		want         []string // payloads of the content's frames
	}{
		{"whole", "GET", func(in Incoming) error { return replyWith(in, 200, "body", length(4)) }, 200, 4, []string{"body"}},
		{"streamed", "GET", func(in Incoming) error { return replyWith(in, 404, "body") }, 404, -1, []string{"body", ""}},
		{"above 32 KiB", "GET", func(in Incoming) error { return replyWith(in, 200, long, length(len(long))) }, 200, 40 << 10, []string{long[:32<<10], long[32<<10:], ""}},
		{"none", "GET", func(in Incoming) error { return in.WriteResponse(&wire.Response{Status: 200}, true) }, 200, 0, []string{""}},
		{"HEAD", "HEAD", func(in Incoming) error {
			return in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{length(9)}}, true)
		}, 200, 9, []string{""}},
		{"304", "GET", func(in Incoming) error {
			return in.WriteResponse(&wire.Response{Status: 304, Fields: []wire.Field{length(9)}}, true)
		}, 304, 9, []string{""}},
		{"103 first, trailers last", "GET", func(in Incoming) error {
			err := in.WriteInformational(103, []wire.Field{{Name: "Link", Value: "x"}})
			return errors.Join(err, in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Trailer", Value: "X-Sum"}}}, false),
				in.CloseWrite([]wire.Field{{Name: "X-Sum", Value: "1"}}))
		}, 200, -1, []string{""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, peer := dialled(t, classicOptions{handler: func(in Incoming) {
				if err := tc.play(in); err != nil {
					t.Error(err)
				}
			}})
			respond(t, peer, jsonRequest(tc.method, "/", 0), "")
			var r wire.ClassicResponse
			hearJSON(t, peer, &r)
			if r.StatusCode != tc.status || r.ContentLength != tc.length || r.Header["Trailer"] != nil {
				t.Fatalf("head %+v", r)
			}
			keys := map[[4]byte]bool{}
			for i, want := range tc.want {
				f, err := peer.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				opcode, fin := byte(opContinuation), i == len(tc.want)-1
				if i == 0 {
					opcode = opBinary
				}
				if f.Opcode != opcode || f.Fin != fin || !f.Masked || string(f.Payload) != want {
					t.Fatalf("frame %d: opcode %d fin %v masked %v of %d bytes", i, f.Opcode, f.Fin, f.Masked, len(f.Payload))
				}
				if keys[f.Key] {
					t.Fatal("a masking key was used twice")
				}
				keys[f.Key] = true
			}
			// The connection is in order.
			respond(t, peer, jsonRequest(tc.method, "/", 0), "")
			if r, _ := heardResponse(t, peer); r.StatusCode != tc.status {
				t.Fatalf("the next answer %+v", r)
			}
		})
	}
}

func TestClassicUpgradeIsRefusedByClient(t *testing.T) {
	_, peer := dialled(t, classicOptions{handler: func(in Incoming) {
		if _, connect := in.Connect(); connect {
			t.Error("a CONNECT")
		}
		wantReason(t, in.WriteResponse(&wire.Response{Status: 101}, false), engine.ReasonUnsupported)
		if _, err := in.Write([]byte("x")); err == nil {
			t.Error("content without a head")
		}
		_ = replyWith(in, 501, "")
	}})
	respond(t, peer, jsonRequest("GET", "/", 0), "")
	if r, _ := heardResponse(t, peer); r.StatusCode != 501 {
		t.Fatalf("got %+v", r)
	}
}

// TestClassicDeniedKeepsOrder is F1: root-gg's client, having denied a request,
// performed it with the next one's head as its content.
func TestClassicDeniedKeepsOrder(t *testing.T) {
	performed := 0
	s, peer := dialled(t, classicOptions{handler: func(in Incoming) {
		if strings.HasPrefix(in.Request().Path, "/forbidden") {
			in.Reset(wire.ResetDenied, "")
			return
		}
		body, err := io.ReadAll(in)
		if err != nil {
			t.Error(err)
		}
		performed++
		_ = replyWith(in, 200, in.Request().Path+" "+string(body))
	}})
	for i := range 100 {
		path, body := fmt.Sprintf("/allowed/%d", i), fmt.Sprintf("body %d", i)
		if i%3 == 1 {
			path = fmt.Sprintf("/forbidden/%d", i)
		}
		respond(t, peer, jsonRequest("POST", path, len(body)), body)
		r, got := heardResponse(t, peer)
		if i%3 == 1 {
			if r.StatusCode != statusNotPerformed || got != "forbidden by a rule" || r.ContentLength != int64(len(got)) || r.Header == nil {
				t.Fatalf("request %d: %+v %q", i, r, got)
			}
		} else if r.StatusCode != 200 || got != path+" "+body {
			t.Fatalf("request %d: %+v %q", i, r, got)
		}
	}
	if performed != 67 {
		t.Fatalf("%d requests performed", performed)
	}
	var c engine.Connection
	s.Status(&c)
	if c.Exchanges < 99 {
		t.Fatalf("status %+v", c)
	}
}

func TestClassicInvalidRequestIsAnswered(t *testing.T) {
	_, peer := dialled(t, classicOptions{handler: func(in Incoming) { _ = replyWith(in, 200, "") }})
	for _, bad := range []string{
		`{"Method":"GET","URL":"/relative","Header":null,"ContentLength":0}`,
		`{"Method":"GET","URL":"http://user:secret@a/","Header":null,"ContentLength":0}`,
		`{"Method":"CONNECT","URL":"http://a/","Header":null,"ContentLength":0}`,
		`{"Method":"GET","URL":"http://a/","Header":{"A":["b\nc"]},"ContentLength":0}`,
		`{"Method":"POST","URL":"http://a/","Header":{"Content-Length":["7"]},"ContentLength":3}`,
	} {
		respond(t, peer, bad, "abc")
		r, text := heardResponse(t, peer)
		if r.StatusCode != statusNotPerformed || text == "" || strings.Contains(text, "secret") {
			t.Fatalf("%s: %+v %q", bad, r, text)
		}
		respond(t, peer, jsonRequest("GET", "/", 0), "")
		if r, _ := heardResponse(t, peer); r.StatusCode != 200 {
			t.Fatalf("after %s: %+v", bad, r)
		}
	}
}

// TestClassicEarlyAnswerReadsRequestOn answers while a server that reads no
// answer before it has sent all of its request, as real ones do, is sending.
func TestClassicEarlyAnswerReadsRequestOn(t *testing.T) {
	for _, size := range []int{10, 1 << 20} { // of the answer: small, and more than the socket holds
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			answer := strings.Repeat("no ", size/3)
			_, peer := dialled(t, classicOptions{handler: func(in Incoming) {
				if in.Request().Path == "/next" {
					_ = replyWith(in, 200, "next")
					return
				}
				p, err := in.Next()
				if err != nil || len(p) == 0 {
					t.Errorf("the first piece: %q, %v", p, err)
				}
				if err := replyWith(in, 413, answer); err != nil {
					t.Error(err)
				}
				if strings.Trim(string(p), "\x01") != "" {
					t.Error("what was discarded was read into the piece that the handler holds")
				}
			}})
			say(t, peer, opText, jsonRequest("POST", "/", -1))
			for i := range 200 { // 800 KB: more than the socket holds
				opcode := byte(opContinuation)
				if i == 0 {
					opcode = opBinary
				}
				piece := bytes.Repeat([]byte{byte(i + 1)}, 4082)
				if err := peer.WriteFrame(enginetest.Frame{Opcode: opcode, Payload: piece}); err != nil {
					t.Fatal(err)
				}
			}
			if err := peer.WriteFrame(enginetest.Frame{Opcode: opContinuation, Fin: true}); err != nil {
				t.Fatal(err)
			}
			if r, body := heardResponse(t, peer); r.StatusCode != 413 || body != answer {
				t.Fatalf("answer %+v of %d bytes", r, len(body))
			}
			respond(t, peer, jsonRequest("GET", "/next", 0), "")
			if r, body := heardResponse(t, peer); r.StatusCode != 200 || body != "next" {
				t.Fatalf("the next answer %+v %q", r, body)
			}
		})
	}
}

// TestClassicDuplexIsNotDiscarded: a slow origin that takes the request piece by
// piece while its answer waits loses nothing of it.
func TestClassicDuplexIsNotDiscarded(t *testing.T) {
	got := make(chan string, 1)
	_, peer := dialled(t, classicOptions{handler: func(in Incoming) {
		_ = in.WriteResponse(&wire.Response{Status: 200}, false)
		_, _ = in.Write([]byte("first"))
		body, err := io.ReadAll(in)
		if err != nil {
			t.Error(err)
		}
		got <- string(body)
		_ = in.CloseWrite(nil)
	}})
	say(t, peer, opText, jsonRequest("POST", "/", -1))
	hear(t, peer, opText)
	if f, err := peer.ReadFrame(); err != nil || string(f.Payload) != "first" {
		t.Fatal(f, err)
	}
	if err := peer.WriteFragments(opBinary, []byte("a"), []byte("b"), []byte("c")); err != nil {
		t.Fatal(err)
	}
	if body := <-got; body != "abc" {
		t.Fatalf("got %q", body)
	}
}

func TestClassicFailureAfterHeadCutsConnection(t *testing.T) {
	s, peer := dialled(t, classicOptions{handler: func(in Incoming) {
		_, _ = io.Copy(io.Discard, in)
		_ = in.WriteResponse(&wire.Response{Status: 200}, false)
		_, _ = in.Write([]byte("half"))
		in.Reset(wire.ResetOriginFailed, "the origin broke off")
		if in.Context().Err() == nil {
			t.Error("the context goes on")
		}
	}})
	respond(t, peer, jsonRequest("GET", "/", 0), "")
	hear(t, peer, opText)
	if f, err := peer.ReadFrame(); err != nil || f.Fin || string(f.Payload) != "half" {
		t.Fatal(f, err)
	}
	hearEnd(t, peer)
	wantEnd(t, s, engine.CloseAbnormal)
}

func TestClassicResponseAgainstItsLengthIsCut(t *testing.T) {
	for _, body := range []string{"abc", "abcdefg"} {
		s, peer := dialled(t, classicOptions{handler: func(in Incoming) {
			_, _ = io.Copy(io.Discard, in)
			wantReason(t, replyWith(in, 200, body, wire.Field{Name: "content-length", Value: "5"}), engine.ReasonOriginFailed)
		}})
		respond(t, peer, jsonRequest("GET", "/", 0), "")
		hear(t, peer, opText)
		hearEnd(t, peer)
		wantEnd(t, s, engine.CloseAbnormal)
	}
}

func TestClassicHandlerThatAnswersNothing(t *testing.T) {
	_, peer := dialled(t, classicOptions{handler: func(Incoming) {}})
	for range 3 {
		respond(t, peer, jsonRequest("POST", "/", 3), "abc")
		if r, text := heardResponse(t, peer); r.StatusCode != statusNotPerformed || text != "internal error" {
			t.Fatalf("got %+v %q", r, text)
		}
	}
}

// TestClassicNextRequestBeforeHandlerReturned: a real server sends it as soon as
// it has read our last frame.
func TestClassicNextRequestBeforeHandlerReturned(t *testing.T) {
	running := make(chan struct{}, 2)
	release := make(chan struct{})
	_, peer := dialled(t, classicOptions{handler: func(in Incoming) {
		running <- struct{}{}
		if len(running) > 1 {
			t.Error("two handlers at once")
		}
		_ = replyWith(in, 200, in.Request().Path)
		<-release
		<-running
	}})
	respond(t, peer, jsonRequest("GET", "/1", 0), "")
	heardResponse(t, peer)
	respond(t, peer, jsonRequest("GET", "/2", 0), "")
	release <- struct{}{}
	if _, body := heardResponse(t, peer); body != "/2" {
		t.Fatalf("got %q", body)
	}
	release <- struct{}{}
}

func TestClassicClientRefusesBadMessages(t *testing.T) {
	huge := strings.Repeat(" ", maxClassicText+1)
	for _, tc := range []struct {
		name string
		play func(t *testing.T, p *enginetest.Peer)
		want engine.CloseCode
	}{
		{"binary first", func(t *testing.T, p *enginetest.Peer) { say(t, p, opBinary, "x") }, engine.CloseProtocolError},
		{"two texts", func(t *testing.T, p *enginetest.Peer) {
			say(t, p, opText, jsonRequest("GET", "/", 0))
			say(t, p, opText, jsonRequest("GET", "/", 0))
		}, engine.CloseProtocolError},
		{"a second request", func(t *testing.T, p *enginetest.Peer) {
			respond(t, p, jsonRequest("GET", "/", 0), "")
			say(t, p, opText, jsonRequest("GET", "/", 0))
		}, engine.CloseProtocolError},
		{"second content", func(t *testing.T, p *enginetest.Peer) {
			respond(t, p, jsonRequest("GET", "/", 0), "")
			say(t, p, opBinary, "")
		}, engine.CloseProtocolError},
		{"content where none was promised", func(t *testing.T, p *enginetest.Peer) { respond(t, p, jsonRequest("GET", "/", 0), "x") }, engine.CloseProtocolError},
		{"long content", func(t *testing.T, p *enginetest.Peer) { respond(t, p, jsonRequest("POST", "/", 2), "abc") }, engine.CloseProtocolError},
		{"short content", func(t *testing.T, p *enginetest.Peer) { respond(t, p, jsonRequest("POST", "/", 4), "abc") }, engine.CloseProtocolError},
		{"oversize text", func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, huge) }, engine.CloseTooBig},
		{"garbage", func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, "{") }, engine.CloseProtocolError},
		{"not UTF-8", func(t *testing.T, p *enginetest.Peer) { say(t, p, opText, "\xc3(") }, engine.CloseInvalidText},
		{"masked", func(t *testing.T, p *enginetest.Peer) {
			_ = p.WriteFrame(enginetest.Frame{Fin: true, Opcode: opText, Masked: true, Payload: []byte("x")})
		}, engine.CloseProtocolError},
		{"long control frame", func(t *testing.T, p *enginetest.Peer) {
			_ = p.WriteFrame(enginetest.Frame{Fin: true, Opcode: opPing, Payload: make([]byte, 126)})
		}, engine.CloseProtocolError},
		{"drain by the server", func(t *testing.T, p *enginetest.Peer) { _ = p.WriteClose(1001, "going away") }, engine.CloseGoingAway},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, peer := dialled(t, classicOptions{handler: func(in Incoming) {
				_, _ = io.Copy(io.Discard, in)
				<-in.Context().Done()
			}})
			tc.play(t, peer)
			hearClose(t, peer, tc.want)
			wantEnd(t, s, tc.want)
		})
	}
}

// TestClassicServerGoneCancelsHandler is F10: the caller's abort reaches the
// origin by the end of the connection, with or without a Close frame.
func TestClassicServerGoneCancelsHandler(t *testing.T) {
	for name, leave := range map[string]func(p *enginetest.Peer){
		"eof":   func(p *enginetest.Peer) { _ = p.Conn.Close() },
		"close": func(p *enginetest.Peer) { _ = p.WriteClose(1001, "") },
		"reset": func(p *enginetest.Peer) { p.Conn.(*enginetest.Conn).Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			began, ended := make(chan struct{}), make(chan time.Time, 1)
			s, peer := dialled(t, classicOptions{handler: func(in Incoming) {
				close(began)
				<-in.Context().Done()
				ended <- time.Now()
			}})
			respond(t, peer, jsonRequest("GET", "/", 0), "")
			<-began
			begin := time.Now()
			leave(peer)
			// By anything else it would be told when the next ping goes unanswered.
			if took := (<-ended).Sub(begin); took > time.Second {
				t.Fatalf("the handler was told after %v", took)
			}
			<-s.Done()
		})
	}
}

func TestClassicTruncatedRequestFailsHandler(t *testing.T) {
	failed := make(chan error, 1)
	_, peer := dialled(t, classicOptions{handler: func(in Incoming) {
		_, err := io.ReadAll(in)
		failed <- err
		<-in.Context().Done()
	}})
	say(t, peer, opText, jsonRequest("POST", "/", -1))
	if err := peer.WriteFrame(enginetest.Frame{Opcode: opBinary, Payload: []byte("half")}); err != nil {
		t.Fatal(err)
	}
	_ = peer.Conn.Close()
	wantReason(t, <-failed, engine.ReasonTunnelFailed)
}

// TestClassicHalfRequestIsNotPerformed: a server that could not write all of a
// request without content sends it once more, on another connection.
func TestClassicHalfRequestIsNotPerformed(t *testing.T) {
	s, peer := dialled(t, classicOptions{handler: func(Incoming) { t.Error("half a request was performed") }})
	say(t, peer, opText, jsonRequest("DELETE", "/", 0))
	_ = peer.Conn.Close()
	<-s.Done()
}

func TestClassicPanicCostsOneConnection(t *testing.T) {
	told := make(chan any, 1)
	s, peer := dialled(t, classicOptions{handler: func(Incoming) { panic("boom") }, onPanic: func(v any) { told <- v }})
	respond(t, peer, jsonRequest("GET", "/", 0), "")
	if v := <-told; v != "boom" {
		t.Fatalf("told %v", v)
	}
	if f, err := peer.ReadFrame(); err != nil || f.Opcode != opClose || enginetest.ParseClose(f.Payload).Code != uint16(engine.CloseInternal) {
		t.Fatalf("%+v, %v", f, err)
	}
	_ = peer.Conn.Close()
	wantEnd(t, s, engine.CloseInternal)
}

// TestClassicPongPassesContent answers a ping while content is on its way.
func TestClassicPongPassesContent(t *testing.T) {
	next := make(chan struct{})
	_, peer := dialled(t, classicOptions{handler: func(in Incoming) {
		_ = in.WriteResponse(&wire.Response{Status: 200}, false)
		_, _ = in.Write([]byte("a"))
		<-next
		_ = in.CloseWrite(nil)
	}})
	respond(t, peer, jsonRequest("GET", "/", 0), "")
	hear(t, peer, opText)
	if f, err := peer.ReadFrame(); err != nil || string(f.Payload) != "a" || f.Fin {
		t.Fatal(f, err)
	}
	say(t, peer, opPing, "are you there?")
	if f, err := peer.ReadFrame(); err != nil || f.Opcode != opPong || string(f.Payload) != "are you there?" || !f.Masked {
		t.Fatal(f, err)
	}
	close(next)
	if f, err := peer.ReadFrame(); err != nil || f.Opcode != opContinuation || !f.Fin {
		t.Fatal(f, err)
	}
}

// TestClassicRequestsAtOnce: a request that comes together with the one before
// is seen before either is performed.
func TestClassicRequestsAtOnce(t *testing.T) {
	s, peer := dialled(t, classicOptions{handler: func(Incoming) { t.Error("performed") }})
	var both []byte
	for range 2 {
		head := jsonRequest("GET", "/", 0)
		both = append(both, 0x80|opText, byte(len(head)))
		both = append(append(both, head...), 0x80|opBinary, 0)
	}
	if _, err := peer.Conn.Write(both); err != nil {
		t.Fatal(err)
	}
	hearClose(t, peer, engine.CloseProtocolError)
	_ = peer.Conn.Close()
	wantEnd(t, s, engine.CloseProtocolError)
}
