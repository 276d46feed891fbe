package inspect_test

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/inspect"
)

// A member is what HAR 1.2 says of a member of an object.
type member struct {
	name     string
	kind     string // "string", "number", "time", "url", "least -1", "bool", an object's or, with "[]", an array's
	optional bool
}

// objects are those of HAR 1.2, "entry" as "http://www.softwareishard.com/blog/har-12-spec/"
// and the JSON schema of har-schema 2.0 have them.
func objects() map[string][]member {
	return map[string][]member{
		"har":      {{"log", "log", false}},
		"log":      {{"version", "string", false}, {"creator", "creator", false}, {"entries", "[]entry", false}, {"comment", "string", true}},
		"creator":  {{"name", "string", false}, {"version", "string", false}},
		"entry":    {{"startedDateTime", "time", false}, {"time", "least 0", false}, {"request", "request", false}, {"response", "response", false}, {"cache", "cache", false}, {"timings", "timings", false}, {"connection", "string", true}, {"comment", "string", true}, {"serverIPAddress", "string", true}, {"pageref", "string", true}},
		"cache":    {},
		"request":  {{"method", "string", false}, {"url", "url", false}, {"httpVersion", "string", false}, {"cookies", "[]cookie", false}, {"headers", "[]pair", false}, {"queryString", "[]pair", false}, {"postData", "postData", true}, {"headersSize", "integer", false}, {"bodySize", "integer", false}, {"comment", "string", true}},
		"response": {{"status", "integer", false}, {"statusText", "string", false}, {"httpVersion", "string", false}, {"cookies", "[]cookie", false}, {"headers", "[]pair", false}, {"content", "content", false}, {"redirectURL", "string", false}, {"headersSize", "integer", false}, {"bodySize", "integer", false}, {"comment", "string", true}},
		"cookie":   {{"name", "string", false}, {"value", "string", false}, {"path", "string", true}, {"domain", "string", true}, {"expires", "time", true}, {"httpOnly", "bool", true}, {"secure", "bool", true}, {"comment", "string", true}},
		"pair":     {{"name", "string", false}, {"value", "string", false}, {"comment", "string", true}},
		"postData": {{"mimeType", "string", false}, {"text", "string", true}, {"params", "[]pair", true}, {"comment", "string", true}},
		"content":  {{"size", "integer", false}, {"compression", "integer", true}, {"mimeType", "string", false}, {"text", "string", true}, {"encoding", "string", true}, {"comment", "string", true}},
		"timings":  {{"dns", "least -1", true}, {"connect", "least -1", true}, {"blocked", "least -1", true}, {"ssl", "least -1", true}, {"send", "least -1", false}, {"wait", "least -1", false}, {"receive", "least -1", false}, {"comment", "string", true}},
	}
}

// faults appends what is not as HAR 1.2 says.
func faults(into []string, at, kind string, v any) []string {
	wrong := func(what string) []string { return append(into, fmt.Sprintf("%s: %v is no %s", at, v, what)) }
	if element, ok := strings.CutPrefix(kind, "[]"); ok {
		list, ok := v.([]any)
		if !ok {
			return wrong("array")
		}
		for i, e := range list {
			into = faults(into, fmt.Sprintf("%s[%d]", at, i), element, e)
		}
		return into
	}
	text, isText := v.(string)
	number, isNumber := v.(float64)
	switch kind {
	case "string":
		if !isText {
			return wrong(kind)
		}
		return into
	case "time":
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			return wrong(kind)
		}
		return into
	case "url":
		if u, err := url.Parse(text); err != nil || !u.IsAbs() || strings.ContainsAny(text, " <>\"{}|\\^`") {
			return wrong(kind)
		}
		return into
	case "integer", "least 0", "least -1":
		if !isNumber || number < -1 || kind == "least 0" && number < 0 || kind == "integer" && number != float64(int64(number)) {
			return wrong(kind)
		}
		return into
	case "bool":
		if _, ok := v.(bool); !ok {
			return wrong(kind)
		}
		return into
	}
	object, ok := v.(map[string]any)
	if !ok {
		return wrong(kind)
	}
	members := objects()[kind]
	for _, m := range members {
		if value, ok := object[m.name]; ok {
			into = faults(into, at+"."+m.name, m.kind, value)
		} else if !m.optional {
			into = append(into, at+"."+m.name+" is missing")
		}
	}
	for name := range object {
		if !strings.HasPrefix(name, "_") && !slices.ContainsFunc(members, func(m member) bool { return m.name == name }) {
			into = append(into, at+"."+name+" is not known")
		}
	}
	return into
}

// export returns what exchanges are as HAR.
func export(t testing.TB, o inspect.Options, all ...*inspect.Exchange) (text string, log map[string]any) {
	t.Helper()
	var b bytes.Buffer
	n := 0
	err := inspect.HAR(&b, "adit", "1.0", func() (inspect.Exchange, error) {
		if n == len(all) {
			return inspect.Exchange{}, io.EOF
		}
		n++
		return *all[n-1], nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(b.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, b.String())
	}
	for _, f := range faults(nil, "har", "har", v) {
		t.Error(f)
	}
	log, _ = v["log"].(map[string]any)
	return b.String(), log
}

// everything is one exchange of each sort.
func everything(t testing.TB) map[string]*inspect.Exchange {
	part := func(s string) engine.Part { return engine.Part{Data: []byte(s), Size: int64(len(s)), Over: true} }
	all := map[string]*inspect.Exchange{}
	for _, name := range []string{"plain", "form", "json", "gzip", "binary", "cut", "chat", "events", "bare", "flying", "hostile", "strange", "reused", "multipart"} {
		all[name] = exchange("hello")
	}
	all["form"].Content.Request = part("a=1&password=p&c=%C3%A4+%zz")
	all["form"].Request.Heads.Request = "Host: a\nContent-Type: application/x-www-form-urlencoded\nCookie: sid=31337; b=c\n"
	all["json"].Content.Request = part(`{"user":"u","token":"t0ken"}`)
	all["json"].Request.Heads.Request = "Host: a\nContent-Type: application/json\n"
	all["json"].Request.Target = "http://a.example/x?api_key=***&q=%20a%C3%A4&q=2#f"
	zipped := string(coded(t, "gzip", []byte(strings.Repeat(`{"n":1}`, 100))))
	all["gzip"].Content.Response = part(zipped)
	all["gzip"].Request.ResponseBytes = int64(len(zipped))
	all["gzip"].Request.Heads.Response = "Content-Type: application/json\nContent-Encoding: gzip\nLocation: http://a/?token=t0ken\n"
	all["binary"].Content.Response = part("\x00\xff\x01")
	all["binary"].Content.Request = part("\x00\xff\x01")
	all["cut"].Content.Response = engine.Part{Data: []byte("first"), Size: 1 << 20, Over: true}
	all["chat"].Request.Upgraded, all["chat"].Request.Status, all["chat"].Request.Method = true, 101, "GET"
	all["chat"].Request.Heads = &engine.Heads{Request: "Host: a\nUpgrade: websocket\n", Response: "Upgrade: websocket\n"}
	now := time.Date(2026, 11, 22, 15, 4, 12, 500e6, time.UTC)
	all["chat"].Content = &engine.Content{MessagesLost: 2, Messages: []engine.Message{
		{Time: now, FromCaller: true, Kind: engine.MessageText, Data: []byte(`{"token":"t0ken","say":"hi"}`), Size: 28},
		{Time: now, Kind: engine.MessageBinary, Data: []byte{1, 2}, Size: 2}, {Time: now, Kind: engine.MessageClose, Data: []byte("\x03\xe8bye"), Size: 5}}}
	all["events"].Request.Heads.Response = "content-type: text/event-stream\n"
	all["events"].Content = &engine.Content{Messages: []engine.Message{{Time: now, Kind: engine.MessageEvent, Data: []byte("event: tick\nid: 4\ndata: {\"n\":1}\n\n"), Size: 32}}}
	all["bare"].Request.Heads, all["bare"].Content = nil, nil
	all["bare"].Request.Target = "/only/a/path"
	all["flying"].Request.Outcome, all["flying"].Request.Status, all["flying"].Request.FirstByte, all["flying"].Request.LastByte = 0, 0, -1, -1
	all["hostile"].Request.Heads = &engine.Heads{Request: "\xff\x00: \xfe\nCookie: \x01=;;=\nnothing\n", Response: "Set-Cookie: ;;;\nSet-Cookie: a=b; Expires=Sun, 22 Nov 2026 10:00:00 GMT\n"}
	all["hostile"].Request.Target = "http://h/\x00 <\">%zz?\xff=&&="
	all["hostile"].Request.RequestBytes, all["hostile"].Request.ResponseBytes = -9, -9
	all["strange"].Request.Target = "no url at all\n"
	all["reused"].Request.Queued, all["reused"].Request.Connect, all["reused"].Request.Sent = -1, 3*time.Millisecond, 4*time.Millisecond
	all["multipart"].Request.Heads.Request = "Content-Type: multipart/form-data; boundary=x\n"
	all["multipart"].Content.Request = part("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n")
	return all
}

func TestHARIsValidWhateverIsExported(t *testing.T) {
	all := everything(t)
	var list []*inspect.Exchange
	for name, x := range all {
		text, log := export(t, inspect.Options{}, x)
		if t.Failed() {
			t.Fatalf("%s: %s", name, text)
		}
		for _, secret := range []string{"t0ken", "31337", "Bearer"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows %s: %s", name, secret, text)
			}
		}
		entry := log["entries"].([]any)[0].(map[string]any)
		sum := 0.0
		for part, v := range entry["timings"].(map[string]any) {
			if v.(float64) > 0 && part != "ssl" {
				sum += v.(float64)
			}
		}
		if d := sum - entry["time"].(float64); d > 0.001 || d < -0.001 {
			t.Errorf("%s: the parts take %v, all of it %v", name, sum, entry["time"])
		}
		list = append(list, x)
	}
	tcp := exchange("")
	tcp.Request.Way = engine.WayTCP
	if _, log := export(t, inspect.Options{Secrets: true}, append(list, tcp)...); len(log["entries"].([]any)) != len(all) {
		t.Errorf("%d entries", len(log["entries"].([]any)))
	}
	if _, log := export(t, inspect.Options{}); len(log["entries"].([]any)) != 0 {
		t.Error("an entry of nothing")
	}
	if path := os.Getenv("ADIT_HAR"); path != "" { // for another tool to read
		text, _ := export(t, inspect.Options{Secrets: true}, list...)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHARSaysWhatItHolds(t *testing.T) {
	all := everything(t)
	for name, wants := range map[string][]string{
		"form":   {`{"name":"a","value":"1"}`, `{"name":"password","value":"***"}`, `"text":"a=1\u0026password=***`, `{"name":"c","value":"ä+%zz"}`},
		"json":   {`"text":"{\"user\":\"u\",\"token\":\"***\"}"`, "secrets are masked"},
		"gzip":   {`"size":700`, `"compression":`, `token=***`},
		"binary": {`"encoding":"base64"`, `"text":"AP8B"`},
		"cut":    {"cut: the first 5 B of 1.0 MiB"},
		"chat":   {`"_resourceType":"websocket"`, `"_webSocketMessages":[{"type":"send","time":1795359852.5,"opcode":1,"data":"{\"token\":\"***\",\"say\":\"hi\"}"},{"type":"receive"`, `"opcode":8`, "earlier messages were not kept"},
		"events": {`"_eventSourceMessages":[{"time":1795359852.5,"eventName":"tick","eventId":"4","data":"{\"n\":1}"}]`, `"_resourceType":"eventsource"`},
		"bare":   {"header fields were not kept", "http://unknown.invalid/only/a/path"},
		"flying": {"still in flight"},
		"plain":  {`"startedDateTime":"2026-11-22T15:04:11.204Z"`, `"time":7`, `"blocked":1`, `"send":1`, `"wait":3`, `"receive":2`, `"_id":"r-7"`, `"httpOnly":true`},
		"reused": {`"connect":3`, `"send":1`, `"wait":1`},
	} {
		text, _ := export(t, inspect.Options{}, all[name])
		for _, want := range wants {
			want = strings.ReplaceAll(want, `\u0026`, "&")
			if name == "form" && strings.HasPrefix(want, `{"name":"c"`) {
				want = `{"name":"c","value":"%C3%A4+%zz"}` // one bad escape leaves the value as it was
			}
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s in %s", name, want, text)
			}
		}
	}
	if text, _ := export(t, inspect.Options{Secrets: true}, all["json"], all["form"]); !strings.Contains(text, "t0ken") || !strings.Contains(text, "31337") {
		t.Errorf("secrets that were asked for: %s", text)
	}
}

func TestExportEndsWithTheErrorThatStoppedIt(t *testing.T) {
	broken := errors.New("disk is full")
	err := inspect.HAR(io.Discard, "a", "b", func() (inspect.Exchange, error) { return inspect.Exchange{}, broken }, inspect.Options{})
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	n := 0
	err = inspect.HAR(full{}, "a", "b", func() (inspect.Exchange, error) {
		if n++; n > 1000 {
			return inspect.Exchange{}, io.EOF
		}
		return *exchange("x"), nil
	}, inspect.Options{})
	if err == nil || n > 1000 {
		t.Errorf("%v after %d entries", err, n)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk is full") }

func deflated(t *testing.T, w *flate.Writer, b *bytes.Buffer, s string) []byte {
	t.Helper()
	b.Reset()
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff")))
}

func TestMessagesAreInflatedWhereThatIsPossible(t *testing.T) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	var said []engine.Message
	for i := range 5 {
		data := deflated(t, w, &b, fmt.Sprintf(`{"say":"the same words again and again","n":%d}`, i))
		said = append(said, engine.Message{Kind: engine.MessageText, Compressed: true, Data: data, Size: int64(len(data))})
	}
	read := func(head string, c engine.Content) (texts, problems []string) {
		for _, n := range inspect.Messages(head, &c) {
			texts, problems = append(texts, n.Text(200, false)), append(problems, n.Problem)
		}
		return texts, problems
	}
	const head = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\n"
	if texts, problems := read(head, engine.Content{Messages: said}); texts[4] != `{"say":"the same words again and again","n":4}` || strings.Join(problems, "") != "" {
		t.Errorf("%q %q", texts, problems)
	}
	if texts, problems := read(head, engine.Content{Messages: said[1:], MessagesLost: 1}); strings.Join(texts, "") != "" || problems[0] == "" {
		t.Errorf("without the first: %q %q", texts, problems)
	}
	cut := slices.Clone(said)
	cut[1].Data, cut[1].Size = cut[1].Data[:4], cut[1].Size+9
	if texts, problems := read(head, engine.Content{Messages: cut}); texts[0] == "" || problems[1] == "" || problems[2] == "" || texts[2] != "" {
		t.Errorf("with one that is cut: %q %q", texts, problems)
	}
	each := make([]engine.Message, 3)
	for i := range each {
		w.Reset(&b)
		data := deflated(t, w, &b, fmt.Sprint("message ", i))
		each[i] = engine.Message{FromCaller: true, Kind: engine.MessageText, Compressed: true, Data: data, Size: int64(len(data))}
	}
	if texts, problems := read(head, engine.Content{Messages: each[1:], MessagesLost: 1}); fmt.Sprint(texts, problems) != "[message 1 message 2] [ ]" {
		t.Errorf("without takeover: %q %q", texts, problems)
	}
	zeros := deflated(t, w, &b, strings.Repeat("\x00", 10<<20))
	if _, problems := read(head, engine.Content{Messages: []engine.Message{{Kind: engine.MessageBinary, Compressed: true, Data: zeros, Size: int64(len(zeros))}}}); problems[0] != "only its beginning is shown" {
		t.Errorf("a bomb: %q", problems)
	}
}

func TestMessageInALine(t *testing.T) {
	for want, m := range map[string]engine.Message{
		`1000 bye`:             {Kind: engine.MessageClose, Data: []byte("\x03\xe8bye")},
		`tick {"token":"***"}`: {Kind: engine.MessageEvent, Data: []byte("event: tick\ndata: {\"token\":\"x\"}\n\n")},
		`00 ff`:                {Kind: engine.MessageBinary, Data: []byte{0, 255}},
		`a b`:                  {Kind: engine.MessageText, Data: []byte(" a\n\n b")},
		``:                     {Kind: engine.MessageClose},
	} {
		m.Size = int64(len(m.Data))
		n := inspect.Messages("", &engine.Content{Messages: []engine.Message{m}})[0]
		if got := n.Text(100, false); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if v := n.View(inspect.Look{}); v == nil || len(m.Data) > 0 && len(v.Lines) == 0 {
			t.Errorf("%q: %+v", want, v)
		}
	}
}
