//go:build chaos

package chaos

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// TestNoSecretIsLeft searches all that a run leaves and tells for the secrets
// that it was given (@FILE, environment, configuration, tokens, a proxy's
// password), for wrong ones that were tried, and, where they are masked, for
// those of the traffic: standard output, logs, the database, HAR, what the verbs
// print, and process arguments.
func TestNoSecretIsLeft(t *testing.T) {
	dir := t.TempDir()
	own := map[string]string{}
	secret := func(name string) string {
		own[name] = "own-" + name + "-1x9Qz7w3"
		return own[name]
	}
	traffic := map[string]string{}
	for _, name := range []string{"authorization", "cookie", "apikey", "query", "content", "setcookie", "json"} {
		traffic[name] = "traffic-" + name + "-8vK2m5d1"
	}
	var collected bytes.Buffer // what a collector of traces was told
	var collecting sync.Mutex
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			collecting.Lock()
			defer collecting.Unlock()
			if plain, err := gzip.NewReader(r.Body); err == nil {
				_, _ = io.Copy(&collected, plain)
			}
			return
		}
		w.Header().Set("Set-Cookie", "session="+traffic["setcookie"]+"; HttpOnly")
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"ok":true,"access_token":%q}`, traffic["json"])
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back := &http.Server{Handler: origin}
	done := make(chan struct{})
	go func() { defer close(done); _ = back.Serve(ln) }()
	t.Cleanup(func() { _ = back.Close(); <-done })

	tokens := filepath.Join(dir, "tokens.yaml")
	mint := func(name, role string) string {
		own[name] = mintToken(t, tokens, name, role)
		return own[name]
	}
	edge, robot := mint("edge", "client"), mint("robot", "caller")
	proxyPassword := secret("proxypassword")
	proxy := startConnectProxy(t, "user", proxyPassword)

	serverConf := write(t, dir, "server.yaml", "server:\n  caller-token: ["+secret("callerinfile")+"]\n  otlp-header: [\"Authorization="+secret("otlp")+"\"]\n")
	secretFile := write(t, dir, "secret", secret("sharedfile")+"\n")
	metricsAddr := enginetest.FreeAddr(t)
	server := start(t, "server", []string{"env", "ADIT_CONTROL_READ_TOKEN=" + secret("controlenv")}, "server", "--headless", "--name", "s",
		"--listen", "127.0.0.1:0", "--domain", domain, "--config", serverConf, "--secret", "@"+secretFile, "--tokens", tokens,
		"--log-level", "debug", "--events", "all", "--store", "--store-captures", "--capture", "content", "--otlp", "http://"+ln.Addr().String(),
		"--metrics-listen", metricsAddr)
	addr := server.await(0, "ready", 1, startWait)[0].Listen
	clientConf := write(t, dir, "client.yaml", "client:\n  proxy: http://user:"+proxyPassword+"@"+proxy+"\n  secret: "+edge+"\n")
	client := start(t, "client", nil, "client", "--headless", "--id", "pi", "--server", "ws://"+addr+"/register", "--config", clientConf,
		"--expose", "app=http://"+ln.Addr().String(), "--allow", "any", "--log-level", "debug", "--events", "all",
		"--store", "--store-captures", "--capture", "content")
	client.await(0, "ready", 1, startWait)
	other := start(t, "client with the shared secret", []string{"env", "ADIT_SECRET=" + own["sharedfile"]}, "client", "--headless", "--id", "other",
		"--server", "ws://"+addr+"/register", "--allow", "any", "--log-level", "debug")
	other.await(0, "ready", 1, startWait)
	wrong := start(t, "client with a wrong secret", nil, "client", "--headless", "--id", "wrong", "--server", "ws://"+addr+"/register",
		"--secret", "@"+write(t, dir, "wrong", secret("wrongclient")), "--allow", "any", "--log-level", "debug")
	wrong.await(0, "dial_failed", 1, startWait)

	secretsOfCallers(t, addr, ln.Addr().String(), []string{own["callerinfile"], robot, secret("wrongcaller")}, traffic)
	var told bytes.Buffer
	verb := func(p *process, args ...string) []byte {
		return fmt.Appendf(nil, "adit %q:\n%s", args, verbOutput(t, p, args...))
	}
	har := filepath.Join(dir, "all.har")
	for _, p := range []*process{server, client} {
		told.Write(verb(p, "ls", "requests", "--json"))
		told.Write(verb(p, "ls", "connections", "--json"))
		told.Write(verb(p, "ls", "events", "--json"))
		told.Write(verb(p, "show", "--filter", "method:GET", "-n", "1000", "--content", "--json"))
		told.Write(verb(p, "show", "--filter", "method:POST", "-n", "1000", "--content"))
		told.Write(verb(p, "export", "--filter", "method:POST", "--har", har))
		told.Write(verb(p, "export", "--filter", "method:GET", "--json"))
		told.Write(verb(p, "export", "--filter", "method:GET", "--curl"))
	}
	told.Write(verb(server, "token", "ls", "--file", tokens))
	told.Write(verb(server, "token", "revoke", "--file", tokens, "robot"))
	resp, err := http.Get("http://" + metricsAddr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(&told, resp.Body)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for role, conf := range map[string]string{"server": serverConf, "client": clientConf} {
		shown := verb(server, "config", "show", role, "--config", conf)
		told.Write(shown)
		if !bytes.Contains(shown, []byte(conf)) {
			t.Errorf("config show does not tell of %s:\n%s", conf, shown)
		}
	}
	// Who asks for them sees those of the traffic, and never ours.
	asked := verb(server, "show", "--filter", "method:POST", "-n", "1000", "--content", "--json", "--secrets")
	for _, name := range []string{"cookie", "apikey", "content", "setcookie", "json"} {
		if !bytes.Contains(asked, []byte(traffic[name])) {
			t.Errorf("%s was not captured: what is searched proves nothing\n%.1500s", name, asked)
		}
	}
	if n := strings.Count(told.String(), "/secret"); n < 20 {
		t.Fatalf("the requests are not in what the verbs say (%d times):\n%.2000s", n, told.String())
	}

	found := func(where string, content []byte, secrets ...map[string]string) {
		for _, set := range secrets {
			for name, s := range set {
				for _, form := range []string{s, url.QueryEscape(s), basic("robot", s), basic("user", s)} {
					if at := bytes.Index(content, []byte(form)); at >= 0 {
						t.Errorf("%s has the secret %s: ...%q", where, name, content[max(0, at-120):min(len(content), at+80)])
						break
					}
				}
			}
		}
	}
	for _, p := range []*process{server, client, other, wrong} {
		if arguments, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/cmdline"); err == nil {
			found(p.name+"'s arguments", arguments, own)
		}
		p.signal(os.Interrupt)
	}
	for _, p := range []*process{server, client, other, wrong} {
		p.wait(20 * time.Second)
		p.mu.Lock()
		found(p.name+"'s standard output", p.stdout, own, traffic)
		found(p.name+"'s log", p.stderr, own, traffic)
		p.mu.Unlock()
		files := 0
		err := filepath.WalkDir(p.cmd.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if err == nil {
				files++
				found(p.name+"'s file "+d.Name(), b, own, traffic)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if files == 0 && (p == server || p == client) {
			t.Errorf("%s left no database", p.name)
		}
	}
	collecting.Lock()
	if !bytes.Contains(collected.Bytes(), []byte("/secret")) {
		t.Errorf("no trace of the requests was collected, in %d bytes", collected.Len())
	}
	found("what the collector of traces was told", collected.Bytes(), own, traffic)
	collecting.Unlock()
	exported, err := os.ReadFile(har)
	if err != nil || !bytes.Contains(exported, []byte("/secret")) {
		t.Errorf("no requests in the HAR file: %v", err)
	}
	found("what verbs say when asked for secrets", asked, own)
	found("the HAR file", exported, own, traffic)
	found("what verbs say", told.Bytes(), own, traffic)
	hashed, err := os.ReadFile(tokens)
	if err != nil {
		t.Error(err)
	}
	found("the file of tokens", hashed, own)
}

// mintToken adds a token to a file and returns it.
func mintToken(t *testing.T, file, name, role string) string {
	t.Helper()
	out, err := exec.Command(binary, "token", "new", "--file", file, "--name", name, "--for", role).Output()
	if err != nil {
		t.Fatalf("token new: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// verbOutput runs a verb against p and returns all that it says.
func verbOutput(t *testing.T, p *process, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+p.cmd.Dir, "XDG_STATE_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("adit %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// basic is how a password stands in a field.
func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// secretsOfCallers sends requests by every way, with every credential, and with
// credentials of the origin's.
func secretsOfCallers(t *testing.T, addr, origin string, credentials []string, traffic map[string]string) {
	t.Helper()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	n := 0
	for i, credential := range credentials {
		for _, field := range []string{"Bearer", "Basic", "Proxy"} {
			for _, way := range []string{"host", "request", "absolute"} {
				target := "/secret?api_key=" + traffic["query"] + "&n=" + strconv.Itoa(n)
				req, err := http.NewRequest(http.MethodPost, "http://"+addr+target, strings.NewReader(`{"password":"`+traffic["content"]+`"}`))
				if err != nil {
					t.Fatal(err)
				}
				if n%2 == 0 {
					req.Method = http.MethodGet
				}
				n++
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Cookie", "session="+traffic["cookie"])
				req.Header.Set("X-Api-Key", traffic["apikey"])
				switch field {
				case "Bearer":
					req.Header.Set("Authorization", "Bearer "+credential)
				case "Basic":
					req.SetBasicAuth("robot", credential)
				default:
					req.Header.Set("Proxy-Authorization", "Bearer "+credential)
					req.Header.Set("Authorization", "Bearer "+traffic["authorization"])
				}
				switch way {
				case "host":
					req.Host = "app." + domain
				case "request":
					req.URL.Path, req.URL.RawQuery = "/request", ""
					req.Header.Set("X-PROXY-DESTINATION", "http://"+origin+target)
				default:
					req.URL.Opaque = "http://" + origin + target
				}
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if good := i < len(credentials)-1; good != (resp.StatusCode == http.StatusOK) {
					t.Errorf("%s, %s, credential %d: %s", way, field, i, resp.Status)
				}
			}
		}
	}
}

// startConnectProxy starts an HTTP proxy for CONNECT that wants a password.
func startConnectProxy(t *testing.T, user, password string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var splices sync.WaitGroup
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		with := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
		if u, p, ok := with.BasicAuth(); !ok || u != user || p != password || r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		up, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		down, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = up.Close()
			return
		}
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		splice := func(to, from net.Conn) {
			_, _ = io.Copy(to, from)
			_, _ = to.Close(), from.Close()
		}
		splices.Go(func() { splice(up, down) })
		splices.Go(func() { splice(down, up) })
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close(); <-done; splices.Wait() })
	return ln.Addr().String()
}
