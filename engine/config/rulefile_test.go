package config_test

import (
	"reflect"
	"strings"
	"testing"

	"adit/engine/config"
	"adit/engine/policy"
)

func TestRuleTakesEveryKey(t *testing.T) {
	path := write(t, "adit.yaml", `server:
  allow: [any]
  deny: [10.9.0.0/16, "*.evil.example"]
  blacklist:
    - name: no admin from outside
      method: ^POST$
      url: /admin
      headers: {X-Team: ^ops$}
      address: 10.0.0.0/8
      ports: 8000-8100
      client: ^edge-
      caller: ^robot$
      from: [192.0.2.0/24, "2001:db8::/32"]
`)
	c, _, notices, err := config.LoadServerSettings(path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Rule{Name: "no admin from outside", Method: "^POST$", URL: "/admin", Headers: map[string]string{"X-Team": "^ops$"},
		Address: []string{"10.0.0.0/8"}, Ports: "8000-8100", Client: "^edge-", Caller: "^robot$",
		From: []string{"192.0.2.0/24", "2001:db8::/32"}, Line: 5}
	if len(c.Blacklist) != 1 || !reflect.DeepEqual(c.Blacklist[0], want) {
		t.Errorf("%+v\nwant %+v", c.Blacklist, want)
	}
	if text := strings.Join(notices, "\n"); !strings.Contains(text, "rules on addresses (deny 1, blacklist 1)") {
		t.Errorf("notices %q do not say what a server's rules on addresses do not see", text)
	}
	set := c.RuleSet()
	if !set.Server || !reflect.DeepEqual(set.Deny, []string{"10.9.0.0/16", "*.evil.example"}) {
		t.Errorf("%+v", set)
	}
}

// What is wrong with a rule is said with the line of the key.
func TestRuleErrorsNameTheLine(t *testing.T) {
	const head = "  blacklist:\n    - url: x\n      name: n\n"
	for _, tt := range []struct{ name, role, rule, want string }{
		{"address", "server", "address: 10.0.0.5/8", ":5: blacklist: address: the address has bits outside the prefix; want 10.0.0.0/8"},
		{"name as address", "server", "address: [10.0.0.5, db.internal]", `:5: blacklist: address: "db.internal" is no address or CIDR`},
		{"no address", "server", "address: []", ":5: address is an empty list"},
		{"ports", "server", "ports: 90-80", ":5: blacklist: ports: the range of ports 90-80 is empty"},
		{"client", "client", "client: (", ":5: blacklist: client: error parsing regexp"},
		{"caller", "server", "caller: (", ":5: blacklist: caller: error parsing regexp"},
		{"from", "server", "from: 300.0.0.1", ":5: blacklist: from: "},
		{"caller at a client", "client", "caller: x", ":5: blacklist: caller: a client is not told who the caller is; put this rule into the server's file"},
		{"from at a client", "client", "from: 10.0.0.0/8", ":5: blacklist: from: a client is not told who the caller is"},
		{"misspelt", "server", "adress: 10.0.0.0/8", `:5: a rule of blacklist has no key "adress"; the nearest is "address"`},
		{"twice", "server", "name: m", `:5: key "name" stands here a second time`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "adit.yaml", tt.role+":\n"+head+"      "+tt.rule+"\n")
			var err error
			if tt.role == "server" {
				_, _, err = config.LoadServer(path, nil, nil)
			} else {
				_, _, err = config.LoadClient(path, nil, map[string][]string{"server": {"ws://h"}})
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v\nwant %s", err, tt.want)
			}
		})
	}
}

// Lines above a rule are no change of it.
func TestRuleThatMovedIsNoChange(t *testing.T) {
	const rules = "  blacklist:\n    - url: x\n"
	load := func(text string) *config.Loaded {
		_, l, err := config.LoadServerFrom(config.Input{Path: write(t, "adit.yaml", text)})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	before := load("server:\n" + rules)
	if changes := load("# a word\nserver:\n" + rules).Changes(before); len(changes) != 0 {
		t.Errorf("%+v, want none", changes)
	}
	if changes := load("server:\n" + rules + "      name: n\n").Changes(before); len(changes) != 1 || changes[0].Name != "blacklist" {
		t.Errorf("%+v, want blacklist", changes)
	}
}

func TestDenyingEverythingIsRefused(t *testing.T) {
	_, _, err := config.LoadServer("", nil, map[string][]string{"deny": {"any"}})
	if err == nil || !strings.Contains(err.Error(), "leave --allow out") {
		t.Errorf("%v", err)
	}
}
