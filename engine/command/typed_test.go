package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"adit/engine/enginetest/readme"
)

// parsedOnly lists the examples that are not typed into a shell by the scripts of
// testdata/examples, by how they begin, each with its reason. All others are.
func parsedOnly() map[string]string {
	const (
		terminal = "opens a dashboard, which needs a terminal"
		wsp      = "wsp's files have no example here; the scripts of wspfiles run them"
		minutes  = "takes minutes; the same without its bound is typed"
		away     = "goes to another machine"
		doctor   = "goes to another machine, or ends with what it finds of this one; tests of doctor run it"
		manager  = "changes the services of this machine"
		newer    = "what a script types of restart is in the README's"
		flight   = "needs a request in flight; the scripts of act run it"
	)
	return map[string]string{
		"adit attach":             terminal,
		"adit attach --read-only": terminal,
		"adit attach /run/user/1000/adit/server-edge.sock":         terminal,
		"adit attach https://edge.example.com:9443 --token @token": terminal,
		"adit play incident.db":                                    terminal,
		"adit server":                                              "listens on a port that may be taken; adit server --listen is typed",
		"adit server --config wsp_server.cfg":                      wsp,
		"adit client --config wsp_client.cfg":                      wsp,
		"adit client --server ws://tunnels.example.com/register --secret @secret --expose tcp:20005=10.0.0.5:5432": away,
		"adit config show client --addr /run/adit/client-edge.sock --json":                                         "is what is typed of a server",
		"adit record incident.db --for 10m":                                                                        minutes,
		"adit tail events --for 10m --json >> events.ndjson":                                                       minutes,
		"adit tail --filter 'status:>=500' --json | jq .target":                                                    "needs jq and runs until it is stopped; the README's script types it",
		"adit restart": newer,
		"adit restart --reason 'new version' --json":        newer,
		"adit cancel r-4711":                                flight,
		"adit cancel r-4711 r-4712 --reason 'wrong bucket'": flight,
		"adit kill r-4711":                                  flight,
		"adit kill c-17 c-18 --reason 'leaks memory'":       "adit drain c-17 is typed; the scripts of act kill",
		"adit doctor":  doctor,
		"adit service": manager,
	}
}

// What a help text shows is pasted: each line is run by a script, or stands in the
// list above.
func TestEveryExampleIsTyped(t *testing.T) {
	scripts, err := filepath.Glob("../../testdata/examples/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var page strings.Builder
	every(full(), func(cmd *cobra.Command) { page.WriteString("```sh\n" + cmd.Example + "\n```\n") })
	typed := map[string]bool{}
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range readme.Typed(string(text)) {
			line, err := readme.Command(page.String(), words)
			if err != nil {
				t.Errorf("%s types %q: %v", name, words, err)
			}
			typed[line] = true
		}
	}
	only, used := parsedOnly(), map[string]bool{}
	for _, l := range readme.Commands(page.String()) {
		entry := ""
		for begin := range only {
			whole := strings.Fields(begin)
			if l.Text == begin || len(whole) == 2 && (whole[1] == "doctor" || whole[1] == "service") && strings.HasPrefix(l.Text, begin+" ") {
				entry = begin
			}
		}
		used[entry] = true
		switch {
		case typed[l.Text] && entry != "":
			t.Errorf("%s is typed and stands in the list of those that are not", l.Text)
		case !typed[l.Text] && entry == "":
			t.Errorf("no script types %s, and the list does not say why", l.Text)
		}
	}
	for begin := range only {
		if !used[begin] && begin != "adit service" {
			t.Errorf("%s is in the list and in no help text", begin)
		}
	}
}
