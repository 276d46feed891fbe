package service

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Status is what is known of a service. What the manager does not tell is "" or
// zero.
type Status struct {
	Installed bool
	Enabled   bool // it is started when the system is
	Running   bool
	State     string    // as its manager calls it
	Since     time.Time // when it came into that state
	PID       int
	File      string // what the manager has read
	Author    Author // of File
	Command   string // what it runs, as its manager writes it
	Config    string // file of settings in Command
}

// Status asks the manager for a service. It needs no rights.
func (h *Host) Status(ctx context.Context, s *Spec) (*Status, error) {
	p, err := s.Plan()
	if err != nil {
		return nil, err
	}
	if s.Kind == Windows {
		return scmStatus(s)
	}
	st := &Status{}
	there, _, author, err := h.look(p)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if there {
		st.Installed, st.File, st.Author = true, p.Path, author
	}
	switch s.Kind {
	case Systemd:
		err = h.askSystemd(ctx, s, st)
	case Launchd:
		h.askLaunchd(ctx, s, st)
	case OpenRC:
		_, err := h.Run(ctx, []string{"rc-service", s.Unit(), "status"})
		_, enabled := os.Lstat(h.at("/etc/runlevels/default/" + s.Unit()))
		st.Running, st.Enabled = st.Installed && err == nil, enabled == nil
	case RCD:
		name := p.Path[strings.LastIndexByte(p.Path, '/')+1:]
		_, err := h.Run(ctx, []string{"service", name, "onestatus"})
		enabled, _ := h.Run(ctx, []string{"sysrc", "-n", name + "_enable"})
		st.Running, st.Enabled = st.Installed && err == nil, strings.EqualFold(strings.TrimSpace(enabled), "yes")
	}
	if !there && st.File != "" {
		if text, err := h.read(st.File); err == nil {
			st.Author = authorOf(text)
		}
	}
	return st, err
}

// askSystemd reads what systemctl show tells of the unit.
func (h *Host) askSystemd(ctx context.Context, s *Spec, st *Status) error {
	words := []string{"systemctl"}
	if s.User {
		words = append(words, "--user")
	}
	words = append(words, "show", s.Unit()+".service",
		"--property=LoadState,UnitFileState,ActiveState,SubState,MainPID,StateChangeTimestamp,FragmentPath,ExecStart,Result")
	out, err := h.Run(ctx, append(slices.Clip(words), "--timestamp=unix"))
	if err != nil {
		// An older systemd has its times in one form only, and does not take the option.
		out, err = h.Run(ctx, words)
	}
	if err != nil {
		return err
	}
	got := map[string]string{}
	for line := range strings.SplitSeq(out, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			got[name] = value
		}
	}
	if got["LoadState"] == "not-found" || got["LoadState"] == "" {
		return nil
	}
	st.Installed = st.Installed || got["FragmentPath"] != ""
	if got["FragmentPath"] != "" {
		st.File = got["FragmentPath"]
	}
	st.Enabled = strings.HasPrefix(got["UnitFileState"], "enabled")
	active := got["ActiveState"]
	st.Running = active == "active" || active == "reloading"
	st.State = active
	if sub := got["SubState"]; sub != "" && active != "" {
		st.State += " (" + sub + ")"
	}
	if result := got["Result"]; result != "" && result != "success" {
		st.State += ": " + result
	}
	st.PID, _ = strconv.Atoi(got["MainPID"]) // 0: none
	if seconds, err := strconv.ParseInt(strings.TrimPrefix(got["StateChangeTimestamp"], "@"), 10, 64); err == nil && seconds > 0 {
		st.Since = time.Unix(seconds, 0)
	}
	if _, after, ok := strings.Cut(got["ExecStart"], "argv[]="); ok {
		st.Command, _, _ = strings.Cut(after, " ; ")
		_, st.Config, _ = strings.Cut(st.Command, " --config ")
	}
	return nil
}

var (
	launchdState = regexp.MustCompile(`(?m)^\tstate = (.+)$`)
	launchdPID   = regexp.MustCompile(`(?m)^\tpid = (\d+)$`)
)

// askLaunchd reads what launchctl prints for people: a line that is not there is not
// known.
func (h *Host) askLaunchd(ctx context.Context, s *Spec, st *Status) {
	domain := "system"
	if s.User {
		domain = "gui/" + strconv.Itoa(s.UID)
	}
	out, err := h.Run(ctx, []string{"launchctl", "print", domain + "/" + s.Unit()})
	if err != nil {
		return // it is not loaded
	}
	st.Enabled = st.Installed // launchd would not have loaded it otherwise
	if found := launchdState.FindStringSubmatch(out); found != nil {
		st.State = found[1]
	}
	if found := launchdPID.FindStringSubmatch(out); found != nil {
		st.PID, _ = strconv.Atoi(found[1])
	}
	st.Running = st.State == "running" || st.PID > 0
}
