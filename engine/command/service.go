package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"adit/engine/config"
	"adit/engine/service"
)

// Exit codes of adit service status.
const (
	codeStopped = 3 // as of systemctl status
	codeAbsent  = 4
)

func newService(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "Install and look after services of the system",
		Long: "Install a server or a client as a service that runs from boot on, remove it, and say how it is.\n\n" +
			"systemd, launchd and Windows are looked after; for OpenRC and FreeBSD --print writes the script. --print " +
			"writes what there would be for any of them, on any system, and changes nothing.",
		Example: `# as root
adit service install server
adit service status server
# as yourself
adit service install client --user
adit service install server --print --manager launchd`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(newServiceInstall(p), newServiceUninstall(p), newServiceStatus(p))
	return cmd
}

// serviceFlags say which service is meant.
type serviceFlags struct {
	name, binary, file, manager string
	user, print, force, json    bool
}

// addService gives cmd the flags that name a service, and what it takes.
func addService(cmd *cobra.Command) *serviceFlags {
	f := &serviceFlags{}
	cmd.Args = cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)
	cmd.ValidArgs = []string{string(service.Server), string(service.Client)}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.name, "name", "", "name of a further service of that role [NAME]")
	flags.BoolVar(&f.user, "user", false, "a service of yours, without rights of root: a unit of your systemd, an agent of launchd")
	return f
}

func (f *serviceFlags) addJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON object")
}

func newServiceInstall(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install server|client",
		Short: "Install a service, and start it",
		Long: "Check the settings, write down the service, have it start with the system, and start it now. Where it is " +
			"there already only what is otherwise is changed. A file that adit has not made, or that was changed by hand, " +
			"is left alone without --force.\n\n" +
			"A service of systemd runs as a user of its own that may write nothing but /var/lib/adit. Its settings are a " +
			"file of root and the group adit, mode 0640; whoever is in that group may use its control socket, as root may.",
		Example: `# as root, with settings in /etc/adit/adit.yaml
adit service install server
adit service install client --name edge --config /etc/adit/edge.yaml
# as yourself
adit service install client --user
adit service install server --print --manager systemd --binary /usr/bin/adit --config /etc/adit/adit.yaml`,
	}
	f := addService(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.file, "config", "", "settings (default: /etc/adit/adit.yaml; with --user $XDG_CONFIG_HOME/adit/adit.yaml; of Windows %ProgramData%\\adit\\adit.yaml) [FILE]")
	flags.StringVar(&f.binary, "binary", "", "program to run (default: this one) [PATH]")
	flags.StringVar(&f.manager, "manager", "", "what manages services: systemd, launchd, windows, openrc, rcd; another system's with --print (default: this one's) [NAME]")
	flags.BoolVar(&f.print, "print", false, "print what would be written, on stderr what would be run; change nothing")
	flags.BoolVar(&f.force, "force", false, "replace a file that is not as adit made it, install what the service may be unable to read")
	f.addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(ctx context.Context) error { return p.installService(ctx, f, service.Role(args[0])) })(cmd, args)
	}
	return cmd
}

func newServiceUninstall(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "uninstall server|client",
		Short: "Stop a service, and remove it",
		Long: "Stop a service and remove what adit service install has made of it. Settings, history and certificates " +
			"stay, and it says where they are.",
		Example: "adit service uninstall server\nadit service uninstall client --user",
	}
	f := addService(cmd)
	cmd.Flags().BoolVar(&f.force, "force", false, "remove a file that is not as adit made it")
	f.addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(ctx context.Context) error { return p.uninstallService(ctx, f, service.Role(args[0])) })(cmd, args)
	}
	return cmd
}

func newServiceStatus(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status server|client",
		Short: "Say whether a service runs",
		Long: "Say whether a service is installed, starts with the system, runs and since when, with which program and " +
			"settings, and whether it answers on its control socket.\n\n" +
			"The exit code is 0 where it runs, 3 where it does not, 4 where it is not installed.",
		Example: "adit service status server\nadit service status client --user --json",
	}
	f := addService(cmd)
	f.addJSON(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(ctx context.Context) error { return p.serviceStatus(ctx, f, service.Role(args[0])) })(cmd, args)
	}
	return cmd
}

// serviceHost returns the system that services are put into.
func (p *Process) serviceHost() *service.Host {
	if p.host != nil {
		return p.host
	}
	return service.Here()
}

// serviceSpec makes of flags which service is meant.
func (p *Process) serviceSpec(f *serviceFlags, role service.Role, own service.Kind) (*service.Spec, error) {
	s := &service.Spec{
		Kind: cmp.Or(service.Kind(f.manager), own), Role: role, Name: f.name, User: f.user, UID: os.Getuid(),
		Binary: f.binary, Config: f.file,
	}
	if s.Kind == "" {
		return nil, &exit{codeUsage, errors.New("none of systemd, launchd and Windows looks after services here; in a container let " +
			"`adit " + string(role) + " --headless` be what runs; --print --manager openrc (or rcd, for FreeBSD) writes a script")}
	}
	env := func(name string) string {
		if p.LookupEnv == nil {
			return ""
		}
		value, _ := p.LookupEnv(name)
		return value
	}
	s.Home = env("HOME")
	s.ConfigHome = cmp.Or(env("XDG_CONFIG_HOME"), filepath.Join(s.Home, ".config"))
	s.StateHome = cmp.Or(env("XDG_STATE_HOME"), filepath.Join(s.Home, ".local", "state"))
	if s.User && s.Home == "" {
		return nil, &exit{codeUsage, errors.New("--user: HOME is not set, so that it is not known where your services are")}
	}
	// The paths of another system are none here.
	foreign := s.Kind == service.Windows && runtime.GOOS != "windows"
	var err error
	switch {
	case s.Config == "" && s.Kind == service.Windows:
		s.Config = `C:\ProgramData\adit\adit.yaml`
	case s.Config == "" && s.User:
		s.Config = filepath.Join(s.ConfigHome, "adit", "adit.yaml")
	case s.Config == "":
		s.Config = "/etc/adit/adit.yaml"
	case !foreign:
		s.Config, err = filepath.Abs(s.Config)
	}
	switch {
	case err != nil:
	case s.Binary == "" && foreign:
		s.Binary = `C:\Program Files\adit\adit.exe`
	case s.Binary == "":
		s.Binary, err = os.Executable()
	case !foreign:
		s.Binary, err = filepath.Abs(s.Binary)
	}
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return nil, &exit{codeUsage, err}
	}
	return s, nil
}

func (p *Process) installService(ctx context.Context, f *serviceFlags, role service.Role) error {
	host := p.serviceHost()
	own := host.Kind()
	s, err := p.serviceSpec(f, role, own)
	if err != nil {
		return err
	}
	plan, err := s.Plan()
	if err != nil {
		return &exit{codeUsage, err}
	}
	if f.print {
		return p.printPlan(plan)
	}
	if s.Kind != own {
		return &exit{codeUsage, fmt.Errorf("--manager %s: this system has %s; --print shows what is to be done there", s.Kind, cmp.Or(string(own), "none"))}
	}
	if host.UID > 0 && !s.User {
		return p.needsRoot(s, "install", f)
	}
	if err := p.checkService(s, f.force); err != nil {
		return err
	}
	change, err := host.Install(ctx, s, f.force)
	if err != nil {
		return p.serviceFailed(s, plan, change, err)
	}
	return p.tellChange(ctx, host, s, plan, change, f)
}

// printPlan writes the file of a plan on stdout, and on stderr where it goes and what
// is run.
func (p *Process) printPlan(plan *service.Plan) error {
	if plan.Path != "" {
		p.say("it would be %s, and this would be run:", plan.Path)
		for _, words := range append(plan.Prepare, plan.Start...) {
			p.hint(service.CommandLine(words))
		}
	}
	for _, note := range plan.Notes {
		p.say("%s", note)
	}
	_, err := fmt.Fprint(p.Stdout, plan.Text)
	return err
}

// needsRoot says how to ask again.
func (p *Process) needsRoot(s *service.Spec, verb string, f *serviceFlags) error {
	line := s.Again(verb)
	if f.file != "" {
		line += " --config " + service.CommandLine([]string{s.Config})
	}
	if runtime.GOOS == "windows" {
		return &exit{codeFailed, fmt.Errorf("%w: ask in a window that was opened as administrator", service.ErrRights)}
	}
	text := "%w:\n  sudo " + strings.ReplaceAll(line, "%", "%%")
	if s.Kind == service.Systemd || s.Kind == service.Launchd {
		text += "\n--user is a service of yours, which needs none"
	}
	return &exit{codeFailed, fmt.Errorf(text, service.ErrRights)}
}

// checkService reports why a service with these settings would not start.
func (p *Process) checkService(s *service.Spec, force bool) error {
	if _, err := os.Stat(s.Config); err != nil {
		sudo := "sudo tee "
		if s.User || runtime.GOOS == "windows" {
			sudo = "tee "
		}
		return &exit{codeUsage, fmt.Errorf("%w; this makes one:\n  adit config example %s | %s%s >/dev/null", err, s.Role, sudo, service.CommandLine([]string{s.Config}))}
	}
	loaded, refusal, err := p.checkRole(string(s.Role), config.Input{Path: s.Config})
	if refusal != nil {
		err = errors.Join(fmt.Errorf("%s: %s: %w", s.Config, s.Role, refusal), err)
	}
	if err == nil {
		for _, path := range loaded.Files {
			if !filepath.IsAbs(path) {
				err = errors.Join(err, fmt.Errorf("%s names %s: a service is started elsewhere; write the whole path", s.Config, path))
			}
		}
	}
	if err == nil && !force {
		err = s.CheckReadable(loaded.Files)
	}
	if err != nil {
		return &exit{codeUsage, fmt.Errorf("the service would not start:\n%w", err)}
	}
	return nil
}

// serviceFailed says where to look on.
func (p *Process) serviceFailed(s *service.Spec, plan *service.Plan, c *service.Change, err error) error {
	if errors.Is(err, service.ErrRights) {
		return p.needsRoot(s, "uninstall", &serviceFlags{})
	}
	if c != nil && c.Wrote != "" {
		return fmt.Errorf("%s was written, but: %w\nwhat it says: %s\nto remove it: %s", c.Wrote, err, plan.Logs, s.Again("uninstall"))
	}
	return err
}

// tellChange says what was done, and how the service is now.
func (p *Process) tellChange(ctx context.Context, host *service.Host, s *service.Spec, plan *service.Plan, c *service.Change, f *serviceFlags) error {
	now, err := host.Status(ctx, s)
	if err != nil {
		return err
	}
	if f.json {
		b := appendMember([]byte("{"), "service", s.Unit())
		b = appendMember(appendMember(b, "wrote", c.Wrote), "removed", c.Removed)
		ran := make([]string, len(c.Ran))
		for i, words := range c.Ran {
			ran[i] = service.CommandLine(words)
		}
		b = appendTexts(appendName(b, "ran"), ran)
		b = appendFlag(appendFlag(b, "installed", now.Installed), "running", now.Running)
		_, err = p.Stdout.Write(append(b, "}\n"...))
		return err
	}
	var b strings.Builder
	if c.Nothing() {
		b.WriteString("nothing to do\n")
	}
	if c.Wrote != "" {
		b.WriteString("wrote " + c.Wrote)
		if c.Before != "" {
			b.WriteString(", which goes before " + c.Before + " of a package")
		}
		b.WriteString("\n")
	}
	for _, words := range c.Ran {
		b.WriteString("ran " + service.CommandLine(words) + "\n")
	}
	if c.Removed != "" {
		b.WriteString("removed " + c.Removed + "\n")
	}
	switch {
	case c.Package != "":
		fmt.Fprintf(&b, "%s is switched off; %s belongs to a package, which removes it\n", s.Unit(), c.Package)
	case now.Running && now.PID > 0:
		fmt.Fprintf(&b, "%s runs, process %d; what it says: %s\n", s.Unit(), now.PID, plan.Logs)
	case now.Running:
		fmt.Fprintf(&b, "%s runs; what it says: %s\n", s.Unit(), plan.Logs)
	case c.Removed != "" && now.Installed:
		fmt.Fprintf(&b, "%s is %s of a package now, and does not run\n", s.Unit(), now.File)
	case now.Installed:
		fmt.Fprintf(&b, "%s does not run yet; what it says: %s\n", s.Unit(), plan.Logs)
	default:
		fmt.Fprintf(&b, "%s is not installed; settings stay in %s, history and certificates in %s\n", s.Unit(), filepath.Dir(s.Config), plan.State)
	}
	if now.Installed {
		for _, note := range plan.Notes {
			b.WriteString(note + "\n")
		}
	}
	return p.writeLines(b.String())
}

// writeLines writes lines without what a terminal could obey.
func (p *Process) writeLines(text string) error {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(printable(strings.TrimSuffix(line, "\n")) + "\n")
	}
	_, err := fmt.Fprint(p.Stdout, b.String())
	return err
}

func (p *Process) uninstallService(ctx context.Context, f *serviceFlags, role service.Role) error {
	host := p.serviceHost()
	s, err := p.serviceSpec(f, role, host.Kind())
	if err != nil {
		return err
	}
	plan, err := s.Plan()
	if err != nil {
		return &exit{codeUsage, err}
	}
	change, err := host.Uninstall(ctx, s, f.force)
	if err != nil {
		return p.serviceFailed(s, plan, nil, err)
	}
	return p.tellChange(ctx, host, s, plan, change, f)
}
