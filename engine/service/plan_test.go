package service

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden compares text with a file, or makes it.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s is not what it was; UPDATE_GOLDEN=1 writes it anew:\n%s", path, text)
	}
}

// specs are services as they are installed: the usual ones, an operator's, a second
// one, and one whose paths have all that a format could take for its own.
func specs() map[string]*Spec {
	all := map[string]*Spec{}
	for _, kind := range []Kind{Systemd, Launchd, Windows, OpenRC, RCD} {
		for _, role := range []Role{Server, Client} {
			usual := Spec{Kind: kind, Role: role, Binary: "/usr/bin/adit", Config: "/etc/adit/adit.yaml",
				UID: 501, Home: "/home/mia", ConfigHome: "/home/mia/.config", StateHome: "/home/mia/.local/state"}
			odd := usual
			odd.Name, odd.Binary, odd.Config = "edge", `/opt/a b/100%n/ad"it$x\y'z`, `/etc/a b/<&>"$HOME"%h\'.yaml`
			if kind == Systemd {
				odd.Binary = `/opt/a b/100%n/adit$x`
			}
			if kind == Windows {
				usual.Binary, usual.Config = `C:\adit\adit.exe`, `C:\ProgramData\adit\adit.yaml`
				odd.Binary, odd.Config = `C:\Program Files\adit's\adit.exe`, `D:\a b\$HOME&^\adit.yaml`
			}
			all[fmt.Sprintf("%s-%s", kind, role)] = &usual
			if role == Server {
				all[fmt.Sprintf("%s-odd", kind)] = &odd
			}
			if kind == Systemd || kind == Launchd {
				own := usual
				own.User, own.Binary, own.Config = true, "/home/mia/bin/adit", "/home/mia/.config/adit/adit.yaml"
				all[fmt.Sprintf("%s-user-%s", kind, role)] = &own
			}
		}
	}
	return all
}

// What is written and run, to the letter.
func TestPlans(t *testing.T) {
	for name, s := range specs() {
		t.Run(name, func(t *testing.T) {
			p, err := s.Plan()
			if err != nil {
				t.Fatal(err)
			}
			if authorOf(p.Text) != Ours {
				t.Error("the text is not known for ours")
			}
			var b strings.Builder
			fmt.Fprintf(&b, "%s %04o\nstate %s\nsockets %s\nlogs %s\n", p.Path, p.Mode, p.State, p.Sockets, p.Logs)
			for _, part := range []struct {
				name     string
				commands [][]string
			}{{"prepare", p.Prepare}, {"start", p.Start}, {"restart", p.Restart}, {"stop", p.Stop}, {"forget", p.Forget}} {
				for _, words := range part.commands {
					fmt.Fprintf(&b, "%s: %s\n", part.name, CommandLine(words))
				}
			}
			for _, note := range p.Notes {
				fmt.Fprintf(&b, "note: %s\n", note)
			}
			golden(t, name+".golden", b.String()+"\n"+p.Text)
		})
	}
}

// What a script has in a variable is read by a shell twice, and the words of the
// command line come out of it whole: what is in a path runs nothing.
func TestScriptsThatAShellReads(t *testing.T) {
	stubs := "load_rc_config() { :; }\nrun_rc_command() { :; }\n"
	for name, s := range specs() {
		if s.Kind != OpenRC && s.Kind != RCD {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p, err := s.Plan()
			if err != nil {
				t.Fatal(err)
			}
			script := stubs + strings.Replace(p.Text, ". /etc/rc.subr", "", 1) + "\neval \"set -- $command $command_args\"\nprintf '%s\\n' \"$@\"\n"
			cmd := exec.Command("sh", "-eu", "-c", script, "sh", "start")
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			words := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
			if want := s.command(); err != nil || len(words) < len(want) || !slices.Equal(words[len(words)-len(want):], want) {
				t.Errorf("%v: %q, want %q", err, words, want)
			}
		})
	}
}

// A unit with a fault that systemd only warns of runs without what was meant.
func TestUnitsThatSystemdUnderstands(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze on this machine")
	}
	odd := filepath.Join(t.TempDir(), `a b$x%n`)
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(odd, "adit")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", odd)
	for _, user := range []bool{false, true} {
		for _, role := range []Role{Server, Client} {
			s := &Spec{Kind: Systemd, Role: role, User: user, Binary: binary, Config: filepath.Join(odd, `a\d"i't.yaml`), Home: odd, ConfigHome: odd, StateHome: odd}
			p, err := s.Plan()
			if err != nil {
				t.Fatal(err)
			}
			unit := filepath.Join(t.TempDir(), s.Unit()+".service")
			if err := os.WriteFile(unit, []byte(p.Text), 0o644); err != nil {
				t.Fatal(err)
			}
			args := []string{"verify", "--man=no", unit}
			if user {
				args = append([]string{"--user"}, args...)
			}
			said, err := exec.Command("systemd-analyze", args...).CombinedOutput()
			if err != nil || len(said) > 0 {
				t.Errorf("%s, user %v: %v: %s", s.Unit(), user, err, said)
			}
		}
	}
}
