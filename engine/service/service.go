// Package service installs adit as a service of the operating system: units of
// systemd, property lists of launchd, services of Windows, scripts of OpenRC and of
// FreeBSD's rc.d. What is written, and what is run, is made by pure functions
// ([Spec.Plan]) and can be had without writing or running it; a [Host] carries it
// out. Under Windows it is also what the service control manager talks to ([Serve]).
//
// Start here, then plan.go.
package service

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"
)

// A Role is which end a service runs.
type Role string

const (
	Server Role = "server"
	Client Role = "client"
)

// A Kind is what manages services on a system.
type Kind string

const (
	Systemd Kind = "systemd"
	Launchd Kind = "launchd"
	Windows Kind = "windows"
	OpenRC  Kind = "openrc"
	RCD     Kind = "rcd" // of FreeBSD
)

// The group whose members may read the settings of services, and use their control
// sockets.
const group = "adit"

// A Spec says which service is meant, and what it runs.
type Spec struct {
	Kind   Kind
	Role   Role
	Name   string // of a further service of that role; "" the first
	Binary string // absolute
	Config string // absolute
	User   bool   // of one operator, not of the system

	// Of a service of one operator: where he keeps what programs keep.
	UID        int
	Home       string
	ConfigHome string // $XDG_CONFIG_HOME
	StateHome  string // $XDG_STATE_HOME
}

// Unit is what managers call the service: "adit-server", "adit-client-edge".
func (s *Spec) Unit() string { return "adit-" + s.instance() }

// instance names the service among those of adit.
func (s *Spec) instance() string {
	if s.Name == "" {
		return string(s.Role)
	}
	return string(s.Role) + "-" + s.Name
}

// title is what people read.
func (s *Spec) title() string {
	text := "adit server, the public end of tunnels"
	if s.Role == Client {
		text = "adit client, the private end of a tunnel"
	}
	if s.Name != "" {
		text += " (" + s.Name + ")"
	}
	return text
}

// command is what the service runs, word by word.
func (s *Spec) command() []string {
	return []string{s.Binary, string(s.Role), "--headless", "--config", s.Config}
}

// Again is the command line of adit that does verb for the same service, flags that
// only an installation takes left out.
func (s *Spec) Again(verb string) string {
	words := []string{s.Binary, "service", verb, string(s.Role)}
	if s.Name != "" {
		words = append(words, "--name", s.Name)
	}
	if s.User {
		words = append(words, "--user")
	}
	return CommandLine(words)
}

// maxName bounds the name of a service, so that the path of its control socket fits.
const maxName = 32

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// Check reports what a service can't be made of.
func (s *Spec) Check() error {
	if s.Role != Server && s.Role != Client {
		return fmt.Errorf("%q is no role; want server or client", s.Role)
	}
	if s.Name != "" && (len(s.Name) > maxName || !namePattern.MatchString(s.Name)) {
		return fmt.Errorf("--name %q: want at most %d letters, digits, dots, hyphens and underscores, a letter or digit first", s.Name, maxName)
	}
	if s.User && s.Kind != Systemd && s.Kind != Launchd {
		return fmt.Errorf("--user: %s has services of the system only", s.Kind)
	}
	if s.Kind == Systemd && strings.ContainsAny(s.Binary, `"'\`) {
		return fmt.Errorf("--binary %q: systemd takes no program whose path has quotes or backslashes", s.Binary)
	}
	if dir := path.Dir(s.Config); s.Kind == Systemd && dir != strings.TrimRight(dir, ` \`) {
		return fmt.Errorf("--config %q: systemd reads no directory whose name ends with a space or a backslash", s.Config)
	}
	return errors.Join(s.checkPath("--binary", s.Binary), s.checkPath("--config", s.Config))
}

func (s *Spec) checkPath(flag, path string) error {
	absolute := strings.HasPrefix(path, "/")
	if s.Kind == Windows {
		absolute = strings.HasPrefix(path, `\\`) || len(path) > 2 && path[1] == ':' && (path[2] == '\\' || path[2] == '/')
	}
	switch {
	case !absolute:
		return fmt.Errorf("%s %q: a service has no directory of its own; want the whole path", flag, path)
	case strings.ContainsFunc(path, unicode.IsControl):
		return fmt.Errorf("%s %q: a path with control characters can't be written down", flag, path)
	case s.Kind == Windows && strings.ContainsAny(path, `"<>|*?%`):
		return fmt.Errorf("%s %q: Windows has no such path, or would take a part of it for a variable", flag, path)
	}
	return nil
}
