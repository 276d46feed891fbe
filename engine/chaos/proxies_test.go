//go:build chaos

package chaos

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// TestRealProxies: a client behind a proxy that others wrote reaches its server in
// both protocols, with and without a password, and says what is wrong where it
// does not.
func TestRealProxies(t *testing.T) {
	for name, start := range map[string]func(*testing.T, string) string{"squid": squid, "microsocks": microsocks} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("%s is not installed", name)
			}
			r := newRig(t, clientFlags("--log-level", "debug"))
			proxy := start(t, r.addr)
			scheme, rest, _ := strings.Cut(proxy, "://")
			with := scheme + "://alice:opensesame@" + rest
			secret := filepath.Join(t.TempDir(), "proxy")
			if err := os.WriteFile(secret, []byte(with+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, protocol := range []string{"adit", "wsp"} {
				r.client.kill()
				r.noRoutes = protocol == "wsp"
				r.client = r.newClient(r.clientName, "--protocol", protocol, "--proxy", "@"+secret)
				r.client.await(0, "ready", 1, startWait)
				r.works(t, 5*time.Second)
			}
			for _, wrong := range []string{proxy, scheme + "://alice:guess@" + rest} {
				r.client.kill()
				r.client = r.newClient(r.clientName, "--proxy", wrong)
				failed := r.client.await(0, "dial_failed", 1, startWait)
				if !strings.Contains(failed[0].Reason, "--proxy") && !strings.Contains(failed[0].Reason, "password") {
					t.Errorf("%s: it says %q, which does not help", wrong, failed[0].Reason)
				}
				for _, hidden := range []string{"opensesame", "guess"} {
					if strings.Contains(failed[0].Reason, hidden) {
						t.Errorf("the password is shown: %q", failed[0].Reason)
					}
				}
			}
			r.client.kill()
		})
	}
}

// runProxy starts a program that is to listen on addr, and ends it with the test.
func runProxy(t *testing.T, addr string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) // squid leaves shared memory behind else
		late := time.AfterFunc(3*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
	})
	if !eventually(startWait, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		t.Fatalf("%s does not listen", name)
	}
}

func microsocks(t *testing.T, _ string) string {
	addr := enginetest.FreeAddr(t)
	host, port, _ := net.SplitHostPort(addr)
	runProxy(t, addr, "microsocks", "-i", host, "-p", port, "-u", "alice", "-P", "opensesame")
	return "socks5://" + addr
}

func squid(t *testing.T, server string) string {
	const helper = "/usr/lib/squid/basic_ncsa_auth"
	if _, err := os.Stat(helper); err != nil {
		t.Skip("squid has no helper that knows passwords")
	}
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} { // its helper runs as another user
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	addr := enginetest.FreeAddr(t)
	users := filepath.Join(dir, "users")
	hash, err := exec.Command("openssl", "passwd", "-apr1", "-salt", "saltsalt", "opensesame").Output()
	if err != nil {
		t.Skipf("no openssl: %v", err)
	}
	if err := os.WriteFile(users, []byte("alice:"+string(hash)), 0o644); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(server)
	config := fmt.Sprintf(`http_port %s
pid_filename none
cache deny all
cache_log /dev/null
access_log none
auth_param basic program %s %s
auth_param basic realm tests
acl known proxy_auth REQUIRED
acl ours port %s
http_access allow known ours
http_access deny all
shutdown_lifetime 0 seconds
`, addr, helper, users, port)
	file := filepath.Join(dir, "squid.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	runProxy(t, addr, "squid", "-N", "-n", "adit"+strconv.Itoa(os.Getpid()), "-f", file)
	return "http://" + addr
}
