package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"adit/engine/doctor"
)

// told prints findings as adit doctor does.
func told(t *testing.T, asJSON bool, columns int, all ...doctor.Finding) (out string, code int) {
	t.Helper()
	var b bytes.Buffer
	p := &Process{Stdout: &b, Stderr: &b, Terminal: columns > 0, Columns: func() int { return columns }}
	r := p.newReport(asJSON)
	for _, f := range all {
		r.found(f)
	}
	code = exitCode(r.end())
	return b.String(), code
}

// The exit code is what a script goes by.
func TestDoctorEndsByTheWorstFinding(t *testing.T) {
	finding := func(s doctor.Severity) doctor.Finding { return doctor.Finding{Check: "dns", Severity: s, Found: "x"} }
	for _, k := range []struct {
		all  []doctor.Finding
		code int
		last string
	}{
		{nil, codeDone, "nothing is wrong"},
		{[]doctor.Finding{finding(doctor.OK)}, codeDone, "nothing is wrong"},
		{[]doctor.Finding{finding(doctor.Note), finding(doctor.OK)}, codeDone, "nothing is wrong; 1 note"},
		{[]doctor.Finding{finding(doctor.Warning), finding(doctor.Note)}, codeWarned, "it works, with 1 warning"},
		{[]doctor.Finding{finding(doctor.Failure), finding(doctor.Warning), finding(doctor.Failure)}, codeFailed, "2 failures, 1 warning"},
	} {
		out, code := told(t, false, 0, k.all...)
		if code != k.code || !strings.Contains(out, " "+k.last+"\n") {
			t.Errorf("%v: exit code %d, want %d: %s", k.all, code, k.code, out)
		}
		out, code = told(t, true, 0, k.all...)
		if code != k.code || strings.Count(out, "\n") != len(k.all)+1 {
			t.Errorf("%v as json: exit code %d, want %d: %s", k.all, code, k.code, out)
		}
	}
}

// A line that is too wide is broken by the terminal in the middle of a word, and
// what the way has sent must not steer it.
func TestDoctorFitsTheTerminalAndObeysNobody(t *testing.T) {
	f := doctor.Finding{Check: "http", Subject: "wss://a\x1b]0;b/register", Severity: doctor.Failure,
		Found: "what answers is no adit\x1b[2J server: " + strings.Repeat("word ", 40), Means: strings.Repeat("because ", 20), Change: "set this: --server"}
	for _, columns := range []int{0, 40, 80, 200} {
		out, _ := told(t, false, columns, f)
		most := 80
		if columns > 0 {
			most = min(columns, 120)
		}
		for line := range strings.Lines(out) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > most {
				t.Errorf("%d columns: a line of %d: %s", columns, n, line)
			}
		}
		if strings.Contains(out, "\x1b") || !strings.Contains(out, "> set this: --server\n") {
			t.Errorf("%d columns: %q", columns, out)
		}
	}
}

// Scripts read these names.
func TestDoctorAsJSON(t *testing.T) {
	out, _ := told(t, true, 0, doctor.Finding{Check: "idle", Subject: "ws://a/register", Severity: doctor.Warning, Found: "f\x1b", Means: "m",
		Change: "c", Settings: []string{"ping"}, Took: time.Second})
	lines := strings.Split(strings.TrimSpace(out), "\n")
	want := []string{
		`{"kind":"finding","check":"idle","subject":"ws://a/register","severity":"warning","found":"f\u001b","means":"m","change":"c","settings":["ping"],"took_us":1000000}`,
		`{"kind":"summary","severity":"warning","ok":0,"note":0,"warning":1,"failure":0}`,
	}
	for i, line := range lines {
		if i >= len(want) || line != want[i] || !json.Valid([]byte(line)) {
			t.Errorf("line %d: %s", i, line)
		}
	}
}

// Where an operator has enough, what was found so far is no clean bill of health.
func TestDoctorInterrupted(t *testing.T) {
	for asJSON, last := range map[bool]string{
		false: "\n· nothing is wrong so far\n",
		true:  `{"kind":"summary","severity":"ok","ok":1,"note":0,"warning":0,"failure":0,"interrupted":true}` + "\n",
	} {
		var b bytes.Buffer
		r := (&Process{Stdout: &b}).newReport(asJSON)
		r.found(doctor.Finding{Check: "dns", Severity: doctor.OK, Found: "x"})
		if code := exitCode(r.interrupted()); code != codeInterrupted || !strings.Contains(b.String(), "dns") || !strings.HasSuffix(b.String(), last) {
			t.Errorf("exit code %d: %s", code, b.String())
		}
	}
}

// doctorWith runs adit doctor with no environment.
func doctorWith(t *testing.T, args ...string) (code int, out, report string) {
	t.Helper()
	var o, e bytes.Buffer
	p := &Process{Stdout: &o, Stderr: &e, LookupEnv: func(string) (string, bool) { return "", false }}
	root := Root(p)
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetArgs(append([]string{"doctor"}, args...))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := root.ExecuteContext(ctx)
	return p.Finish(err), o.String(), e.String()
}

// A port where nobody listens is named, with what to do; without a server, and with
// a word too much, it is usage.
func TestDoctorOfAServerThatIsNotThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := "ws://" + ln.Addr().String() + "/register"
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--server", server}, {"client", "--server", server, "--allow", "any"}} {
		code, out, report := doctorWith(t, args...)
		if code != codeFailed || !strings.Contains(out, "refused") || !strings.Contains(out, "adit server") || report != "" {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, report)
		}
	}
	for _, args := range [][]string{nil, {"--server", server, "--idle", "1h"}, {"--server", "http://a"}, {"nobody"}} {
		if code, _, _ := doctorWith(t, args...); code != codeUsage {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}

var errBroken = errors.New("broken")

type brokenStdout struct{}

func (brokenStdout) Write([]byte) (int, error) { return 0, errBroken }

// A full disk behind stdout passed for a healthy tunnel.
func TestDoctorThatCannotPrint(t *testing.T) {
	r := (&Process{Stdout: brokenStdout{}}).newReport(true)
	if err := r.end(); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}
