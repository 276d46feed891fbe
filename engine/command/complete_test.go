package command

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/control"
)

// hostileRun is a run whose clients have chosen what a shell or a terminal could
// obey.
func hostileRun() *fakeRun {
	f := newFakeRun()
	f.Update(func(s *engine.Snapshot) {
		for i, id := range []string{"$(touch pwned)", "`touch pwned`", "a b", "x;touch pwned", "-rf", "--yes", "~root", "a\nb", "a\tb", "a\x1b[2J", "a'b", `a"b`, `a\b`, "*", "a&b", "(touch pwned)", "büro:1", "\u202eevil", "=x", "{a,b}", "!1", "#x", "\xff", strings.Repeat("l", 300)} {
			s.Connections = append(s.Connections, engine.Connection{ID: engine.ConnectionID(20 + i), Client: id, State: engine.StateIdle, Opened: s.Started,
				Greeting: &engine.Greeting{ID: id, Labels: map[string]string{"region": "sin"}, Expose: []engine.Expose{{Host: "app"}}}})
		}
		s.Banned = []string{"edge-9", "$(touch pwned)"}
	})
	return f.add(request(1, 200, nil), request(2, 502, func(r *engine.Request) {
		r.Target = "http://app.example.test/$(touch pwned)\x1b[2J?token=secret"
	}))
}

// completing returns a process that a shell asks about the run.
func (f *fakeRun) completing(out io.Writer) *Process {
	p := released(map[string]string{"ADIT_ADDR": "/run/adit/server-edge.sock"})
	p.Stdout, p.Completing = out, true
	p.dial = func(context.Context, string, control.DialOptions) (remote, error) { return f, nil }
	return p
}

// offered returns what a shell is offered, and the directive.
func offered(t *testing.T, p *Process, words ...string) (offers []string, directive string) {
	t.Helper()
	var out, report bytes.Buffer
	p.Stdout, p.Stderr = &out, &report
	root := Root(p)
	root.SetArgs(append([]string{"__complete"}, words...))
	if code := p.Finish(root.ExecuteContext(t.Context())); code != 0 || report.Len() > 0 {
		t.Errorf("%q: exit code %d, %q on stderr", words, code, report.String())
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

// bare returns offers without what stands beside them.
func bare(offers []string) []string {
	var all []string
	for _, o := range offers {
		word, _, _ := strings.Cut(o, "\t")
		all = append(all, word)
	}
	return all
}

func TestWordsAreCompleted(t *testing.T) {
	p := newFakeRun().add(request(1, 200, nil), request(2, 502, nil)).completing(nil)
	for _, c := range []struct{ line, want string }{
		{"show|c-", "c-7 c-8 c-9"},
		{"show|edge-", "edge-1"},
		{"show|c-8|c-", "c-7 c-9"},
		{"show|", "c-7 c-8 c-9 edge-1 r-2 r-1"},
		{"drain|", "c-7 c-8 c-9"},
		{"ban|e", "edge-1"},
		{"unban|", "edge-9"},
		{"cancel|", ""},
		{"export|r-", "r-2 r-1"},
		{"replay|--client|", "edge-1"},
		{"ls|--filter|client:", "client:edge-1"},
		{"ls|--filter|state:busy -cl", "state:busy -client:"},
		{"ls|--filter=conn:c-8,", "conn:c-8,c-7 conn:c-8,c-8 conn:c-8,c-9"},
		{"ls|--filter|label.", "label.zone:"},
		{"ls|--filter|label.zone:", "label.zone:west"},
		{"ls|--filter|(expose:", "(expose:app"},
		{"tail|events|--filter|lev", "level:"},
		{"tail|--filter|way:t", "way:tcp"},
		{"kill|--filter|wa", ""},
		{"ls|requests|--order|s", "size status"},
		{"rules|test|P", "POST PUT PATCH"},
		{"rules|ls|--as|", "server client"},
		{"server|--events|", "all requests lifecycle none"},
		{"server|--open-callers=e", "exposed"},
		{"server|--listen|", ""},
		{"client|--headless=", "true false"},
		{"capture|", "off heads content"},
		{"config|md|", "server client"},
		{"completion|z", "zsh"},
		{"token|new|--for|c", "client caller"},
		{"nothing|", ""},
	} {
		offers, _ := offered(t, p, strings.Split(c.line, "|")...)
		if got := strings.Join(bare(offers), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
	offers, _ := offered(t, p, "show", "c-7")
	if want := []string{"c-7\tedge-1 busy 3m00s"}; !slices.Equal(offers, want) {
		t.Errorf("beside a connection: %q, want %q", offers, want)
	}
	if offers, _ = offered(t, p, "show", "r-2"); len(offers) != 1 || !strings.HasPrefix(offers[0], "r-2\tGET 502 ") || !strings.HasSuffix(offers[0], "app.example.test/api") {
		t.Errorf("beside a request: %q", offers)
	}
}

// Every value that a choice has is offered, of every verb, and by what help says
// everybody can see that it is.
func TestEveryChoiceIsOffered(t *testing.T) {
	p := newFakeRun().completing(nil)
	for _, c := range []struct{ verb, flag, want string }{
		{"server", "--protocol", "auto adit wsp"},
		{"server", "--color", "auto always never"},
		{"client", "--host-header", "keep rewrite"},
		{"demo", "--capture", "off heads content"},
		{"export", "--content", "request response"},
		{"keys", "--keys", "vim+arrows emacs basic"},
	} {
		offers, _ := offered(t, p, c.verb, c.flag, "")
		if got := strings.Join(bare(offers), " "); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.verb, c.flag, got, c.want)
		}
	}
}

func TestFilesAreCompleted(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"secret", "second one", "$(x)", ".hidden"} {
		put(t, name, "")
	}
	if err := os.Mkdir("sub", 0o700); err != nil {
		t.Fatal(err)
	}
	p := newFakeRun().completing(nil)
	for _, c := range []struct{ line, want, directive string }{
		{"server|--secret|@", "@secret @sub/", ":4"},
		{"server|--secret|@su", "@sub/", ":6"},
		{"server|--secret|", "@", ":6"},
		{"server|--secret|plain", "", ":4"},
		{"server|--control-token|root=@se", "root=@secret", ":4"},
		{"server|--config|", "yaml yml cfg", ":8"},
		{"server|--tls-cert|", "pem crt cer key", ":8"},
		{"server|--tokens|", "yaml yml", ":8"},
		{"server|--acme-cache|", "", ":16"},
		{"themes|", "", ":16"},
		{"play|", "db", ":8"},
		{"record|", "", ":0"},
		{"version|", "", ":4"},
	} {
		offers, directive := offered(t, p, strings.Split(c.line, "|")...)
		if got := strings.Join(bare(offers), " "); got != c.want || directive != c.directive {
			t.Errorf("%s: %q %s, want %q %s", c.line, got, directive, c.want, c.directive)
		}
	}
}

// A client that calls itself $(reboot) must not have a shell reboot: such ids are
// not offered, and what stands beside others obeys nobody.
func TestHostileTextsAreNotOffered(t *testing.T) {
	p := hostileRun().completing(nil)
	for _, verb := range []string{"show", "ban", "unban", "drain", "kill", "export", "replay"} {
		offers, _ := offered(t, p, verb, "")
		for _, o := range offers {
			word, note, _ := strings.Cut(o, "\t")
			if !safeWord(word) || strings.ContainsAny(word, "$`;&|()<>{}[]*?!#~'\"\\ ") || word[0] == '-' {
				t.Errorf("%s: %q is offered", verb, word)
			}
			if strings.ContainsAny(note, "$`\\\x1b\t\n") || strings.Contains(note, "secret") || strings.Contains(note, "\u202e") {
				t.Errorf("%s: %q stands beside %s", verb, note, word)
			}
		}
		if verb == "ban" && !slices.Equal(bare(offers), []string{"büro:1", "edge-1"}) && !slices.Equal(bare(offers), []string{"edge-1", "büro:1"}) {
			t.Errorf("clients: %q", offers)
		}
	}
	offers, _ := offered(t, p, "ls", "--filter", "client:")
	for _, o := range bare(offers) {
		if strings.ContainsAny(o, "$`;&|()<>{}[]*?!#~'\\ ") {
			t.Errorf("%q is offered in a filter", o)
		}
	}
}

func TestManyOffersAreBounded(t *testing.T) {
	f := newFakeRun()
	f.Update(func(s *engine.Snapshot) {
		for i := range 5000 {
			s.Connections = append(s.Connections, engine.Connection{ID: engine.ConnectionID(100 + i), Client: "edge", State: engine.StateIdle})
		}
	})
	if offers, _ := offered(t, f.completing(nil), "drain", ""); len(offers) != completionsMost {
		t.Errorf("%d are offered", len(offers))
	}
}

// Somebody has pressed a key: nothing goes over the network without a credential
// that was given.
func TestCompletionDoesNotReachOut(t *testing.T) {
	for _, c := range []struct {
		address string
		args    []string
		asks    bool
	}{
		{"https://192.0.2.1:9443", nil, false},
		{"http://192.0.2.1:9443", []string{"--token", "x"}, false},
		{"ftp://192.0.2.1", []string{"--token", "x"}, false},
		{"https://192.0.2.1:9443", []string{"--token", "x"}, true},
		{"https://:x@192.0.2.1:9443", nil, true},
		{"/run/adit/server-edge.sock", nil, true},
		{"unix:/run/adit/server-edge.sock", nil, true},
	} {
		asked := false
		f := newFakeRun()
		p := f.completing(nil)
		p.dial = func(context.Context, string, control.DialOptions) (remote, error) {
			asked = true
			return f, nil
		}
		offered(t, p, append(append([]string{"show", "--addr", c.address}, c.args...), "")...)
		if asked != c.asks {
			t.Errorf("%s %q: asked %t, want %t", c.address, c.args, asked, c.asks)
		}
	}
}

// A run that hangs costs a shell half a second at most.
func TestCompletionOfARunThatHangs(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "adit"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "adit", "server-edge.sock"))
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	p := released(map[string]string{"XDG_RUNTIME_DIR": dir, "HOME": dir})
	p.Completing = true
	begin := time.Now()
	offers, _ := offered(t, p, "show", "")
	if took := time.Since(begin); len(offers) != 0 || took > 2*completeWait {
		t.Errorf("%q after %s", offers, took)
	}
	if offers, _ = offered(t, p, "ls", "--addr", ""); len(offers) != 1 || !strings.HasSuffix(bare(offers)[0], "server-edge.sock") {
		t.Errorf("sockets: %q", offers)
	}
}
