package command

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"adit/engine"
)

const rulesFile = `server:
  allow: [any]
  blacklist:
    - name: no admin
      url: /admin
    - {url: /team, headers: {X-Team: ^ops$}}
    - {url: /robots, caller: ^robot$}
    - {url: /inside, from: 192.0.2.0/24}
    - {url: /edge, client: ^edge-1$}
client:
  server: ws://127.0.0.1:1/register
  id: edge-1
  expose: [app=http://localhost:3000]
  allow: [api.internal, localhost, 10.0.0.0/8]
  deny: [127.0.0.1, "::1"]
  blacklist:
    - {url: /secret, client: ^edge-1$}
`

func rulesAt(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "adit.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is said ends in the verdict, and so does the process.
func TestRulesTestExplains(t *testing.T) {
	path := rulesAt(t, rulesFile)
	// The machine may know no localhost: a bare Debian has no /etc/hosts.
	resolve := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if a, err := netip.ParseAddr(host); err == nil {
			return []netip.Addr{a}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	at := func(line string) string { return "(" + path + ":" + line + ")" }
	for _, k := range []struct {
		args string
		code int
		want []string
	}{
		{"GET http://API.internal/x/../admin --as server", codeRefused, []string{"read as   name api.internal, port 80\n", "http://api.internal:80/admin\n",
			`blacklist 1 "no admin" ` + at("4") + " denies: url=/admin", `DENIED: blacklist 1 "no admin" ` + at("4") + " forbids it\n"}},
		{"GET http://api.internal/x --as server", codeDone, []string{"6 asked, of which 1 match", "ALLOWED: allow 1 (" + path + ":2) allows it\n"}},
		{"GET http://api.internal/team --header X-Team:ops --as server", codeRefused, []string{"DENIED: blacklist 2"}},
		{"GET http://api.internal/team --header X-Team:dev --as server", codeDone, nil},
		{"GET http://api.internal/robots --caller robot --as server", codeRefused, nil},
		{"GET http://api.internal/robots --caller alice --as server", codeDone, nil},
		{"GET http://api.internal/inside --from 192.0.2.7 --as server", codeRefused, nil},
		{"GET http://api.internal/inside --from 2001:db8::1 --as server", codeDone, nil},
		{"GET http://api.internal/edge --as server", codeFailed, []string{"DEPENDS: blacklist 5", "it depends on the client"}},
		{"GET http://api.internal/edge --client edge-1 --as server", codeRefused, nil},
		{"GET http://api.internal/edge --client edge-2 --as server", codeDone, nil},
		{"GET http://169.254.169.254/ --as server", codeRefused, []string{"DENIED: metadata, link-local"}},
		{"GET http://user@api.internal/ --as server", codeRefused, []string{"DENIED: the destination is not HOST:PORT"}},
		{"GET http://api.internal/secret --as client", codeRefused, []string{"DENIED: blacklist 1 " + at("17")}},
		{"GET http://api.internal/secret --as client --client other", codeFailed, []string{"DEPENDS: deny 1", "it depends on the address"}},
		{"GET http://localhost/ --as client --resolve", codeRefused, []string{"127.0.0.1 denied: deny 1 forbids it", "DENIED: no address of it is allowed"}},
		{"CONNECT 10.0.0.5:5432 --as client --resolve", codeDone, []string{"read as   address 10.0.0.5, port 5432", "10.0.0.5 allowed: allow 3 allows it", "ALLOWED: 10.0.0.5"}},
		{"CONNECT other:5432 --as client", codeFailed, []string{"DEPENDS: deny 1"}},
		{"GET http://other/ --allow any", codeDone, []string{"resolves  not asked: --resolve does;", "ALLOWED: allow 1 (--allow) allows it"}},
		{"GET http://other/ --as server", codeDone, nil},
		{"GET http://other/", codeUsage, nil},
		{"GET http://other/ --as client --from 10.0.0.1", codeUsage, nil},
		{"GET http://other/ --as server --resolve", codeUsage, nil},
		{"GET http://other/ --as server --header X", codeUsage, nil},
		{"GET http://other/ --as server --deny any", codeUsage, nil},
	} {
		args := append([]string{"rules", "test"}, strings.Fields(k.args)...)
		if !strings.Contains(k.args, "--allow") {
			args = append(args, "--config", path)
		}
		code, out, report := executeAs(t, &Process{resolve: resolve}, args...)
		if code != k.code {
			t.Errorf("%s: exit %d, want %d\n%s%s", k.args, code, k.code, out, report)
		}
		for _, want := range k.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s:\n%s\ndoes not say %q", k.args, out, want)
			}
		}
		if code == codeUsage {
			continue
		}
		code, out, _ = executeAs(t, &Process{resolve: resolve}, append(args, "--json")...)
		var answer struct{ Verdict, Why, Destination string }
		if err := json.Unmarshal([]byte(out), &answer); err != nil || code != k.code ||
			answer.Verdict != map[int]string{codeDone: "allowed", codeRefused: "denied", codeFailed: "open"}[code] {
			t.Errorf("%s --json: exit %d, %s: %v", k.args, code, out, err)
		}
	}
}

// A server without rules leaves it to the client, and so does the explanation.
func TestRulesTestOfAServerWithoutRules(t *testing.T) {
	code, out, _ := execute(t, "rules", "test", "GET", "http://169.254.169.254/", "--as", "server")
	if code != codeDone || !strings.Contains(out, "ALLOWED: the server has no rules: the client decides alone") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestRulesLs(t *testing.T) {
	path := rulesAt(t, rulesFile)
	code, out, _ := execute(t, "rules", "ls", "--config", path, "--as", "client")
	want := []string{"deny 1", "deny 2", "blacklist 1", "allow 1", "allow 2", "allow 3", "rest"}
	lines := strings.Split(strings.TrimSpace(out), "\n")[1:]
	if code != codeDone || len(lines) != len(want) {
		t.Fatalf("exit %d\n%s", code, out)
	}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w) {
			t.Errorf("line %d is %q, want %s", i+1, lines[i], w)
		}
	}
	code, out, _ = execute(t, "rules", "ls", "--config", path, "--as", "server", "--json")
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%q is no JSON", line)
		}
	}
	if !strings.Contains(out, `{"place":"blacklist 1","effect":"denies","name":"no admin","where":"`+path+`:4","rule":"url=/admin"}`) || code != codeDone {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// Only what the history has is judged; the rest is counted, with what it lacks.
func TestRulesRehearse(t *testing.T) {
	path := rulesAt(t, rulesFile)
	target := func(target string, more ...func(*engine.Request)) func(*engine.Request) {
		return func(r *engine.Request) {
			r.Way, r.Target, r.Caller = engine.WayProxy, target, "198.51.100.9:4000"
			for _, change := range more {
				change(r)
			}
		}
	}
	refused := func(r *engine.Request) { r.Outcome, r.Connection, r.Client = engine.OutcomeRefused, 0, "" }
	byClient := func(r *engine.Request) { r.Outcome = engine.OutcomeRefused }
	byScope := func(r *engine.Request) {
		refused(r)
		r.Reason = "forbidden: the scope of your credential leaves this out"
	}
	heads := func(text string) func(*engine.Request) {
		return func(r *engine.Request) { r.Heads = &engine.Heads{Request: text} }
	}
	run := newFakeRun().add(
		request(1, 200, target("http://api.internal/admin/users")),
		request(2, 200, target("http://api.internal/admin/keys?x")),
		request(3, 403, target("http://api.internal/x", refused)),
		request(4, 503, target("http://api.internal/admin", refused)),
		request(5, 0, func(r *engine.Request) { r.Way, r.Target = engine.WayTCP, "tcp:5432" }),
		request(6, 200, target("http://api.internal/team", heads("host: api.internal\nx-team: ops\n"))),
		request(7, 200, target("http://api.internal/team", heads("host: api.internal\nx-team: dev\n"))),
		request(8, 200, target("http://api.internal/team")),
		request(9, 200, target("http://api.internal/x?token=***")),
		request(10, 200, target("http://api.internal/robots")),
		request(11, 200, target("http://api.internal/inside", func(r *engine.Request) { r.Caller = "192.0.2.7:99" })),
		request(12, 200, target("http://api.internal/inside")),
		request(13, 200, target("http://api.internal/edge")),
		request(14, 200, target("http://api.internal/edge", func(r *engine.Request) { r.Client = "edge-2" })),
		request(16, 200, target("http://api.internal/robots", func(r *engine.Request) { r.Credential = "alice" })),
		request(17, 200, target("http://api.internal/robots", func(r *engine.Request) { r.Credential = "robot" })),
		request(18, 403, target("http://api.internal/y", byClient)),
		request(19, 403, target("http://api.internal/y", byScope)),
		request(15, 403, target("http://api.internal/admin", refused)),
	)
	code, out, report := run.ask(t, "rules", "rehearse", "--config", path, "--as", "server")
	if code != codeFailed {
		t.Errorf("exit %d, want 1: %s", code, report)
	}
	for _, want := range []string{
		"16 requests judged: 7 would change, 3 can't be told\n", "3 left out: rules had no say in them\n",
		"1: not known is the field X-Team\n", "1: not known is the URL\n", "1: not known is the caller\n", "r-2 r-1",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\ndoes not say %q", out, want)
		}
	}
	code, out, _ = run.ask(t, "rules", "rehearse", "--config", path, "--as", "server", "--json")
	groups := map[string]string{}
	for line := range strings.Lines(out) {
		var g struct {
			Requests                     int
			Verdict, Path, Client, Where string
			Judged, Changed, Open        int
		}
		if err := json.Unmarshal([]byte(line), &g); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if g.Requests > 0 {
			groups[g.Path+" "+g.Client] = g.Verdict
		} else if g.Judged != 16 || g.Changed != 7 || g.Open != 3 {
			t.Errorf("%s", line)
		}
	}
	want := map[string]string{"/admin edge-1": "denied", "/x ": "allowed", "/team edge-1": "denied", "/inside edge-1": "denied", "/edge edge-1": "denied", "/robots edge-1": "denied"}
	if len(groups) != len(want) || code != codeFailed {
		t.Errorf("%v, want %v", groups, want)
	}
	for k, v := range want {
		if groups[k] != v {
			t.Errorf("%s would be %q, want %q", k, groups[k], v)
		}
	}

	// With the same rules before, nothing changes whatever became of requests.
	code, out, report = run.ask(t, "rules", "rehearse", "--config", path, "--config-old", path, "--as", "server", "--filter", "path:/admin")
	if code != codeDone || !strings.Contains(out, "0 would change") {
		t.Errorf("exit %d\n%s%s", code, out, report)
	}
	// A client's rules on addresses need what no history has.
	code, out, report = run.ask(t, "rules", "rehearse", "--config", path, "--as", "client", "--since", "720h")
	if code != codeDone || !strings.Contains(out, "0 would change") || !strings.Contains(out, "not known is the address") {
		t.Errorf("exit %d\n%s%s", code, out, report)
	}
	for _, args := range []string{"", "--config " + path, "--config " + path + " --as server --from-db x", "--config " + path + " --as server --since -1s", "--config " + path + " --as server --filter status:>"} {
		if code, _, _ := run.ask(t, append([]string{"rules", "rehearse"}, strings.Fields(args)...)...); code != codeUsage {
			t.Errorf("%q: exit %d, want 2", args, code)
		}
	}
	// A history that is not there is no run that does not answer.
	code, _, report = execute(t, "rules", "rehearse", "--config", path, "--as", "server", "--from-db", "none.db")
	if code != codeUsage || !strings.Contains(report, "--from-db: ") || strings.Contains(report, "socket") {
		t.Errorf("exit %d\n%s", code, report)
	}
	// Rules can be given without a file.
	code, out, report = run.ask(t, "rules", "rehearse", "--as", "server", "--deny", "/\\/admin/")
	if code == codeUsage || !strings.Contains(out, "judged") {
		t.Errorf("exit %d\n%s%s", code, out, report)
	}
}
