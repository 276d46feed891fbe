package config

import (
	"fmt"
	"path/filepath"
)

// None is the value of a place, such as Control.Socket, where there shall be none.
const None = "none"

// Control is how others look at a run and steer it.
type Control struct {
	Socket     string // path of the Unix socket; "" where it is found by itself, None for none
	Listen     string // HOST:PORT of the same over TLS; "" none
	Cert, Key  string // PEM files for Listen
	ClientCA   string // PEM file: a certificate of it serves instead of a token; "" none
	Tokens     []string
	ReadTokens []string // of those who may only look
}

// ControlSettings defines the settings of the admin API; each sets its field of
// c.
func ControlSettings(c *Control) []Setting {
	return []Setting{
		textSetting(&c.Socket, "control", "PATH|none", "", "Unix socket for adit attach and the other verbs (default: below XDG_RUNTIME_DIR or XDG_STATE_HOME)", checkSocket),
		textSetting(&c.Listen, "control-listen", "HOST:PORT", "", "serve the same over TLS, to those who have a token (default: not)", checkControlListen),
		reads(textSetting(&c.Cert, "control-cert", "FILE", "", "certificate of --control-listen, PEM", notEmpty)),
		reads(textSetting(&c.Key, "control-key", "FILE", "", "private key of --control-cert, PEM", notEmpty)),
		live(reads(textSetting(&c.ClientCA, "control-client-ca", "FILE", "", "operators over --control-listen may show a certificate of this authority, PEM, instead of a token", notEmpty))),
		live(namedSecretsSetting(&c.Tokens, "control-token", "credential of operators over --control-listen, as NAME=SECRET or NAME=@FILE to have NAME in the log of what they did")),
		live(namedSecretsSetting(&c.ReadTokens, "control-read-token", "credential of those who may only look")),
	}
}

func checkSocket(v string) (string, error) {
	if v == "" || v == None {
		return v, nil
	}
	if len(v) > maxSocket {
		return "", fmt.Errorf("%q is too long for a socket; want at most %d bytes", filepath.Base(v), maxSocket)
	}
	return v, nil
}

// maxSocket is the longest path of a Unix socket that every system takes, in
// bytes (sun_path of the BSDs, without its NUL).
const maxSocket = 103

func checkControlListen(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	return checkListen(v)
}

// idle says which of the settings nothing comes of, "" if none.
func (c *Control) idle() string {
	if c.Listen != "" {
		return ""
	}
	for _, given := range []struct {
		name string
		is   bool
	}{
		{"control-cert", c.Cert != ""}, {"control-key", c.Key != ""}, {"control-client-ca", c.ClientCA != ""},
		{"control-token", len(c.Tokens) > 0}, {"control-read-token", len(c.ReadTokens) > 0},
	} {
		if given.is {
			return "--" + given.name + " means nothing without --control-listen: over the Unix socket the owner of the process needs no credential"
		}
	}
	return ""
}

// missing returns what --control-listen lacks, as words for people and as
// arguments.
func (c *Control) missing() (what string, more []string) {
	if c.Listen == "" {
		return "", nil
	}
	tls := c.Cert == "" || c.Key == ""
	token := len(c.Tokens) == 0 && len(c.ReadTokens) == 0 && c.ClientCA == ""
	switch {
	case tls && token:
		what = "TLS and a token"
	case tls:
		what = "TLS"
	case token:
		what = "a token"
	}
	if c.Cert == "" {
		more = append(more, "--control-cert", "FILE")
	}
	if c.Key == "" {
		more = append(more, "--control-key", "FILE")
	}
	if token {
		more = append(more, "--control-token", "@FILE")
	}
	return what, more
}

// controlRefusal keeps the admin API from being open by accident.
func controlRefusal(c *Control, verb, path string, settings []Setting, flags map[string][]string) *RefusalError {
	what, more := c.missing()
	if what == "" {
		return nil
	}
	return &RefusalError{
		Why: fmt.Sprintf("--control-listen %s needs %s", c.Listen, what),
		Fix: []string{commandLine(verb, path, settings, flags, more...)},
	}
}
