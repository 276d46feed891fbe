package command

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/certs"
	"adit/engine/config"
	"adit/engine/control"
	"adit/engine/doctor"
	"adit/engine/policy"
)

func newDoctorServer(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Find what keeps a server from working, or will",
		Long: "Look at what adit server would start with, given the same settings: whether it could listen, who may come in and " +
			"who reads along, certificates and their end, names below --domain, limits of the system, where the history is " +
			"kept and whether it is sound, tokens, the clock. Nothing is started; each address is opened for a moment where " +
			"nobody listens.\n\n" +
			"Where a server of the same name runs and this user may ask it over its control socket, it is asked too: " +
			"which limits were reached, whom it refused, whether it shows the certificates of the files. Run it as the user " +
			"of the service to hear what that one may do.\n\n" + doctorSays,
		Example: `adit doctor server --listen :443 --acme tunnels.example.com --tokens tokens.yaml
adit doctor server --config adit.yaml
adit doctor server --config adit.yaml --json`,
		Args: cobra.NoArgs,
	}
	var json bool
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&json, "json", false, "one JSON object a line")
	s := addSettings(cmd, config.ServerSettings(new(config.Server)))
	cmd.RunE = p.verb(func(ctx context.Context) error {
		return p.doctorServer(ctx, s.input(p), p.newReport(json), doctor.ThisMachine())
	})
	return cmd
}

func (p *Process) doctorServer(ctx context.Context, in config.Input, r *report, m *doctor.Machine) error {
	c, loaded, err := config.LoadServerFrom(in)
	var refusal *config.RefusalError
	if err != nil && !errors.As(err, &refusal) {
		for line := range strings.Lines(err.Error()) {
			r.found(doctor.Finding{Check: "config", Subject: in.Path, Severity: doctor.Failure, Found: strings.TrimSpace(line),
				Means: "adit server does not start: exit code 2", Change: "adit config example server shows every setting with what it takes"})
		}
		return r.end()
	}
	if refusal != nil {
		r.found(doctor.Finding{Check: "config", Subject: in.Path, Severity: doctor.Failure, Found: "it would not start: " + refusal.Why,
			Means: "adit server ends at once with exit code 2", Change: strings.Join(refusal.Fix, "\nor ")})
	}
	for _, text := range loaded.Notices {
		r.found(doctor.Finding{Check: "config", Subject: in.Path, Severity: doctor.Note, Found: text})
	}
	p, managed, pid := p.findService(ctx, in, r)
	plan := p.doctorPlan(c, refusal != nil)
	plan.Managed, plan.PID = managed, pid
	if err := checkServerFiles(c, loaded); err != nil {
		for line := range strings.Lines(err.Error()) {
			if line = strings.TrimSpace(line); !plan.says(line) {
				r.found(doctor.Finding{Check: "config", Subject: in.Path, Severity: doctor.Failure, Found: line, Means: "adit server does not start: exit code 2"})
			}
		}
	}
	if len(r.all) == 0 {
		r.found(doctor.Finding{Check: "config", Subject: in.Path, Severity: doctor.OK, Found: "the settings are sound"})
	}
	p.findRun(ctx, c, loaded, plan, r, m)
	doctor.ExamineServer(ctx, &plan.ServerPlan, m, r.found)
	if ctx.Err() != nil {
		return r.interrupted()
	}
	return r.end()
}

// An examined is a configuration as doctor looks at it.
type examined struct {
	doctor.ServerPlan
	ownPlace bool // the place of the history is the run's own
}

// says reports whether a finding of its own says what stands in line.
func (s *examined) says(line string) bool {
	return slices.ContainsFunc(s.Pairs, func(p doctor.Pair) bool { return p.Err != nil && strings.Contains(line, p.Err.Error()) })
}

// doctorPlan turns settings into what doctor looks at. refused says that a
// credential is missing that the server does not start without.
func (p *Process) doctorPlan(c *config.Server, refused bool) *examined {
	t := &c.TLS
	s := &examined{ownPlace: c.Store.Path == config.OwnPlace, ServerPlan: doctor.ServerPlan{
		Name: c.Name, Domain: c.Domain, Version: ShortVersion(p.Version),
		Doors:       []doctor.Door{{Setting: "listen", Address: c.Listen, TLS: t.On()}},
		Fronted:     len(t.ProxyProtocol)+len(t.TrustedProxies) > 0,
		Connections: c.Limits.Connections, Memory: c.Limits.Memory,
		History: doctor.HistoryPlan{Path: p.historyPath(c), Bytes: c.Store.Bytes, Look: p.CheckStore},
	}}
	for _, d := range []doctor.Door{
		{Setting: "listen-http", Address: t.ListenHTTP},
		{Setting: "metrics-listen", Address: c.Observing.MetricsListen},
		{Setting: "control-listen", Address: c.Control.Listen, TLS: true},
	} {
		if d.Address != "" {
			s.Doors = append(s.Doors, d)
		}
	}
	if s.ownPlace {
		_, s.History.Nowhere = stateDir(p.LookupEnv)
	}
	s.PortFirst, s.PortLast, _ = c.TCPRange() // checked when it was read
	s.admissions(c, refused)
	for i := range min(len(t.Cert), len(t.Key)) {
		pair := doctor.Pair{File: t.Cert[i]}
		pair.Chain, pair.Doubt, pair.Err = certs.ReadPair(t.Cert[i], t.Key[i])
		s.Pairs = append(s.Pairs, pair)
	}
	if len(t.ACME) > 0 {
		s.ACME = p.acmePlan(c)
	}
	return s
}

// admissions says who may come in.
func (s *examined) admissions(c *config.Server, refused bool) {
	s.Clients = doctor.Admission{Open: c.OpenClients, Secrets: len(c.Secret), CA: c.TLS.ClientCA}
	s.Callers = doctor.Admission{Open: c.OpenCallers == "all", Exposed: c.OpenCallers == "exposed", Secrets: len(c.CallerToken), CA: c.TLS.CallerCA}
	s.TokensFile = c.Tokens
	if c.Tokens == "" && refused {
		return
	}
	if c.Tokens == "" {
		// What has no credential at all is open, as it may be on this machine.
		s.Clients.Open = s.Clients.Open || s.Clients.Secrets == 0 && s.Clients.CA == ""
		s.Callers.Open = s.Callers.Open || !s.Callers.Exposed && s.Callers.Secrets == 0 && s.Callers.CA == ""
		return
	}
	list, _, err := config.ReadTokens(c.Tokens)
	if err != nil {
		s.TokensFile = "" // said with what is wrong with the files
		return
	}
	now := time.Now()
	for i := range list {
		t := &list[i]
		s.Tokens = append(s.Tokens, doctor.TokenEnd{ID: t.ID, Name: t.Name, Expires: t.Expires})
		switch {
		case !t.Expires.IsZero() && !now.Before(t.Expires):
		case t.Kind == policy.TokenClient:
			s.Clients.Tokens++
		default:
			s.Callers.Tokens++
		}
	}
}

// acmePlan returns what comes by ACME.
func (p *Process) acmePlan(c *config.Server) *doctor.ACMEPlan {
	t := &c.TLS
	a := &doctor.ACMEPlan{Cache: t.ACMECache, Listen: c.Listen, Plain: t.ListenHTTP}
	for _, name := range t.ACME {
		if name == config.ACMEExposed {
			a.Exposed = true
			continue
		}
		a.Names = append(a.Names, name)
	}
	if dir, err := stateDir(p.LookupEnv); a.Cache == "" && err == nil {
		a.Cache = filepath.Join(dir, "acme")
	}
	a.Kept = certs.Kept(a.Cache, t.ACMEServer)
	return a
}

// historyPath returns where the database of such a run is, "" for nowhere.
func (p *Process) historyPath(c *config.Server) string {
	if c.Store.Path != config.OwnPlace {
		return c.Store.Path
	}
	dir, err := stateDir(p.LookupEnv)
	if err != nil {
		return ""
	}
	return filepath.Join(dir, fileName("server-"+c.Name)+".db")
}

// findRun looks for the control socket of a run with this name, and asks it.
func (p *Process) findRun(ctx context.Context, c *config.Server, loaded *config.Loaded, s *examined, r *report, m *doctor.Machine) {
	const check = "control"
	if c.Control.Socket == config.None {
		return
	}
	own := c.Control.Socket
	paths := []string{own}
	if own == "" {
		dirs, err := socketDirs(p.LookupEnv)
		if err != nil {
			r.found(doctor.Finding{Check: check, Severity: doctor.Warning, Found: "there is no place for a control socket: " + err.Error(),
				Means: "adit attach and the other verbs can't reach the server", Change: "--control PATH", Settings: []string{"control"}})
			return
		}
		name := fileName("server-"+c.Name) + socketExt
		own = filepath.Join(dirs[0], name)
		paths, _ = sockets(p.LookupEnv)
		paths = slices.DeleteFunc(paths, func(path string) bool { return filepath.Base(path) != name })
	}
	for _, path := range paths {
		ln, err := net.DialTimeout("unix", path, probeWait)
		switch {
		case err == nil:
			ln.Close()
			p.askRun(ctx, path, loaded, s, r)
			return
		case errors.Is(err, os.ErrPermission):
			r.found(doctor.Finding{Check: check, Subject: path, Severity: doctor.Note, Found: "this user may not ask what listens there",
				Means: "a server of this name may run; what it could say is missing here", Change: "ask as its user, or as root: sudo adit doctor server …"})
			return
		}
	}
	f := doctor.Finding{Check: check, Subject: own, Severity: doctor.OK, Found: "no server of this name runs, and its control socket can be made"}
	if err := cmp.Or(control.CheckPlace(own), m.Place(own).Writable); err != nil {
		f.Severity, f.Found, f.Settings = doctor.Warning, "a server could not make its control socket: "+err.Error(), []string{"control"}
		f.Means = "the tunnel works, but adit attach and the other verbs can't reach the server"
		f.Change = "--control PATH chooses another place"
	}
	r.found(f)
}

// askRun asks a run how it fares.
func (p *Process) askRun(ctx context.Context, path string, loaded *config.Loaded, s *examined, r *report) {
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	run, err := p.dialRemote(context.WithoutCancel(ctx), path, control.DialOptions{Client: whoami()})
	if err == nil {
		defer run.Close()
		err = run.Wait(ctx)
	}
	var snap engine.Snapshot
	if err == nil {
		err = run.Snapshot(ctx, &snap)
	}
	if err != nil {
		r.found(doctor.Finding{Check: "running", Subject: path, Severity: doctor.Warning, Found: "somebody listens at the control socket and does not answer: " + err.Error(),
			Means: "a server of this name is stuck, of another version, or something else listens there"})
		return
	}
	now := &doctor.Running{Socket: path, Snapshot: snap}
	var page engine.RequestPage
	if err := run.Requests(ctx, engine.RequestQuery{Count: 1}, &page); err == nil {
		now.Problem, now.Lost = page.Problem, page.Lost
	}
	var events engine.EventPage
	if err := run.Events(ctx, engine.EventQuery{Count: 1000}, &events); err == nil {
		now.Events = events.Events
	}
	if settings, _, err := run.About(ctx); err == nil {
		now.Other = otherSettings(settings, loaded.Settings)
		s.takes(now, settings)
	}
	s.Running = now
}

// takes has what only the run knows: where it listens beside the public listener,
// and, where the settings leave that open, where its history is.
func (s *examined) takes(now *doctor.Running, settings []engine.Setting) {
	for i := range settings {
		switch value := settings[i].Value; settings[i].Name {
		case "listen-http", "metrics-listen", "control-listen":
			if value != "" {
				now.Doors = append(now.Doors, value)
			}
		case "store":
			if s.ownPlace && filepath.IsAbs(value) {
				s.History.Path = value
			}
		}
	}
}

// otherSettings lists what a run has otherwise than these settings say, as words.
// Of what only the run finds out nothing is known here.
func otherSettings(run, these []engine.Setting) []string {
	found := []string{"listen", "store", "no-store", "control", "control-listen", "metrics-listen", "headless", "name", "for", "events"}
	was := map[string]string{}
	for i := range run {
		was[run[i].Name] = run[i].Value
	}
	var other []string
	for i := range these {
		value, known := was[these[i].Name]
		if known && value != these[i].Value && !slices.Contains(found, these[i].Name) {
			other = append(other, these[i].Name)
		}
	}
	return other
}
