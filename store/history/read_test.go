package history

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"adit/engine"
)

// Whatever peers send comes back as it was, byte for byte.
func TestHostileText(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{})
	hostile := []string{"", "\x00", "a\x00b", "\xff\xfe", "\xed\xa0\x80", "\u202Eevil", "\x1b[2J", "'; DROP TABLE requests; --", strings.Repeat("\xC3\xA9", 32<<10), strings.Repeat("\x00", 64<<10)}
	var last uint64
	for i, text := range hostile {
		r := &engine.Request{ID: engine.RequestID(i + 1), Target: text, Client: text, Caller: text, Method: text, Reason: text}
		f.Add(&engine.Event{Kind: engine.KindRequestFinished, Request: r})
		last = f.Add(&engine.Event{Seq: uint64(i), Kind: engine.KindNotice, Reason: text, Client: text, Time: time.Unix(1, 0)})
	}
	settle(t, f, last)
	var page engine.EventPage
	if err := f.Events(context.Background(), engine.EventQuery{Count: 100}, &page); err != nil {
		t.Fatal(err)
	}
	for i, text := range hostile {
		r, err := f.Request(context.Background(), engine.RequestID(i+1))
		if err != nil {
			t.Fatal(err)
		}
		if r.Target != text || r.Client != text || r.Caller != text || r.Method != text || r.Reason != text {
			t.Errorf("%.20q came back as %.20q", text, r.Target)
		}
		if e := page.Events[len(hostile)-1-i]; e.Reason != text || e.Client != text {
			t.Errorf("%.20q came back in an event as %.20q", text, e.Reason)
		}
	}
}

// lifecycle returns an event of each kind but those of requests, with everything
// that it can have.
func lifecycle() ([]engine.Event, time.Time) {
	at := time.Unix(1_800_000_000, 123456789)
	greeting := &engine.Greeting{ID: "edge-1", PoolSize: 3, Version: "1.0", Hostname: "pi", OS: "linux", Arch: "arm64", Instance: "i", Labels: map[string]string{"region": "sin"},
		Expose: []engine.Expose{{Host: "app", URL: "https://app.example.com"}, {TCP: 5432}}, Raw: "edge-1_3", Size: 8, ExposedOnly: true}
	traffic := &engine.Traffic{BytesIn: 1, BytesOut: 2, FramesIn: engine.Frames{Text: 1, Binary: 2, Continuation: 3, Close: 4, Ping: 5, Pong: 6}, FramesOut: engine.Frames{Text: 7, Binary: 8, Pong: 9}}
	return []engine.Event{
		{Kind: engine.KindReady, Listen: "127.0.0.1:8080"},
		{Kind: engine.KindLimitReached, Target: "handshake-rate", Count: 12, Peer: "203.0.113.9", Reason: "too many"},
		{Kind: engine.KindConnectionOpened, Connection: 17, Peer: "192.0.2.1:4711"},
		{Kind: engine.KindGreetingReceived, Connection: 17, Client: "edge-1", Peer: "192.0.2.1:4711", Protocol: engine.ProtocolNative, Greeting: greeting},
		{Kind: engine.KindGreetingRejected, Connection: 18, Peer: "192.0.2.1:4712", Code: 1002, Reason: "no greeting"},
		{Kind: engine.KindConnectionClosed, Connection: 17, Client: "edge-1", Peer: "192.0.2.1:4711", Protocol: engine.ProtocolNative, Code: 1006, Reason: "silent", Duration: 90 * time.Second, Closed: traffic},
		{Kind: engine.KindDialFailed, Server: "wss://server.example.com", Reason: "refused", Duration: time.Second},
		{Kind: engine.KindAdmissionRefused, Code: 401, Peer: "203.0.113.9:1", Way: engine.WayProxy, Reason: "credential"},
		{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "local", Target: "c-17", Reason: "why"},
		{Kind: engine.KindDraining, Count: 7, Reason: "signal"},
		{Kind: engine.KindNotice, Reason: "text"},
		{Kind: engine.KindStopped, Duration: time.Hour, Totals: &engine.Totals{Requests: 5, Failed: 1, BytesIn: 9, Statuses: [6]uint64{0, 1, 2}}},
	}, at
}

func TestEventComesBackOtherThanItWas(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{})
	events, at := lifecycle()
	var last uint64
	for i := range events {
		events[i].Seq, events[i].Time = uint64(i+1), at.Add(time.Duration(i)*time.Second)
		last = f.Add(&events[i])
	}
	settle(t, f, last)
	var page engine.EventPage
	if err := f.Events(context.Background(), engine.EventQuery{Count: 100}, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Events) != len(events) || page.More {
		t.Fatalf("%d events of %d, more: %v", len(page.Events), len(events), page.More)
	}
	for i := range events {
		if got := page.Events[len(events)-1-i]; !reflect.DeepEqual(got, events[i]) {
			t.Errorf("got  %+v\nwant %+v", got, events[i])
		}
	}
	if page.Keys[0] != last {
		t.Errorf("the newest has the key %d, Add said %d", page.Keys[0], last)
	}
	// By pages, and filtered.
	if err := f.Events(context.Background(), engine.EventQuery{Count: 2, Before: page.Keys[2]}, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Events) != 2 || !page.More || page.Events[0].Kind != engine.KindOperatorAction {
		t.Errorf("a page: %+v", page)
	}
	if err := f.Events(context.Background(), engine.EventQuery{Count: 10, Filter: "action:kill"}, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Events) != 1 || page.Events[0].Target != "c-17" || page.More {
		t.Errorf("what operators killed: %+v", page)
	}
	if err := f.Events(context.Background(), engine.EventQuery{Count: 10, Filter: "nonsense:"}, &page); err == nil {
		t.Error("a filter that can't be read is taken")
	}
	if n := count(t, f, "SELECT count(*) FROM connections WHERE id = 17 AND client = 'edge-1' AND code = 1006 AND frames_in_pong = 6 AND frames_out_text = 7 AND opened < greeted AND greeted < closed AND greeting LIKE '%sin%'"); n != 1 {
		t.Error("the connection's row is not what was seen of it")
	}
}

// captured is content that a test made.
type captured struct{ kept engine.Content }

func (c *captured) Content(into *engine.Content) bool { *into = c.kept; return true }

func TestCredentialOnDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "h.db")
	f := open(t, path, Options{Captures: true})
	const secret = "hunter2hunter2"
	r := *finished(1).Request
	r.Heads = &engine.Heads{Request: "host: a\nAuthorization: Bearer " + secret + "\nCookie: s=" + secret + "\nx-api-key: " + secret + "\nContent-Type: application/json\n",
		Response: "Set-Cookie: s=" + secret + "\nContent-Type: application/x-www-form-urlencoded\n", Cut: true}
	request, response := []byte(`{"user":"a","password":"`+secret+`"}`), []byte("user=a&token="+secret)
	r.Captured = &captured{engine.Content{
		Request: engine.Part{Data: request, Size: int64(len(request)), Over: true}, Response: engine.Part{Data: response, Size: 5000},
		Messages:     []engine.Message{{Time: time.Unix(1, 2), FromCaller: true, Kind: engine.MessageText, Data: []byte(`{"secret":"` + secret + `"}`), Size: 30}, {Time: time.Unix(2, 0), Kind: engine.MessageBinary, Data: []byte{0, 1, 2}, Size: 3, Compressed: true}},
		MessagesLost: 4,
	}}
	plain := *finished(2).Request
	plain.Captured = &captured{engine.Content{Request: engine.Part{Data: []byte("abc"), Size: 3, Over: true}, Response: engine.Part{Over: true}}}
	f.Add(&engine.Event{Kind: engine.KindRequestFinished, Request: &r})
	settle(t, f, f.Add(&engine.Event{Kind: engine.KindRequestFinished, Request: &plain}))

	var c engine.Content
	if err := f.Content(context.Background(), 2, &c); err != nil || !c.Request.Whole() || string(c.Request.Data) != "abc" {
		t.Errorf("content: %+v, %v", c, err)
	}
	if err := f.Content(context.Background(), 1, &c); err != nil {
		t.Fatal(err)
	}
	if c.Request.Whole() {
		t.Error("what was masked is taken for what went through")
	}
	if !strings.Contains(string(c.Request.Data), `"user":"a"`) || c.Response.Size != 5000 || c.MessagesLost != 4 || len(c.Messages) != 2 {
		t.Errorf("content: %+v", c)
	}
	if m := c.Messages[1]; m.Kind != engine.MessageBinary || !bytes.Equal(m.Data, []byte{0, 1, 2}) || !m.Compressed || m.FromCaller || !m.Time.Equal(time.Unix(2, 0)) {
		t.Errorf("message: %+v", m)
	}
	got, err := f.Request(context.Background(), 1)
	if err != nil || got.Heads == nil || !got.Heads.Cut || !strings.Contains(got.Heads.Request, "host: a\n") {
		t.Errorf("heads: %+v, %v", got.Heads, err)
	}
	if err := f.Content(context.Background(), 3, &c); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("content of one that is not there: %v", err)
	}
	for _, suffix := range []string{"", "-wal"} {
		if data, err := os.ReadFile(path + suffix); err != nil || bytes.Contains(data, []byte(secret)) {
			t.Errorf("a credential stands in %s; %v", filepath.Base(path+suffix), err)
		}
	}
}

func TestCapturesWithoutBeingAsked(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{})
	e := finished(1)
	e.Request.Heads = &engine.Heads{Request: "host: a\n"}
	settle(t, f, f.Add(e))
	if n := count(t, f, "SELECT count(*) FROM captures"); n != 0 {
		t.Errorf("%d heads are written", n)
	}
}

func TestReadOnlyChangesTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "h.db")
	f, err := Open(path, Options{Samples: true})
	if err != nil {
		t.Fatal(err)
	}
	last := f.Add(finished(1))
	f.Sample(&engine.Snapshot{Time: time.Unix(5, 0), Instance: "i", Connections: []engine.Connection{{ID: 17, State: engine.StateBusy, Traffic: engine.Traffic{BytesIn: 8}}}})
	settle(t, f, last+1)
	// While another process writes to it.
	live, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live.Request(context.Background(), 1); err != nil {
		t.Error(err)
	}
	if n := count(t, live, "SELECT bytes_in FROM samples WHERE conn = 17 AND state = 'busy'"); n != 8 {
		t.Errorf("a sample says %d", n)
	}
	if live.Add(finished(2)) != 0 {
		t.Error("it takes what it can't write")
	}
	if err := errors.Join(live.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	still, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := still.Request(context.Background(), 1); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("beside the database and its lock stand %v, %v", entries, err)
	}
	if err := still.Close(); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed; %v", err)
	}
	if _, err := OpenReadOnly(filepath.Join(dir, "not.db")); err == nil {
		t.Error("a file that is not there is opened")
	}
}

func TestSearchHoldsUpItsCaller(t *testing.T) {
	f := open(t, "", Options{})
	var last uint64
	for n := 1; n <= 60_000; n++ {
		last = f.Add(finished(n))
	}
	settle(t, f, last)
	for range 20 {
		within := time.Duration(rand.IntN(20)) * time.Millisecond
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), within)
		err := f.Search(ctx, nil, nil, engine.ByPath, 1, 1<<62, func([]Entry, engine.RequestID) bool { return true })
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		// 50 ms; the rest is for a machine that has other things to do.
		if late := time.Since(begun) - within; err != nil && late > time.Second {
			t.Errorf("it went on for %v", late)
		}
		cancel()
	}
}
