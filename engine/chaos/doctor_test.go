//go:build chaos

package chaos

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// A finding is one of adit doctor.
type finding struct {
	Kind, Check, Subject, Severity, Found, Means, Change string
	Settings                                             []string
}

// examined is what adit doctor has said.
type examined struct {
	all  []finding
	code int
	text string // all of it
	took time.Duration
}

// diagnose runs adit doctor to its end, and checks what is the same for all runs.
func diagnose(t *testing.T, env []string, args ...string) *examined {
	t.Helper()
	return diagnoseBy(t, binary, env, args...)
}

func diagnoseBy(t *testing.T, binary string, env []string, args ...string) *examined {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(binary, append([]string{"doctor"}, append(args, "--json")...)...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GORACE=halt_on_error=0 atexit_sleep_ms=0", "XDG_STATE_HOME="+dir, "XDG_RUNTIME_DIR="+dir), env...)
	var out, report bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &report
	began := time.Now()
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Error(err)
		return &examined{}
	}
	e := &examined{code: cmd.ProcessState.ExitCode(), text: out.String(), took: time.Since(began)}
	worst := ""
	for line := range strings.Lines(e.text) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Errorf("a line that is no finding: %q: %v\n%s", line, err, &report)
		}
		if f.Kind == "summary" {
			worst = f.Severity
			continue
		}
		e.all = append(e.all, f)
	}
	if want := map[string]int{"ok": 0, "note": 0, "warning": 6, "failure": 1}[worst]; worst == "" || e.code != want {
		t.Errorf("exit code %d, and the worst finding is a %q: want %d\n%s%s", e.code, worst, want, e, &report)
	}
	if strings.Contains(report.String(), "DATA RACE") || strings.Contains(report.String(), "panic") || strings.Contains(e.text, "opensesame") {
		t.Errorf("stderr: %s\nstdout: %s", &report, e.text)
	}
	return e
}

func (e *examined) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "exit code %d after %v\n", e.code, e.took.Round(10*time.Millisecond))
	for _, f := range e.all {
		fmt.Fprintf(&b, "%-8s %-11s %s | %s | %s %v\n", f.Severity, f.Check, f.Found, f.Means, f.Change, f.Settings)
	}
	return b.String()
}

// says checks that a finding of that severity and check has one of the texts, which
// are regular expressions, in what was found, and advice where there is a setting.
func (e *examined) says(t *testing.T, severity, check, found, setting string) {
	t.Helper()
	text := regexp.MustCompile("(?i)" + found)
	for _, f := range e.all {
		if f.Severity != severity || f.Check != check || !text.MatchString(f.Found+" "+f.Means) {
			continue
		}
		if setting != "" && (!slices.Contains(f.Settings, setting) || f.Change == "") {
			t.Errorf("it is found, and no change of %s is advised: %+v", setting, f)
		}
		return
	}
	t.Errorf("no %s of %s says %q:\n%s", severity, check, found, e)
}

// TestDoctor: what stands between a client and its server, or is wrong at
// one of them, is named by adit doctor on the client's side. The middleboxes are
// those that people have.
func TestDoctor(t *testing.T) {
	// After so many seconds of silence they cut.
	cut := pick(t, 3, 25, 25)
	idle := strconv.Itoa(cut+1) + "s"
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("opensesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	credential := []string{"--secret", "@" + secret}
	rigOf := func(t *testing.T, flags ...string) *rig {
		return newRig(t, serverFlags(append(flags, credential...)...), clientFlags(credential...))
	}
	client := func(r *rig, dial string, more ...string) []string {
		return append(append([]string{"--server", "ws://" + dial + "/register", "--id", "asks", "--expose", "mine=" + r.target}, credential...), more...)
	}

	t.Run("nothing between", func(t *testing.T) {
		t.Parallel()
		r := rigOf(t)
		e := diagnose(t, nil, client(r, r.addr, "--idle", "2s")...)
		if e.code != 0 {
			t.Errorf("it finds fault with a way on which nothing is wrong:\n%s", e)
		}
		e.says(t, "ok", "credential", "shared secret|credential", "")
		e.says(t, "ok", "destination", "127.0.0.1", "")
	})
	t.Run("middleboxes that cut silence", func(t *testing.T) {
		t.Parallel()
		passing := fmt.Sprintf("proxy_read_timeout %ds; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;", cut)
		second := func(n int) string { return (time.Duration(cut) * time.Second * time.Duration(n) / 15).String() }
		rare := rigOf(t, "--ping", second(30))
		close, often := rigOf(t, "--ping", second(12)), rigOf(t, "--ping", second(5)) // of 25 s, every 20 s and every 8.3 s
		var asking sync.WaitGroup
		for _, c := range []struct {
			front, severity, says string
			r                     *rig
		}{
			{nginx(t, rare.addr, passing), "warning", "is cut before the next ping", rare},
			{haproxy(t, rare.addr, fmt.Sprintf("timeout tunnel %ds", cut)), "warning", "is cut before the next ping", rare},
			{nginx(t, close.addr, passing), "warning", "keep a tunnel alive, but closely", close},
			{nginx(t, often.addr, passing), "note", "keep a tunnel alive$", often},
		} {
			asking.Go(func() { // they wait, all of them
				e := diagnose(t, nil, client(c.r, c.front, "--idle", idle)...)
				setting := "ping"
				if c.severity == "note" {
					setting = ""
				}
				e.says(t, c.severity, "idle", fmt.Sprintf(`\b%ds\b.*%s`, cut, c.says), setting)
			})
		}
		asking.Wait()
	})
	t.Run("nginx that strips upgrades", func(t *testing.T) {
		t.Parallel()
		r := rigOf(t)
		e := diagnose(t, nil, client(r, nginx(t, r.addr, ""))...)
		e.says(t, "failure", "websocket", "upgrade", "")
	})
	t.Run("nginx without a server behind it", func(t *testing.T) {
		t.Parallel()
		r := rigOf(t)
		e := diagnose(t, nil, client(r, nginx(t, enginetest.FreeAddr(t), ""))...)
		e.says(t, "failure", "websocket", "502", "")
	})
	t.Run("squid", func(t *testing.T) {
		t.Parallel()
		if _, err := exec.LookPath("squid"); err != nil {
			t.Skip("squid is not installed")
		}
		r := rigOf(t)
		proxy := squid(t, r.addr)
		with := filepath.Join(t.TempDir(), "proxy")
		scheme, rest, _ := strings.Cut(proxy, "://")
		if err := os.WriteFile(with, []byte(scheme+"://alice:opensesame@"+rest+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		e := diagnose(t, nil, client(r, r.addr, "--proxy", "@"+with, "--quick")...)
		e.says(t, "ok", "proxy", regexp.QuoteMeta(rest), "")
		if e.code != 0 {
			t.Errorf("it finds fault with a proxy that lets it through:\n%s", e)
		}
		e = diagnose(t, nil, client(r, r.addr, "--proxy", proxy, "--quick")...)
		e.says(t, "failure", "proxy", "password", "proxy")
	})
	t.Run("wrong secret", func(t *testing.T) {
		t.Parallel()
		r := rigOf(t)
		e := diagnose(t, nil, append(client(r, r.addr, "--quick"), "--secret", "guess")...)
		e.says(t, "failure", "credential", "credential|secret", "secret")
	})
	t.Run("wrong clock", func(t *testing.T) {
		t.Parallel()
		r := rigOf(t)
		e := diagnose(t, nil, client(r, late(t, r.addr, 2*time.Hour), "--quick")...)
		e.says(t, "warning", "clock", "2 ?h", "")
	})
	t.Run("certificate that is not valid yet", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		authority := enginetest.NewAuthority(t)
		now := time.Now()
		cert, key := enginetest.WriteCertificate(t, dir, "server", authority.Issue(&x509.Certificate{
			NotBefore: now.Add(3 * time.Hour), NotAfter: now.Add(24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, "127.0.0.1"))
		root := filepath.Join(dir, "root.pem")
		if err := os.WriteFile(root, authority.PEM, 0o600); err != nil {
			t.Fatal(err)
		}
		addr := enginetest.FreeAddr(t)
		server := start(t, "server", nil, "server", "--headless", "--listen", addr, "--tls-cert", cert, "--tls-key", key)
		server.await(0, "ready", 1, startWait)
		e := diagnose(t, nil, "--server", "wss://"+addr+"/register", "--ca", root, "--allow", "any", "--quick")
		e.says(t, "failure", "tls", "begins at .*, and here it is .*clock of this machine", "")
		e = diagnose(t, nil, "server", "--listen", addr, "--tls-cert", cert, "--tls-key", key)
		e.says(t, "failure", "certificate", "not valid before .*the clock here says", "tls-cert")
	})
	t.Run("unreachable destination", func(t *testing.T) {
		t.Parallel()
		r := rigOf(t)
		e := diagnose(t, nil, client(r, r.addr, "--expose", "gone=http://"+enginetest.FreeAddr(t), "--quick")...)
		e.says(t, "failure", "destination", "refused", "")
		e.says(t, "ok", "destination", "answers 404", "")
	})
	t.Run("server that runs", func(t *testing.T) {
		t.Parallel()
		r := rigOf(t)
		env := []string{"XDG_STATE_HOME=" + r.server.cmd.Dir, "XDG_RUNTIME_DIR=" + r.server.cmd.Dir}
		args := append([]string{"server", "--name", "chaos", "--listen", r.addr, "--domain", domain, "--ping", "1s", "--grace", "5s"}, credential...)
		e := diagnose(t, env, args...)
		e.says(t, "ok", "running", "server chaos, .* of 1 client", "")
		e.says(t, "ok", "listen", "the server chaos listens there", "")
		e.says(t, "ok", "store", "every page is sound", "")
		e = diagnose(t, nil, args...) // it can't be asked
		e.says(t, "failure", "listen", fmt.Sprintf(`\(pid %d\) listens there`, r.server.cmd.Process.Pid), "listen")
	})
}

// TestReadmeBehindAProxy: what the README says to write down for nginx and HAProxy
// lets clients and callers through, and nothing that adit doctor finds fault with.
func TestReadmeBehindAProxy(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, trust := range map[string]string{"nginx": "--trusted-proxy", "haproxy": "--proxy-protocol"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("%s is not installed", name)
			}
			_, text, found := strings.Cut(string(readme), "```"+name+"\n")
			if text, _, _ = strings.Cut(text, "```"); !found {
				t.Fatalf("the README says nothing of %s", name)
			}
			dir, server, front := t.TempDir(), enginetest.FreeAddr(t), enginetest.FreeAddr(t)
			authority := enginetest.NewAuthority(t)
			cert, key := enginetest.WriteCertificate(t, dir, "front", authority.Issue(&x509.Certificate{
				NotAfter: time.Now().Add(90 * 24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, "127.0.0.1", "*."+domain))
			both := filepath.Join(dir, "both.pem")
			root := filepath.Join(dir, "root.pem")
			one, _ := os.ReadFile(cert)
			two, _ := os.ReadFile(key)
			if err := errors.Join(os.WriteFile(both, append(one, two...), 0o600), os.WriteFile(root, authority.PEM, 0o600)); err != nil {
				t.Fatal(err)
			}
			for _, r := range []struct{ old, new string }{
				{"listen 443 ssl", "listen " + front + " ssl"}, {"bind :443", "bind " + front}, {"127.0.0.1:8080", server},
				{"/etc/ssl/tunnels.pem", cert}, {"/etc/ssl/tunnels.key", key}, {"/etc/haproxy/tunnels.pem", both},
			} {
				text = strings.ReplaceAll(text, r.old, r.new)
			}
			if strings.Contains(text, "/etc/") || !strings.Contains(text, front) || !strings.Contains(text, server) {
				t.Fatalf("the text of the README is another one by now:\n%s", text)
			}
			if name == "nginx" {
				runNginx(t, dir, front, text)
			} else {
				runHaproxy(t, dir, front, text)
			}
			adit := start(t, "server", nil, "server", "--headless", "--listen", server, "--domain", domain, trust, "127.0.0.1")
			adit.await(0, "ready", 1, startWait)
			origin, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(enginetest.NewOrigin().Serve(origin))
			args := []string{"--server", "wss://" + front + "/register", "--ca", root, "--id", "pi", "--expose", "app=http://" + origin.Addr().String()}
			if e := diagnose(t, nil, append(args, "--quick")...); e.code != 0 {
				t.Errorf("it finds fault with it:\n%s", e)
			}
			start(t, "client", nil, append([]string{"client", "--headless"}, args...)...).await(0, "ready", 1, startWait)
			caller := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool, ServerName: "app." + domain}}
			defer caller.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+front+"/status?code=204", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "app." + domain
			resp, err := caller.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusNoContent {
				t.Errorf("a caller gets %d", resp.StatusCode)
			}
		})
	}
}

// nginx starts one before a server, with more in its location, and returns where it
// listens.
func nginx(t *testing.T, server, more string) string {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("nginx is not installed")
	}
	addr := enginetest.FreeAddr(t)
	runNginx(t, t.TempDir(), addr, fmt.Sprintf(`server {
		listen %s;
		location / { proxy_pass http://%s; proxy_http_version 1.1; proxy_set_header Host $http_host; %s }
	}`, addr, server, more))
	return addr
}

// runNginx starts one with what is to stand in its http block.
func runNginx(t *testing.T, dir, addr, http string) {
	t.Helper()
	file := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	%[2]s
}
`, dir, http)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runProxy(t, addr, "nginx", "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log"))
}

// haproxy starts one before a server, with more among its defaults.
func haproxy(t *testing.T, server, more string) string {
	t.Helper()
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("haproxy is not installed")
	}
	addr := enginetest.FreeAddr(t)
	runHaproxy(t, t.TempDir(), addr, fmt.Sprintf(`defaults
	mode http
	timeout connect 5s
	timeout client 1m
	timeout server 1m
	%s
frontend public
	bind %s
	default_backend adit
backend adit
	server adit %s
`, more, addr, server))
	return addr
}

func runHaproxy(t *testing.T, dir, addr, text string) {
	t.Helper()
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runProxy(t, addr, "haproxy", "-db", "-f", file)
}

// late hands connections on to a server whose clock it makes wrong by so much: it
// puts back every moment that the server tells in its first bytes. No library can be
// put below a Go program that would do that to its clock (but see doctorclock_test.go).
func late(t *testing.T, server string, by time.Duration) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { ln.Close(); running.Wait() })
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { handLate(c, server, by) })
		}
	})
	return ln.Addr().String()
}

func handLate(c net.Conn, server string, by time.Duration) {
	defer c.Close()
	s, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer s.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(s, c)
		s.(*net.TCPConn).CloseWrite()
	}()
	field := regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`)
	member := regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`)
	back := func(layout string) func([]byte) []byte {
		return func(b []byte) []byte {
			at, err := time.Parse(layout, string(b))
			if err != nil {
				return b
			}
			return []byte(at.Add(-by).Format(layout)) // as long as it was
		}
	}
	from := bufio.NewReaderSize(s, 64<<10)
	for sent := 0; sent < 4<<10; {
		if _, err := from.Peek(1); err != nil {
			break
		}
		b, _ := from.Peek(from.Buffered())
		b = field.ReplaceAllFunc(b, back("Mon, 02 Jan 2006 15:04:05 GMT"))
		b = member.ReplaceAllFunc(b, back(`"2006-01-02T15:04:05`))
		if _, err := c.Write(b); err != nil {
			break
		}
		n, _ := from.Discard(from.Buffered())
		sent += n
	}
	_, _ = io.Copy(c, from)
	c.Close()
	<-ended
}
