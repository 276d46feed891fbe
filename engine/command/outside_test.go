package command

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/control"
)

// A wait of 5 s and more ended in silence, with the code of an interrupt.
func TestWaitForARunThatNeverComes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, wait := range []string{"0s", "5s", "30s", "2562047h"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			var out, report bytes.Buffer
			p := &Process{Stdout: &out, Stderr: &report, LookupEnv: func(name string) (string, bool) {
				if name == "XDG_STATE_HOME" {
					return dir, true
				}
				return "", false
			}}
			root := Root(p)
			root.SilenceUsage = true
			root.SetArgs([]string{"ls", "--wait-ready", wait})
			code := p.Finish(root.ExecuteContext(ctx))
			want := codeUnreachable
			if ctx.Err() != nil {
				want = codeInterrupted
			}
			if code != want || want == codeUnreachable && !strings.Contains(report.String(), "--addr") {
				t.Errorf("--wait-ready %s: code %d, want %d; %s", wait, code, want, report.String())
			}
		})
	}
}

// The credential in an address stood on stderr.
// A socket that is listed twice is two runs to verbs, of which they can't choose.
func TestOneDirectoryOfSocketsByTwoNames(t *testing.T) {
	one, err := os.MkdirTemp("", "adit") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(one) })
	two := filepath.Join(t.TempDir(), "two")
	if err := errors.Join(os.Mkdir(filepath.Join(one, "adit"), 0o700), os.Symlink(one, two)); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(one, "adit", "server-edge.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, state := range []string{one, one + "/", two} {
		found, err := sockets(func(name string) (string, bool) {
			switch name {
			case "XDG_RUNTIME_DIR":
				return one, true
			case "XDG_STATE_HOME":
				return state, true
			}
			return "", false
		})
		if err != nil || len(found) != 1 {
			t.Errorf("with XDG_STATE_HOME=%s: %q, %v", state, found, err)
		}
	}
}

func TestCredentialInAnAddressThatIsSaid(t *testing.T) {
	t.Parallel()
	run := newFakeRun()
	run.SetLink(func(l *engine.Link) { l.Address = "https://edge.example.com:9443" })
	var out, report bytes.Buffer
	p := &Process{Stdout: &out, Stderr: &report}
	p.dial = func(context.Context, string, control.DialOptions) (remote, error) { return run, nil }
	p.Record = func(context.Context, engine.Engine, engine.RequestLog, string) error { return nil }
	root := Root(p)
	root.SetArgs([]string{"record", filepath.Join(t.TempDir(), "x.db"), "--addr", "https://ops:hunter2@edge.example.com:9443"})
	code := p.Finish(root.ExecuteContext(t.Context()))
	if code != 0 || !strings.Contains(report.String(), "edge.example.com") || strings.Contains(report.String(), "hunter2") {
		t.Errorf("code %d: %s", code, report.String())
	}
}

func TestExportOverWhatIsNoFile(t *testing.T) {
	t.Parallel()
	run := newFakeRun().add(request(4711, 200, nil))
	path := filepath.Join(t.TempDir(), "nowhere")
	if err := os.Symlink(os.DevNull, path); err != nil {
		t.Fatal(err)
	}
	if code, _, report := run.ask(t, "export", "r-4711", "--har", path); code != 0 {
		t.Fatalf("code %d: %s", code, report)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("it was replaced: %v %v", info, err)
	}
}

// Content comes from the network, and a terminal obeys what is in it.
func TestContentThatATerminalWouldObey(t *testing.T) {
	t.Parallel()
	for content, code := range map[string]int{"caf\u00e9\r\n\tbar\n": 0, "\x1b]0;pwned\a": 1, "\u009b2J": 1, "\xff": 1, "a\u202eb": 1} {
		run := newFakeRun().add(request(4711, 200, nil))
		run.content[4711] = engine.Content{Response: engine.Part{Data: []byte(content), Size: int64(len(content)), Over: true}}
		got, out, report := run.askWith(t, t.Context(), &Process{Terminal: true}, "export", "r-4711", "--content", "response")
		if got != code || (code == 0) != (out == content) {
			t.Errorf("%q: code %d, %q; %s", content, got, out, report)
		}
		if got, out, _ := run.ask(t, "export", "r-4711", "--content", "response"); got != 0 || out != content {
			t.Errorf("%q to what is no terminal: code %d, %q", content, got, out)
		}
	}
}

// Who may only look is told what is not shown, and gets all that is.
func TestVerbsOfAReader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args        []string
		code        int
		out, report string
	}{
		{[]string{"show", "r-4711", "--content"}, 0, "r-4711", "read-only"},
		{[]string{"show", "r-4711", "--secrets"}, codeRefused, "", "--secrets"},
		{[]string{"export", "r-4711", "--har", "-"}, 0, "not shown to those who may only look", ""},
		{[]string{"export", "r-4711", "--curl"}, 0, "not shown to those who may only look", ""},
		{[]string{"export", "r-4711", "--curl", "--secrets"}, codeRefused, "", "--secrets"},
		{[]string{"export", "r-4711", "--content", "request"}, codeRefused, "", "read-only"},
		{[]string{"replay", "r-4711"}, codeRefused, "", "read-only"},
	} {
		run := newFakeRun().add(request(4711, 200, func(r *engine.Request) { r.RequestBytes = 3 }))
		run.content[4711] = engine.Content{Request: engine.Part{Data: []byte("a=b"), Size: 3, Over: true}}
		run.SetLink(func(l *engine.Link) { l.ReadOnly, l.Name = true, "reader-1" })
		code, out, report := run.ask(t, c.args...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(report, c.report) || strings.Contains(out, "content was not kept") {
			t.Errorf("%v: code %d\n%s\n%s", c.args, code, out, report)
		}
	}
}
