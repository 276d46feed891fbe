package control

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocketOthersCanReach(t *testing.T) {
	path := socketPath(t)
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %v", name, info.Mode(), err, want)
		}
	}
	if _, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	_ = ln.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
}

func TestSocketOfAProcessThatWasKilled(t *testing.T) {
	path := socketPath(t)
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	// Who is killed removes nothing.
	_ = first.(*socket).UnixListener.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	// The first one, closed late, must not remove the socket of the second.
	_ = first.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the socket in use was removed: %v", err)
	}
	_ = c.Close()
	_ = second.Close()
}

func TestFileThatIsNoSocketOfOurs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		file:                               "no socket",
		link:                               "no socket",
		filepath.Join(open, "a.sock"):      "others can write",
		filepath.Join(file, "a.sock"):      "not a directory",
		"/tmp/" + strings.Repeat("x", 120): "at most 103",
	} {
		if ln, err := Listen(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", path, err, says)
			if err == nil {
				_ = ln.Close()
			}
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file: %q %v", b, err)
	}
}

// A socket that lets in more than was meant, or that keeps out the group it was
// opened for.
func TestSocketOfAGroup(t *testing.T) {
	path := socketPath(t)
	ln, err := ListenShared(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v, want 0660", info.Mode(), err)
	}
	for mode, want := range map[os.FileMode]bool{0o660: true, 0o600: false, 0o666: false, 0o640: false, 0o662: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got := isShared(ln); got != want {
			t.Errorf("mode %04o lets in a group: %v", mode, got)
		}
	}
}
