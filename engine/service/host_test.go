package service

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A rig is a system that notes what is run, and has one unit that runs or not.
type rig struct {
	*Host
	ran     []string
	running bool
	fails   string // beginning of the line that fails
}

func newRig(t *testing.T) *rig {
	r := &rig{}
	r.Host = &Host{Root: t.TempDir(), Run: func(_ context.Context, words []string) (string, error) {
		line := CommandLine(words)
		if r.fails != "" && strings.HasPrefix(line, r.fails) {
			return "", errors.New("exit status 1")
		}
		if strings.HasPrefix(line, "systemctl show ") {
			if !r.running {
				return "LoadState=not-found\n", nil
			}
			return "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nSubState=running\nMainPID=77\n" +
				"StateChangeTimestamp=@1700000000\nFragmentPath=/etc/systemd/system/adit-server.service\nResult=success\n" +
				"ExecStart={ path=/usr/bin/adit ; argv[]=/usr/bin/adit server --headless --config /etc/adit/adit.yaml ; ignore_errors=no ; pid=77 }\n", nil
		}
		r.ran = append(r.ran, line)
		switch {
		case strings.Contains(line, " --now ") && strings.Contains(line, "enable"):
			r.running = !strings.Contains(line, "disable")
		}
		return "", nil
	}}
	return r
}

func usual() *Spec {
	return &Spec{Kind: Systemd, Role: Server, Binary: "/usr/bin/adit", Config: "/etc/adit/adit.yaml"}
}

func (r *rig) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.ran, want) {
		t.Errorf("ran\n %s\nwant\n %s", strings.Join(r.ran, "\n "), strings.Join(want, "\n "))
	}
	r.ran = nil
}

// A service that is there is left alone; one that is otherwise is changed and started
// anew; what is removed is gone, and removing it again is no error.
func TestInstallChangeAndRemove(t *testing.T) {
	r, s := newRig(t), usual()
	const unit = "adit-server.service"
	path := filepath.Join(r.Root, unitDir, unit)
	c, err := r.Install(t.Context(), s, false)
	if err != nil || c.Wrote != unitDir+"/"+unit {
		t.Fatalf("%+v, %v", c, err)
	}
	r.expect(t, "groupadd --system --force adit", "systemctl daemon-reload", "systemctl enable --now "+unit)
	if c, err = r.Install(t.Context(), s, false); err != nil || !c.Nothing() {
		t.Errorf("the second time: %+v, %v", c, err)
	}
	r.expect(t)
	s.Binary = "/opt/adit"
	if c, err = r.Install(t.Context(), s, false); err != nil || c.Wrote == "" {
		t.Errorf("of another program: %+v, %v", c, err)
	}
	r.expect(t, "groupadd --system --force adit", "systemctl daemon-reload", "systemctl enable "+unit, "systemctl restart "+unit)
	if c, err = r.Uninstall(t.Context(), s, false); err != nil || c.Removed == "" {
		t.Errorf("%+v, %v", c, err)
	}
	r.expect(t, "systemctl disable --now "+unit, "systemctl daemon-reload")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unit is still there: %v", err)
	}
	if c, err = r.Uninstall(t.Context(), s, false); err != nil || !c.Nothing() {
		t.Errorf("the second time: %+v, %v", c, err)
	}
	left, err := filepath.Glob(filepath.Join(r.Root, unitDir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What an operator wrote, changed or masked must not be lost.
func TestFilesThatAreNotOurs(t *testing.T) {
	ours, err := usual().Plan()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"another's": "[Service]\n", "changed": ours.Text + "Nice=5\n", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			path := filepath.Join(r.Root, ours.Path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			var foreign *ForeignError
			if _, err := r.Install(t.Context(), usual(), false); !errors.As(err, &foreign) {
				t.Errorf("install: %v", err)
			}
			if _, err := r.Uninstall(t.Context(), usual(), false); !errors.As(err, &foreign) {
				t.Errorf("uninstall: %v", err)
			}
			r.expect(t)
			if now, err := os.ReadFile(path); err != nil || string(now) != text {
				t.Errorf("the file is %q, %v", now, err)
			}
			if _, err := r.Install(t.Context(), usual(), true); err != nil {
				t.Errorf("with force: %v", err)
			}
		})
	}
}

// The unit of a package is used as it is, and never removed.
func TestUnitOfAPackage(t *testing.T) {
	r := newRig(t)
	p, err := usual().Plan()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.Root, unitDirs()[0], "adit-server.service")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(p.Text), 0o644); err != nil {
		t.Fatal(err)
	}
	if c, err := r.Install(t.Context(), usual(), false); err != nil || c.Wrote != "" {
		t.Errorf("%+v, %v", c, err)
	}
	r.expect(t, "systemctl daemon-reload", "systemctl enable --now adit-server.service")
	if c, err := r.Uninstall(t.Context(), usual(), false); err != nil || c.Removed != "" || c.Package == "" {
		t.Errorf("%+v, %v", c, err)
	}
	r.expect(t, "systemctl disable --now adit-server.service")
}

// With other settings the service has a unit of its own, which goes before that of the
// package: it says so.
func TestUnitBeforeThatOfAPackage(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(unitDirs()[0], "adit-server.service")
	if err := r.write(&Plan{Path: path, Text: "[Unit]\n", Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	c, err := r.Install(t.Context(), usual(), false)
	if err != nil || c.Wrote != unitDir+"/adit-server.service" || c.Before != path {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := r.Uninstall(t.Context(), usual(), false); err != nil || c.Removed == "" {
		t.Errorf("%+v, %v", c, err)
	}
	if text, err := r.read(path); err != nil || text != "[Unit]\n" {
		t.Errorf("the unit of the package: %q, %v", text, err)
	}
}

// The script of an apk is where an operator's would be, and has our mark: it was
// removed, and replaced where other settings were asked for.
func TestScriptOfAnAPK(t *testing.T) {
	var ran []string
	owned := true
	h := &Host{Root: t.TempDir(), Run: func(_ context.Context, words []string) (string, error) {
		line := CommandLine(words)
		if words[0] == "apk" {
			if !owned {
				return "", errors.New("exit status 1")
			}
			return "adit\n", nil
		}
		ran = append(ran, line)
		return "", nil
	}}
	s := usual()
	s.Kind = OpenRC
	p, err := s.Plan()
	if err == nil {
		err = h.write(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Uninstall(t.Context(), s, true)
	if err != nil || c.Removed != "" || c.Package != p.Path || !slices.Contains(ran, "rc-update del adit-server default") {
		t.Errorf("%+v, %v, ran %q", c, err, ran)
	}
	other := *s
	other.Config = "/srv/adit.yaml"
	var foreign *ForeignError
	if _, err := h.Install(t.Context(), &other, false); !errors.As(err, &foreign) || foreign.Author != Packaged {
		t.Errorf("other settings: %v", err)
	}
	if text, err := h.read(p.Path); err != nil || text != p.Text {
		t.Errorf("the script of the package: %q, %v", text, err)
	}
	owned = false
	if c, err := h.Uninstall(t.Context(), s, false); err != nil || c.Removed != p.Path {
		t.Errorf("one that is no package's: %+v, %v", c, err)
	}
}

func TestStatusOfSystemd(t *testing.T) {
	r := newRig(t)
	if st, err := r.Status(t.Context(), usual()); err != nil || st.Installed || st.Running {
		t.Errorf("%+v, %v", st, err)
	}
	r.running = true
	st, err := r.Status(t.Context(), usual())
	if err != nil || !st.Installed || !st.Enabled || !st.Running || st.PID != 77 || !st.Since.Equal(time.Unix(1700000000, 0)) ||
		st.State != "active (running)" || st.Config != "/etc/adit/adit.yaml" {
		t.Errorf("%+v, %v", st, err)
	}
}

// An older systemd does not take --timestamp, and its times are not known.
func TestStatusOfAnOlderSystemd(t *testing.T) {
	r := newRig(t)
	r.running = true
	young := r.Run
	r.Run = func(ctx context.Context, words []string) (string, error) {
		if strings.Contains(CommandLine(words), "--timestamp") {
			return "", errors.New("exit status 1: Invalid value: unix.")
		}
		out, err := young(ctx, words)
		return strings.Replace(out, "@1700000000", "Tue 2023-11-14 22:13:20 UTC", 1), err
	}
	st, err := r.Status(t.Context(), usual())
	if err != nil || !st.Running || st.PID != 77 || !st.Since.IsZero() {
		t.Errorf("%+v, %v", st, err)
	}
}

// launchd refuses to load what is loaded, also where that does not run just now.
func TestLoadedAndDoesNotRun(t *testing.T) {
	r, s := newRig(t), usual()
	s.Kind = Launchd
	plain, loaded := r.Run, false
	r.Run = func(ctx context.Context, words []string) (string, error) {
		if words[0] == "launchctl" && words[1] == "print" {
			if !loaded {
				return "", errors.New("exit status 113")
			}
			return "system/adit-server = {\n\tstate = spawn scheduled\n}\n", nil
		}
		return plain(ctx, words)
	}
	const dir, plist, target = "install -d -o daemon -g daemon -m 0750 /var/db/adit/server", "/Library/LaunchDaemons/adit-server.plist", "system/adit-server"
	begin := []string{"launchctl enable " + target, "launchctl bootstrap system " + plist}
	anew := append([]string{"launchctl bootout " + target}, begin...)
	if _, err := r.Install(t.Context(), s, false); err != nil {
		t.Fatal(err)
	}
	r.expect(t, append([]string{dir}, begin...)...)
	loaded = true
	if _, err := r.Install(t.Context(), s, false); err != nil {
		t.Fatal(err)
	}
	r.expect(t, anew...)
	s.Binary = "/opt/adit"
	if _, err := r.Install(t.Context(), s, false); err != nil {
		t.Fatal(err)
	}
	r.expect(t, append([]string{dir}, anew...)...)
}

// A service that does not come up is an error, and its unit stays to be looked at.
func TestServiceThatDoesNotStart(t *testing.T) {
	r := newRig(t)
	r.fails = "systemctl enable"
	if c, err := r.Install(t.Context(), usual(), false); err == nil || c.Wrote == "" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestWithoutRights(t *testing.T) {
	r := newRig(t)
	r.UID = 1000
	if _, err := r.Install(t.Context(), usual(), false); !errors.Is(err, ErrRights) {
		t.Error(err)
	}
	r.expect(t)
}

// What a format or a manager could take for something else is refused.
func TestSpecsThatAreNone(t *testing.T) {
	for fault, change := range map[string]func(*Spec){
		"role":                func(s *Spec) { s.Role = "both" },
		"name with a slash":   func(s *Spec) { s.Name = "../x" },
		"name that is long":   func(s *Spec) { s.Name = strings.Repeat("x", 33) },
		"relative config":     func(s *Spec) { s.Config = "adit.yaml" },
		"line in a path":      func(s *Spec) { s.Config = "/etc/a\nExecStartPre=/bin/sh" },
		"quote in a program":  func(s *Spec) { s.Binary = `/a"b` },
		"continued line":      func(s *Spec) { s.Config = `/etc/a\/adit.yaml` },
		"user of Windows":     func(s *Spec) { s.Kind, s.User = Windows, true },
		"Unix path, Windows":  func(s *Spec) { s.Kind = Windows },
		"variable in Windows": func(s *Spec) { s.Kind, s.Binary, s.Config = Windows, `C:\a.exe`, `C:\%TEMP%\a` },
		"unknown manager":     func(s *Spec) { s.Kind = "upstart" },
	} {
		s := usual()
		change(s)
		if _, err := s.Plan(); err == nil {
			t.Errorf("%s is taken", fault)
		}
	}
}

// A property list that launchd can't read is not loaded: it is well-formed, what
// stands in its dictionaries alternates, and the program's words come back whole.
func TestPropertyListsThatParse(t *testing.T) {
	for name, s := range specs() {
		if s.Kind != Launchd {
			continue
		}
		p, err := s.Plan()
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		var stack []string
		even := true
		d := xml.NewDecoder(strings.NewReader(p.Text))
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch x := token.(type) {
			case xml.StartElement:
				if len(stack) == 2 && stack[1] == "dict" {
					if (x.Name.Local == "key") != even {
						t.Fatalf("%s: %s at %d is no key, or has none", name, x.Name.Local, d.InputOffset())
					}
					even = !even
				}
				stack = append(stack, x.Name.Local)
			case xml.EndElement:
				stack = stack[:len(stack)-1]
			case xml.CharData:
				if len(stack) > 2 && stack[len(stack)-2] == "array" && stack[len(stack)-1] == "string" {
					words = append(words, string(x))
				}
			}
		}
		if !slices.Equal(words, s.command()) {
			t.Errorf("%s: the program's words are %q", name, words)
		}
	}
}

// What is started must end, and what it prints is bounded.
func TestRunProgram(t *testing.T) {
	out, err := runProgram(t.Context(), []string{"sh", "-c", "yes | head -c 200000"})
	if err != nil || len(out) != maxOutput {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	if _, err := runProgram(t.Context(), []string{"sh", "-c", "echo why >&2; exit 3"}); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := runProgram(ctx, []string{"sleep", "60"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
