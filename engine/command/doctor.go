package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/client"
	"adit/engine/config"
	"adit/engine/doctor"
)

func newDoctor(p *Process) *cobra.Command {
	cmd := newDoctorClient(p)
	cmd.Use = "doctor"
	cmd.Long = "Probe what a tunnel needs, from where this runs. adit doctor alone is adit doctor client: it takes the settings " +
		"of adit client, goes the way to each server step by step, and says what it has found, what that means and which " +
		"setting to change.\n\n" + doctorSays
	cmd.Example = `adit doctor --server wss://tunnels.example.com/register --secret @secret
adit doctor client --config adit.yaml --to http://api.internal/
adit doctor --config adit.yaml --quick --json`
	cmd.AddCommand(newDoctorClient(p), newDoctorServer(p))
	return cmd
}

// doctorSays is the part of the help that is the same at both ends.
const doctorSays = "It changes nothing. It ends with 0 where nothing is worse than a note, with 6 where something is a warning, and " +
	"with 1 where something does not work."

func newDoctorClient(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Find what keeps a tunnel from working",
		Long: "Go the way that adit client would go with the same settings: DNS, proxy, TCP, TLS, clock, WebSocket, credential, " +
			"whether messages of all sizes pass unchanged, and after how much silence something on the way cuts. Then " +
			"reach what it exposes, and what --allow and --to name, under its rules.\n\n" +
			"The search for the idle cut-off waits as long as --idle says; --quick leaves it out. An older server, and one " +
			"of wsp, can't be probed behind its handshake, which is said.\n\n" + doctorSays,
		Example: `adit doctor client --server wss://tunnels.example.com/register --secret @secret
# is it the proxy that cuts after a while?
adit doctor client --config adit.yaml --idle 5m
# would a caller get through to this?
adit doctor client --config adit.yaml --to http://api.internal/ --to db.internal:5432`,
		Args: cobra.NoArgs,
	}
	var o doctor.ClientOptions
	var json bool
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&json, "json", false, "one JSON object a line")
	flags.BoolVar(&o.Quick, "quick", false, "leave out what takes longer than 10 s")
	flags.DurationVar(&o.Idle, "idle", 90*time.Second, "longest silence to look for a cut-off in, 0 for none, at most 9m")
	flags.StringArrayVar(&o.To, "to", nil, "destination that a caller would choose [URL|HOST:PORT]...")
	s := addSettings(cmd, config.ClientSettings(new(config.Client)))
	cmd.RunE = p.verb(func(ctx context.Context) error { return p.doctorClient(ctx, &o, s, json) })
	return cmd
}

// maxIdle bounds --idle: a probe has 10 minutes in all.
const maxIdle = 9 * time.Minute

func (p *Process) doctorClient(ctx context.Context, o *doctor.ClientOptions, s *settings, json bool) error {
	if o.Idle < 0 || o.Idle > maxIdle {
		return &exit{codeUsage, fmt.Errorf("--idle %v: want 0 to %v", o.Idle, maxIdle)}
	}
	c, loaded, err := config.LoadClientFrom(s.input(p))
	var refusal *config.RefusalError
	if err != nil && !errors.As(err, &refusal) {
		return &exit{codeUsage, err}
	}
	if len(c.Server) == 0 {
		why := "no server is given; --server wss://HOST/register names one, or --config a file"
		if path := s.input(p).Path; path != "" {
			why = "no server is given: " + path + " has no server: below client:; --server wss://HOST/register names one"
		}
		return &exit{codeUsage, errors.New(why)}
	}
	if err := p.doctorOptions(o, c, loaded); err != nil {
		return &exit{codeUsage, err}
	}
	r := p.newReport(json)
	o.Found, o.Progress = r.found, r.progress
	if err := doctor.Client(ctx, *o); err != nil {
		return r.interrupted()
	}
	return r.end()
}

// doctorOptions turns settings of a client into those of its probes.
func (p *Process) doctorOptions(o *doctor.ClientOptions, c *config.Client, loaded *config.Loaded) error {
	run, err := clientOptions(c)
	if err != nil {
		return err
	}
	o.Servers, o.ID, o.Secret, o.Ping = c.Server, c.ID, c.Secret, c.Ping
	o.SecretAt, o.CA = loaded.At("secret"), c.Egress.CA
	if c.Egress.Proxy != "" {
		o.ProxyAt = loaded.At("proxy")
	}
	o.Native, o.Classic = run.Protocol == engine.ProtocolNative, run.Protocol == engine.ProtocolClassic
	o.Rules, o.Allow = run.Live.Rules, c.Allow
	o.Expose = exposed(run.Expose)
	o.UserAgent = "adit/" + ShortVersion(p.Version)
	o.Egress, err = p.openEgress(&c.Egress)
	return err
}

func exposed(all []client.Expose) []doctor.Exposed {
	var list []doctor.Exposed
	for _, e := range all {
		list = append(list, doctor.Exposed{Host: e.Host, TCP: e.TCP, Origin: e.Origin})
	}
	return list
}

// A report prints findings as they come, for people or as JSON, and knows at the
// end how bad they were. It is used from one goroutine.
type report struct {
	p      *Process
	json   bool
	glyphs [doctor.Failure + 1]string
	width  int
	group  string // subject of the last finding
	any    bool
	all    []doctor.Finding
	line   int   // columns of what progress has left on stderr
	err    error // of the first write that failed
}

// newReport returns where the findings of adit doctor go.
func (p *Process) newReport(json bool) *report {
	r := &report{p: p, json: json, width: 80, glyphs: [...]string{doctor.OK: "✓", doctor.Note: "·", doctor.Warning: "!", doctor.Failure: "✗"}}
	if p.Columns != nil && p.Terminal {
		if n := p.Columns(); n >= 40 {
			r.width = min(n, 120)
		}
	}
	if p.plainASCII() {
		r.glyphs = [...]string{doctor.OK: "+", doctor.Note: "-", doctor.Warning: "!", doctor.Failure: "x"}
	}
	return r
}

// plainASCII reports whether the locale says that it has no other characters.
func (p *Process) plainASCII() bool {
	if p.LookupEnv == nil {
		return false
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v, _ := p.LookupEnv(name); v != "" {
			v = strings.ToUpper(v)
			return !strings.Contains(v, "UTF-8") && !strings.Contains(v, "UTF8")
		}
	}
	return false
}

// found prints a finding.
func (r *report) found(f doctor.Finding) {
	r.all = append(r.all, f)
	r.clear()
	var b []byte
	if r.json {
		b = appendFinding(b, &f)
	} else {
		b = r.appendText(b, &f)
	}
	r.write(b)
}

func (r *report) write(b []byte) {
	if _, err := r.p.Stdout.Write(b); err != nil && !isGone(err) && r.err == nil {
		r.err = err
	}
}

// progress shows what is under way, on a terminal only and where nothing else
// writes to it.
func (r *report) progress(text string) {
	if r.json || !r.p.Terminal {
		return
	}
	r.clear()
	text = printable(text)
	if n := r.width - 6; len(text) > n {
		text = strings.ToValidUTF8(text[:n], "")
	}
	fmt.Fprintf(r.p.Stderr, "  %s ...", text)
	r.line = len(text) + 6
}

// clear takes away what progress has left.
func (r *report) clear() {
	if r.line > 0 {
		fmt.Fprintf(r.p.Stderr, "\r%*s\r", r.line, "")
		r.line = 0
	}
}

// appendText appends a finding for people, below the name of its group where that
// is a new one.
func (r *report) appendText(b []byte, f *doctor.Finding) []byte {
	if f.Subject != r.group || !r.any {
		if r.any {
			b = append(b, '\n')
		}
		if f.Subject != "" {
			b = append(append(b, printable(f.Subject)...), '\n')
		}
		r.group, r.any = f.Subject, true
	}
	severity := min(f.Severity, doctor.Failure)
	margin := 26 // glyph, severity, check and what is between
	head := fmt.Sprintf("  %s %-7s  %-11s  ", r.glyphs[severity], severity, printable(f.Check))
	if r.width < 60 {
		margin = 4
		b = append(append(b, strings.TrimRight(head, " ")...), '\n')
		head = ""
	}
	b = r.appendWrapped(b, head, margin, f.Found)
	if f.Means != "" {
		b = r.appendWrapped(b, "", margin, f.Means)
	}
	if f.Change != "" {
		b = r.appendWrapped(b, strings.Repeat(" ", margin-2)+"> ", margin, f.Change)
	}
	return b
}

func (r *report) appendWrapped(b []byte, head string, margin int, text string) []byte {
	blank := strings.Repeat(" ", margin)
	if head == "" {
		head = blank
	}
	for _, paragraph := range strings.Split(text, "\n") {
		for _, line := range config.Wrap(printable(paragraph), max(r.width-margin-1, 20)) {
			b = append(append(append(b, head...), line...), '\n')
			head = blank
		}
	}
	return b
}

func appendFinding(b []byte, f *doctor.Finding) []byte {
	b = appendMember(append(b, '{'), "kind", "finding")
	b = appendMember(b, "check", f.Check)
	b = appendMember(b, "subject", f.Subject)
	b = appendMember(b, "severity", f.Severity.String())
	b = appendMember(b, "found", f.Found)
	b = appendMember(b, "means", f.Means)
	b = appendMember(b, "change", f.Change)
	if len(f.Settings) > 0 {
		b = appendTexts(appendName(b, "settings"), f.Settings)
	}
	if f.Took > 0 {
		b = appendNumber(b, "took_us", f.Took.Microseconds())
	}
	return append(b, "}\n"...)
}

// summary counts what was found, as JSON or in one line; cut says that not
// everything was probed.
func (r *report) summary(cut bool) {
	r.clear()
	var counts [doctor.Failure + 1]int
	for i := range r.all {
		counts[min(r.all[i].Severity, doctor.Failure)]++
	}
	worst := doctor.Worst(r.all)
	if r.json {
		b := appendMember([]byte{'{'}, "kind", "summary")
		b = appendMember(b, "severity", worst.String())
		for _, s := range []doctor.Severity{doctor.OK, doctor.Note, doctor.Warning, doctor.Failure} {
			b = appendNumber(b, s.String(), int64(counts[s]))
		}
		r.write(append(appendFlag(b, "interrupted", cut), "}\n"...))
		return
	}
	text := "nothing is wrong"
	switch worst {
	case doctor.Warning:
		text = "it works, with " + counted(counts[doctor.Warning], "warning")
	case doctor.Failure:
		text = counted(counts[doctor.Failure], "failure")
		if n := counts[doctor.Warning]; n > 0 {
			text += ", " + counted(n, "warning")
		}
	case doctor.Note:
		text = "nothing is wrong; " + counted(counts[doctor.Note], "note")
	}
	if cut {
		text, worst = text+" so far", max(worst, doctor.Note)
	}
	r.write([]byte("\n" + r.glyphs[worst] + " " + text + "\n"))
}

// end prints the summary and returns the exit code that follows.
func (r *report) end() error {
	r.summary(false)
	switch worst := doctor.Worst(r.all); {
	case r.err != nil:
		return r.err
	case worst == doctor.Failure:
		return &exit{codeFailed, nil}
	case worst == doctor.Warning:
		return &exit{codeWarned, nil}
	}
	return nil
}

// interrupted prints the summary of what was found until the operator had enough.
func (r *report) interrupted() error {
	r.summary(true)
	return &exit{codeInterrupted, errors.New("interrupted: not everything was probed")}
}
