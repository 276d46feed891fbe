package command

import (
	"strings"
	"testing"
)

// Who has mistyped a word must not have to read the list of all.
func TestMistypedWords(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"sevrer", `unknown command "sevrer" for "adit": did you mean server?`},
		{"servr", "did you mean server?"},
		{"conf", "did you mean config?"},
		{"xyzzy", "`adit --help` lists the commands"},
		{"token nwe", "did you mean new?"},
		{"server --lisen :80", "unknown flag: --lisen: did you mean --listen?"},
		{"server --tls-crt x", "did you mean --tls-cert?"},
		{"client --servre x", "did you mean --server?"},
		{"server -q", "unknown shorthand flag: 'q' in -q; `adit server --help` lists the flags"},
		{"server --no-such-thing", "unknown flag: --no-such-thing; `adit server --help` lists the flags"},
		{"ls conections", "did you mean connections?"},
		{"tail evnts", "did you mean events?"},
		{"completion basch", "did you mean bash?"},
		{"rules test GET", "want adit rules test METHOD URL; `adit rules test --help` has examples"},
		{"config check", "want adit config check FILE...;"},
		{"completion", "want adit completion SHELL (bash, zsh, fish, powershell);"},
		{"service install", "want adit service install server|client;"},
		{"ls requests events", "want adit ls [WHAT] (connections, clients, requests, events);"},
		{"attach a b", "want adit attach [PATH|URL];"},
		{"server edge", `adit server takes no word, and there is "edge"`},
		{strings.Repeat("x", 500), "unknown command"},
	} {
		root := full()
		root.SilenceErrors, root.SilenceUsage = true, true
		root.SetArgs(strings.Fields(c.line))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.line, err, c.want)
		}
	}
}

func TestDistanceOfWords(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"server", "server", 0}, {"sevrer", "server", 1}, {"lisen", "listen", 1}, {"cat", "dog", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
