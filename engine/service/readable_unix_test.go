//go:build unix

package service

import (
	"os"
	"path/filepath"
	"testing"
)

// What a link leads to is hidden too: the service would start without its settings.
func TestLinksIntoWhatIsHidden(t *testing.T) {
	dir := t.TempDir()
	if isHidden(dir) {
		t.Chdir(dir)
		if err := os.WriteFile("adit.yaml", nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]bool{
		"/home/mia/adit.yaml": true, "/etc/adit/adit.yaml": false, "/homes/adit.yaml": false, "/tmp/../etc/adit.yaml": false,
		"/proc/self/cwd/adit.yaml": isHidden(filepath.Join(dir, "adit.yaml")) && exists("/proc/self/cwd/adit.yaml"),
	} {
		if isHidden(path) != want {
			t.Errorf("%s: %v, want %v", path, !want, want)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
