//go:build chaos

package chaos

import (
	"crypto/tls"
	"encoding/xml"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"adit/engine/enginetest"
)

// h2specVersion is newer than the others that the module proxy serves.
const h2specVersion = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

// TestH2Spec is row 28: what h2spec finds wrong with HTTP/2 in front, through
// the whole tunnel, it finds wrong with a bare net/http server too.
func TestH2Spec(t *testing.T) {
	t.Parallel() // it waits most of the time
	tool := h2spec(t)
	t.Run("clear", func(t *testing.T) { t.Parallel(); conforms(t, tool, false) })
	t.Run("TLS", func(t *testing.T) { t.Parallel(); conforms(t, tool, true) })
}

func conforms(t *testing.T, tool string, secure bool) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("answer ", 20))
	})
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(!secure)
	both.SetHTTP2(secure)
	authority := enginetest.NewAuthority(t)
	pair := authority.Server("127.0.0.1", "localhost")
	serve := func(secure bool) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: answer, Protocols: &both, ErrorLog: log.New(io.Discard, "", 0)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if secure {
				s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
				_ = s.ServeTLS(ln, "", "")
				return
			}
			_ = s.Serve(ln)
		}()
		t.Cleanup(func() { _ = s.Close(); <-done })
		return ln.Addr().String()
	}
	// h2spec says ":authority: 127.0.0.1": a name below the domain 0.0.1, whose
	// label is exposed. The client dials by another name.
	flags, scheme := []string(nil), ""
	root := filepath.Join(t.TempDir(), "root.pem")
	if secure {
		if err := os.WriteFile(root, authority.PEM, 0o600); err != nil {
			t.Fatal(err)
		}
		cert, key := enginetest.WriteCertificate(t, t.TempDir(), "server", pair)
		flags, scheme = []string{"--tls-cert", cert, "--tls-key", key}, "s"
	}
	server := start(t, "server", nil, append([]string{"server", "--headless", "--name", "chaos", "--listen", "127.0.0.1:0", "--domain", "0.0.1"}, flags...)...)
	addr := server.await(0, "ready", 1, startWait)[0].Listen
	_, port, _ := net.SplitHostPort(addr)
	flags = nil
	if secure {
		flags = []string{"--ca", root}
	}
	client := start(t, "client", nil, append([]string{"client", "--headless", "--id", "pi", "--server", "ws" + scheme + "://localhost:" + port + "/register",
		"--expose", "127=http://" + serve(false)}, flags...)...)
	client.await(0, "ready", 1, startWait)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool}, ForceAttemptHTTP2: true}
	resp, err := (&http.Client{Transport: transport}).Get("http" + scheme + "://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	transport.CloseIdleConnections()
	if resp.StatusCode != http.StatusOK || secure && resp.ProtoMajor != 2 {
		t.Fatalf("the tunnel answers %s by %s", resp.Status, resp.Proto)
	}

	var bare map[string]bool
	var bareTotal int
	var other sync.WaitGroup
	beside := serve(secure)
	other.Go(func() { bare, bareTotal = conform(t, tool, beside, secure) })
	found, total := conform(t, tool, addr, secure)
	other.Wait()
	t.Logf("h2spec: %d of %d fail; bare net/http: %d of %d", len(found), total, len(bare), bareTotal)
	if total < 100 || total != bareTotal {
		t.Fatalf("h2spec ran %d tests here and %d there", total, bareTotal)
	}
	for name := range found {
		if bare[name] {
			t.Logf("as bare net/http: %s", name)
			continue
		}
		// Some depend on who writes first: what fails again fails.
		if again, _ := conform(t, tool, addr, secure); again[name] {
			t.Errorf("net/http passes: %s", name)
		}
	}
}

// h2spec returns the tool, built by the module proxy if it is not installed.
func h2spec(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("h2spec"); err == nil {
		return path
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "install", h2specVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("skipped: h2spec is not installed and could not be: %v\n%s", err, out)
	}
	return filepath.Join(dir, "h2spec")
}

// conform returns the names of the tests that fail, and how many there are.
func conform(t *testing.T, tool, addr string, secure bool) (failed map[string]bool, total int) {
	t.Helper()
	_, port, _ := net.SplitHostPort(addr)
	report := filepath.Join(t.TempDir(), "report.xml")
	// Its exit code says no more than the report.
	args := []string{"-h", "127.0.0.1", "-p", port, "-j", report}
	if secure {
		args = append(args, "-t", "-k")
	}
	out, _ := exec.CommandContext(t.Context(), tool, args...).CombinedOutput()
	b, err := os.ReadFile(report)
	if err != nil {
		t.Errorf("h2spec left no report: %v\n%s", err, out)
		return nil, 0
	}
	var suites struct {
		Suites []struct {
			Cases []struct {
				Package string    `xml:"package,attr"`
				Name    string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &suites); err != nil {
		t.Error(err)
	}
	failed = map[string]bool{}
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			total++
			if c.Failure != nil || c.Error != nil {
				failed[c.Package+": "+c.Name] = true
			}
		}
	}
	return failed, total
}
