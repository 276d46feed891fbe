package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"adit/engine/config"
	"adit/engine/policy"
)

func TestOneFileServesBothRoles(t *testing.T) {
	s, notices, err := config.LoadServer("testdata/adit.yaml", nil, nil)
	if err != nil || len(notices) != 0 {
		t.Fatal(notices, err)
	}
	if s.Listen != "127.0.0.1:9090" || s.Domain != "tunnels.example.com" || s.OpenCallers != "exposed" || s.Timeout != 2*time.Second ||
		!reflect.DeepEqual(s.Secret, []string{"one", "two"}) || !reflect.DeepEqual(s.Blacklist, []policy.Rule{{URL: "^http://forbidden", Line: 10}}) || s.WSPFile {
		t.Errorf("server %+v", s)
	}
	if first, last, err := s.TCPRange(); first != 20000 || last != 20100 || err != nil {
		t.Errorf("ports %d to %d, %v", first, last, err)
	}
	c, notices, err := config.LoadClient("testdata/adit.yaml", nil, nil)
	if err != nil || len(notices) != 0 {
		t.Fatal(notices, err)
	}
	if !reflect.DeepEqual(c.Server, []string{"wss://edge.example.com/register"}) || c.ID != "pi" || len(c.Expose) != 2 || len(c.Allow) != 2 || c.WSPFile ||
		!reflect.DeepEqual(c.Whitelist, []policy.Rule{{Method: "^GET$", URL: "^http://db/", Headers: map[string]string{"X-Team": "^ops$"}, Line: 20}}) {
		t.Errorf("client %+v", c)
	}
}

func TestFileErrorsNameFileLineAndNearestKey(t *testing.T) {
	tests := []struct {
		name, text, want string // want follows the path
	}{
		{"unknown key", "server:\n  timeot: 1s\n", `:2: server has no key "timeot"; the nearest is "timeout"`},
		{"key in capitals", "server:\n  Listen: a:1\n", `:2: server has no key "Listen"; the nearest is "listen"`},
		{"unknown key of the other role", "server:\n  ping: 5s\nclient:\n  serer: x\n", `:4: client has no key "serer"; the nearest is "server"`},
		{"unknown section", "serve:\n  ping: 5s\n", `:1: the file has no key "serve"; the nearest is "server"`},
		{"setting outside of its section", "server:\nlisten: a:1\n", `:2: listen stands outside; want it indented below server: or client:`},
		{"rules outside of a section", "server:\nblacklist: []\n", `:2: blacklist stands outside`},
		{"unknown key that is like none", "server:\n  bogus: 1\n", `:2: server has no key "bogus", nor one like it; adit config example prints all`},
		{"unknown section that is like none", "listeners: {}\n", `:1: the file has no key "listeners", nor one like it`},
		{"quote that is left open", "server:\n  listen: \"a:1\n  ping: 5s\n", `: no YAML: the file ends within a text; a quote is open further up`},
		{"unknown key of a rule", "server:\n  whitelist:\n    - urls: x\n", `:3: a rule of whitelist has no key "urls"; the nearest is "url"`},
		{"unknown key of wsp", "port: 80\nwhitlist: []\n", `:2: wsp's file has no key "whitlist"; the nearest is "whitelist"`},
		{"key twice", "server:\n  ping: 5s\n  ping: 6s\n", `:3: key "ping" stands here a second time`},
		{"no value", "server:\n  ping:\n", ":2: ping has no value"},
		{"list for one value", "server:\n  ping: [5s]\n", ":2: ping wants one value"},
		{"mapping for a value", "server:\n  ping: {a: b}\n", ":2: ping wants one value"},
		{"mapping in a list", "server:\n  secret: [{a: b}]\n", ":2: secret wants a list of values"},
		{"null in a list", "server:\n  secret: [a, ~]\n", ":2: secret wants a list of values"},
		{"section that is a value", "server: 5\n", ":1: server wants keys with values below it"},
		{"section that is a list", "server: [a]\n", ":1: server wants keys with values below it"},
		{"file that is a list", "- server\n", ":1: want keys with values"},
		{"file that is a value", "server\n", ":1: want keys with values"},
		{"key that is a list", "server:\n  ? [a]\n  : b\n", ":2: a key that is no word"},
		{"two documents", "server: {}\n---\nserver: {}\n", ": a second document"},
		{"bad rule", "server:\n  blacklist:\n    - url: x\n    - url: (\n", ":4: blacklist: url: error parsing regexp"},
		{"bad header of a rule", "client:\n  whitelist:\n    - headers: {X: (}\n", ":3: whitelist: header X: error parsing regexp"},
		{"empty rule", "server:\n  blacklist:\n    -\n", ":3: blacklist has an empty rule"},
		{"rules that are no list", "server:\n  blacklist: x\n", ":2: blacklist wants a list of rules"},
		{"at sign", "server:\n  secret: @file\n", `:2: no YAML: found character that cannot start any token; a value that begins with @`},
		{"asterisk", "server:\n  secret: *hunter2\n", `:2: no YAML: an alias without its anchor; a value that begins with @`},
		{"tab", "server:\n\tping: 5s\n", ":2: no YAML"},
		{"wsp port", "port: 99999\n", `:1: port: "99999" is out of range`},
		{"wsp timeout", "timeout: soon\n", `:1: timeout: "soon" is out of range`},
		{"wsp host", "host: a b\n", ":1: host: "},
		{"client file of wsp", "targets: [ws://h/register]\npoolidlesize: 1\n", ":1: targets is a key of wsp's other program; this is no file for adit server"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "f.yaml", tt.text)
			_, _, err := config.LoadServer(path, nil, nil)
			if err == nil {
				t.Fatal("is taken")
			}
			text := err.Error()
			if rest, found := strings.CutPrefix(text, path); !found || !strings.Contains(rest, tt.want) || strings.Contains(text, "hunter2") {
				t.Errorf("%q does not say %q", text, tt.want)
			}
		})
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	if _, _, err := config.LoadServer("testdata/none.yaml", nil, nil); err == nil || !strings.Contains(err.Error(), "testdata/none.yaml") {
		t.Errorf("%v, want the missing file's name", err)
	}
	large := write(t, "large.yaml", "# "+strings.Repeat("x", 1<<20)+"\n")
	if _, _, err := config.LoadServer(large, nil, nil); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("%v, want that it is too large", err)
	}
}

func TestFileWithoutContentChangesNothing(t *testing.T) {
	want, _, err := config.LoadServer("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "server:\n", "server: {}\n", "~\n"} {
		s, notices, err := config.LoadServer(write(t, "f.yaml", text), nil, nil)
		if err != nil || len(notices) != 0 || !reflect.DeepEqual(s, want) {
			t.Errorf("%q: %+v, %v, %v", text, s, notices, err)
		}
	}
}

func TestAnchorsAreFollowed(t *testing.T) {
	s, _, err := config.LoadServer(write(t, "f.yaml", "server:\n  ping: &p 5s\n  grace: *p\n"), nil, nil)
	if err != nil || s.Grace != 5*time.Second {
		t.Errorf("%+v, %v", s, err)
	}
	cycle := "server:\n  secret: &s [*s]\n"
	if _, _, err := config.LoadServer(write(t, "f.yaml", cycle), nil, nil); err == nil {
		t.Error("a list inside of itself is taken")
	}
}

// "ops=@FILE" made the name of the file the credential, which nobody had meant.
func TestSecretFilesBehindANameAreRead(t *testing.T) {
	path, other := write(t, "secret", "hunter2\n"), write(t, "pem", "x")
	for given, want := range map[string]string{
		"ops=@" + path: "ops=hunter2", "@" + path: "hunter2", "ops=hunter3": "ops=hunter3", "aGV5=": "aGV5=", "=@" + path: "=@" + path,
	} {
		for setting, into := range map[string]func(s *config.Server) []string{
			"control-token":      func(s *config.Server) []string { return s.Control.Tokens },
			"control-read-token": func(s *config.Server) []string { return s.Control.ReadTokens },
			"otlp-header":        func(s *config.Server) []string { return s.Observing.OTLPHeaders },
		} {
			if setting == "otlp-header" && !strings.HasPrefix(given, "ops") {
				continue
			}
			s, l, err := config.LoadServerFrom(config.Input{Flags: map[string][]string{setting: {given},
				"control-listen": {"127.0.0.1:1"}, "control-cert": {other}, "control-key": {other}, "otlp": {"http://127.0.0.1:1"}}})
			if s == nil {
				t.Errorf("%s %q: %v", setting, given, err)
			} else if !reflect.DeepEqual(into(s), []string{want}) {
				t.Errorf("%s %q becomes something else", setting, given)
			} else if watched := strings.Contains(strings.Join(l.Files, " "), path); watched != (given != want) {
				t.Errorf("%s %q: watched are %v", setting, given, l.Files)
			}
		}
	}
	_, _, err := config.LoadServer("", nil, map[string][]string{"control-token": {"ops=@" + path + "-none"}})
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("%v, want the missing file's name", err)
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "@" + path
	}
	for name, text := range map[string]string{"plain": "hunter2", "newline": "hunter2\n", "crlf": "hunter2\r\n"} {
		s, _, err := config.LoadServer("", nil, map[string][]string{"secret": {"direct", file(name, text)}})
		if err != nil || !reflect.DeepEqual(s.Secret, []string{"direct", "hunter2"}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":   {"", "is empty"},
		"newline": {"\n", "is empty"},
		"lines":   {"hunter2\nhunter3\n", "second line"},
		"spaces":  {"hunter2 \n", "ends with a space"},
		"control": {"hun\x00ter2", "control character"},
		"large":   {strings.Repeat("hunter2", 1000), "is larger than"},
		"limit":   {strings.Repeat("x", 4097), "is longer than"},
	} {
		at := file("bad-"+name, tt.text)
		for _, setting := range []string{"secret", "caller-token"} {
			_, _, err := config.LoadServer("", nil, map[string][]string{setting: {at}})
			if err == nil || !strings.HasPrefix(err.Error(), "--"+setting+": ") || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter") {
				t.Errorf("%s: %v, want %q", name, err, tt.want)
			}
		}
	}
	if _, _, err := config.LoadServer("", nil, map[string][]string{"secret": {"@" + dir + "/none"}}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("%v, want the missing file's name", err)
	}
	for _, bad := range []string{"", " hunter2", "hun\nter2"} {
		_, _, err := config.LoadClient("", nil, map[string][]string{"secret": {bad}})
		if err == nil || strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A secret that only the other role may read must not keep this one from
// starting.
func TestOtherSectionIsNotRead(t *testing.T) {
	path := write(t, "adit.yaml", "server:\n  grace: 0s\nclient:\n  secret: \"@/none/at/all\"\n  whitelist: [{url: x}]\n")
	s, _, err := config.LoadServer(path, nil, nil)
	if err != nil || len(s.Whitelist) != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	if s.Grace != time.Millisecond {
		t.Errorf("no grace is %v, want the least: 0 reads as the default further down", s.Grace)
	}
}
