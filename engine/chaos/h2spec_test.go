//go:build chaos

package chaos

import (
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
)

// h2specVersion is newer than the others that the module proxy serves.
const h2specVersion = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

// TestH2Spec is row 28: what h2spec finds wrong with HTTP/2 in front, through
// the whole tunnel, it finds wrong with a bare net/http server too.
func TestH2Spec(t *testing.T) {
	tool := h2spec(t)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("answer ", 20))
	})
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	serve := func() string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: answer, Protocols: &both, ErrorLog: log.New(io.Discard, "", 0)}
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Serve(ln) }()
		t.Cleanup(func() { _ = s.Close(); <-done })
		return ln.Addr().String()
	}
	// h2spec says ":authority: 127.0.0.1": a name below the domain 0.0.1, whose
	// label is exposed. The client dials by another name.
	server := start(t, "server", nil, "server", "--headless", "--name", "chaos", "--listen", "127.0.0.1:0", "--domain", "0.0.1")
	addr := server.await(0, "ready", 1, startWait)[0].Listen
	_, port, _ := net.SplitHostPort(addr)
	client := start(t, "client", nil, "client", "--headless", "--id", "pi", "--server", "ws://localhost:"+port+"/register",
		"--expose", "127=http://"+serve())
	client.await(0, "ready", 1, startWait)
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the tunnel answers %s", resp.Status)
	}

	var bare map[string]bool
	var bareTotal int
	var other sync.WaitGroup
	beside := serve()
	other.Go(func() { bare, bareTotal = conform(t, tool, beside) })
	found, total := conform(t, tool, addr)
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
		if again, _ := conform(t, tool, addr); again[name] {
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
func conform(t *testing.T, tool, addr string) (failed map[string]bool, total int) {
	t.Helper()
	_, port, _ := net.SplitHostPort(addr)
	report := filepath.Join(t.TempDir(), "report.xml")
	// Its exit code says no more than the report.
	out, _ := exec.CommandContext(t.Context(), tool, "-h", "127.0.0.1", "-p", port, "-j", report).CombinedOutput()
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
