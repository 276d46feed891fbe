package command

import (
	"context"
	"path/filepath"
	"strings"

	"adit/engine/config"
	"adit/engine/doctor"
	"adit/engine/service"
)

// findService looks for the service of this system that would run these settings,
// says how it is, and returns the process with what a manager tells that service of
// its directories: there it keeps what is looked for.
func (p *Process) findService(ctx context.Context, in config.Input, r *report) (as *Process, managed bool, pid int) {
	host := p.serviceHost()
	kind := host.Kind()
	if kind == "" {
		return p, false, 0
	}
	spec, err := p.serviceSpec(&serviceFlags{file: in.Path}, service.Server, kind)
	if err != nil {
		return p, false, 0
	}
	plan, err := spec.Plan()
	if err != nil {
		return p, false, 0
	}
	ctx, cancel := context.WithTimeout(ctx, serviceWait)
	defer cancel()
	st, err := host.Status(ctx, spec)
	if err != nil || !st.Installed {
		return p, false, 0
	}
	f := doctor.Finding{Check: "service", Subject: st.File, Severity: doctor.Note}
	own, err := filepath.Abs(in.Path)
	same := err == nil && in.Path != "" && own == st.Config
	switch {
	case !same && st.Config != "":
		f.Found = "the service " + spec.Unit() + " has other settings than these: " + st.Config
		f.Means = "what is said here is not about that service"
		f.Change = "adit doctor server --config " + st.Config
	case strings.Contains(st.State, "failed") || strings.Contains(st.State, "auto-restart"):
		f.Severity, f.Found = doctor.Warning, "the service "+spec.Unit()+" fails: "+st.State
		f.Means = "it is started again and again, or was given up"
		f.Change = "what it said last: " + plan.Logs
	case !st.Running:
		f.Found = "the service " + spec.Unit() + " is installed and does not run: " + st.State
		f.Change = "what it said last: " + plan.Logs
	case !st.Enabled:
		f.Found = "the service " + spec.Unit() + " runs, and does not start with the system"
		f.Means = "after a restart of this machine there is no tunnel"
		f.Change = spec.Again("install")
	default:
		f.Severity, f.Found = doctor.OK, "the service "+spec.Unit()+" runs with these settings, and starts with the system"
	}
	r.found(f)
	if !same {
		return p, false, 0
	}
	one := *p
	one.LookupEnv = func(name string) (string, bool) {
		switch {
		case name == "STATE_DIRECTORY" && plan.State != "":
			return plan.State, true
		case name == "RUNTIME_DIRECTORY" && plan.Sockets != "":
			return plan.Sockets, true
		case p.LookupEnv == nil:
			return "", false
		}
		return p.LookupEnv(name)
	}
	return &one, true, st.PID
}
