package inspect_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"adit/engine"
	"adit/engine/inspect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSecretNames(t *testing.T) {
	for _, name := range []string{"Authorization", "COOKIE", "set-cookie", "Proxy-Authorization", "X-Api-Key", "X-Auth-Token", "x-hub-signature-256", "X-SECRET-KEY", "db-password", "X-Original-Authorization", "Cookie2"} {
		if !inspect.Secret(name) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range []string{"Host", "Accept", "Content-Type", "ETag", "Via"} {
		if inspect.Secret(name) {
			t.Errorf("%s is masked", name)
		}
	}
}

func TestHeadWithoutItsSecrets(t *testing.T) {
	head := "host: a.example\nAuthorization: Bearer abc\nno field\nReferer: http://u:p@b.example/?token=t&x=1\nSet-Cookie: a=b\n"
	want := "host: a.example\nAuthorization: ***\nno field\nReferer: http://b.example/?token=***&x=1\nSet-Cookie: ***\n"
	if got := inspect.MaskHead(head); got != want {
		t.Errorf("%q", got)
	}
	for _, same := range []string{"", "host: a", "a: b\n\n\n", ":\n: x"} {
		if got := inspect.MaskHead(same); got != same {
			t.Errorf("%q became %q", same, got)
		}
	}
	h := &engine.Heads{Request: "a: b\n", Response: "c: d\n", Cut: true}
	if inspect.MaskHeads(h) != h || inspect.MaskHeads(nil) != nil {
		t.Error("copied where nothing is to be masked")
	}
	h.Response = "x-token: y\n"
	if m := inspect.MaskHeads(h); m.Response != "x-token: ***\n" || !m.Cut || h.Response != "x-token: y\n" {
		t.Errorf("%+v of %+v", m, h)
	}
	if inspect.Get(head, "REFERER") == "" || inspect.Get(head, "x") != "" || len(inspect.Fields(head)) != 4 {
		t.Errorf("%q", inspect.Fields(head))
	}
}

func TestFormWithoutItsSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"user=a&password=b&x":     "user=a&password=***&x",
		"p%61ssword=b":            "p%61ssword=***",
		"access_token=1&code=2&=": "access_token=***&code=***&=",
		"credential=x&key=":       "credential=***&key=",
		"":                        "",
	} {
		if got := string(inspect.MaskForm([]byte(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestJSONWithoutItsSecrets(t *testing.T) {
	for in, want := range map[string]string{
		`{"user":"a","password":"b\"c","n":1}`:          `{"user":"a","password":"***","n":1}`,
		`{"api_key" : 12, "x":2}`:                       `{"api_key" : "***", "x":2}`,
		`{"token":{"a":["x","}"]},"b":[{"secret":[]}]}`: `{"token":"***","b":[{"secret":"***"}]}`,
		`{"p\u0061ssword":true}`:                        `{"p\u0061ssword":"***"}`,
		`{"password":"cut off he`:                       `{"password":"***"`,
		`{"password":{"cut":[1,2`:                       `{"password":"***"`,
		`{"password"`:                                   `{"password"`,
		`["password","x"]`:                              `["password","x"]`,
		`plain text`:                                    `plain text`,
	} {
		if got := string(inspect.MaskJSON([]byte(in))); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// What slipped through: credentials that stand where no name of a member or of a
// field says so.
func TestSecretsThatHaveAnotherPlace(t *testing.T) {
	part := func(name, more, content string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"" + more + "\r\n\r\n" + content + "\r\n"
	}
	for _, c := range []struct {
		kind     inspect.Kind
		in, want string
	}{
		{inspect.KindForm, `{"password":"x","a":1}`, `{"password":"***","a":1}`},
		{inspect.KindForm, `next=/cb?token%3Dx&password=x`, `next=/cb?token%3Dx&password=***`},
		{inspect.KindText, `user=a&password=x`, `user=a&password=***`},
		{inspect.KindText, `token=x`, `token=***`},
		{inspect.KindText, `see https://u:x@h/p?a=1&sig_key=x, and http://h:80/ or a@b`, `see https://***@h/p?a=1&sig_key=*** and http://h:80/ or a@b`},
		{inspect.KindText, `the key = x; a == b; f(a=b)`, `the key = x; a == b; f(a=b)`},
		{inspect.KindXML, `<a href="/r?x=1&amp;token=x">`, `<a href="/r?x=1&amp;token=***">`},
		{inspect.KindJSON, `{"u":"https:\/\/u:x@h\/?a=1\u0026token=x\/x","n":2}`, `{"u":"https:\/\/***@h\/?a=1\u0026token=***","n":2}`},
		{inspect.KindJSON, `{"b":"{\"password\":\"x\",\"c\":\"{\\\"key\\\":1}\"}"}`, `{"b":"{\"password\":\"***\",\"c\":\"{\\\"key\\\":\\\"***\\\"}\"}"}`},
		{inspect.KindJSON, `{"b":"{\"password\":\"xx`, `{"b":"{\"password\":\"***\"`},
		{inspect.KindMultipart, part("password", "", "x") + part("a", "", "1") + "--b--\r\n", part("password", "", "***") + part("a", "", "1") + "--b--\r\n"},
		{inspect.KindMultipart, part("j", "\r\nContent-Type: application/json", `{"token":"x"}`) + part("f", "", "\x00\xff"), part("j", "\r\nContent-Type: application/json", `{"token":"***"}`) + part("f", "", "\x00\xff")},
		{inspect.KindMultipart, part("api_key", "; filename=\"k\"", "x\r\n\r\nx"), part("api_key", "; filename=\"k\"", "***")},
		{inspect.KindMultipart, "no boundary", "no boundary"},
		{inspect.KindMultipart, "--b\r\ncut", "--b\r\ncut"},
	} {
		if got := string(inspect.MaskText(c.kind, []byte(c.in))); got != c.want {
			t.Errorf("%v %s\nis   %s\nwant %s", c.kind, c.in, got, c.want)
		}
	}
	for _, c := range [][3]string{
		{"Link", `<https://u:x@h/cb?token=x>; rel=next`, `<https://***@h/cb?token=***>; rel=next`},
		{"Refresh", `0;url=/cb?token=x`, `0;url=/cb?token=***`},
		{"X-Auth", `Bearer abc.def-_~+/=`, `***`},
		{"X-User", `basic dTpw`, `***`},
		{"WWW-Authenticate", `Basic realm="a b"`, `Basic realm="a b"`},
		{"Sec-WebSocket-Protocol", `base64url.bearer.authorization.k8s.io.abc, v4`, `***`},
		{"Sec-WebSocket-Protocol", `graphql-ws`, `graphql-ws`},
		{"Content-Type", `multipart/form-data; boundary=key`, `multipart/form-data; boundary=key`},
		{"Cache-Control", `max-age=0, no-cache="set-cookie"`, `max-age=0, no-cache="set-cookie"`},
	} {
		if got := inspect.Value(c[0], c[1], false); got != c[2] {
			t.Errorf("%s: %s is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

// What is stored of content in a coding held its secrets.
func TestCodedContentWithoutItsSecrets(t *testing.T) {
	plain := `{"password":"hunter2","a":1}`
	b := gzipped(t, []byte(plain))
	head := "content-type: application/json\ncontent-encoding: gzip\n"
	shown, masked := inspect.MaskContent(head, b)
	if d := inspect.Decode("gzip", shown); !masked || string(d.Data) != `{"password":"***","a":1}` || d.Cut {
		t.Errorf("%v %+v", masked, d)
	}
	if shown, masked := inspect.MaskContent("content-encoding: br\n", b); masked || !bytes.Equal(shown, b) {
		t.Errorf("%v %q", masked, shown)
	}
	if shown, masked := inspect.MaskContent("content-encoding: gzip, x-gzip, identity\ncontent-type: application/json\n", gzipped(t, b)); !masked || shown != nil {
		t.Errorf("%v %q", masked, shown)
	}
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	_ = z.Close()
	return b.Bytes()
}

// Content of 256 KiB in the worst shape was read in the square of its length.
func TestContentThatTakesTheSquareOfItsLength(t *testing.T) {
	for _, s := range []string{"@", "://@", "&a=", "?key=", "data:\n", "data:a\n", "\"", "[\"", "{\"a\":", "\"{\\\"", "--b\n", "\n--b\r\n\r\n", "\\", "\"key\":[", "<key>", "<key a=", "key='", "\nkey: ", " key "} {
		content := []byte("--b\n" + strings.Repeat(s, 256<<10/len(s)))
		for _, media := range []string{"application/json", "text/event-stream", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "text/html", "application/x-ndjson", ""} {
			begun := time.Now()
			inspect.Read("content-type: "+media+"\n", &engine.Part{Data: content[4:], Size: int64(len(content)), Over: true}, inspect.Look{})
			inspect.Read("content-type: "+media+"\n", &engine.Part{Data: content, Size: int64(len(content)), Over: true}, inspect.Look{})
			if took := time.Since(begun); took > 10*time.Second { // the square takes far longer
				t.Errorf("%q as %s took %v", s, media, took)
			} else if took > 200*time.Millisecond {
				t.Logf("%q as %s took %v", s, media, took)
			}
		}
	}
}

// Whatever is valid before is valid after, and no secret is left.
func FuzzMaskJSON(f *testing.F) {
	stars := []byte(inspect.Masked)
	for _, s := range []string{`{"a":{"token":[1,{"b":"}"}]}}`, `{"key":"\\"}`, `{"key":`, `"key":"`, `[{"\u006bey":1.5e3}]`, "{\"key\":tr\nue}", `0""00"tokeY":,`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		given := bytes.Clone(in)
		out := inspect.MaskJSON(in)
		if !bytes.Equal(given, in) {
			t.Fatal("what was given has changed")
		}
		if json.Valid(in) && !json.Valid(out) {
			t.Fatalf("%s is no JSON any more: %s", in, out)
		}
		var v any
		if json.Unmarshal(out, &v) == nil {
			walk(t, v)
		}
		inspect.MaskForm(in)
		for kind := inspect.KindNone; kind <= inspect.KindMultipart; kind++ {
			masked := inspect.MaskText(kind, in)
			if kind == inspect.KindJSON && json.Valid(in) && !json.Valid(masked) {
				t.Fatalf("%s is no JSON any more: %s", in, masked)
			}
			// A second time may put a mask into quotes, but leaves none out.
			if again := inspect.MaskText(kind, masked); bytes.Contains(masked, stars) && !bytes.Contains(again, stars) {
				t.Fatalf("%v %q is masked as %q, and that as %q", kind, in, masked, again)
			}
		}
	})
}

func walk(t *testing.T, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if inspect.Secret(name) && value != inspect.Masked && !strings.ContainsAny(name, "\ufffdK") {
				t.Fatalf("%q is %v", name, value)
			}
			walk(t, value)
		}
	case []any:
		for _, e := range v {
			walk(t, e)
		}
	}
}
