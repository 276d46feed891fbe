package command

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"adit/engine/config"
	"adit/engine/policy"
)

// The whole life of a token: printed once and alone, kept as a hash, listed without
// either, taken back.
func TestTokenVerbs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	code, out, report := execute(t, "token", "new", "--file", path, "--name", "edge", "--for", "client", "--id", "edge-*",
		"--host", "app", "--port", "20000-20010", "--destination", "*.internal:80", "--expires", "720h", "--note", "cellar")
	if code != 0 || !regexp.MustCompile(`^adit_[a-z2-7]{8}_[A-Z2-7]{52}\n$`).MatchString(out) {
		t.Fatalf("exit code %d, stdout %q: %s", code, out, report)
	}
	token := strings.TrimSpace(out)
	id, secret, _ := strings.Cut(strings.TrimPrefix(token, "adit_"), "_")
	if strings.Contains(report, secret) || !strings.Contains(report, id) {
		t.Errorf("stderr: %s", report)
	}
	if code, _, report := execute(t, "token", "new", "--file", path, "--name", "robot", "--for", "caller", "--expires", "2999-01-02"); code != 0 {
		t.Fatal(report)
	}
	file, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(file), secret) {
		t.Errorf("the file: %s, %v", file, err)
	}
	code, out, report = execute(t, "token", "ls", "--file", path, "--json")
	if code != 0 || report != "" || strings.Contains(out, "sha256") || strings.Contains(out, secret) {
		t.Errorf("exit code %d: %s%s", code, out, report)
	}
	var got struct {
		ID, Name, Kind, Note            string
		IDs, Hosts, Ports, Destinations []string
		Created, Expires                time.Time
	}
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Name != "edge" || got.Kind != "client" || got.Note != "cellar" || got.IDs[0] != "edge-*" || got.Hosts[0] != "app" ||
		got.Ports[0] != "20000-20010" || got.Destinations[0] != "*.internal:80" || got.Expires.Sub(got.Created) != 720*time.Hour {
		t.Errorf("listed as %+v", got)
	}
	code, out, _ = execute(t, "token", "ls", "--file", path)
	if code != 0 || !strings.Contains(out, "ids edge-*; hosts app; ports 20000-20010; destinations *.internal:80") || strings.Contains(out, "sha256") ||
		!strings.Contains(out, "everything") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, out, report := execute(t, "token", "revoke", "--file", path, id); code != 0 || out != "" || !strings.Contains(report, id) {
		t.Errorf("exit code %d: %s%s", code, out, report)
	}
	if code, _, report := execute(t, "token", "revoke", "--file", path, "edge", "robot"); code != codeFailed || !strings.Contains(report, "no such token") || !strings.Contains(report, "revoked") {
		t.Errorf("exit code %d: %s", code, report)
	}
	if list, _, err := config.ReadTokens(path); err != nil || len(list) != 0 {
		t.Errorf("left: %+v, %v", list, err)
	}
}

func TestTokenNewThatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	for _, k := range []struct {
		args, want string
	}{
		{"", "--file"},
		{"--file F --name x", "--for"},
		{"--file F --for client", "name"},
		{"--file F --name x --for server", "want client or caller"},
		{"--file F --name x --for caller --port 1", "callers of a port"},
		{"--file F --name x --for client --port 9-1", "smaller port comes first"},
		{"--file F --name x --for client --host a.b", "one DNS label"},
		{"--file F --name x --for client --destination http://x", "a URL is no rule"},
		{"--file F --name x --for client --expires soon", "want 720h, 30d"},
		{"--file F --name x --for client --expires 1999-01-01", "is past already"},
		{"--file F --name x --for client --expires -1h", "is past already"},
	} {
		args := append([]string{"token", "new"}, strings.Fields(strings.ReplaceAll(k.args, " F ", " "+path+" "))...)
		code, out, report := execute(t, args...)
		if code != codeUsage || out != "" || !strings.Contains(report, k.want) {
			t.Errorf("%s: exit code %d, %s%s", k.args, code, out, report)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a refusal made the file")
	}
}

// A token that could not be printed is nobody's, and is taken back.
func TestTokenThatIsNotPrinted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	p := &Process{Stdout: brokenWriter{}, Stderr: &strings.Builder{}, LookupEnv: func(name string) (string, bool) { return path, name == "ADIT_TOKENS" }}
	root := Root(p)
	root.SetArgs([]string{"token", "new", "--name", "x", "--for", "client"})
	if code := p.Finish(root.ExecuteContext(t.Context())); code != codeFailed {
		t.Errorf("exit code %d", code)
	}
	if list, _, err := config.ReadTokens(path); err != nil || len(list) != 0 {
		t.Errorf("left: %+v, %v", list, err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// Revoking the last token takes effect although a start without one is refused.
func TestReloadWithoutAToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	for _, kind := range []string{"client", "caller"} {
		if code, _, report := execute(t, "token", "new", "--file", path, "--name", kind, "--for", kind); code != 0 {
			t.Fatal(report)
		}
	}
	in := config.Input{Flags: map[string][]string{"listen": {"0.0.0.0:0"}, "tokens": {path}}}
	if _, _, err := config.LoadServerFrom(in); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"client", "caller"} {
		if _, err := config.RevokeToken(path, kind); err != nil {
			t.Fatal(err)
		}
	}
	refusal := new(config.RefusalError)
	c, _, err := config.LoadServerFrom(in)
	if !errors.As(err, &refusal) || !refusal.Closed || !strings.Contains(err.Error(), "adit token new --file") {
		t.Errorf("a start without a token: %v", err)
	}
	if next, err := reloadServer(in, new(config.Server), nil, nil); err != nil || next.apply == nil {
		t.Errorf("a reload: %v", err)
	}
	if next, err := reloadServer(in, new(config.Server), nil, []net.Addr{&net.TCPAddr{IP: net.IPv4zero, Port: 80}}); err != nil || next.apply == nil {
		t.Errorf("a reload of what a service manager opened: %v", err)
	}
	clients, err := c.ClientPolicy()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clients.Admit(&policy.Presented{}); err == nil {
		t.Error("a file without tokens is open to clients")
	}
}

// Where a service manager has opened the listener for everybody, a reload that takes
// the last credential away is refused, whatever the settings say of the address.
func TestReloadThatWouldOpenAnInheritedListener(t *testing.T) {
	in := config.Input{Flags: map[string][]string{}}
	for addr, want := range map[string]bool{"127.0.0.1": true, "::1": true, "0.0.0.0": false, "192.0.2.1": false, "::": false} {
		listening := []net.Addr{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, &net.TCPAddr{IP: net.ParseIP(addr), Port: 80}}
		refusal := new(config.RefusalError)
		if _, err := reloadServer(in, new(config.Server), nil, listening); (err == nil) != want || err != nil && !errors.As(err, &refusal) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
