package tunnel

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

// A recorded frame is one line of testdata/wsp: two real programs talking.
type recordedFrame struct {
	Conn   int
	From   string
	Kind   string
	Fin    bool
	Opcode byte
	Length int
	Text   string // the first 64 bytes of a long payload
	Base64 []byte
}

// payload returns the whole payload: long ones repeat what is kept of them.
func (f recordedFrame) payload() []byte {
	p := []byte(f.Text)
	if f.Base64 != nil {
		p = f.Base64
	}
	for len(p) < f.Length {
		p = append(p, p[:min(len(p), f.Length-len(p))]...)
	}
	return p
}

// A recordedExchange is one request with its response, frame by frame.
type recordedExchange struct {
	request, response []recordedFrame // text, then the frames of the binary message
}

func (x recordedExchange) content(frames []recordedFrame) []byte {
	var all []byte
	for _, f := range frames[1:] {
		all = append(all, f.payload()...)
	}
	return all
}

// recording returns the exchanges of each connection of a recording.
func recording(t *testing.T, name string) map[int][]recordedExchange {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "testdata", "wsp", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	conns := map[int][]recordedExchange{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	greeted := map[int]bool{}
	for lines.Scan() {
		var f recordedFrame
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		if f.Kind != "frame" || f.Opcode >= opClose {
			continue
		}
		if !greeted[f.Conn] {
			greeted[f.Conn] = true
			continue
		}
		xs := conns[f.Conn]
		if f.From == "server" {
			if f.Opcode == opText {
				xs = append(xs, recordedExchange{})
			}
			x := &xs[len(xs)-1]
			x.request = append(x.request, f)
		} else {
			x := &xs[len(xs)-1]
			x.response = append(x.response, f)
		}
		conns[f.Conn] = xs
	}
	total := 0
	for _, xs := range conns {
		total += len(xs)
	}
	if total != 6 || len(conns) != 2 {
		t.Fatalf("%d exchanges on %d connections in the recording", total, len(conns))
	}
	return conns
}

// head reads a JSON head for comparison.
func head(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return m
}

// wireFields turns a recorded header into fields.
func wireFields(header map[string][]string) []wire.Field {
	var fields []wire.Field
	for name, values := range header {
		for _, value := range values {
			fields = append(fields, wire.Field{Name: name, Value: value})
		}
	}
	return fields
}

func recordings(t *testing.T, replay func(t *testing.T, xs []recordedExchange)) {
	for _, name := range []string{"hgsgtk.jsonl", "root-gg.jsonl"} {
		for conn, xs := range recording(t, name) {
			t.Run(strings.TrimSuffix(name, ".jsonl")+"/"+engine.ConnectionID(conn).String(), func(t *testing.T) { replay(t, xs) })
		}
	}
}

// TestClassicClientAnswersAsRealClient plays the recorded server at our client.
func TestClassicClientAnswersAsRealClient(t *testing.T) {
	recordings(t, func(t *testing.T, xs []recordedExchange) {
		n := 0
		_, peer := dialled(t, classicOptions{handler: func(in Incoming) {
			x := xs[n]
			n++
			checkRecordedRequest(t, x, in)
			answerAsRecorded(t, x, in)
		}})
		for i, x := range xs {
			for _, f := range x.request {
				if err := peer.WriteFrame(enginetest.Frame{Fin: f.Fin, Opcode: f.Opcode, Payload: f.payload()}); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := head(t, hear(t, peer, opText)), head(t, x.response[0].payload()); !reflect.DeepEqual(got, want) {
				t.Fatalf("exchange %d: head\n%v, want\n%v", i, got, want)
			}
			if got, want := hear(t, peer, opBinary), x.content(x.response); !bytes.Equal(got, want) {
				t.Fatalf("exchange %d: content %q, want %q", i, got, want)
			}
		}
		if n != len(xs) {
			t.Fatalf("%d requests handled, want %d", n, len(xs))
		}
	})
}

// checkRecordedRequest compares what a handler sees with what the server sent.
func checkRecordedRequest(t *testing.T, x recordedExchange, in Incoming) {
	var sent wire.ClassicRequest
	if err := json.Unmarshal(x.request[0].payload(), &sent); err != nil {
		t.Error(err)
		return
	}
	r := in.Request()
	if r.Method != sent.Method || r.Scheme+"://"+r.Authority+r.Path != sent.URL || r.Route != 0 {
		t.Errorf("request %+v, sent %+v", r, sent)
	}
	if got := wire.Get(r.Fields, "x-proxy-destination"); got != "" {
		t.Errorf("x-proxy-destination %q reaches the handler", got)
	}
	if wire.Get(r.Fields, "user-agent") != "curl/7.88.1" {
		t.Errorf("fields %v", r.Fields)
	}
	if in.HasContent() != (sent.ContentLength != 0) {
		t.Errorf("has content %v, length %d", in.HasContent(), sent.ContentLength)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(in); err != nil || !bytes.Equal(got.Bytes(), x.content(x.request)) {
		t.Errorf("request content of %d bytes, %v", got.Len(), err)
	}
}

// answerAsRecorded is the origin of the recording.
func answerAsRecorded(t *testing.T, x recordedExchange, in Incoming) {
	var head wire.ClassicResponse
	if err := json.Unmarshal(x.response[0].payload(), &head); err != nil {
		t.Error(err)
		return
	}
	body := x.content(x.response)
	if head.StatusCode == statusNotPerformed {
		in.Reset(wire.ResetOriginFailed, string(body))
		return
	}
	if err := replyWith(in, head.StatusCode, string(body), wireFields(head.Header)...); err != nil {
		t.Error(err)
	}
}

// TestClassicServerAsksAsRealServer sends the recorded requests from our server
// and plays the recorded client at it.
func TestClassicServerAsksAsRealServer(t *testing.T) {
	recordings(t, func(t *testing.T, xs []recordedExchange) {
		c, peer := served(t, classicOptions{})
		for i, x := range xs {
			if replayAtServer(t, c, peer, x) == statusNotPerformed {
				if i != len(xs)-1 {
					c, peer = served(t, classicOptions{})
				}
			}
		}
	})
}

func replayAtServer(t *testing.T, c Conn, peer *enginetest.Peer, x recordedExchange) int {
	t.Helper()
	var sent wire.ClassicRequest
	if err := json.Unmarshal(x.request[0].payload(), &sent); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(sent.URL)
	if err != nil {
		t.Fatal(err)
	}
	body := x.content(x.request)
	r := &wire.Request{Method: sent.Method, Scheme: u.Scheme, Authority: u.Host, Path: u.RequestURI(), Fields: wireFields(sent.Header)}
	ex := opened(t, c, t.Context(), r, len(body) == 0)
	defer ex.Close()
	if len(body) > 0 {
		go func() {
			_, _ = ex.Write(body)
			_ = ex.CloseWrite(nil)
		}()
	}
	want := head(t, x.request[0].payload())
	header := want["Header"].(map[string]any)
	maps.DeleteFunc(header, func(name string, _ any) bool { return name == "X-Proxy-Destination" })
	if got := head(t, hear(t, peer, opText)); !reflect.DeepEqual(got, want) {
		t.Fatalf("head\n%v, want\n%v", got, want)
	}
	if got := hear(t, peer, opBinary); !bytes.Equal(got, body) {
		t.Fatalf("content of %d bytes, want %d", len(got), len(body))
	}
	played := make(chan struct{})
	defer func() { <-played }()
	go func() {
		defer close(played)
		for _, f := range x.response {
			frame := enginetest.Frame{Fin: f.Fin, Opcode: f.Opcode, Masked: true, Key: [4]byte{1, 2, 3, 4}, Payload: f.payload()}
			if err := peer.WriteFrame(frame); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	var answered wire.ClassicResponse
	if err := json.Unmarshal(x.response[0].payload(), &answered); err != nil {
		t.Fatal(err)
	}
	got, err := ex.ReadResponse()
	if answered.StatusCode == statusNotPerformed {
		wantReason(t, err, engine.ReasonOriginFailed)
		if !strings.Contains(err.Error(), "connection refused") {
			t.Fatalf("the cause is not told: %v", err)
		}
		hearClose(t, peer, engine.CloseNormal)
		return answered.StatusCode
	}
	if err != nil || got.Status != answered.StatusCode {
		t.Fatalf("response %+v, %v", got, err)
	}
	for name, values := range answered.Header {
		if wire.Get(got.Fields, name) != values[0] {
			t.Fatalf("fields %v, want %s: %s", got.Fields, name, values[0])
		}
	}
	if got, want := content(t, ex), string(x.content(x.response)); got != want {
		t.Fatalf("content of %d bytes, want %d", len(got), len(want))
	}
	return answered.StatusCode
}
