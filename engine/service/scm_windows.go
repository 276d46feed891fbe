package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

const (
	// stopPatience bounds how long a service that was told to stop is waited for, and
	// stopEvery is how often it is looked at.
	stopPatience = 100 * time.Second
	stopEvery    = 200 * time.Millisecond
)

// connect opens the service control manager.
func connect() (*mgr.Mgr, error) {
	m, err := mgr.Connect()
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return nil, ErrRights
	}
	if err != nil {
		return nil, fmt.Errorf("service control manager: %w", err)
	}
	return m, nil
}

// scmConfig is what the service control manager is to know of a service.
func (s *Spec) scmConfig() mgr.Config {
	return mgr.Config{
		ServiceType:      windows.SERVICE_WIN32_OWN_PROCESS,
		StartType:        mgr.StartAutomatic,
		DelayedAutoStart: true,
		ErrorControl:     mgr.ErrorNormal,
		BinaryPathName:   s.scmCommand(),
		ServiceStartName: scmAccounts + s.Unit(),
		DisplayName:      s.Unit(),
		Description:      s.scmDescription(),
		SidType:          windows.SERVICE_SID_TYPE_UNRESTRICTED,
	}
}

func scmInstall(ctx context.Context, h *Host, s *Spec, force bool, c *Change) error {
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	sv, err := m.OpenService(s.Unit())
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		words := s.command()
		sv, err = m.CreateService(s.Unit(), words[0], s.scmConfig(), words[1:]...)
		if err != nil {
			return fmt.Errorf("create the service: %w", err)
		}
		defer sv.Close()
		c.Wrote = s.place()
		return scmFinish(ctx, h, s, sv, c)
	}
	if err != nil {
		return fmt.Errorf("open the service: %w", err)
	}
	defer sv.Close()
	is, err := sv.Config()
	if err != nil {
		return fmt.Errorf("read the service: %w", err)
	}
	if !strings.Contains(is.Description, scmMark) && !force {
		return &ForeignError{s.place(), Foreign}
	}
	want := s.scmConfig()
	now, err := sv.Query()
	if err != nil {
		return fmt.Errorf("ask for the service: %w", err)
	}
	same := is.BinaryPathName == want.BinaryPathName && is.StartType == want.StartType && is.Description == want.Description &&
		strings.EqualFold(is.ServiceStartName, want.ServiceStartName)
	if same && now.State == svc.Running {
		return nil
	}
	if !same {
		c.Wrote = s.place()
		if err := sv.UpdateConfig(want); err != nil {
			return fmt.Errorf("change the service: %w", err)
		}
		if err := scmStop(ctx, sv); err != nil {
			return err
		}
	}
	return scmFinish(ctx, h, s, sv, c)
}

// place names the service in texts.
func (s *Spec) place() string { return "the service " + s.Unit() }

// scmFinish gives a service what can't be had when it is made, and starts it.
func scmFinish(ctx context.Context, h *Host, s *Spec, sv *mgr.Service, c *Change) error {
	var actions []mgr.RecoveryAction
	for _, delay := range scmDelays() {
		actions = append(actions, mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: delay})
	}
	if err := sv.SetRecoveryActions(actions, uint32(scmForget/time.Second)); err != nil {
		return fmt.Errorf("have it started again after failures: %w", err)
	}
	if err := sv.SetRecoveryActionsOnNonCrashFailures(true); err != nil {
		return fmt.Errorf("have it started again after failures: %w", err)
	}
	dir := scmState(s.Unit())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := h.run(ctx, c, s.scmGrants(dir)); err != nil {
		return err
	}
	if err := sv.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
		return fmt.Errorf("start the service: %w", err)
	}
	return nil
}

// scmStop stops a service and waits until it has.
func scmStop(ctx context.Context, sv *mgr.Service) error {
	if _, err := sv.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return fmt.Errorf("stop the service: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopPatience, fmt.Errorf("it has not stopped in %s", stopPatience))
	defer cancel()
	tick := time.NewTicker(stopEvery)
	defer tick.Stop()
	for {
		now, err := sv.Query()
		if err != nil {
			return fmt.Errorf("ask for the service: %w", err)
		}
		if now.State == svc.Stopped {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stop the service: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func scmUninstall(ctx context.Context, _ *Host, s *Spec, force bool, c *Change) error {
	m, err := connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	sv, err := m.OpenService(s.Unit())
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the service: %w", err)
	}
	defer sv.Close()
	is, err := sv.Config()
	if err != nil {
		return fmt.Errorf("read the service: %w", err)
	}
	if !strings.Contains(is.Description, scmMark) && !force {
		return &ForeignError{s.place(), Foreign}
	}
	if err := scmStop(ctx, sv); err != nil {
		return err
	}
	if err := sv.Delete(); err != nil {
		return fmt.Errorf("remove the service: %w", err)
	}
	c.Removed = s.place()
	return nil
}

// scmStatus asks with no more rights than reading needs.
func scmStatus(s *Spec) (*Status, error) {
	m, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return nil, fmt.Errorf("service control manager: %w", err)
	}
	defer windows.CloseServiceHandle(m)
	name, err := windows.UTF16PtrFromString(s.Unit())
	if err != nil {
		return nil, err
	}
	handle, err := windows.OpenService(m, name, windows.SERVICE_QUERY_CONFIG|windows.SERVICE_QUERY_STATUS)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return &Status{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the service: %w", err)
	}
	sv := &mgr.Service{Name: s.Unit(), Handle: handle}
	defer sv.Close()
	is, err := sv.Config()
	if err != nil {
		return nil, fmt.Errorf("read the service: %w", err)
	}
	now, err := sv.Query()
	if err != nil {
		return nil, fmt.Errorf("ask for the service: %w", err)
	}
	st := &Status{
		Installed: true, Enabled: is.StartType == mgr.StartAutomatic, Running: now.State == svc.Running,
		State: scmStateName(now.State), PID: int(now.ProcessId), Command: is.BinaryPathName,
	}
	if strings.Contains(is.Description, scmMark) {
		st.Author = Ours
	}
	if now.State == svc.Stopped && now.Win32ExitCode == uint32(windows.ERROR_SERVICE_SPECIFIC_ERROR) {
		st.State += fmt.Sprintf(": exit code %d", now.ServiceSpecificExitCode)
	}
	if words, err := windows.DecomposeCommandLine(is.BinaryPathName); err == nil {
		for i, word := range words[:max(len(words)-1, 0)] {
			if word == "--config" {
				st.Config = words[i+1]
			}
		}
	}
	return st, nil
}

func scmStateName(s svc.State) string {
	names := map[svc.State]string{svc.Stopped: "stopped", svc.StartPending: "starting", svc.StopPending: "stopping", svc.Running: "running"}
	if name, known := names[s]; known {
		return name
	}
	return fmt.Sprintf("state %d", s)
}
