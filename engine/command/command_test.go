package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"adit/engine"
	"adit/engine/client"
	"adit/engine/config"
)

func TestExitCodeOfEveryEnd(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("disk on fire"), 1},
		{&client.RunError{Phase: client.PhaseDial, Err: io.EOF}, 3},
		{&client.RunError{Phase: client.PhaseRefused, Err: io.EOF}, 4},
		{&client.RunError{Phase: client.PhaseLost, Err: io.EOF}, 5},
		{&exit{code: codeInterrupted}, 130},
		{fmt.Errorf("more: %w", &exit{codeUnreachable, io.EOF}), 3},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}

func verb(t *testing.T, name string) *cobra.Command {
	t.Helper()
	cmd, _, err := Root(&Process{Stdout: io.Discard, Stderr: io.Discard}).Find([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

// A setting without a flag, or a flag that is no setting, would mean that the
// sources differ.
func TestFlagsAreTheSettings(t *testing.T) {
	for name, table := range map[string][]config.Setting{
		"server": config.ServerSettings(new(config.Server)),
		"client": config.ClientSettings(new(config.Client)),
	} {
		want := []string{"config"}
		for _, s := range table {
			want = append(want, s.Name)
		}
		var got []string
		verb(t, name).LocalFlags().VisitAll(func(f *pflag.Flag) { got = append(got, f.Name) })
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has flags %v, want %v", name, got, want)
		}
	}
}

func TestFlagKeepsEveryValueItWasGiven(t *testing.T) {
	cmd := &cobra.Command{}
	s := addSettings(cmd, config.ServerSettings(new(config.Server)))
	err := cmd.ParseFlags([]string{"--secret", "a", "--secret=b", "--open-callers", "--headless", "--compat-status=false", "--config", "f"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"secret": {"a", "b"}, "open-callers": {"all"}, "headless": {"true"}, "compat-status": {"false"}, "listen": nil,
	} {
		if got := s.given[name]; !slices.Equal(got, want) {
			t.Errorf("--%s is %q, want %q", name, got, want)
		}
	}
	if s.file != "f" {
		t.Errorf("--config is %q", s.file)
	}
	if shown := cmd.Flags().Lookup("secret").Value.String(); shown != "" {
		t.Errorf("a flag shows the credential %q", shown)
	}
}

func loadServer(t *testing.T, flags map[string][]string) *config.Server {
	t.Helper()
	c, _, err := config.LoadServerFrom(config.Input{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServerSettingsReachTheServer(t *testing.T) {
	o, err := serverOptions(loadServer(t, map[string][]string{
		"listen": {"127.0.0.2:1234"}, "name": {"edge"}, "domain": {"example.test"}, "tcp-ports": {"20000-20010"},
		"timeout": {"3s"}, "ping": {"7s"}, "grace": {"9s"}, "compat-status": {"true"}, "protocol": {"wsp"},
		"secret": {"s"}, "caller-token": {"t"}, "open-callers": {"exposed"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if o.Name != "edge" || o.Domain != "example.test" || o.TCPFirst != 20000 || o.TCPLast != 20010 || o.TCPHost != "127.0.0.2" {
		t.Errorf("names and ports: %+v", o)
	}
	if o.Wait != 3*time.Second || o.Limits.Ping != 7*time.Second || o.Grace != 9*time.Second {
		t.Errorf("times: wait %v, ping %v, grace %v", o.Wait, o.Limits.Ping, o.Grace)
	}
	if !o.CompatStatus || o.Protocol != engine.ProtocolClassic {
		t.Errorf("compat %v, protocol %v", o.CompatStatus, o.Protocol)
	}
	if !o.Clients.Secrets.Match("s") || !o.Callers.Secrets.Match("t") || !o.Callers.OpenExposed {
		t.Error("credentials did not arrive")
	}
	if o.Rules != nil {
		t.Error("rules where there are none")
	}
}

func TestClientSettingsReachTheClient(t *testing.T) {
	c, _, err := config.LoadClientFrom(config.Input{Flags: map[string][]string{
		"server": {"ws://127.0.0.1:1/register", "ws://127.0.0.1:2/register"}, "id": {"edge"}, "secret": {"s"},
		"pool": {"3"}, "pool-idle": {"4"}, "pool-max": {"5"}, "ping": {"6s"}, "grace": {"7s"}, "once": {"true"},
		"expose": {"http://localhost:3000", "tcp:20000=localhost:5432"}, "host-header": {"rewrite"}, "protocol": {"adit"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	o, err := clientOptions(c)
	if err != nil {
		t.Fatal(err)
	}
	if o.ID != "edge" || o.Secret != "s" || len(o.Servers) != 2 || o.Pool != 3 || o.PoolIdle != 4 || o.PoolMax != 5 {
		t.Errorf("%+v", o)
	}
	if o.ClassicPing != 6*time.Second || o.Grace != 7*time.Second || !o.Once || !o.RewriteHost || o.Protocol != engine.ProtocolNative {
		t.Errorf("%+v", o)
	}
	want := []client.Expose{{Host: "edge", Origin: "http://localhost:3000"}, {TCP: 20000, Origin: "localhost:5432"}}
	if !slices.Equal(o.Expose, want) {
		t.Errorf("exposes %v, want %v", o.Expose, want)
	}
}

// execute runs the command line as main does, without a process of its own.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return executeAs(t, &Process{}, args...)
}

// executeAs runs a verb in a process of which more is known.
func executeAs(t *testing.T, p *Process, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, report bytes.Buffer
	p.Stdout, p.Stderr, p.Version = &out, &report, "1.2.3"
	root := Root(p)
	root.SilenceUsage = true
	root.SetArgs(args)
	code = p.Finish(root.ExecuteContext(t.Context()))
	return code, out.String(), report.String()
}

func TestListenerInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	code, _, stderr := execute(t, "server", "--headless", "--listen", ln.Addr().String())
	if code != codeUnreachable || !strings.Contains(stderr, "--listen") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{{"serve"}, {"server", "--lisen", "x"}, {"server", "extra"}} {
		if code, stdout, stderr := execute(t, args...); code != codeUsage || stdout != "" || stderr == "" {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}

func TestDemoTakesItsSettingsFromAnywhere(t *testing.T) {
	for _, c := range []struct {
		env, flag, want string
	}{
		{"", "", "10s"}, {"20s", "", "20s"}, {"20s", "30s", "30s"},
	} {
		s := new(config.Server)
		table := demoSettings(s)
		given := map[string][]string{}
		if c.flag != "" {
			given["for"] = []string{c.flag}
		}
		env := func(name string) (string, bool) {
			if name == "ADIT_FOR" {
				return c.env, true
			}
			return "", false
		}
		if _, err := config.Load(table, env, given); err != nil || s.For.String() != c.want {
			t.Errorf("environment %q, flag %q: %v, %v", c.env, c.flag, s.For, err)
		}
		if s.Events != "requests" || s.LogLevel != "warn" {
			t.Errorf("events %q, log level %q", s.Events, s.LogLevel)
		}
	}
	if code, _, stderr := execute(t, "demo", "--for", "soon"); code != codeUsage || !strings.Contains(stderr, "--for") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestVersionNamesTheRelease(t *testing.T) {
	if code, stdout, _ := execute(t, "version"); code != 0 || !strings.HasPrefix(stdout, "adit 1.2.3 (") {
		t.Errorf("exit code %d: %s", code, stdout)
	}
}

func TestWithoutHeadlessItSaysWhyThereIsNoDashboard(t *testing.T) {
	_, _, stderr := execute(t, "server", "--listen", "127.0.0.1:0", "--for", "1ms")
	if !strings.Contains(stderr, "headless") {
		t.Errorf("stderr %q", stderr)
	}
	_, _, stderr = execute(t, "server", "--headless", "--listen", "127.0.0.1:0", "--for", "1ms")
	if stderr != "" {
		t.Errorf("stderr %q", stderr)
	}
}

// A client chooses its name, and stderr is the operator's terminal.
func TestLineThatATerminalWouldObey(t *testing.T) {
	var b strings.Builder
	p := &Process{Stderr: &b}
	p.say("draining: %s\n  next", "edge\x1b]52;c;aGk=\x07\u202e\xff")
	if got := b.String(); got != "adit: draining: edge?]52;c;aGk=??\uFFFD\n  next\n" {
		t.Errorf("%q", got)
	}
}
