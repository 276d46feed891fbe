package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"adit/engine/config"
	"adit/engine/service"
)

// serviceWait bounds how long a manager may take to say how a service is.
const serviceWait = 10 * time.Second

// A controlState is what is known of the control socket of a service.
type controlState struct {
	path string // "" not known
	live bool
	text string // for people
}

func (p *Process) serviceStatus(ctx context.Context, f *serviceFlags, role service.Role) error {
	ctx, cancel := context.WithTimeout(ctx, serviceWait)
	defer cancel()
	host := p.serviceHost()
	s, err := p.serviceSpec(f, role, host.Kind())
	if err != nil {
		return err
	}
	plan, err := s.Plan()
	if err != nil {
		return &exit{codeUsage, err}
	}
	st, err := host.Status(ctx, s)
	if err != nil {
		return err
	}
	var c controlState
	if st.Running {
		c = p.serviceControl(ctx, s, plan, st)
	}
	text := serviceJSON(s, plan, st, c)
	if !f.json {
		text = serviceText(s, plan, st, c)
	}
	if err := p.writeLines(text); err != nil {
		return err
	}
	switch {
	case !st.Installed:
		return &exit{codeAbsent, nil}
	case !st.Running:
		return &exit{codeStopped, nil}
	}
	return nil
}

// serviceControl finds the control socket of a service that runs: where its settings
// have it, or where it is by itself.
func (p *Process) serviceControl(ctx context.Context, s *service.Spec, plan *service.Plan, st *service.Status) controlState {
	in := config.Input{Path: cmp.Or(st.Config, s.Config)}
	var control config.Control
	if s.Role == service.Client {
		if c, _, _ := config.LoadClientFrom(in); c != nil {
			control = c.Control
		}
	} else if c, _, _ := config.LoadServerFrom(in); c != nil {
		control = c.Control
	}
	var found []string
	switch {
	case control.Socket == config.None:
		return controlState{text: "none, as " + in.Path + " has it"}
	case control.Socket != "":
		found = []string{control.Socket}
	case plan.Sockets != "":
		if _, err := os.ReadDir(plan.Sockets); err != nil {
			text := fmt.Sprintf("not known: %v", err)
			if errors.Is(err, fs.ErrPermission) {
				text += "; root may look, and members of the group adit"
			}
			return controlState{text: text}
		}
		found = socketsIn([]string{plan.Sockets})
	default:
		dirs, err := socketDirs(p.LookupEnv)
		if err != nil {
			return controlState{text: fmt.Sprintf("not known: %v", err)}
		}
		for _, path := range socketsIn(dirs) {
			if strings.HasPrefix(filepath.Base(path), string(s.Role)+"-") {
				found = append(found, path)
			}
		}
	}
	if live := alive(ctx, found); len(live) > 0 {
		return controlState{path: live[0], live: true, text: live[0] + " answers"}
	}
	if len(found) > 0 {
		return controlState{path: found[0], text: found[0] + " does not answer"}
	}
	return controlState{text: "there is none"}
}

func serviceText(s *service.Spec, plan *service.Plan, st *service.Status, c controlState) string {
	var b strings.Builder
	switch {
	case !st.Installed:
		fmt.Fprintf(&b, "%s is not installed\n", s.Unit())
		return b.String()
	case st.Running:
		fmt.Fprintf(&b, "%s runs", s.Unit())
	default:
		fmt.Fprintf(&b, "%s does not run", s.Unit())
	}
	if !st.Since.IsZero() {
		fmt.Fprintf(&b, ", since %s", st.Since.Format(time.DateTime))
	}
	b.WriteByte('\n')
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-8s  %s\n", name, value)
		}
	}
	row(string(s.Kind), st.State)
	if st.Enabled {
		row("starts", "with the system")
		if s.User {
			row("starts", "when you log in")
		}
	} else {
		row("starts", "by hand only")
	}
	if st.PID > 0 {
		row("process", fmt.Sprint(st.PID))
	}
	made := map[service.Author]string{service.Foreign: ", not made by adit", service.Edited: ", changed by hand", service.Ours: ""}[st.Author]
	if st.File != "" {
		row("file", st.File+made)
	}
	row("command", st.Command)
	row("settings", st.Config)
	row("state", plan.State)
	row("control", c.text)
	row("logs", plan.Logs)
	return b.String()
}

func serviceJSON(s *service.Spec, plan *service.Plan, st *service.Status, c controlState) string {
	b := appendMember([]byte("{"), "service", s.Unit())
	b = appendMember(b, "manager", string(s.Kind))
	for _, flag := range []struct {
		name string
		is   bool
	}{{"installed", st.Installed}, {"enabled", st.Enabled}, {"running", st.Running}} {
		b = fmt.Appendf(appendName(b, flag.name), "%v", flag.is)
	}
	b = appendMember(b, "state", st.State)
	if !st.Since.IsZero() {
		b = appendMember(b, "since", st.Since.Format(time.RFC3339))
	}
	if st.PID > 0 {
		b = appendNumber(b, "pid", int64(st.PID))
	}
	b = appendMember(appendMember(b, "file", st.File), "command", st.Command)
	b = appendMember(appendMember(b, "config", st.Config), "store", plan.State)
	if b = appendMember(b, "control", c.path); c.path != "" {
		b = fmt.Appendf(appendName(b, "answers"), "%v", c.live)
	}
	return string(append(b, "}\n"...))
}
