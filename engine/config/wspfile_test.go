package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/policy"
)

func TestServerFilesOfBothForks(t *testing.T) {
	first, notices, err := config.LoadServer("testdata/server_first_fork.cfg", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	field := map[string]string{"X-CUSTOM-HEADER": "^value$"}
	if !first.WSPFile || first.Listen != "127.0.0.1:8081" || first.Timeout != 1500*time.Millisecond || first.IdleTimeout != 45*time.Second ||
		!reflect.DeepEqual(first.Secret, []string{"ThisIsASecret"}) || first.OpenClients || first.OpenCallers != "all" ||
		!reflect.DeepEqual(first.Blacklist, []policy.Rule{{Method: ".*", URL: "^http(s)?://forbidden.*", Headers: field, Line: 8}, {URL: "^http://other", Line: 12}}) ||
		!reflect.DeepEqual(first.Whitelist, []policy.Rule{{Method: "^GET$", URL: "^http(s)?://.*$", Headers: field, Line: 14}}) {
		t.Errorf("%+v", first)
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "open to all callers") {
		t.Errorf("notices %q, want one of callers", notices)
	}
	second, notices, err := config.LoadServer("testdata/server_second_fork.cfg", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !second.WSPFile || second.Listen != "127.0.0.1:8080" || second.Timeout != 3*time.Second || second.IdleTimeout != time.Minute ||
		!second.OpenClients || second.OpenCallers != "all" {
		t.Errorf("%+v", second)
	}
	if len(notices) != 2 || !strings.Contains(notices[0], "open to all clients") {
		t.Errorf("notices %q, want one of clients and one of callers", notices)
	}
}

func TestClientFilesOfBothForks(t *testing.T) {
	first, notices, err := config.LoadClient("testdata/client_first_fork.cfg", nil, nil)
	if err != nil || len(notices) != 0 {
		t.Fatal(notices, err)
	}
	if !first.WSPFile || !reflect.DeepEqual(first.Server, []string{"ws://127.0.0.1:8080/register", "wss://wsp.example.com/register"}) ||
		first.PoolIdle != 10 || first.PoolMax != 100 || first.ID != "edge_1" || first.Secret != "ThisIsASecret" ||
		!reflect.DeepEqual(first.Blacklist, []policy.Rule{{Method: ".*", URL: ".*forbidden.*", Line: 10}}) || len(first.Whitelist) != 1 {
		t.Errorf("%+v", first)
	}
	second, notices, err := config.LoadClient("testdata/client_second_fork.cfg", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if second.PoolIdle != 1 || second.PoolMax != 100 || second.Secret != "" || second.ID == "" {
		t.Errorf("%+v", second)
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "every destination is allowed") {
		t.Errorf("notices %q, want one of the missing whitelist", notices)
	}
}

func TestMissingKeysOfWSPHaveItsDefaults(t *testing.T) {
	s, _, err := config.LoadServer(write(t, "s.cfg", "port: 9000\nwhitelist:\nsecretkey:\n"), nil, nil)
	if err != nil || s.Listen != "127.0.0.1:9000" || s.Timeout != time.Second || s.IdleTimeout != time.Minute || len(s.Secret) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	s, _, err = config.LoadServer(write(t, "s.cfg", "timeout: 0\nidletimeout: 0\n"), nil, nil)
	if err != nil || s.Listen != "127.0.0.1:8080" || s.Timeout != time.Millisecond || s.IdleTimeout != time.Millisecond {
		t.Errorf("zero waits: %+v, %v", s, err)
	}
	s, _, err = config.LoadServer(write(t, "s.cfg", "host: \"\"\n"), nil, nil)
	if err != nil || s.Listen != ":8080" {
		t.Errorf("every address: %+v, %v", s, err)
	}
	c, _, err := config.LoadClient(write(t, "c.cfg", "poolmaxsize: 3\n"), nil, nil)
	if err != nil || !reflect.DeepEqual(c.Server, []string{"ws://127.0.0.1:8080/register"}) || c.PoolIdle != 3 || c.PoolMax != 3 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestSecretOfWSPIsTakenAsItStands(t *testing.T) {
	s, _, err := config.LoadServer(write(t, "s.cfg", "secretkey: \"@home\"\n"), nil, nil)
	if err != nil || !reflect.DeepEqual(s.Secret, []string{"@home"}) {
		t.Errorf("%v", err)
	}
	_, _, err = config.LoadServer(write(t, "s.cfg", "secretkey: \"hunter2\\n\"\n"), nil, nil)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestFormerKeysOfWSPAreIgnoredAloud(t *testing.T) {
	path := write(t, "c.cfg", "targets: [ws://h/register]\npoolminsize: 10\nwhitelist: [{url: x}]\n")
	_, notices, err := config.LoadClient(path, nil, nil)
	if err != nil || len(notices) != 1 || !strings.HasPrefix(notices[0], path+":2: poolminsize") {
		t.Errorf("%q, %v", notices, err)
	}
}

func TestFlagsCloseAFileOfWSP(t *testing.T) {
	path := write(t, "s.cfg", "host: 0.0.0.0\n")
	s, notices, err := config.LoadServer(path, nil, map[string][]string{"secret": {"s"}, "caller-token": {"t"}, "listen": {"0.0.0.0:1"}})
	if err != nil || len(notices) != 0 || s.OpenClients || s.OpenCallers != "" || s.Listen != "0.0.0.0:1" || !s.WSPFile {
		t.Errorf("%+v, %q, %v", s, notices, err)
	}
	open, notices, err := config.LoadServer(path, nil, nil)
	if err != nil || len(notices) != 2 || open.Listen != "0.0.0.0:8080" {
		t.Errorf("a wsp file refuses to start: %+v, %q, %v", open, notices, err)
	}
	c, notices, err := config.LoadClient("testdata/client_second_fork.cfg", nil, map[string][]string{"allow": {"api.internal"}})
	if err != nil || len(notices) != 0 {
		t.Fatal(notices, err)
	}
	checkRules(t, c.Rules, map[string]bool{"api.internal": true, "other.internal": false})
}

func TestRulesOfFilesAreEnforced(t *testing.T) {
	c, _, err := config.LoadClient("testdata/client_second_fork.cfg", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkRules(t, c.Rules, map[string]bool{"api.internal": true, "127.0.0.1": true, "169.254.169.254": false})

	c, _, err = config.LoadClient(write(t, "c.cfg", "targets: [ws://h/register]\nblacklist: [{url: forbidden}]\n"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkRules(t, c.Rules, map[string]bool{"api.internal": true, "forbidden.internal": false})

	s, _, err := config.LoadServer(write(t, "s.cfg", "blacklist: [{url: forbidden}]\nwhitelist: [{url: internal}]\n"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkRules(t, s.Rules, map[string]bool{"api.internal": true, "forbidden.internal": false, "api.example": false})

	s, _, err = config.LoadServer(write(t, "s.cfg", "blacklist: [{url: forbidden}]\n"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkRules(t, s.Rules, map[string]bool{"api.internal": true, "forbidden.internal": false})

	s, _, err = config.LoadServer("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Rules(); r != nil || err != nil {
		t.Errorf("a server without lists has rules: %v, %v", r, err)
	}
}

func checkRules(t *testing.T, of func() (*policy.Rules, error), want map[string]bool) {
	t.Helper()
	r, err := of()
	if err != nil {
		t.Fatal(err)
	}
	for host, allowed := range want {
		_, err := r.Check(&policy.Query{Method: "GET", URL: "http://" + host + "/", Host: host + ":80"})
		if (err == nil) != allowed || err != nil && engine.ReasonOf(err) != engine.ReasonDenied {
			t.Errorf("%s: %v, want allowed %v", host, err, allowed)
		}
	}
}
