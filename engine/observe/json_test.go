package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"adit/engine"
)

var at = time.Date(2026, 11, 22, 18, 4, 5, 60_000_700, time.FixedZone("", 3600))

// finished is the event that there are most of.
func finished() engine.Event {
	return engine.Event{
		Seq: 99, Time: at, Kind: engine.KindRequestFinished,
		Request: &engine.Request{
			ID: 4711, Connection: 17, Client: "edge-3", Caller: "192.0.2.7:50123", Way: engine.WayHost,
			Protocol: engine.ProtocolNative, Method: "GET", Target: "/api/v1/things?page=3", Status: 200,
			RequestBytes: 0, ResponseBytes: 12345,
			Queued: 12 * time.Microsecond, Sent: 30 * time.Microsecond, Connect: 0,
			FirstByte: 1500 * time.Microsecond, LastByte: 2100*time.Microsecond + 999,
			Outcome: engine.OutcomeCompleted,
		},
	}
}

// TestNamesAreThoseOfTheProduct holds every kind to its JSON, field by field.
func TestNamesAreThoseOfTheProduct(t *testing.T) {
	greeting := &engine.Greeting{
		ID: "edge-3", PoolSize: 2, Version: "1.4.0", Hostname: "pi", OS: "linux", Arch: "arm64", Instance: "i",
		Expose: []engine.Expose{{Host: "app", URL: "https://app.example.com"}, {TCP: 5432, URL: "tcp://example.com:5432"}, {Host: "new"}},
		Labels: map[string]string{"region": "eu", "a": "b\"c"},
	}
	request := *finished().Request
	request.Reason, request.Credential = "origin failed", "robot"
	request.Outcome = engine.OutcomeOriginFailed
	request.Queued, request.Sent, request.Connect, request.FirstByte = 5*time.Microsecond, -1, -1, -1
	atClient := engine.Request{ID: 1, Caller: "192.0.2.1:80", Method: "POST", Target: "/", Queued: -1, Sent: -1, Connect: -1, FirstByte: -1, LastByte: 1000,
		Status: 499, RequestBytes: 7, Outcome: engine.OutcomeCallerGone}
	for _, c := range []struct {
		event engine.Event
		want  string
	}{
		{engine.Event{Kind: engine.KindReady, Listen: "127.0.0.1:8080"}, `"kind":"ready","listen":"127.0.0.1:8080"`},
		{engine.Event{Kind: engine.KindReady, Server: "ws://127.0.0.1:8080/register", Protocol: engine.ProtocolClassic},
			`"kind":"ready","protocol":"wsp","server":"ws://127.0.0.1:8080/register"`},
		{engine.Event{Kind: engine.KindConnectionOpened, Connection: 17, Peer: "192.0.2.7:1", Protocol: engine.ProtocolNative},
			`"kind":"connection_opened","conn":"c-17","peer":"192.0.2.7:1","protocol":"adit.v1"`},
		{engine.Event{Kind: engine.KindGreetingReceived, Connection: 17, Client: "edge-3", Greeting: greeting},
			`"kind":"greeting_received","conn":"c-17","client":"edge-3","id":"edge-3","pool_size":2,"version":"1.4.0","hostname":"pi",
			"labels":{"a":"b\"c","region":"eu"},
			"expose":[{"host":"app","url":"https://app.example.com"},{"tcp":5432,"url":"tcp://example.com:5432"},{"host":"new"}]`},
		{engine.Event{Kind: engine.KindGreetingReceived, Connection: 17, Greeting: &engine.Greeting{ID: "old"}},
			`"kind":"greeting_received","conn":"c-17","id":"old","pool_size":0`},
		{engine.Event{Kind: engine.KindGreetingRejected, Connection: 17, Code: 4002, Reason: "id taken", Greeting: &engine.Greeting{ID: "x", PoolSize: 1}},
			`"kind":"greeting_rejected","conn":"c-17","reason":"id taken","code":4002,"id":"x","pool_size":1`},
		{engine.Event{Kind: engine.KindGreetingRejected, Connection: 17, Code: 1008, Reason: "malformed greeting"},
			`"kind":"greeting_rejected","conn":"c-17","reason":"malformed greeting","code":1008`},
		{engine.Event{Kind: engine.KindConnectionClosed, Connection: 17, Client: "edge-3", Code: 1006, Duration: 3 * time.Second, Reason: "silent",
			Closed: &engine.Traffic{BytesIn: 1, BytesOut: 2, FramesIn: engine.Frames{Text: 1, Binary: 9, Close: 1, Ping: 2, Pong: 3}, FramesOut: engine.Frames{Continuation: 4}}},
			`"kind":"connection_closed","conn":"c-17","client":"edge-3","reason":"silent","code":1006,"duration_us":3000000,"bytes_in":1,"bytes_out":2,
			"frames_in":{"text":1,"binary":9,"continuation":0,"close":1,"ping":2,"pong":3},
			"frames_out":{"text":0,"binary":0,"continuation":4,"close":0,"ping":0,"pong":0}`},
		{engine.Event{Kind: engine.KindRequestStarted, Request: &request},
			`"kind":"request_started","conn":"c-17","client":"edge-3","protocol":"adit.v1","reason":"origin failed","id":"r-4711","way":"host","caller":"192.0.2.7:50123","credential":"robot","method":"GET","target":"/api/v1/things?page=3"`},
		{finished(),
			`"kind":"request_finished","conn":"c-17","client":"edge-3","protocol":"adit.v1","id":"r-4711","way":"host","caller":"192.0.2.7:50123","method":"GET","target":"/api/v1/things?page=3",
			"status":200,"request_bytes":0,"response_bytes":12345,"queued_us":12,"sent_us":30,"connect_us":0,"first_byte_us":1500,"last_byte_us":2100,"outcome":"completed"`},
		{engine.Event{Kind: engine.KindRequestFinished, Request: &request},
			`"kind":"request_finished","conn":"c-17","client":"edge-3","protocol":"adit.v1","reason":"origin failed","id":"r-4711","way":"host","caller":"192.0.2.7:50123","credential":"robot","method":"GET","target":"/api/v1/things?page=3",
			"status":200,"request_bytes":0,"response_bytes":12345,"queued_us":5,"last_byte_us":2100,"outcome":"origin_failed"`},
		{engine.Event{Kind: engine.KindRequestFinished, Connection: 3, Client: "pi", Protocol: engine.ProtocolClassic, Reason: "left", Request: &atClient},
			`"kind":"request_finished","conn":"c-3","client":"pi","protocol":"wsp","reason":"left","id":"r-1","caller":"192.0.2.1:80","method":"POST","target":"/",
			"status":499,"request_bytes":7,"response_bytes":0,"last_byte_us":1,"outcome":"caller_gone"`},
		{engine.Event{Kind: engine.KindDialFailed, Server: "ws://s/register", Duration: 1500 * time.Millisecond, Reason: "connection refused"},
			`"kind":"dial_failed","reason":"connection refused","server":"ws://s/register","retry_us":1500000`},
		{engine.Event{Kind: engine.KindAdmissionRefused, Code: 401, Peer: "192.0.2.9:1", Reason: "credential missing or wrong"},
			`"kind":"admission_refused","peer":"192.0.2.9:1","reason":"credential missing or wrong","status":401`},
		{engine.Event{Kind: engine.KindAdmissionRefused, Code: 401, Peer: "192.0.2.9:1", Count: 120, Duration: 990 * time.Millisecond},
			`"kind":"admission_refused","peer":"192.0.2.9:1","status":401,"count":120,"within_us":990000`},
		{engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionBan, Operator: "local", Target: "edge-3", Reason: "noisy"},
			`"kind":"operator_action","reason":"noisy","action":"ban","operator":"local","target":"edge-3"`},
		{engine.Event{Kind: engine.KindDraining, Count: 3}, `"kind":"draining","exchanges":3`},
		{engine.Event{Kind: engine.KindNotice, Reason: "callers need no credential"}, `"kind":"notice","text":"callers need no credential"`},
		{engine.Event{Kind: engine.KindLimitReached, Target: "handshake-rate", Count: 7, Peer: "192.0.2.9", Reason: "too many registrations"},
			`"kind":"limit_reached","peer":"192.0.2.9","reason":"too many registrations","limit":"handshake-rate","count":7`},
		{engine.Event{Kind: engine.KindStopped, Duration: time.Minute, Totals: &engine.Totals{Requests: 1 << 63, Failed: 2, BytesIn: 3, BytesOut: 4}},
			`"kind":"stopped","requests":9223372036854775808,"failed":2,"bytes_in":3,"bytes_out":4,"uptime_us":60000000`},
	} {
		e := c.event
		e.Seq, e.Time = 99, at
		want := `{"time":"2026-11-22T17:04:05.060000700Z","seq":99,` + strings.NewReplacer("\n", "", "\t", "").Replace(c.want) + `}`
		if got := string(AppendEvent(nil, &e)); got != want {
			t.Errorf("%v:\n got %s\nwant %s", e.Kind, got, want)
		}
		if !json.Valid([]byte(want)) {
			t.Errorf("%v: the table is not JSON: %s", e.Kind, want)
		}
	}
}

// TestEveryKindHasAName: an event of a kind without a name could not be told apart.
func TestEveryKindHasAName(t *testing.T) {
	for k := engine.KindReady; engine.KindsAll.Has(k); k++ {
		if line := string(AppendEvent(nil, &engine.Event{Kind: k})); !strings.Contains(line, `"kind":"`+k.String()+`"`) || k.String() == "unknown" {
			t.Errorf("kind %d: %s", k, line)
		}
	}
}

// TestHeadsAreNotPrinted: they hold the credentials of the traffic, and who writes
// lines did not ask for them.
func TestHeadsAreNotPrinted(t *testing.T) {
	for _, kind := range []engine.Kind{engine.KindRequestStarted, engine.KindRequestFinished} {
		e := finished()
		e.Kind = kind
		want := string(AppendEvent(nil, &e))
		r := *e.Request
		r.Heads, r.Live = &engine.Heads{Request: "authorization: s3cret\n", Response: "set-cookie: s3cret\n"}, new(engine.Live)
		e.Request = &r
		if got := string(AppendEvent(nil, &e)); got != want {
			t.Errorf("%v: %s, want %s", kind, got, want)
		}
	}
	e := engine.Event{Kind: engine.KindGreetingReceived, Greeting: &engine.Greeting{ID: "x", Raw: "s3cret"}}
	if got := string(AppendEvent(nil, &e)); strings.Contains(got, "s3cret") {
		t.Errorf("%s", got)
	}
}

func TestTimesSortAsText(t *testing.T) {
	for _, v := range []time.Time{{}, time.Unix(0, 0), at, time.Date(2026, 12, 31, 23, 59, 60, -1, time.UTC), time.Date(9999, 1, 2, 3, 4, 5, 6, time.UTC)} {
		got := string(appendTime(nil, v))
		if back, err := time.Parse(time.RFC3339Nano, got); err != nil || !back.Equal(v) || len(got) != 30 || !strings.HasSuffix(got, "Z") {
			t.Errorf("%v: %s, %v", v, got, err)
		}
	}
	for _, year := range []int{-5, 12345} {
		if got := string(appendTime(nil, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))); len(got) != 30 {
			t.Errorf("year %d: %s", year, got)
		}
	}
}

// checkString holds one line to what encoding/json reads and to what a terminal
// may see.
func checkString(t *testing.T, s string) {
	t.Helper()
	quoted := appendString(nil, s)
	var back string
	if err := json.Unmarshal(quoted, &back); err != nil {
		t.Fatalf("%q gives %s: %v", s, quoted, err)
	}
	if want := strings.ToValidUTF8(string([]rune(s)), "\uFFFD"); back != want {
		t.Fatalf("%q came back as %q", s, back)
	}
	for _, r := range string(quoted) {
		if !unicode.IsPrint(r) {
			t.Fatalf("%q: %U stands unescaped in %q", s, r, quoted)
		}
	}
}

func TestStringsAreHarmlessOnATerminal(t *testing.T) {
	for _, s := range []string{
		"", "plain", `a"b\c/`, "\x00\x01\b\f\n\r\t\x1b[2J\x7f", "\u0080\u0085\u009b2J", "\u2028\u2029", "\u202Egnp.exe\u2066",
		"\u200B\uFEFF\u00AD", "\xff", "a\xc3", "\xed\xa0\x80", "ü€𝄞😀", "\U000E0001\U0010FFFF", "\uFFFD", strings.Repeat("\xf0\x9f\x98", 3),
	} {
		checkString(t, s)
	}
	if got := string(appendString(nil, "é😀\x1b\xff\U000E0001")); got != `"é😀\u001b\ufffd\udb40\udc01"` {
		t.Errorf("got %s", got)
	}
}

func FuzzAppendEvent(f *testing.F) {
	f.Add(uint8(7), "edge", "a\x1b]52;", "\xff\u2028", uint64(17), int64(-1))
	f.Add(uint8(3), "", `"`, "\\", uint64(0), int64(1)<<62)
	f.Fuzz(func(t *testing.T, kind uint8, a, b, c string, n uint64, d int64) {
		e := engine.Event{
			Seq: n, Time: time.Unix(d>>8, d&0xFF), Kind: engine.Kind(kind), Connection: engine.ConnectionID(n),
			Client: a, Peer: b, Protocol: engine.Protocol(kind >> 4), Reason: c, Code: uint16(n), Duration: time.Duration(d),
			Server: a, Listen: b, Action: engine.Action(c), Operator: a, Target: b, Count: int(d),
			Greeting: &engine.Greeting{ID: c, PoolSize: int(d), Version: a, Hostname: b,
				Expose: []engine.Expose{{Host: a, URL: b}, {TCP: uint16(n), URL: c}}, Labels: map[string]string{a: b, c: a}},
			Closed:  &engine.Traffic{BytesIn: n},
			Request: &engine.Request{ID: engine.RequestID(n), Way: engine.Way(kind), Method: a, Target: b, Caller: c, Queued: time.Duration(d), Outcome: engine.Outcome(kind)},
			Totals:  &engine.Totals{Requests: n},
		}
		line := AppendEvent([]byte("kept"), &e)
		line, ok := bytes.CutPrefix(line, []byte("kept"))
		if !ok || !json.Valid(line) || bytes.IndexByte(line, '\n') >= 0 || !utf8.Valid(line) {
			t.Fatalf("%q", line)
		}
		var members map[string]any
		if err := json.Unmarshal(line, &members); err != nil || members["kind"] != e.Kind.String() {
			t.Fatalf("%q: %v", line, err)
		}
		checkString(t, a)
	})
}

// writes keeps what is written, piece by piece, and fails when told to.
type writes struct {
	pieces [][]byte
	fail   error
}

func (w *writes) Write(p []byte) (int, error) {
	if w.fail != nil {
		return 0, w.fail
	}
	w.pieces = append(w.pieces, bytes.Clone(p))
	return len(p), nil
}

func send(batches ...engine.Batch) <-chan engine.Batch {
	c := make(chan engine.Batch, len(batches))
	for _, b := range batches {
		c <- b
	}
	close(c)
	return c
}

func TestGapIsWrittenBeforeWhatFollowsIt(t *testing.T) {
	var w writes
	e := engine.Event{Seq: 8, Time: at, Kind: engine.KindDraining}
	if err := WriteEvents(&w, send(engine.Batch{Events: []engine.Event{e, e}}, engine.Batch{}, engine.Batch{Events: []engine.Event{e}, Dropped: 5}, engine.Batch{Dropped: 1})); err != nil {
		t.Fatal(err)
	}
	line := `{"time":"2026-11-22T17:04:05.060000700Z","seq":8,"kind":"draining","exchanges":0}` + "\n"
	dropped := `{"time":"2026-11-22T17:04:05.060000700Z","seq":7,"kind":"dropped","count":5}` + "\n"
	var got []string
	for _, p := range w.pieces {
		got = append(got, string(p))
	}
	if len(got) != 3 || !reflect.DeepEqual(got[:2], []string{line + line, dropped + line}) || !strings.HasSuffix(got[2], `,"kind":"dropped","count":1}`+"\n") {
		t.Errorf("wrote %q", got)
	}
}

func TestWritesAreBounded(t *testing.T) {
	var w writes
	events := make([]engine.Event, 512)
	for i := range events {
		events[i] = finished()
		events[i].Request.Target = strings.Repeat("\x01", engine.MaxText)
	}
	if err := WriteEvents(&w, send(engine.Batch{Events: events})); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, p := range w.pieces {
		if lines += bytes.Count(p, []byte("\n")); len(p) > maxWrite+4096 || p[len(p)-1] != '\n' {
			t.Errorf("a write of %d bytes ending in %q", len(p), p[len(p)-1])
		}
	}
	if lines != len(events) || len(w.pieces) < 2 {
		t.Errorf("%d lines in %d writes", lines, len(w.pieces))
	}
}

func TestFailedWriteEndsWriting(t *testing.T) {
	closed := errors.New("closed pipe")
	batches := make(chan engine.Batch, 1)
	batches <- engine.Batch{Events: []engine.Event{finished()}}
	if err := WriteEvents(&writes{fail: closed}, batches); !errors.Is(err, closed) || fmt.Sprint(err) == closed.Error() {
		t.Errorf("%v", err)
	}
}
