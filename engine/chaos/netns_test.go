//go:build chaos && linux

package chaos

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"adit/engine/enginetest"
)

const (
	inNamespace = "CHAOS_IN_NAMESPACE"
	serverSide  = "10.77.0.1"
	clientSide  = "10.77.0.2"
	nobodysMAC  = "02:de:ad:be:ef:01"
)

// TestHalfOpenNamespace is row 7 with real TCP: server and client in network
// namespaces of their own, and a link that loses every packet both ways without
// a word to either kernel. It runs itself again inside a new namespace.
func TestHalfOpenNamespace(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		halfOpenInNamespace(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("skipped: network namespaces need root")
	}
	for _, tool := range []string{"ip", "unshare", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skipped: %s is not installed", tool)
		}
	}
	if out, err := exec.Command("unshare", "--net", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1").CombinedOutput(); err != nil {
		t.Skipf("skipped: no namespace with a veth pair here: %v: %s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(pick(t, 1, 15, 60))*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHalfOpenNamespace$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), inNamespace+"=1", "CHAOS_BINARY="+binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

func halfOpenInNamespace(t *testing.T) {
	// A process that does nothing holds the client's namespace.
	holder := exec.Command("unshare", "--net", "cat")
	hold, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = hold.Close()
		_ = holder.Wait()
	})
	pid := strconv.Itoa(holder.Process.Pid)
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if !eventually(5*time.Second, func() bool {
		ns, err := os.Readlink("/proc/" + pid + "/ns/net")
		return err == nil && ns != own
	}) {
		t.Fatal("no namespace for the client")
	}
	there := []string{"nsenter", "--net=/proc/" + pid + "/ns/net"}
	run := func(wrapper []string, line string) {
		t.Helper()
		argv := append(append([]string(nil), wrapper...), strings.Fields(line)...)
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	run(nil, "ip link set lo up")
	run(nil, "ip link add v0 type veth peer name v1 netns "+pid)
	run(nil, "ip addr add "+serverSide+"/24 dev v0")
	run(nil, "ip link set v0 up")
	run(there, "ip link set lo up")
	run(there, "ip addr add "+clientSide+"/24 dev v1")
	run(there, "ip link set v1 up")
	cut := func() {
		// Frames to a hardware address that nobody has are dropped in silence.
		run(nil, "ip neigh replace "+clientSide+" lladdr "+nobodysMAC+" dev v0 nud permanent")
		run(there, "ip neigh replace "+serverSide+" lladdr "+nobodysMAC+" dev v1 nud permanent")
	}
	heal := func() {
		run(nil, "ip neigh del "+clientSide+" dev v0")
		run(there, "ip neigh del "+serverSide+" dev v1")
	}

	origin := enginetest.NewOrigin()
	ln, err := net.Listen("tcp", serverSide+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(origin.Serve(ln))
	server := start(t, "server", nil, "server", "--headless", "--name", "chaos", "--listen", serverSide+":0",
		"--open-clients", "--open-callers", "--ping", "1s", "--grace", "2s")
	addr := server.await(0, "ready", 1, startWait)[0].Listen
	newClient := func() *process {
		p := start(t, "client", there, "client", "--headless", "--id", "pi", "--server", "ws://"+addr+"/register",
			"--allow", "any", "--grace", "2s")
		p.await(0, "ready", 1, startWait)
		return p
	}
	client := newClient()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	get := func(ctx context.Context, target string) (int, string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/request", nil)
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("X-PROXY-DESTINATION", "http://"+ln.Addr().String()+target)
		resp, err := tr.RoundTrip(enginetest.Once(req))
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), err
	}

	for round := range pick(t, 1, 20, 100) {
		if round%freshAfter == freshAfter-1 {
			client.kill()
			client = newClient()
		}
		answers := waitingCallers(t, get, origin, 8)
		atServer, atClient := server.mark(), client.mark()
		at := time.Now()
		cut()
		foundDead(t, "server", at, server.await(atServer, "connection_closed", 2, 2*deadWithin))
		foundDead(t, "client", at, client.await(atClient, "connection_closed", 2, 2*deadWithin))
		answeredGatewayTimeout(t, answers)
		heal()
		server.await(atServer, "greeting_received", 2, 32*time.Second) // backoff cap + 2 s
		if !eventually(5*time.Second, func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			status, _, err := get(ctx, "/status?code=204")
			return err == nil && status == http.StatusNoContent
		}) {
			t.Fatal("no request came through after the network was back")
		}
	}
}
