package inspect_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/inspect"
)

// exchange is a POST of content to an origin.
func exchange(content string) *inspect.Exchange {
	return &inspect.Exchange{
		Request: engine.Request{ID: 7, Way: engine.WayProxy, Method: "POST", Target: "http://shop.example.com/api/it's?x=1", Status: 201,
			RequestBytes: int64(len(content)), ResponseBytes: 2, Client: "edge", Connection: 3,
			Arrived: time.Date(2026, 11, 22, 15, 4, 11, 204e6, time.UTC), Outcome: engine.OutcomeCompleted,
			Queued: time.Millisecond, Sent: 2 * time.Millisecond, Connect: -1, FirstByte: 5 * time.Millisecond, LastByte: 7 * time.Millisecond,
			Heads: &engine.Heads{
				Request:  "Host: shop.example.com\nAuthorization: Bearer abc\nContent-Type: text/plain\nUser-Agent: test\nAccept: */*\nX: it's\nX-Forwarded-For: 10.0.0.1\nEmpty:\n",
				Response: "Content-Type: text/plain\nSet-Cookie: s=1; Path=/; HttpOnly\n"}},
		Content: &engine.Content{
			Request:  engine.Part{Data: []byte(content), Size: int64(len(content)), Over: true},
			Response: engine.Part{Data: []byte("ok"), Size: 2, Over: true}},
	}
}

func TestCurlIsOneCommandThatMasksSecrets(t *testing.T) {
	want := `curl \
  -H 'Authorization: ***' \
  -H 'Content-Type: text/plain' \
  -H 'User-Agent: test' \
  -H 'Accept: */*' \
  -H 'X: it'\''s' \
  -H 'Empty;' \
  --data-binary hello \
  'http://shop.example.com/api/it'\''s?x=1' # secrets are masked`
	if got := inspect.Curl(exchange("hello"), inspect.Options{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got := inspect.Curl(exchange("hello"), inspect.Options{Secrets: true, Via: "http://127.0.0.1:8080"})
	if !strings.Contains(got, "Bearer abc") || strings.Contains(got, "#") || !strings.Contains(got, "-x http://127.0.0.1:8080") {
		t.Errorf("revealed:\n%s", got)
	}
}

func TestCurlSaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*inspect.Exchange)
		want   string
	}{
		"not kept":     {func(x *inspect.Exchange) { x.Content = nil }, "--data-binary @content \\\n  'http://shop.example.com/api/it'\\''s?x=1' # its content was not kept"},
		"cut":          {func(x *inspect.Exchange) { x.Content.Request.Size, x.Request.RequestBytes = 900, 900 }, "its content was cut"},
		"no heads":     {func(x *inspect.Exchange) { x.Request.Heads = nil }, "# its header fields were not kept"},
		"long heads":   {func(x *inspect.Exchange) { x.Request.Heads.Cut = true }, "some fields were too long"},
		"masked query": {func(x *inspect.Exchange) { x.Request.Target = "http://a.example/?token=***" }, "secrets of its query were masked"},
		"secrets in content": {func(x *inspect.Exchange) {
			x.Content.Request.Data = []byte(`{"password":"p"}`)
			x.Content.Request.Size = 16
		}, `--data-binary '{"password":"***"}'`},
		"globs":   {func(x *inspect.Exchange) { x.Request.Target = "http://a.example/[1]" }, "--globoff"},
		"dots":    {func(x *inspect.Exchange) { x.Request.Target = "http://a.example/a/../b" }, "--path-as-is"},
		"missing": {func(x *inspect.Exchange) { x.Request.Heads.Request = "host: a\n" }, "-H User-Agent: \\\n  -H Accept: \\\n  -H Content-Type: "},
		"no body": {func(x *inspect.Exchange) { x.Content, x.Request.RequestBytes = nil, 0 }, "curl -X POST"},
	} {
		x := exchange("hello")
		c.change(x)
		if got := inspect.Curl(x, inspect.Options{}); !strings.Contains(got, c.want) {
			t.Errorf("%s: no %q in\n%s", name, c.want, got)
		}
	}
	for want, r := range map[string]engine.Request{
		"curl \\\n  http://a.example/x # its header fields were not kept":        {Method: "GET", Target: "http://a.example/x"},
		"curl --head \\\n  http://a.example/x # its header fields were not kept": {Method: "HEAD", Target: "http://a.example/x"},
		"curl -X 'A B' \\\n  /x # its header fields were not kept":               {Method: "A B", Target: "/x"},
		"": {Method: "CONNECT", Target: "a:1"},
	} {
		if got := inspect.Curl(&inspect.Exchange{Request: r}, inspect.Options{}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What is pasted into a shell sends what was sent before.
func TestCurlLineGivesTheSameAnswer(t *testing.T) {
	type seen struct {
		method, uri, content string
		header               http.Header
	}
	requests := make(chan seen, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		requests <- seen{r.Method, r.RequestURI, string(b), r.Header}
		fmt.Fprintf(w, "%s %d", r.Method, len(b))
	}))
	defer server.Close()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, content := range map[string]string{
		"text": "it's \"100%\" $HOME `x` \\n\nlines\n", "at": "@/etc/hostname", "bytes": string(all), "dash": "-e\x00 \\055 %s",
		"escape": "\x1b[2J\r\n", "umlaut": "äöü €", "bidi": "a\u202eb", "large": strings.Repeat("x'\x01", 30000), "long text": strings.Repeat("0123456789abcdef", 6000),
	} {
		x := exchange(content)
		x.Request.Target = server.URL + "/api/it's/../[1]?q={a}&b=%20"
		x.Request.Heads.Request = "Host: " + strings.TrimPrefix(server.URL, "http://") + "\nX: it's $(x)\nEmpty:\nContent-Type: a/b\nAccept-Encoding: gzip\n"
		for _, shell := range []string{"sh", "bash"} {
			path, err := exec.LookPath(shell)
			if err != nil {
				continue
			}
			line := inspect.Curl(x, inspect.Options{Secrets: true})
			command := exec.Command(path)
			command.Stdin = strings.NewReader(line + "\n")
			var complaints bytes.Buffer
			command.Stderr = &complaints
			out, err := command.Output()
			if err != nil || string(out) != fmt.Sprintf("POST %d", len(content)) {
				t.Fatalf("%s by %s: %v, %q, %s\n%.300s", name, shell, err, out, complaints.String(), line)
			}
			got := <-requests
			if got.content != content || got.uri != "/api/it's/../[1]?q={a}&b=%20" || got.header.Get("X") != "it's $(x)" ||
				got.header.Get("Content-Type") != "a/b" || got.header["User-Agent"] != nil || got.header["Accept"] != nil || got.header["Empty"] == nil {
				t.Errorf("%s by %s: %.200q %s %v", name, shell, got.content, got.uri, got.header)
			}
		}
	}
}

func TestPrepareRefusesWhatWouldNotBeTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*inspect.Exchange)
		edits  inspect.Edits
		want   string
	}{
		"tcp":           {func(x *inspect.Exchange) { x.Request.Way = engine.WayTCP }, inspect.Edits{}, "carried bytes"},
		"no heads":      {func(x *inspect.Exchange) { x.Request.Heads = nil }, inspect.Edits{}, "were not kept"},
		"cut heads":     {func(x *inspect.Exchange) { x.Request.Heads.Cut = true }, inspect.Edits{}, "more header fields"},
		"no content":    {func(x *inspect.Exchange) { x.Content = nil }, inspect.Edits{}, "content of r-7 was not kept"},
		"cut content":   {func(x *inspect.Exchange) { x.Content.Request.Size, x.Request.RequestBytes = 4<<20, 4<<20 }, inspect.Edits{}, "only the first 5 B of 4.0 MiB"},
		"masked target": {func(x *inspect.Exchange) { x.Request.Target += "&token=***" }, inspect.Edits{}, "give the target"},
		"masked field":  {func(x *inspect.Exchange) { x.Request.Heads.Request = "Host: a\nCookie: ***\n" }, inspect.Edits{}, "Cookie was masked"},
		"masked content": {func(x *inspect.Exchange) {
			x.Content.Request.Data = []byte(`{"key":"***"}`)
			x.Content.Request.Size = 13
		}, inspect.Edits{}, "secrets in its content"},
		"upgrade":  {func(x *inspect.Exchange) { x.Request.Heads.Request += "Upgrade: websocket\n" }, inspect.Edits{}, "conversation"},
		"method":   {func(*inspect.Exchange) {}, inspect.Edits{Method: "A B"}, "no method"},
		"target":   {func(*inspect.Exchange) {}, inspect.Edits{Target: "/x"}, "not absolute"},
		"userinfo": {func(*inspect.Exchange) {}, inspect.Edits{Target: "http://u:p@h/"}, "user information"},
		"field":    {func(*inspect.Exchange) {}, inspect.Edits{Set: []engine.Field{{Name: "a b", Value: "c"}}}, "no name"},
		"value":    {func(*inspect.Exchange) {}, inspect.Edits{Set: []engine.Field{{Name: "a", Value: "c\r\nd: e"}}}, "characters"},
		"large":    {func(*inspect.Exchange) {}, inspect.Edits{Content: make([]byte, engine.MaxReplay+1)}, "1.0 MiB"},
		"still on its way": {func(x *inspect.Exchange) {
			x.Request.Outcome, x.Request.RequestBytes, x.Content = 0, 0, nil
		}, inspect.Edits{}, "on its way"},
	} {
		x := exchange("hello")
		c.change(x)
		if _, err := inspect.Prepare(x, &c.edits); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestPrepareTakesStarsThatStandForNothing(t *testing.T) {
	for _, content := range []string{`{"note":"***"}`, `{"key":"real","note":"***"}`, `=***`, `***`} {
		if _, err := inspect.Prepare(exchange("x"), &inspect.Edits{Content: []byte(content)}); err != nil {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func TestPrepareChangesWhatItIsTold(t *testing.T) {
	x := exchange("hello")
	p, err := inspect.Prepare(x, nil)
	if err != nil || p.Of != 7 || p.Method != "POST" || p.Target != x.Request.Target || string(p.Content) != "hello" || p.Way != engine.WayProxy || p.Client != "edge" ||
		fmt.Sprint(p.Fields) != "[{Authorization Bearer abc} {Content-Type text/plain} {User-Agent test} {Accept */*} {X it's} {X-Forwarded-For 10.0.0.1} {Empty }]" {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = inspect.Prepare(x, &inspect.Edits{Client: "c", Method: "PUT", Target: "https://h/", Remove: []string{"x", "empty"},
		Set: []engine.Field{{Name: "ACCEPT", Value: "a"}, {Name: "accept", Value: "b"}, {Name: "Host", Value: "evil"}}, Content: []byte{}})
	if err != nil || p.Client != "c" || p.Method != "PUT" || p.Target != "https://h/" || p.Content == nil || len(p.Content) != 0 ||
		fmt.Sprint(p.Fields) != "[{Authorization Bearer abc} {Content-Type text/plain} {User-Agent test} {X-Forwarded-For 10.0.0.1} {ACCEPT a} {accept b}]" {
		t.Errorf("%+v, %v", p, err)
	}
	x.Request.Target, x.Request.Way = "/a?b", engine.WayHost
	if p, err = inspect.Prepare(x, nil); err != nil || p.Target != "http://shop.example.com/a?b" || p.Client != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestEditedTextComesBack(t *testing.T) {
	for _, content := range []string{"", "hello", "a\n\nb\n", "\n", "\x00\xff", "a\r\nb", "@unchanged 5 bytes", "# no comment\n"} {
		p, err := inspect.Prepare(exchange(content), &inspect.Edits{Content: []byte(content)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := inspect.ParseEdit(inspect.EditText(&p), &p)
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", p) {
			t.Errorf("%q: %v\n%+v\n%+v", content, err, got, p)
		}
	}
	p, _ := inspect.Prepare(exchange("x"), nil)
	for text, want := range map[string]string{
		"GET http://a/ HTTP/1.1\nA: b\n\nbody":  "",
		"#c\n\n GET http://a/ \n":               "",
		"#c\nGET\n":                             "line 2: a request line",
		"GET a\n":                               "line 1: the target \"a\" is not absolute",
		"GET http://a/\nA: b\nno field\n":       "line 3: a header field",
		"GET http://a/\nA : b\n":                "line 2: \"A \" is no name",
		"GET http://a/\nHost: b\n":              "line 2: the host is that",
		"GET http://a/\nA: \x01\n":              "line 2: the value of A",
		"GET http://a/\n\n@unchanged 1 bytes\n": "line 3: @unchanged",
		"G\"T http://a/\n":                      "line 1: \"G\\\"T\" is no method",
		"":                                      "nothing is sent",
		"\n# all\n":                             "nothing is sent",
		"GET http://a/\n\n" + strings.Repeat("x", engine.MaxReplay+9): "line 3: the content is 1.0 MiB",
	} {
		_, err := inspect.ParseEdit([]byte(text), &p)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	if _, err := inspect.ParseEdit([]byte(" \n"), &p); !errors.Is(err, inspect.ErrEmpty) {
		t.Errorf("an empty text: %v", err)
	}
}

func FuzzParseEdit(f *testing.F) {
	f.Add([]byte("GET http://a/ HTTP/1.1\nA: b\n\nbody\n"))
	f.Add([]byte("# c\nPOST http://a/?b\r\nA:b\r\n\r\n@unchanged 3 bytes\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		of := engine.Replay{Of: 1, Method: "GET", Target: "http://a/", Content: []byte("\x00\xff\x01")}
		p, err := inspect.ParseEdit(text, &of)
		if err != nil {
			return
		}
		if err := inspect.Check(&p); err != nil {
			t.Fatalf("%q was taken: %v", text, err)
		}
		again, err := inspect.ParseEdit(inspect.EditText(&p), &p)
		if err != nil || again.Method != p.Method || again.Target != p.Target || fmt.Sprint(again.Fields) != fmt.Sprint(p.Fields) || !bytes.Equal(again.Content, p.Content) {
			t.Fatalf("%q is read another way: %v\n%+v\n%+v", text, err, p, again)
		}
	})
}
