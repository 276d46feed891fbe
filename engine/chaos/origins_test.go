//go:build chaos

package chaos

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// A witness is an origin server of somebody else's making, which logs a line for
// every request that it read: method, target, and the length of the content
// after a last "|" where it can tell.
type witness struct {
	name, addr string
	logs       []func() ([]byte, error)
}

// lines returns what the witness has read so far, one line for each request and
// one list for each of its logs.
func (w *witness) lines(t testing.TB) [][]string {
	t.Helper()
	all := make([][]string, len(w.logs))
	for i, log := range w.logs {
		b, err := log()
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		for line := range strings.Lines(string(b)) {
			all[i] = append(all[i], strings.TrimRight(line, "\r\n"))
		}
	}
	return all
}

// witnesses starts every origin server that this machine has, and says which it
// has not.
func witnesses(t *testing.T) []*witness {
	t.Helper()
	var all []*witness
	for name, begin := range map[string]func(testing.TB, string) *witness{
		"nginx": beginNginx, "apache": beginApache, "node": beginNode, "haproxy": beginHAProxy,
	} {
		tool := name
		if name == "apache" {
			tool = "apache2"
		}
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Logf("skipped: %s is not installed", tool)
			continue
		}
		w := begin(t, path)
		w.name = name
		all = append(all, w)
	}
	for _, w := range all {
		if !eventually(startWait, func() bool {
			resp, err := http.Get("http://" + w.addr + "/v-start-0")
			if err != nil {
				return false
			}
			_ = resp.Body.Close()
			return resp.Header.Get("X-Seen") == "GET /v-start-0"
		}) {
			t.Fatalf("%s does not answer", w.name)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	return all
}

// runOrigin runs an origin server until the end of the test; what it says goes
// into the file out of dir.
func runOrigin(t testing.TB, dir string, argv ...string) {
	t.Helper()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(3*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		late.Stop()
		_ = out.Close()
		if t.Failed() {
			said, _ := os.ReadFile(out.Name())
			t.Logf("%s said:\n%s", argv[0], said[:min(len(said), 2000)])
		}
	})
}

func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func fileLog(path string) func() ([]byte, error) {
	return func() ([]byte, error) { return os.ReadFile(path) }
}

func beginNginx(t testing.TB, path string) *witness {
	dir, addr := t.TempDir(), enginetest.FreeAddr(t)
	var temporary strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temporary, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	conf := write(t, dir, "nginx.conf", fmt.Sprintf(`daemon off;
worker_processes 1;
pid %[1]s/pid;
error_log %[1]s/errors;
events { worker_connections 512; }
http {
%[3]s
log_format seen '$request';
access_log %[1]s/access seen;
keepalive_requests 100000;
client_max_body_size 0;
server {
	listen %[2]s;
	merge_slashes off;
	location / {
		add_header X-Seen "$request_method $request_uri" always;
		return 200 "ok\n";
	}
}
}
`, dir, addr, temporary.String()))
	runOrigin(t, dir, path, "-c", conf, "-e", filepath.Join(dir, "errors"))
	return &witness{addr: addr, logs: []func() ([]byte, error){fileLog(filepath.Join(dir, "access"))}}
}

func beginApache(t testing.TB, path string) *witness {
	dir, addr := t.TempDir(), enginetest.FreeAddr(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "User www-data\nGroup www-data"
	}
	conf := write(t, dir, "apache.conf", fmt.Sprintf(`ServerRoot %[1]s
ServerName origin.test
DefaultRuntimeDir %[1]s
PidFile %[1]s/pid
Listen %[2]s
%[3]s
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
ErrorLog %[1]s/errors
LogFormat "%%r" seen
CustomLog %[1]s/access seen
StartServers 1
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 300
TraceEnable on
DocumentRoot %[1]s
Header always set X-Seen "expr=%%{REQUEST_METHOD} %%{REQUEST_URI}"
`, dir, addr, user))
	runOrigin(t, dir, path, "-X", "-f", conf)
	return &witness{addr: addr, logs: []func() ([]byte, error){fileLog(filepath.Join(dir, "access"))}}
}

// nodeOrigin answers as soon as it has a head and logs when it has the content:
// a request whose content never ends is logged as well, with what came.
const nodeOrigin = `
const fs = require('fs'), http = require('http');
const [port, file] = process.argv.slice(-2);
const log = fs.openSync(file, 'a');
const line = s => fs.writeSync(log, s.replace(/[\r\n]/g, '?') + '\n');
const server = http.createServer((req, res) => {
	let n = 0, told = false;
	const tell = whole => { if (!told) { told = true; line(req.method + ' ' + req.url + '|' + (whole ? n : -1)); } };
	req.on('data', d => { n += d.length; });
	req.on('end', () => { tell(true); res.setHeader('X-Seen', req.method + ' ' + req.url); res.end('ok\n'); });
	req.on('close', () => tell(false));
	req.on('error', () => tell(false));
});
server.keepAliveTimeout = 300000;
server.on('clientError', (err, socket) => {
	// A head that it refuses was read too; one that does not end was not.
	if (!['ECONNRESET', 'HPE_INVALID_EOF_STATE'].includes(err.code)) line((err.rawPacket || '').toString().slice(0, 300));
	socket.destroy();
});
server.on('upgrade', (req, socket) => { line(req.method + ' ' + req.url); socket.destroy(); });
server.on('connect', (req, socket) => { line(req.method + ' ' + req.url); socket.destroy(); });
server.listen(Number(port), '127.0.0.1');
`

func beginNode(t testing.TB, path string) *witness {
	dir, addr := t.TempDir(), enginetest.FreeAddr(t)
	script := write(t, dir, "origin.js", nodeOrigin)
	log := write(t, dir, "access", "")
	_, port, _ := net.SplitHostPort(addr)
	runOrigin(t, dir, path, script, port, log)
	return &witness{addr: addr, logs: []func() ([]byte, error){fileLog(log)}}
}

// beginHAProxy starts haproxy with net/http behind it: both are witnesses.
func beginHAProxy(t testing.TB, path string) *witness {
	dir, addr := t.TempDir(), enginetest.FreeAddr(t)
	var mu sync.Mutex
	var seen bytes.Buffer
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			n = -1
		}
		mu.Lock()
		fmt.Fprintf(&seen, "%s %s|%d\n", r.Method, r.RequestURI, n)
		mu.Unlock()
		w.Header().Set("X-Seen", r.Method+" "+r.RequestURI)
		_, _ = io.WriteString(w, "ok\n")
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(backend) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	conf := write(t, dir, "haproxy.cfg", fmt.Sprintf(`global
	log stdout format raw local0 info
	maxconn 500
defaults
	mode http
	log global
	log-format "seen %%ST,%%B,%%tsc %%r"
	option dontlognull
	timeout connect 5s
	timeout client 300s
	timeout server 300s
	http-reuse always
frontend f
	bind %s
	default_backend b
backend b
	server s %s
`, addr, backend.Addr()))
	runOrigin(t, dir, path, "-db", "-f", conf)
	front := func() ([]byte, error) {
		b, err := os.ReadFile(filepath.Join(dir, "out"))
		var lines []byte
		for line := range bytes.Lines(b) {
			if words := bytes.SplitN(line, []byte(" "), 3); len(words) == 3 && string(words[0]) == "seen" {
				lines = append(lines, words[2]...)
			}
		}
		return lines, err
	}
	return &witness{addr: addr, logs: []func() ([]byte, error){front, func() ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		return bytes.Clone(seen.Bytes()), nil
	}}}
}
