package capture

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/wire"
)

func TestAgainOfATarget(t *testing.T) {
	for text, want := range map[string]string{
		"http://h":                     "http h /",
		"HTTPS://H:8443/a%2Fb?x=%20#":  "",
		"https://H:8443/a%2Fb/../?x=1": "https H:8443 /a%2Fb/../?x=1",
		"http://h?q":                   "http h /?q",
		"http://h:/":                   "http h /",
		"http://[::1]:80/":             "http [::1]:80 /",
		"http://h/a b":                 "",
		"http:///x":                    "",
		"http://:80/x":                 "",
		"http://u@h/":                  "",
		"http:h":                       "",
		"//h/x":                        "",
		"":                             "",
	} {
		head, err := Again(&engine.Replay{Method: "GET", Target: text})
		got := ""
		if err == nil {
			got = strings.Join([]string{head.Scheme, head.Authority, head.Path}, " ")
		}
		if got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error quotes the target, which may hold a secret: %v", err)
		}
	}
	if head, err := Again(&engine.Replay{Method: "OPTIONS", Target: "http://h"}); err != nil || head.Path != "*" {
		t.Errorf("OPTIONS of a host: %+v, %v", head, err)
	}
}

func TestAgainHasTheLengthOfItsContent(t *testing.T) {
	for _, k := range []struct {
		content string
		fields  []engine.Field
		want    string
	}{
		{"", nil, "[]"},
		{"", []engine.Field{{Name: "content-length", Value: "7"}}, "[{Content-Length 0}]"},
		{"abc", []engine.Field{{Name: "CONTENT-LENGTH", Value: "7"}, {Name: "A", Value: "b"}}, "[{A b} {Content-Length 3}]"},
		{"abc", nil, "[{Content-Length 3}]"},
	} {
		head, err := Again(&engine.Replay{Method: "PUT", Target: "http://h", Fields: k.fields, Content: []byte(k.content)})
		if err != nil || fmt.Sprint(head.Fields) != k.want {
			t.Errorf("%+v: %+v, %v", k, head, err)
		}
	}
	if _, err := Again(&engine.Replay{Method: "PUT", Target: "http://h", Content: make([]byte, engine.MaxReplay+1)}); !errors.Is(err, engine.ErrTooMuch) {
		t.Errorf("too much content: %v", err)
	}
}

// What is taken from an operator must be what the tunnel carries.
func FuzzAgain(f *testing.F) {
	f.Add("GET", "http://h/x?y", "accept", "a/b", "te", "trailers", "")
	f.Add("post", "https://[::1]:80", "Connection", "a, b", "B", "1", "content")
	f.Add("OPTIONS", "http://h", "X-Proxy-Client", "c", "Host", "h", "")
	f.Add("G ET", "http://h/ x", "a b", "c\r\nd", "Upgrade", "websocket", "")
	f.Fuzz(func(t *testing.T, method, target, name1, value1, name2, value2, content string) {
		r := &engine.Replay{Method: method, Target: target, Content: []byte(content),
			Fields: []engine.Field{{Name: name1, Value: value1}, {Name: name2, Value: value2}}}
		head, err := Again(r)
		if err != nil {
			return
		}
		if err := wire.CheckRequest(head); err != nil {
			t.Fatalf("%+v becomes %+v: %v", r, head, err)
		}
		for _, field := range head.Fields {
			switch strings.ToLower(field.Name) {
			case "connection", "transfer-encoding", "upgrade", "host", "expect", "proxy-authorization", "x-secret-key":
				t.Fatalf("%+v has %s", head, field.Name)
			}
		}
	})
}
