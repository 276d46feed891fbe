package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	// runWait bounds how long a program of the system may take: a service that stops
	// is given 90 s.
	runWait = 2 * time.Minute

	// maxOutput bounds what is read of what it prints, in bytes.
	maxOutput = 64 << 10
)

// A Host is the system that services are put into.
type Host struct {
	Root string // put before every path; of tests
	UID  int    // who asks; 0 root, -1 where there is no such number

	// Run runs a program and returns what it printed, on stderr too. The error of one
	// that failed says what it printed.
	Run func(ctx context.Context, words []string) (string, error)
}

// Here is the system that this process runs on.
func Here() *Host { return &Host{UID: os.Geteuid(), Run: runProgram} }

// Kind returns what manages the services of this system; "" where nothing does that
// is known here.
func (h *Host) Kind() Kind { return h.kindOf(runtime.GOOS) }

func (h *Host) kindOf(system string) Kind {
	switch system {
	case "darwin":
		return Launchd
	case "windows":
		return Windows
	case "freebsd":
		return RCD
	case "linux":
		// sd_booted(3), and what OpenRC makes when it boots.
		if h.has("/run/systemd/system") {
			return Systemd
		}
		if h.has("/run/openrc") {
			return OpenRC
		}
	}
	return ""
}

func (h *Host) at(path string) string { return h.Root + path }

func (h *Host) has(path string) bool {
	_, err := os.Stat(h.at(path))
	return err == nil
}

// runProgram is Run of this system.
func runProgram(ctx context.Context, words []string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runWait, fmt.Errorf("it took more than %s", runWait))
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...) // #nosec G204 -- of a plan, or of a status
	cmd.WaitDelay = time.Second
	var out bounded
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", CommandLine(words), err)
		if said := strings.TrimSpace(out.String()); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
	}
	return out.String(), err
}

// bounded keeps the beginning of what is written to it.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	_, err := b.Builder.Write(p[:min(len(p), maxOutput-b.Len())])
	return len(p), err
}

// ErrRights says that only root may.
var ErrRights = errors.New("this needs the rights of root")

// A ForeignError is a file that a service would be in the place of.
type ForeignError struct {
	Path   string
	Author Author
}

func (e *ForeignError) Error() string {
	if e.Author == Edited {
		return e.Path + " was changed by hand since adit made it; --force does it all the same, --print shows what it would be"
	}
	if e.Author == Packaged {
		return e.Path + " belongs to a package; --name NAME is another service, --force replaces it until the package is upgraded"
	}
	return e.Path + " was not made by adit service; --force does it all the same, --name NAME is another service"
}

// A Change is what was done.
type Change struct {
	Wrote   string     // file that was written; "" none
	Removed string     // file that was removed
	Ran     [][]string // programs, in their order
	Package string     // file of a package that was switched off instead
	Before  string     // file of a package that the one written goes before
}

// Nothing reports whether all was as it should be.
func (c *Change) Nothing() bool { return c.Wrote == "" && c.Removed == "" && len(c.Ran) == 0 }

// Install puts a service in place and starts it; one that is there already and as it
// should be is left alone. A file that is not ours is an error, a *ForeignError,
// without force.
func (h *Host) Install(ctx context.Context, s *Spec, force bool) (*Change, error) {
	p, err := h.begin(s)
	if err != nil {
		return nil, err
	}
	c := &Change{}
	if s.Kind == Windows {
		return c, scmInstall(ctx, h, s, force, c)
	}
	there, text, author, err := h.look(p)
	if err != nil {
		return c, err
	}
	now, err := h.Status(ctx, s)
	if err != nil {
		return c, err
	}
	loaded := s.Kind == Launchd && now.Enabled // which loads nothing twice
	before, unit := h.packaged(s)
	switch {
	case there && text == p.Text, !there && unit == p.Text:
		switch {
		case now.Enabled && now.Running:
			return c, nil
		case loaded:
			return c, h.run(ctx, c, p.Restart)
		}
		return c, h.run(ctx, c, p.Start)
	case there && author != Ours && !force:
		return c, &ForeignError{p.Path, author}
	case there && !force && h.owned(ctx, s, p):
		return c, &ForeignError{p.Path, Packaged}
	}
	if err := h.run(ctx, c, p.Prepare); err != nil {
		return c, err
	}
	if err := h.write(p); err != nil {
		return c, err
	}
	c.Wrote, c.Before = p.Path, before
	if now.Running || loaded {
		return c, h.run(ctx, c, p.Restart)
	}
	return c, h.run(ctx, c, p.Start)
}

// Uninstall stops a service and removes what Install has made of it. Its settings
// and its state stay.
func (h *Host) Uninstall(ctx context.Context, s *Spec, force bool) (*Change, error) {
	p, err := h.begin(s)
	if err != nil {
		return nil, err
	}
	c := &Change{}
	if s.Kind == Windows {
		return c, scmUninstall(ctx, h, s, force, c)
	}
	there, _, author, err := h.look(p)
	switch {
	case err != nil:
		return c, err
	case !there || h.owned(ctx, s, p):
		now, err := h.Status(ctx, s)
		unit, _ := h.packaged(s)
		if err != nil || !there && unit == "" || !now.Enabled && !now.Running {
			return c, err
		}
		c.Package = now.File
		return c, h.run(ctx, c, p.Stop)
	case author != Ours && !force:
		return c, &ForeignError{p.Path, author}
	}
	if err := h.run(ctx, c, p.Stop); err != nil {
		// A service that was never started can't be stopped everywhere.
		now, unknown := h.Status(ctx, s)
		if unknown != nil || now.Running {
			return c, errors.Join(err, unknown)
		}
	}
	if err := os.Remove(h.at(p.Path)); err != nil {
		return c, err
	}
	c.Removed = p.Path
	return c, h.run(ctx, c, p.Forget)
}

// begin makes the plan of a service that this system can have, and asks for rights.
func (h *Host) begin(s *Spec) (*Plan, error) {
	p, err := s.Plan()
	if err != nil {
		return nil, err
	}
	if h.UID > 0 && !s.User {
		return nil, ErrRights
	}
	if h.UID == 0 && s.User && s.Kind == Launchd {
		return nil, errors.New("--user is for who logs in: ask as that user, without sudo")
	}
	return p, nil
}

// look reads the file of a plan, if it is there.
func (h *Host) look(p *Plan) (there bool, text string, author Author, err error) {
	text, err = h.read(p.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, "", Foreign, nil
	}
	return err == nil, text, authorOf(text), err
}

// SocketDirs returns the directories of services of this system where there are
// control sockets, as far as who asks may know of them.
func SocketDirs() []string {
	var all []string
	for _, base := range socketBases() {
		dirs, err := filepath.Glob(filepath.Join(base, "*"))
		if err == nil {
			all = append(all, dirs...)
		}
	}
	return all
}

func socketBases() []string {
	switch runtime.GOOS {
	case "darwin":
		return []string{"/var/db/adit"}
	case "freebsd":
		return []string{"/var/run/adit"}
	case "windows":
		return []string{programData + `\adit`}
	}
	return []string{"/run/adit"}
}

// maxFile bounds a file of a service, in bytes.
const maxFile = 1 << 20

func (h *Host) read(path string) (string, error) {
	f, err := os.Open(h.at(path))
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(text), err
}

// packaged returns where the unit is that a package brought, and what is in it; "" none.
func (h *Host) packaged(s *Spec) (path, text string) {
	if s.Kind != Systemd || s.User {
		return "", ""
	}
	for _, dir := range unitDirs() {
		path := filepath.Join(dir, s.Unit()+".service")
		if text, err := h.read(path); err == nil {
			return path, text
		}
	}
	return "", ""
}

// owned reports whether the file of a plan, which has our mark, is a package's: OpenRC
// has one directory for what packages and operators make.
func (h *Host) owned(ctx context.Context, s *Spec, p *Plan) bool {
	if s.Kind != OpenRC {
		return false
	}
	owner, err := h.Run(ctx, []string{"apk", "info", "--quiet", "--who-owns", p.Path})
	return err == nil && strings.TrimSpace(owner) != ""
}

// write puts the file of a plan in place, whole or not at all.
func (h *Host) write(p *Plan) error {
	path := h.at(p.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(p.Text)
	err = cmp.Or(err, f.Chmod(p.Mode), f.Sync())
	err = cmp.Or(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// run runs programs until one fails, and notes them.
func (h *Host) run(ctx context.Context, c *Change, commands [][]string) error {
	for _, words := range commands {
		c.Ran = append(c.Ran, words)
		if _, err := h.Run(ctx, words); err != nil {
			return err
		}
	}
	return nil
}
