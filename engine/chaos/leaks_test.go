//go:build chaos && unix

package chaos

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// secretsWait bounds every wait for a process.
const secretsWait = 15 * time.Second

// A vault is the secrets of a run by name, and the files that they were given in.
type vault struct {
	dir    string // of the files; nothing else is in it
	values map[string]string
}

// make invents a secret.
func (v *vault) make(name string) string {
	v.values[name] = rand.Text()
	return v.values[name]
}

// file invents a secret that is given as @FILE, within form where there is a %s.
func (v *vault) file(t *testing.T, name, form string) string {
	t.Helper()
	path := filepath.Join(v.dir, name)
	if err := os.WriteFile(path, []byte(fmt.Sprintf(form, v.make(name))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "@" + path
}

// found reports which secrets are in text, as they are or in base64.
func (v *vault) found(text []byte) []string {
	var names []string
	for name, secret := range v.values {
		if bytes.Contains(text, []byte(secret)) {
			names = append(names, name)
			continue
		}
		for shift := range 3 {
			// What is around it in base64 changes the characters at its ends only.
			coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
			if bytes.Contains(text, []byte(coded[4:len(coded)-4])) {
				names = append(names, name+" in base64")
				break
			}
		}
	}
	return names
}

// A logged is an adit whose output goes to files.
type logged struct {
	cmd    *exec.Cmd
	out    string // file of stdout
	report string // of stderr
}

func startLogged(t *testing.T, dir, name string, env []string, args ...string) *logged {
	t.Helper()
	p := &logged{cmd: exec.Command(binary, args...), out: filepath.Join(dir, name+".out"), report: filepath.Join(dir, name+".err")}
	out, err := os.Create(p.out)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	report, err := os.Create(p.report)
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, out, report
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

// await returns the last group of pattern once it was printed.
func (p *logged) await(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(secretsWait); ; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(p.out)
		said, _ := os.ReadFile(p.report)
		text = append(text, said...)
		if m := re.FindSubmatch(text); m != nil {
			return string(m[len(m)-1])
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s in\n%s", pattern, text)
		}
	}
}

// end sends a signal and waits.
func (p *logged) end(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
}

// tunnelProxy is a proxy that knows CONNECT and asks for a password.
func tunnelProxy(t *testing.T, password func() string) string {
	t.Helper()
	var open sync.WaitGroup
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte("pi:"+password()))
		if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != want {
			http.Error(w, "who are you", http.StatusProxyAuthRequired)
			return
		}
		far, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			far.Close()
			return
		}
		fmt.Fprint(near, "HTTP/1.1 200 OK\r\n\r\n")
		for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
			open.Go(func() {
				_, _ = io.Copy(way[0], way[1])
				way[0].Close()
				way[1].Close()
			})
		}
	}))
	t.Cleanup(func() {
		srv.Close()
		open.Wait()
	})
	return strings.TrimPrefix(srv.URL, "http://")
}

// writeOwnCertificate writes a certificate for 127.0.0.1 that vouches for itself,
// and its key.
func writeOwnCertificate(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "adit.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}

// What TestNoSecretIsLeft does not go through: a reload that takes a secret away,
// recordings, a client's own history, goroutine dumps, the configuration's own
// verbs, and secrets in base64.
func TestNoSecretIsLeftByReloadAndDumps(t *testing.T) {
	place, err := os.MkdirTemp("", "adit") // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(place) })
	v := &vault{dir: t.TempDir(), values: map[string]string{}}
	env := []string{"HOME=" + place, "XDG_RUNTIME_DIR=" + filepath.Join(place, "run"), "XDG_STATE_HOME=" + filepath.Join(place, "state"),
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "sid="+v.values["set-cookie"])
		fmt.Fprintln(w, "hello")
	}))
	t.Cleanup(origin.Close)

	// The server: a flag with @FILE, the environment, a value in the file, tokens.
	v.make("set-cookie")
	secret := v.file(t, "secret", "%s")
	reader := v.file(t, "reader", "%s")
	collector := v.file(t, "collector", "authorization=Bearer %s")
	config := filepath.Join(v.dir, "adit.yaml")
	if err := writeOwnCertificate(filepath.Join(place, "cert.pem"), filepath.Join(v.dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	tokens := filepath.Join(place, "tokens.yaml")
	text := "server:\n  control-token: ops=" + v.make("operator") + "\n  control-read-token: \"" + reader + "\"\n  control-listen: 127.0.0.1:0\n" +
		"  control-cert: " + filepath.Join(place, "cert.pem") + "\n  control-key: " + filepath.Join(v.dir, "key.pem") + "\n  tokens: " + tokens + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) []byte {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), secretsWait)
		defer cancel()
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Env, cmd.Dir = env, place
		out, _ := cmd.CombinedOutput()
		if err := os.WriteFile(filepath.Join(place, name+".said"), out, 0o600); err != nil {
			t.Fatal(err)
		}
		return out
	}
	made := run("token", "token", "new", "--file", tokens, "--for", "client", "--name", "pi")
	token := regexp.MustCompile(`adit_[A-Za-z0-9_-]{20,}|[A-Za-z0-9_-]{30,}`).Find(made)
	if token == nil {
		t.Fatalf("no token was made: %s", made)
	}
	v.values["token"] = string(token)
	os.Remove(filepath.Join(place, "token.said")) // it says the token once
	flags := []string{"server", "--headless", "--events", "all", "--log-level", "debug", "--listen", "127.0.0.1:0", "--domain", "example.test",
		"--name", "edge", "--config", config, "--secret", secret, "--capture", "content", "--store=" + filepath.Join(place, "history.db"),
		"--store-captures", "--otlp", origin.URL, "--otlp-header", collector}
	server := startLogged(t, place, "server", append(env, "ADIT_CALLER_TOKEN="+v.make("caller")), flags...)
	front := server.await(t, `"kind":"ready".*"listen":"([^"]+)"`)
	socket := filepath.Join(place, "run", "adit", "server-edge.sock")

	// Clients: one with a token in the environment, through a proxy with a password.
	proxy := tunnelProxy(t, func() string { return v.values["proxy"] })
	way := v.file(t, "proxy", "http://pi:%s@"+proxy)
	client := startLogged(t, place, "client", append(env, "ADIT_SECRET="+v.values["token"]), "client", "--headless", "--events", "all", "--log-level", "debug",
		"--server", "ws://"+front+"/register", "--id", "pi", "--expose", "app="+origin.URL, "--allow", "any", "--proxy", way,
		"--capture", "content", "--store="+filepath.Join(place, "client.db"), "--store-captures")
	client.await(t, `"kind":"ready"`)
	other := startLogged(t, place, "other", env, "client", "--headless", "--log-level", "debug", "--server", "ws://"+front+"/register", "--secret", secret, "--allow", "any", "--id", "other")
	other.await(t, `"kind":"ready"`)
	run("refused", "client", "--headless", "--once", "--log-level", "debug", "--server", "ws://"+front+"/register", "--secret",
		v.file(t, "wrong", "%s"), "--allow", "any", "--id", "third")
	recording := startLogged(t, place, "record", env, "record", filepath.Join(place, "recording.db"), "--addr", socket)
	recording.await(t, `recording .*recording\.db`)

	transport := &http.Transport{DisableKeepAlives: true}
	ask := func(want int, target string, fields ...string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+front+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "app.example.test"
		for i := 0; i+1 < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", target, resp.Status, want)
		}
	}
	bearer := "Bearer " + v.values["caller"]
	for range 3 {
		ask(200, "/one", "Authorization", bearer)
		ask(200, "/two?api_key="+v.values["set-cookie"], "Proxy-Authorization", bearer, "Authorization", "Bearer "+v.values["set-cookie"], "Cookie", "sid="+v.values["set-cookie"])
		ask(200, "/three", "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("x:"+v.values["caller"])))
		ask(401, "/four", "Authorization", "Bearer "+v.values["wrong"])
		ask(401, "/five?token="+v.values["caller"])
	}
	v.values["former"] = v.values["secret"]
	v.file(t, "secret", "%s") // another one: who came with the former is sent away
	run("reload", "reload", "--addr", socket)
	server.await(t, `"action":"reload"`)
	if err := server.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"har": {"export", "--filter", "path:/", "--har", "all.har"}, "ndjson": {"export", "--filter", "path:/", "--json", "-o", "all.ndjson"},
		"requests": {"ls", "requests", "--json"}, "events": {"ls", "events", "--json"}, "clients": {"ls", "clients", "--json"}, "connections": {"ls", "--json"},
		"one": {"show", "r-1", "--content"}, "two": {"show", "r-2", "--content", "--json"}, "settings": {"config", "show", "--json"}, "top": {"top", "-n1"},
	} {
		run(name, append(args, "--addr", socket)...)
	}
	run("checked", "config", "check", config)
	run("shown", "config", "show", "server", "--config", config, "--secret", secret, "--otlp-header", collector)
	if runtime.GOOS == "linux" {
		for _, p := range []*logged{server, client, other, recording} {
			line, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/cmdline")
			if err != nil {
				t.Fatal(err)
			}
			if names := v.found(line); len(names) > 0 {
				t.Errorf("%v in the arguments %q", names, line)
			}
		}
	}
	recording.end(t, syscall.SIGINT)
	client.end(t, syscall.SIGQUIT) // every goroutine with what it was called with
	other.end(t, syscall.SIGINT)
	server.end(t, syscall.SIGINT)
	again := startLogged(t, place, "again", append(env, "ADIT_CALLER_TOKEN="+v.values["caller"]), flags...)
	again.await(t, `"kind":"ready"`)
	again.end(t, syscall.SIGQUIT)
	secrets := strings.Join(slices.Collect(maps.Values(v.values)), " ")
	if len(v.found([]byte(secrets))) != len(v.values) || len(v.found([]byte(base64.StdEncoding.EncodeToString([]byte(secrets))))) != len(v.values) {
		t.Fatal("the search finds nothing")
	}
	searched := 0
	err = filepath.WalkDir(place, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		searched++
		if names := v.found(text); len(names) > 0 {
			t.Errorf("%v in %s", names, strings.TrimPrefix(path, place))
		}
		return nil
	})
	if err != nil || searched < 25 {
		t.Errorf("%d files were searched, %v", searched, err)
	}
	if har, _ := os.ReadFile(filepath.Join(place, "all.har")); !bytes.Contains(har, []byte("/two")) {
		t.Errorf("the HAR has no request: %.300s", har)
	}
	for _, name := range []string{"history.db", "client.db", "recording.db"} {
		b, _ := os.ReadFile(filepath.Join(place, name))
		wal, _ := os.ReadFile(filepath.Join(place, name+"-wal"))
		if !bytes.Contains(append(b, wal...), []byte("/two")) {
			t.Errorf("%s has no request: what was searched was empty", name)
		}
	}
}
