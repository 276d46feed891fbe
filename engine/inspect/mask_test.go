package inspect_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

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

// Whatever is valid before is valid after, and no secret is left.
func FuzzMaskJSON(f *testing.F) {
	for _, s := range []string{`{"a":{"token":[1,{"b":"}"}]}}`, `{"key":"\\"}`, `{"key":`, `"key":"`, `[{"\u006bey":1.5e3}]`, "{\"key\":tr\nue}"} {
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
