package config_test

import (
	"errors"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/config"
)

func TestWhereTheHistoryGoes(t *testing.T) {
	for _, tt := range []struct {
		role, flag, value string
		want              string
	}{
		{"server", "", "", config.OwnPlace},
		{"server", "no-store", "true", ""},
		{"server", "store", "here.db", "here.db"},
		{"server", "store", "false", ""},
		{"server", "store", "none", ""},
		{"client", "", "", ""},
		{"client", "store", "true", config.OwnPlace},
		{"client", "no-store", "true", ""},
	} {
		flags := map[string][]string{}
		if tt.flag != "" {
			flags[tt.flag] = []string{tt.value}
		}
		var got string
		if tt.role == "server" {
			s, _, err := config.LoadServer("", nil, flags)
			if err != nil {
				t.Fatal(err)
			}
			got = s.Store.Path
		} else {
			flags["server"], flags["allow"] = []string{"ws://h/register"}, []string{"any"}
			c, _, err := config.LoadClient("", nil, flags)
			if err != nil {
				t.Fatal(err)
			}
			got = c.Store.Path
		}
		if got != tt.want {
			t.Errorf("%s --%s %s: %q, want %q", tt.role, tt.flag, tt.value, got, tt.want)
		}
	}
	_, _, err := config.LoadServer("", nil, map[string][]string{"store": {"a.db"}, "no-store": {"true"}})
	if err == nil || !strings.Contains(err.Error(), "contradict") {
		t.Errorf("--store and --no-store: %v", err)
	}
}

// Whoever can reach the admin API can kill and read everything.
func TestControlOverTCPNeedsTLSAndAToken(t *testing.T) {
	listen := []string{"127.0.0.1:9443"}
	for _, flags := range []map[string][]string{
		{"control-listen": listen},
		{"control-listen": listen, "control-token": {"hunter2"}},
		{"control-listen": listen, "control-cert": {"c.pem"}, "control-token": {"hunter2"}},
		{"control-listen": listen, "control-cert": {"c.pem"}, "control-key": {"k.pem"}},
	} {
		var refusal *config.RefusalError
		if _, _, err := config.LoadServer("", nil, flags); !errors.As(err, &refusal) {
			t.Errorf("%v starts: %v", flags, err)
			continue
		}
		if strings.Contains(refusal.Error(), "hunter2") {
			t.Errorf("the refusal shows the token: %v", refusal)
		}
		fixed := parseLine(t, refusal.Fix[0], config.ServerSettings(new(config.Server)))
		for _, name := range []string{"control-token"} {
			if _, ok := fixed[name]; ok {
				fixed[name] = []string{"hunter2"} // @FILE names none here
			}
		}
		if _, _, err := config.LoadServer("", nil, fixed); err != nil {
			t.Errorf("%s does not start: %v", refusal.Fix[0], err)
		}
	}
	_, _, err := config.LoadServer("", nil, map[string][]string{
		"control-listen": listen, "control-cert": {"c.pem"}, "control-key": {"k.pem"}, "control-read-token": {"look"}})
	if err != nil {
		t.Errorf("a token that may look: %v", err)
	}
	_, notices, err := config.LoadServer("", nil, map[string][]string{"control-token": {"x"}})
	if err != nil || len(notices) != 1 || !strings.Contains(notices[0], "--control-listen") {
		t.Errorf("a token for nothing: %v, %q", err, notices)
	}
}

func TestSizesHaveUnits(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int64
	}{
		{"0", 0}, {"1000", 1000}, {"1B", 1}, {"64KiB", 64 << 10}, {"4GiB", 4 << 30}, {"2T", 2 << 40}, {"3M", 3 << 20},
		{"", -1}, {"-1", -1}, {"KiB", -1}, {"1kB", -1}, {"1KB", -1}, {"1.5GiB", -1}, {"9000000TiB", -1}, {"1GiBs", -1}, {"1iB", -1}, {"1 GiB", -1},
	} {
		s, _, err := config.LoadServer("", nil, map[string][]string{"store-bytes": {tt.text}})
		switch {
		case tt.want < 0 && err == nil:
			t.Errorf("%q is taken as %d", tt.text, s.Store.Bytes)
		case tt.want >= 0 && (err != nil || s.Store.Bytes != tt.want):
			t.Errorf("%q: %v, %v", tt.text, s, err)
		}
	}
}

func TestCaptureOfEverySettingReachesTheEngine(t *testing.T) {
	s, _, err := config.LoadServer("", nil, map[string][]string{"capture": {"off"}, "capture-content": {"client:edge-1", "path:/api"}})
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Capture.Engine(); c.Mode != engine.CaptureOff || len(c.Content) != 2 {
		t.Errorf("%+v", c)
	}
	for _, text := range []string{"", "nope:1", "status:", "status:500", "header.x:1"} {
		if _, _, err := config.LoadServer("", nil, map[string][]string{"capture-content": {text}}); err == nil {
			t.Errorf("--capture-content %q is taken", text)
		}
	}
	many := make([]string, engine.MaxCaptureFilters+1)
	for i := range many {
		many[i] = "path:/a"
	}
	if _, _, err := config.LoadServer("", nil, map[string][]string{"capture-content": many}); err == nil {
		t.Error("too many filters are taken")
	}
}
