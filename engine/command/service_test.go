package command

import (
	"os"
	"path/filepath"
	"testing"

	"adit/engine/service"
)

// A service's own directories go before those of a user, and a socket is opened for a
// group only there.
func TestDirectoriesOfAServiceManager(t *testing.T) {
	env := func(given map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { v, is := given[name]; return v, is }
	}
	run, state := t.TempDir(), t.TempDir()
	given := env(map[string]string{"RUNTIME_DIRECTORY": run + ":/other", "STATE_DIRECTORY": state, "XDG_STATE_HOME": "/elsewhere", "XDG_RUNTIME_DIR": "/elsewhere"})
	if dirs, err := socketDirs(given); err != nil || dirs[0] != run {
		t.Errorf("sockets in %v, %v", dirs, err)
	}
	if dir, err := stateDir(given); err != nil || dir != state {
		t.Errorf("state in %s, %v", dir, err)
	}
	if dir := managed(env(map[string]string{"STATE_DIRECTORY": "relative"}), "STATE_DIRECTORY"); dir != "" {
		t.Errorf("%q is taken for a directory", dir)
	}
}

// A service that would not start is refused before anything is written.
func TestServiceWithSettingsThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "adit.yaml")
	s := specOf(t, path)
	p := &Process{}
	if err := p.checkService(s, true); err == nil {
		t.Error("settings that are not there are taken")
	}
	for text, sound := range map[string]bool{
		"server:\n  liten: 1\n":     false,
		"server:\n  listen: \":0\"": false, // open to others without a credential
		"server:\n  listen: 127.0.0.1:0\n  secret: \"@service_test.go\"\n": false,
		"server:\n  listen: 127.0.0.1:0\n":                                 true,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.checkService(s, true); (err == nil) != sound || err != nil && exitCode(err) != codeUsage {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func specOf(t *testing.T, path string) *service.Spec {
	t.Helper()
	s, err := (&Process{}).serviceSpec(&serviceFlags{file: path, binary: "/usr/bin/adit"}, service.Server, service.Systemd)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
