package config_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/enginetest"
	"adit/engine/policy"
)

// A credential closes its door from whatever source it comes: one that is documented
// and never read would leave the server open (P2).
func TestEveryCredentialClosesItsDoorFromEverySource(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	cert, key := enginetest.WriteCertificate(t, dir, "ca", enginetest.NewAuthority(t).Server("x"))
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	tokens := tokenFile(t, "tokens: []\n")
	tls := map[string][]string{"tls-cert": {cert}, "tls-key": {key}}
	for _, k := range []struct {
		name, value      string
		beside           map[string][]string
		clients, callers bool // closed
	}{
		{"secret", "s3cret", nil, true, false},
		{"caller-token", "t0ken", nil, false, true},
		{"tokens", tokens, nil, true, true},
		{"client-ca", ca, tls, true, false},
		{"caller-ca", ca, tls, false, true},
	} {
		variable := "ADIT_" + strings.ToUpper(strings.ReplaceAll(k.name, "-", "_"))
		flags := map[string][]string{k.name: {k.value}}
		for name, values := range k.beside {
			flags[name] = values
		}
		for source, load := range map[string]func() (*config.Server, []string, error){
			"flag": func() (*config.Server, []string, error) { return config.LoadServer("", nil, flags) },
			"environment": func() (*config.Server, []string, error) {
				return config.LoadServer("", environ(variable, k.value), k.beside)
			},
			"file": func() (*config.Server, []string, error) {
				return config.LoadServer(write(t, "adit.yaml", "server:\n  "+k.name+": "+k.value+"\n"), nil, k.beside)
			},
		} {
			c, _, err := load()
			if err != nil {
				t.Errorf("%s from %s: %v", k.name, source, err)
				continue
			}
			clients, err := c.ClientPolicy()
			if err != nil {
				t.Fatal(err)
			}
			callers, err := c.CallerPolicy()
			if err != nil {
				t.Fatal(err)
			}
			_, err1 := clients.Admit(&policy.Presented{Header: http.Header{}})
			_, err2 := callers.Admit(&policy.Presented{Header: http.Header{}}, engine.WayHost)
			if (err1 != nil) != k.clients || (err2 != nil) != k.callers {
				t.Errorf("%s from %s: clients %v, callers %v", k.name, source, err1, err2)
			}
		}
	}
}

// Tokens and authorities are credentials to a listener that others can reach; a file
// without a token for somebody is none for him, and the line that makes one is told.
func TestReachableListenerCountsTokensAndAuthorities(t *testing.T) {
	both := tokenFile(t, "")
	clients := tokenFile(t, "")
	caller := newToken("robot")
	caller.Kind = policy.TokenCaller
	for path, list := range map[string][]policy.Token{both: {newToken("edge"), caller}, clients: {newToken("edge")}} {
		for _, token := range list {
			if err := config.AddToken(path, token); err != nil {
				t.Fatal(err)
			}
		}
	}
	empty := tokenFile(t, "")
	for _, k := range []struct {
		name  string
		flags map[string][]string
		want  string // "" starts
	}{
		{"both", map[string][]string{"tokens": {both}}, ""},
		{"clients only", map[string][]string{"tokens": {clients}}, "adit token new --file " + clients + " --for caller --name NAME"},
		{"clients, exposed open", map[string][]string{"tokens": {clients}, "open-callers": {"exposed"}}, ""},
		{"clients, a token of callers", map[string][]string{"tokens": {clients}, "caller-token": {"x"}}, ""},
		{"none", map[string][]string{"tokens": {empty}}, "adit token new --file " + empty + " --for client --name NAME"},
		{"authorities", map[string][]string{"client-ca": {"a"}, "caller-ca": {"a"}, "tls-cert": {"a"}, "tls-key": {"a"}}, ""},
		{"not there", map[string][]string{"tokens": {"/nowhere/tokens.yaml"}}, "no such file"},
	} {
		flags := map[string][]string{"listen": {"10.0.0.1:80"}}
		for name, values := range k.flags {
			flags[name] = values
		}
		_, _, err := config.LoadServer("", nil, flags)
		if k.want == "" && err != nil || k.want != "" && (err == nil || !strings.Contains(err.Error(), k.want)) {
			t.Errorf("%s: %v, want %q", k.name, err, k.want)
		}
		if refusal := new(config.RefusalError); errors.As(err, &refusal) && !refusal.Closed {
			t.Errorf("%s: a file of tokens leaves it open", k.name)
		}
	}
	s, notices, err := config.LoadServer("", nil, map[string][]string{"tokens": {clients}})
	if err != nil || len(notices) != 1 || !strings.Contains(notices[0], "no token for callers") {
		t.Errorf("on loopback: %q, %v", notices, err)
	}
	if p, err := s.CallerPolicy(); err != nil {
		t.Error(err)
	} else if _, err := p.Admit(&policy.Presented{Header: http.Header{}}, engine.WayHost); err == nil {
		t.Error("on loopback callers come in beside a file without a token for them")
	}
}

// A setting that waits for another one would do nothing in silence.
func TestNoticesOfWhatMeansNothing(t *testing.T) {
	for name, flags := range map[string]map[string][]string{
		"--acme-email means nothing without --acme":         {"acme-email": {"a@example.com"}},
		"--acme-cache means nothing without --acme":         {"acme-cache": {"certificates"}},
		"--otlp-header means nothing without --otlp":        {"otlp-header": {"a=b"}},
		"--otlp-sample means nothing without --otlp":        {"otlp-sample": {"0.5"}},
		"--control-token means nothing without --control-l": {"control-token": {"x"}},
	} {
		_, notices, err := config.LoadServer("", nil, flags)
		if err != nil || !strings.Contains(strings.Join(notices, "\n"), name) {
			t.Errorf("%v: notices %q, error %v", flags, notices, err)
		}
	}
	_, notices, err := config.LoadServer("", nil, map[string][]string{"otlp": {"http://127.0.0.1:4318"}, "otlp-sample": {"0.5"},
		"acme": {"tunnels.example.com"}, "acme-email": {"a@example.com"}})
	if err != nil || len(notices) > 0 {
		t.Errorf("what has its other setting: notices %q, error %v", notices, err)
	}
}

func TestMissingFileOfTokensSaysHowToMakeOne(t *testing.T) {
	_, _, err := config.ReadTokens(filepath.Join(t.TempDir(), "tokens.yaml"))
	if err == nil || !strings.Contains(err.Error(), "adit token new --file ") {
		t.Errorf("error %v", err)
	}
}
