//go:build chaos

package chaos

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFDs is row 11: a server that runs out of files neither dies nor spins, keeps
// serving whom it has, and serves all when files are there again.
func TestFDs(t *testing.T) {
	// By default it stops short of the limit, so that it can still say no.
	t.Run("default", func(t *testing.T) {
		r := fewFiles(t)
		r.works(t, 5*time.Second)
		r.transport.CloseIdleConnections()
		r.viaProxy.CloseIdleConnections()
		served, refused := 0, 0
		var open []*keptCaller
		for range 100 {
			c := keep(t, r)
			switch c.status {
			case http.StatusNotFound:
				served++
			case http.StatusServiceUnavailable:
				refused++
			default:
				t.Errorf("status %d", c.status)
			}
			open = append(open, c)
		}
		if served < 10 || served > 50 || refused == 0 {
			t.Errorf("%d are served, %d refused", served, refused)
		}
		if status := open[0].ask(); status != http.StatusNotFound {
			t.Errorf("who is in gets %d", status)
		}
		r.server.await(0, "limit_reached", 1, 5*time.Second)
		for _, c := range open {
			c.conn.Close()
		}
		r.works(t, 5*time.Second)
	})

	// Told to take more than there are files for, it waits for files.
	t.Run("beyond", func(t *testing.T) {
		r := fewFiles(t, "--max-connections", "1000")
		first := keep(t, r)
		var waiting []net.Conn
		for range 100 {
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, conn)
		}
		e := r.server.await(0, "limit_reached", 1, 10*time.Second)
		if e[0].Limit != "max-connections" || !strings.Contains(e[0].Reason, "no file") {
			t.Errorf("told %+v", e[0])
		}
		before, began := r.server.usage().cpu, time.Now()
		time.Sleep(2 * time.Second)
		if busy := float64(r.server.usage().cpu-before) / float64(time.Since(began)); busy > 0.2 && !raceEnabled {
			t.Errorf("it spins: %.0f %% of a processor", 100*busy)
		}
		if status := first.ask(); status != http.StatusNotFound {
			t.Errorf("who is in gets %d", status)
		}
		for _, conn := range waiting {
			conn.Close()
		}
		r.works(t, 10*time.Second)
	})

	// The system has no file left for a while, whoever has them.
	t.Run("accept4", func(t *testing.T) {
		if _, err := exec.LookPath("strace"); err != nil {
			t.Skip("skipped: strace is not installed")
		}
		r := newRig(t, func(r *rig) {
			r.wrapper = []string{"strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null",
				"-e", "trace=accept4", "-e", "inject=accept4:error=EMFILE:when=7..12"} // of each thread
		})
		for deadline := time.Now().Add(15 * time.Second); len(r.server.since(0, "limit_reached")) == 0; {
			if time.Now().After(deadline) {
				t.Fatal("no fault was injected")
			}
			if conn, err := net.Dial("tcp", r.addr); err == nil {
				conn.Close()
			}
			time.Sleep(5 * time.Millisecond)
		}
		r.works(t, 15*time.Second)
	})
}

// fewFiles is a rig whose server may have 64 files.
func fewFiles(t *testing.T, flags ...string) *rig {
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("skipped: prlimit is not installed")
	}
	return newRig(t, serverFlags(flags...), serverFlags("--no-store"), func(r *rig) { r.wrapper = []string{"prlimit", "--nofile=64"} })
}

// A keptCaller has a connection of its own.
type keptCaller struct {
	conn   net.Conn
	r      *bufio.Reader
	status int // of the first answer
}

func keep(t *testing.T, r *rig) *keptCaller {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &keptCaller{conn: conn, r: bufio.NewReader(conn)}
	c.status = c.ask()
	return c
}

// ask sends a request and returns the status, 0 for none.
func (c *keptCaller) ask() int {
	_ = c.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c.conn, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestSlowHTTP is row 13: slow heads, slow content and slow readers, as the usual
// tool makes them, do not take the service from others.
func TestSlowHTTP(t *testing.T) {
	const tool = "slowhttptest"
	if _, err := exec.LookPath(tool); err != nil {
		t.Skip("skipped: slowhttptest is not installed")
	}
	r := newRig(t)
	r.works(t, 5*time.Second)
	n, seconds := pick(t, 200, 1000, 2000), pick(t, 3, 20, 60)
	for _, mode := range []struct {
		flag, target string
		more         []string
	}{
		{"-H", "/status?code=200", nil},
		{"-B", "/echo", []string{"-s", "100000"}},
		{"-X", fmt.Sprintf("/size?n=%d&plain=1", 8<<20), []string{"-w", "512", "-y", "1024", "-z", "32", "-k", "1"}},
	} {
		t.Run(mode.flag, func(t *testing.T) {
			args := append([]string{mode.flag, "-c", fmt.Sprint(n), "-r", fmt.Sprint(n), "-i", "1", "-l", fmt.Sprint(seconds), "-p", "3",
				"-d", r.addr, "-u", r.target + mode.target}, mode.more...)
			cmd := exec.Command(tool, args...)
			cmd.Dir = t.TempDir()
			type outcome struct {
				out []byte
				err error
			}
			ended := make(chan outcome, 1)
			ask := func() time.Duration {
				began := time.Now()
				if status, _, err := r.get(t.Context(), "/status?code=200"); err != nil || status != http.StatusOK {
					t.Errorf("a fast one: %d %v", status, err)
				}
				return time.Since(began)
			}
			var alone time.Duration // what a busy machine takes
			for range 20 {
				alone = max(alone, ask())
			}
			go func() {
				out, err := cmd.CombinedOutput()
				ended <- outcome{out, err}
			}()
			var took []time.Duration
			for {
				select {
				case got := <-ended:
					text := string(got.out)
					if !strings.Contains(text, "YES") || strings.Contains(text, "NO\n") {
						t.Errorf("%v: %v\n%s", args, got.err, text)
					}
					if len(took) == 0 {
						t.Fatal("no request was made beside slow ones")
					}
					slices.Sort(took)
					half, worst := took[len(took)/2], took[len(took)-1]
					t.Logf("%d requests beside %d slow ones, half of them within %v, the slowest took %v, alone %v", len(took), n, half, worst, alone)
					// Until their buffers are full slow readers take what others do.
					if most := time.Second + 10*alone; half > most || worst > 5*most {
						t.Errorf("half of %d requests took %v or more, the slowest %v; most %v, and five times that", len(took), half, worst, most)
					}
					return
				case <-time.After(50 * time.Millisecond):
				}
				took = append(took, ask())
			}
		})
	}
}
