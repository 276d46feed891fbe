//go:build chaos

package chaos

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// TestDoctorOnAMachineWithAWrongClock: a machine whose clock is two hours behind
// is told so, and not that its server's certificate is bad. Such a machine is an adit
// for which time.Now is made anew: that builds all of it, which takes minutes, so it
// is done at night.
func TestDoctorOnAMachineWithAWrongClock(t *testing.T) {
	if pick(t, 0, 0, 1) == 0 {
		return
	}
	behind := buildBehind(t)
	dir := t.TempDir()
	authority := enginetest.NewAuthority(t)
	cert, key := enginetest.WriteCertificate(t, dir, "server", authority.Issue(&x509.Certificate{
		NotAfter: time.Now().Add(90 * 24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, "127.0.0.1"))
	root := filepath.Join(dir, "root.pem")
	if err := os.WriteFile(root, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		scheme, severity, found string
		flags                   []string
	}{
		"in clear": {"ws", "warning", "2h0m0s behind", nil},
		"by TLS":   {"wss", "failure", "2h0m0s behind.*sound, but not at the time", []string{"--tls-cert", cert, "--tls-key", key}},
	} {
		t.Run(name, func(t *testing.T) {
			addr := enginetest.FreeAddr(t)
			start(t, "server", nil, append([]string{"server", "--headless", "--listen", addr}, c.flags...)...).await(0, "ready", 1, startWait)
			args := []string{"--server", c.scheme + "://" + addr + "/register", "--allow", "any", "--quick"}
			if c.flags != nil {
				args = append(args, "--ca", root)
			}
			e := diagnoseBy(t, behind, nil, args...)
			e.says(t, c.severity, "clock", c.found, "")
		})
	}
}

// buildBehind builds an adit whose clock is two hours behind.
func buildBehind(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(out))
	file := filepath.Join(words[0], "src", "time", "time.go")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const reads = "sec, nsec, mono := runtimeNow()"
	if strings.Count(string(text), reads) != 1 {
		t.Fatalf("%s reads the clock otherwise than it did", file)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "time.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(changed, []byte(strings.Replace(string(text), reads, reads+"\n\tsec -= 7200", 1)), 0o600),
		os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "adit")
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", path, ".")
	cmd.Dir = filepath.Dir(words[1])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}
