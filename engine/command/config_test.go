package command

import (
	"encoding/json"
	"strings"
	"testing"

	"adit/engine"
)

// Who asks of a run for what one would start with, or the other way round, must
// not be shown the other.
func TestSettingsOfARunByItsRole(t *testing.T) {
	f := newFakeRun()
	f.settings = []engine.Setting{
		{Name: "listen", Value: "127.0.0.1:9", Source: "adit.yaml:2", Help: "where"},
		{Name: "ping", Value: "20s", Source: "default", Help: "how often"},
	}
	code, stdout, stderr := f.ask(t, "config", "show", "server")
	if code != 0 || !strings.Contains(stdout, "adit.yaml:2") || strings.Count(stdout, "\n") != 2 {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = f.ask(t, "config", "show", "server", "--changed", "--json")
	var got struct{ Name, Value, Source string }
	if err := json.Unmarshal([]byte(stdout), &got); code != 0 || err != nil || got.Name != "listen" || got.Value != "127.0.0.1:9" || got.Source != "adit.yaml:2" {
		t.Errorf("%d %s%s: %v", code, stdout, stderr, err)
	}
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"the other role":                {[]string{"config", "show", "client"}, "is a server"},
		"a flag of what is not started": {[]string{"config", "show", "server", "--listen", "127.0.0.1:7"}, "leave the other settings out"},
		"a file":                        {[]string{"config", "show", "server", "--config", "adit.yaml"}, "leave the other settings out"},
	} {
		if code, stdout, stderr := f.ask(t, tt.args...); code != codeUsage || stdout != "" || !strings.Contains(stderr, tt.says) {
			t.Errorf("%s: %d %q %q", name, code, stdout, stderr)
		}
	}
}
