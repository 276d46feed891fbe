//go:build chaos && linux

package chaos

import (
	"bytes"
	"context"
	"debug/elf"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody is a user that no file knows of.
const nobody = 54321

// TestNothingButTheBinary: in a root directory that has the binary and nothing
// else (no /etc, /proc, /dev, /tmp, no home, no terminal's description, no list of
// authorities), for a user without an entry, who can write nowhere, what runs
// elsewhere runs too, and says what it does without.
func TestNothingButTheBinary(t *testing.T) {
	if raceEnabled {
		t.Skip("skipped: the race detector's binary needs the libraries of a system")
	}
	if os.Geteuid() != 0 {
		t.Skip("skipped: chroot needs root")
	}
	if f, err := elf.Open(binary); err == nil {
		libraries, _ := f.ImportedLibraries()
		_ = f.Close()
		if len(libraries) > 0 {
			t.Skip("skipped: CHAOS_BINARY needs libraries; build it with CGO_ENABLED=0")
		}
	}
	root := t.TempDir()
	for dir := root; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyOf(t, binary, filepath.Join(root, "adit"))
	server := []string{"server", "--headless", "--listen", "127.0.0.1:0", "--open-clients"}
	for name, c := range map[string]struct {
		args, env []string
		code      int
		says      []string // expressions for what is on stdout and stderr
	}{
		"version":  {args: []string{"version"}, says: []string{`^adit `}},
		"help":     {args: []string{"--help"}, says: []string{`WebSocket`, `server`}},
		"complete": {args: []string{"__complete", "serv"}, says: []string{`server`}},
		"keys":     {args: []string{"keys"}, says: []string{`move\.down`}},
		"ls":       {args: []string{"ls"}, code: 2, says: []string{`neither XDG_STATE_HOME nor HOME is set; --addr`}},
		"demo":     {args: []string{"demo", "--headless", "--for", "1s"}, says: []string{`"kind":"request_finished"`, `"kind":"stopped"`}},
		"demo, terminals nobody knows": {args: []string{"demo", "--plain", "--for", "1s"}, env: []string{"TERM=nonsense", "LANG=C", "LC_ALL=C"},
			says: []string{`server demo`}},
		"server without a home": {args: server, says: []string{`"kind":"ready"`,
			`history is kept in memory only: neither XDG_STATE_HOME nor HOME is set; --store=PATH`, `no control socket: .*--control PATH`, `"kind":"stopped"`}},
		"server with a home that is not there": {args: server, env: []string{"HOME=/home/x", "XDG_RUNTIME_DIR=/run/user/x"}, says: []string{`"kind":"ready"`,
			`history is kept in memory only: .*/home.*--store=PATH`, `no control socket: .*/run`, `"kind":"stopped"`}},
		"client": {args: []string{"client", "--headless", "--server", "wss://adit.invalid", "--id", "x", "--allow", "any"},
			says: []string{`"kind":"dial_failed".*adit\.invalid`, `"kind":"stopped"`}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), startWait)
			defer cancel()
			cmd := exec.CommandContext(ctx, "/adit", c.args...)
			cmd.Dir = "/"
			cmd.Env = append([]string{"GOTRACEBACK=all"}, c.env...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			cmd.Stdin = strings.NewReader("")
			if c.args[0] == "server" || c.args[0] == "client" {
				late := time.AfterFunc(2*time.Second, func() { _ = cmd.Process.Signal(os.Interrupt) })
				defer late.Stop()
			}
			err := cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d: %v", got, c.code, err)
			}
			for _, want := range c.says {
				if !regexp.MustCompile(want).Match(said.Bytes()) {
					t.Errorf("does not say %s", want)
				}
			}
			if t.Failed() {
				t.Logf("%s", said.Bytes())
			}
		})
	}
}

// TestFewDescriptors: a server with 64 of them starts, and answers again when
// those have left who took all.
func TestFewDescriptors(t *testing.T) {
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("skipped: prlimit is not installed")
	}
	p := start(t, "server", []string{"prlimit", "--nofile=64"}, "server", "--headless", "--listen", "127.0.0.1:0", "--open-clients")
	front := p.await(0, "ready", 1, startWait)[0].Listen
	var held []net.Conn
	for range 200 {
		if c, err := net.DialTimeout("tcp", front, time.Second); err == nil {
			held = append(held, c)
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	answers := func() bool {
		resp, err := client.Get("http://" + front + "/")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusNotFound
	}
	for _, c := range held {
		_ = c.Close()
	}
	if !eventually(startWait, answers) {
		t.Error("it does not answer any more")
	}
	p.signal(os.Interrupt)
	if code := p.wait(startWait); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// maxSize bounds the stripped binary, in bytes: "What weighs" in
// engine/PERFORMANCE.md says what of it is what.
const maxSize = 26 << 20

// TestSize: a library that brings a tenth of the binary is not taken in by chance.
func TestSize(t *testing.T) {
	if raceEnabled || os.Getenv("CHAOS_BINARY") != "" || runtime.GOARCH != "amd64" {
		t.Skip("skipped: only the binary as it is released for amd64 has a bound")
	}
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxSize {
		t.Errorf("the stripped binary has %.1f MiB, want at most %d", float64(info.Size())/(1<<20), maxSize>>20)
	}
}

func copyOf(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}
