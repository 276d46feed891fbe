package config_test

import (
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/config"
)

func settingsByName(list []engine.Setting) map[string]engine.Setting {
	byName := map[string]engine.Setting{}
	for _, s := range list {
		byName[s.Name] = s
	}
	return byName
}

func TestEffectiveSettingsNameTheirSource(t *testing.T) {
	path := write(t, "adit.yaml", "server:\n  timeout: 2s\n  secret: [one, two]\n  domain: tunnels.example.com\n  whitelist:\n    - url: x\n")
	_, list, _, err := config.LoadServerSettings(path, environ("ADIT_TIMEOUT", "3s", "ADIT_CALLER_TOKEN", "hunter2"),
		map[string][]string{"domain": {"example.org"}, "theme": {"nord"}})
	if err != nil {
		t.Fatal(err)
	}
	got := settingsByName(list)
	for name, want := range map[string][2]string{
		"listen":       {"127.0.0.1:8080", "default"},
		"timeout":      {"3s", "ADIT_TIMEOUT"},
		"secret":       {"set", path + ":3"},
		"caller-token": {"set", "ADIT_CALLER_TOKEN"},
		"domain":       {"example.org", "--domain"},
		"theme":        {"nord", "--theme"},
		"fps":          {"30", "default"},
		"whitelist":    {"1 rule", path + ":5"},
	} {
		if s := got[name]; s.Value != want[0] || s.Source != want[1] || s.Help == "" {
			t.Errorf("%s is %+v, want %q", name, s, want)
		}
	}
	for _, s := range list {
		if strings.Contains(s.Value, "hunter2") || s.Value == "one" || s.Value == "one, two" {
			t.Errorf("%s shows a credential: %s", s.Name, s.Value)
		}
	}
}

func TestEffectiveSettingsOfAWSPFile(t *testing.T) {
	path := write(t, "wsp_client.cfg", "targets: [\"ws://h/register?token=hunter2\"]\npoolidlesize: 3\nsecretkey: hunter2\n")
	_, list, _, err := config.LoadClientSettings(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := settingsByName(list)
	for name, want := range map[string][2]string{
		"server":    {"ws://h/register?…", path + ":1"},
		"pool-idle": {"3", path + ":2"},
		"secret":    {"set", path + ":3"},
		"pool":      {"2", "default"},
	} {
		if s := got[name]; s.Value != want[0] || s.Source != want[1] {
			t.Errorf("%s is %+v, want %q", name, s, want)
		}
	}
}

func TestWaysToShowARunContradict(t *testing.T) {
	for _, flags := range [][]string{{"headless", "tui"}, {"headless", "plain"}, {"tui", "plain"}} {
		given := map[string][]string{"server": {"ws://h/register"}, "allow": {"any"}}
		for _, f := range flags {
			given[f] = []string{"true"}
		}
		if _, _, err := config.LoadServer("", nil, given); err == nil || !strings.Contains(err.Error(), "--"+flags[0]) {
			t.Errorf("server with %v: %v", flags, err)
		}
		if _, _, err := config.LoadClient("", nil, given); err == nil || !strings.Contains(err.Error(), "--"+flags[1]) {
			t.Errorf("client with %v: %v", flags, err)
		}
	}
}

// The query of a collector's URL may hold a key, as that of a server's may: what is
// shown leaves it out, and a reload sees that it has changed.
func TestQueryOfACollectorIsNotShown(t *testing.T) {
	load := func(url string) *config.Loaded {
		_, l, err := config.LoadServerFrom(config.Input{Flags: map[string][]string{"otlp": {url}}})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first, second := load("http://h.example:4318/?key=hunter2"), load("http://h.example:4318/?key=hunter3")
	for _, s := range first.Settings {
		if strings.Contains(s.Value, "hunter2") || s.Name == "otlp" && s.Value != "http://h.example:4318/?…" {
			t.Errorf("%s is shown as %q", s.Name, s.Value)
		}
	}
	if changes := second.Changes(first); len(changes) != 1 || changes[0].Name != "otlp" {
		t.Errorf("changes %+v", changes)
	}
}
