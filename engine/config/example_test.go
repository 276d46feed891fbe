package config_test

import (
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"adit/engine/config"
)

// Who starts from the example and changes nothing must have the defaults, and
// also who takes every # in front of a default away.
func TestExampleIsTheDefaults(t *testing.T) {
	var b strings.Builder
	if err := config.WriteExample(&b, "server", "client"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, l := range loaders() {
		want, _, err := l.load("", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, mine, _ := strings.Cut(text, "\n"+l.role+":\n")
		if l.role == "server" {
			mine, _, _ = strings.Cut(mine, "\nclient:\n")
		}
		set := mine
		for _, s := range l.settings() {
			line := regexp.MustCompile(`(?m)^  #(` + regexp.QuoteMeta(s.Name) + `: .*)$`)
			if !line.MatchString(mine) {
				t.Errorf("%s: the example has no %s", l.role, s.Name)
			}
			if s.Default != "" {
				set = line.ReplaceAllString(set, "  $1")
			}
		}
		for name, file := range map[string]string{"as it is": text, "with all defaults": l.role + ":\n" + set} {
			got, notices, err := l.load(write(t, "adit.yaml", file), nil, nil)
			if err != nil || len(notices) > 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s: %v %v\n%+v\nwant %+v", l.role, name, err, notices, got, want)
			}
		}
	}
}

// A setting that is not in the reference is one that nobody finds.
func TestReferenceHasEverySetting(t *testing.T) {
	for _, l := range loaders() {
		var b strings.Builder
		if err := config.WriteReference(&b, l.role); err != nil {
			t.Fatal(err)
		}
		for _, s := range l.settings() {
			if !strings.Contains(b.String(), "| `"+s.Name+"` |") {
				t.Errorf("%s: no row for %s", l.role, s.Name)
			}
		}
		for line := range strings.Lines(b.String()) {
			if n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); n != 0 && n != 6 {
				t.Errorf("%d bars in %q", n, line)
			}
		}
	}
}

// An operator mends a file once, not once for each mistake.
func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	path := write(t, "adit.yaml", "server:\n  timeot: 1s\n  ping: soon\n  ping: 5s\n  blacklist:\n    - url: (\n    - urls: x\n  secret: \"@/none\"\nclient:\n  serer: x\nservr: {}\n")
	_, _, err := config.LoadServerFrom(config.Input{Path: path, Env: environ("ADIT_GRACE", "long"), Flags: map[string][]string{"listen": {"80"}}})
	if err == nil {
		t.Fatal("is taken")
	}
	for _, want := range []string{
		path + `:2: server has no key "timeot"`, path + ":3: ping: ", path + `:4: key "ping"`, path + ":6: blacklist: url", path + ":7: a rule of",
		path + ":8: secret: read the credential: open /none", path + `:10: client has no key "serer"`, path + `:11: the file has no key "servr"`,
		"ADIT_GRACE: ", "--listen: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

// A reload that misses a change of a secret, or of a file, leaves a revoked
// credential in force.
func TestWhatDiffersBetweenTwoLoads(t *testing.T) {
	secret, cert := write(t, "secret", "one\n"), write(t, "cert.pem", "one")
	in := config.Input{Path: write(t, "adit.yaml", "server:\n  secret: \"@"+secret+"\"\n  tls-cert: "+cert+"\n  tls-key: "+cert+"\n"),
		Flags: map[string][]string{"caller-token": {"a"}}}
	load := func(in config.Input) *config.Loaded {
		t.Helper()
		_, l, err := config.LoadServerFrom(in)
		var refusal *config.RefusalError
		if err != nil && !errors.As(err, &refusal) {
			t.Fatal(err)
		}
		return l
	}
	before := load(in)
	if got := load(in).Changes(before); len(got) != 0 {
		t.Errorf("the same twice: %v", got)
	}
	for _, file := range []string{in.Path, secret, cert} {
		if !strings.Contains(strings.Join(before.Files, " "), file) {
			t.Errorf("%s is not among the files %v", file, before.Files)
		}
	}
	rewrite(t, secret, "two\n")
	rewrite(t, cert, "two")
	in.Flags = map[string][]string{"caller-token": {"b"}, "listen": {"127.0.0.1:1"}, "max-body": {"1KiB"}, "deny": {"10.0.0.0/8"}}
	after := load(in)
	want := []config.Change{{Name: "listen"}, {Name: "secret", Live: true}, {Name: "caller-token", Live: true}, {Name: "deny", Live: true},
		{Name: "tls-cert", Live: true}, {Name: "tls-key", Live: true}, {Name: "max-body", Live: true}}
	if got := after.Changes(before); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	// What waits for a restart is told again.
	if got := load(in).Changes(after.Keeping(before, []string{"listen"})); !reflect.DeepEqual(got, want[:1]) {
		t.Errorf("%v, want %v", got, want[:1])
	}
	if got := after.At("secret"); got != in.Path+":2: secret" {
		t.Errorf("secret is at %q", got)
	}
	if got := after.At("listen"); got != "--listen" {
		t.Errorf("listen is at %q", got)
	}
}
