package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/control"
	"adit/engine/doctor"
	"adit/engine/enginetest"
	"adit/engine/service"
)

// quiet is a machine on which doctor finds nothing.
func quiet() *doctor.Machine {
	return &doctor.Machine{
		Listen:       func(context.Context, string) error { return nil },
		Holder:       func(uint16) string { return "" },
		Resolve:      func(context.Context, string) ([]netip.Addr, error) { return nil, &net.DNSError{IsNotFound: true} },
		Addresses:    func() []netip.Addr { return nil },
		OpenFiles:    func() uint64 { return 0 },
		ReadFile:     func(string) ([]byte, error) { return nil, os.ErrNotExist },
		Disk:         func(string) (doctor.Disk, error) { return doctor.Disk{}, errors.ErrUnsupported },
		Place:        func(path string) doctor.Place { return doctor.Place{Near: filepath.Dir(path)} },
		Synchronised: func() (bool, bool) { return false, false },
		User:         "adit",
		Now:          time.Now,
	}
}

type saidFinding struct {
	Kind, Check, Subject, Severity, Found, Means, Change string
	Settings                                             []string
}

// examineServer runs adit doctor server with a configuration and returns its
// findings but the summary.
func examineServer(t *testing.T, p *Process, text string, flags map[string][]string, file ...string) (all []saidFinding, code int) {
	t.Helper()
	dir := t.TempDir()
	in := config.Input{Flags: flags, Env: func(name string) (string, bool) {
		if name == "XDG_STATE_HOME" {
			return dir, true
		}
		return "", false
	}}
	if len(file) > 0 {
		in.Path = file[0]
	}
	if text != "" {
		in.Path = filepath.Join(dir, "adit.yaml")
		if err := os.WriteFile(in.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	p.Stdout, p.Stderr = &out, &out
	if p.LookupEnv == nil {
		p.LookupEnv = in.Env
	}
	if p.host == nil {
		p.host = &service.Host{Root: dir} // where nothing manages services
	}
	code = exitCode(p.doctorServer(t.Context(), in, p.newReport(true), quiet()))
	for line := range strings.Lines(out.String()) {
		var f saidFinding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if f.Kind == "finding" {
			all = append(all, f)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("it shows a credential: %s", &out)
	}
	return all, code
}

func TestDoctorOfAServerBySettings(t *testing.T) {
	dir := t.TempDir()
	authority := enginetest.NewAuthority(t)
	cert, key := enginetest.WriteCertificate(t, dir, "edge", authority.Server("edge.example"))
	_, other := enginetest.WriteCertificate(t, dir, "other", authority.Server("other.example"))
	empty := filepath.Join(dir, "tokens.yaml")
	if err := os.WriteFile(empty, []byte("tokens: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text            string
		flags           map[string][]string
		check, severity string
		found, change   string
		code            int
	}{
		"sound":           {"", nil, "config", "ok", "the settings are sound", "", codeDone},
		"wrong value":     {"server:\n  ping: banana\n", nil, "config", "failure", "adit.yaml:2", "adit config example server", codeFailed},
		"refused":         {"server:\n  listen: :8080\n", nil, "config", "failure", "no credential for clients and none for callers", "--secret @FILE", codeFailed},
		"notice":          {"server:\n  otlp-sample: 0.5\n", nil, "config", "note", "means nothing without --otlp", "", codeDone},
		"open":            {"server:\n  listen: :8080\n  open-clients: true\n  caller-token: hunter2\n", nil, "exposure", "warning", "clients need no credential", "--secret @FILE", codeWarned},
		"secrets":         {"server:\n  secret: hunter2\n", nil, "exposure", "ok", "clients need the shared credential", "", codeDone},
		"here only":       {"", nil, "exposure", "ok", "clients need no credential, and only this machine", "", codeDone},
		"no tokens":       {"server:\n  tokens: " + empty + "\n", nil, "exposure", "warning", "callers can't come in", "--for caller", codeWarned},
		"no pair":         {"", map[string][]string{"tls-cert": {cert}, "tls-key": {other}}, "certificate", "failure", "are no pair", "", codeFailed},
		"ends tomorrow":   {"", map[string][]string{"tls-cert": {cert}, "tls-key": {key}}, "certificate", "warning", "for edge.example expires in 23 hours", "new one", codeWarned},
		"missing tokens":  {"", map[string][]string{"tokens": {filepath.Join(dir, "none")}}, "config", "failure", "adit token new", "", codeFailed},
		"metrics":         {"", map[string][]string{"metrics-listen": {":9090"}}, "exposure", "warning", "without a credential", "127.0.0.1", codeWarned},
		"domain":          {"", map[string][]string{"domain": {"t.example"}}, "dns", "warning", "does not resolve", "*.t.example. A", codeWarned},
		"acme":            {"", map[string][]string{"acme": {"a.example"}}, "acme", "warning", "neither at port 443", "--listen :443", codeFailed},
		"without history": {"", map[string][]string{"no-store": {"true"}}, "store", "ok", "memory only", "", codeDone},
		"socket":          {"", map[string][]string{"control": {"/etc/passwd/x.sock"}}, "control", "warning", "could not make its control socket", "--control PATH", codeWarned},
	} {
		t.Run(name, func(t *testing.T) {
			all, code := examineServer(t, &Process{}, c.text, c.flags)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, f := range all {
				if f.Check == c.check && f.Severity == c.severity && strings.Contains(f.Found, c.found) && strings.Contains(f.Change, c.change) {
					return
				}
			}
			t.Errorf("no %s of %s says %q and advises %q: %+v", c.severity, c.check, c.found, c.change, all)
		})
	}
}

// What stands in a file is said once.
func TestDoctorSaysAWrongCertificateOnce(t *testing.T) {
	all, _ := examineServer(t, &Process{}, "", map[string][]string{"tls-cert": {"/none.pem"}, "tls-key": {"/none.key"}})
	n := 0
	for _, f := range all {
		if strings.Contains(f.Found, "/none.pem") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("said %d times: %+v", n, all)
	}
}

// What is said of a server that is a service has to be of that one, and of its
// history.
func TestDoctorKnowsTheService(t *testing.T) {
	const show = "LoadState=loaded\nFragmentPath=/etc/systemd/system/adit-server.service\nExecStart={ path=/usr/bin/adit ; argv[]=/usr/bin/adit server --headless --config %s ; }\n"
	for name, c := range map[string]struct {
		says            string // beside what it runs
		config          string
		severity, found string
		history         string
	}{
		"runs":        {"UnitFileState=enabled\nActiveState=active\nSubState=running", "", "ok", "runs with these settings", "/var/lib/adit/server"},
		"not at boot": {"UnitFileState=disabled\nActiveState=active\nSubState=running", "", "note", "does not start with the system", "/var/lib/adit/server"},
		"stopped":     {"UnitFileState=enabled\nActiveState=inactive\nSubState=dead", "", "note", "does not run: inactive (dead)", "/var/lib/adit/server"},
		"fails":       {"UnitFileState=enabled\nActiveState=activating\nSubState=auto-restart\nResult=exit-code", "", "warning", "fails: activating (auto-restart): exit-code", "/var/lib/adit/server"},
		"another":     {"UnitFileState=enabled\nActiveState=active\nSubState=running", "/etc/adit/adit.yaml", "note", "other settings than these: /etc/adit/adit.yaml", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, "run/systemd/system"), 0o755); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "adit.yaml")
			p := &Process{host: &service.Host{Root: root, Run: func(context.Context, []string) (string, error) {
				return fmt.Sprintf(show, cmp.Or(c.config, file)) + c.says + "\n", nil
			}}}
			if err := os.WriteFile(file, []byte("server:\n  name: edge\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			all, _ := examineServer(t, p, "", nil, file)
			service, history := false, false
			for _, f := range all {
				service = service || f.Check == "service" && f.Severity == c.severity && strings.Contains(f.Found, c.found)
				history = history || f.Check == "store" && c.history != "" == strings.HasPrefix(f.Subject, cmp.Or(c.history, "/var/lib"))
			}
			if !service || !history && runtime.GOOS == "linux" {
				t.Errorf("service %v, its history %v: %+v", service, history, all)
			}
		})
	}
}

// A server that runs is asked, whatever the settings would start.
func TestDoctorAsksTheServerThatRuns(t *testing.T) {
	dir, err := os.MkdirTemp("", "adit") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	run := newFakeRun()
	kept := filepath.Join(dir, "server-edge.db")
	run.settings = []engine.Setting{{Name: "ping", Value: "7s"}, {Name: "listen", Value: "127.0.0.1:9"}, {Name: "store", Value: kept}}
	run.events = []engine.Event{{Kind: engine.KindAdmissionRefused, Time: time.Now(), Peer: "192.0.2.9:1", Reason: "wrong credential"}}
	run.Update(func(s *engine.Snapshot) {
		s.Limits = []engine.LimitCount{{Name: "handshake-rate", Count: 3}}
	})
	p := &Process{}
	p.dial = func(context.Context, string, control.DialOptions) (remote, error) { return run, nil }
	all, _ := examineServer(t, p, "", map[string][]string{"control": {path}})
	for _, want := range []string{"other settings than these: ping", "handshake-rate 3 times", "refused once within the last hour, most often (1) 192.0.2.9"} {
		found := false
		for _, f := range all {
			found = found || f.Check == "running" && strings.Contains(f.Found, want)
		}
		if !found {
			t.Errorf("nothing says %q: %+v", want, all)
		}
	}
	if !slices.ContainsFunc(all, func(f saidFinding) bool { return f.Check == "store" && f.Subject == kept }) {
		t.Errorf("nothing is said of the history of the run: %+v", all)
	}
	if !run.closed {
		t.Error("the link was left open")
	}
}
