package history

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What has a meaning in the name that SQLite opens a file by is a part of a path all
// the same.
func TestPathWithSigns(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a?mode=memory", "a#b", "a%20b%", "a b&c=d;e", "file:a", "\u00fc"} {
		path := filepath.Join(t.TempDir(), name+".db")
		f := open(t, path, Options{})
		settle(t, f, f.Add(finished(1)))
		if s, err := os.Stat(path); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
		if n := count(t, f, "SELECT count(*) FROM requests"); n != 1 {
			t.Errorf("%s: %d rows", name, n)
		}
	}
}

// By another name it is the same database: not to be written by two, and not to be
// read as if nobody wrote to it.
func TestPathThatIsALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link := filepath.Join(dir, "h.db"), filepath.Join(dir, "link.db")
	f := open(t, path, Options{})
	settle(t, f, f.Add(finished(1)))
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if f, err := Open(link, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("two write to one database: %v, %v", f, err)
	}
	r, err := OpenReadOnly(link)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	settle(t, f, f.Add(finished(2)))
	if n := count(t, r, "SELECT count(*) FROM requests"); n != 2 {
		t.Errorf("%d rows of 2", n)
	}
}

func TestPathOfADirectory(t *testing.T) {
	t.Parallel()
	if f, err := Open(t.TempDir(), Options{}); err == nil {
		t.Errorf("a directory is opened: %v", f)
	}
	if f, err := OpenReadOnly(t.TempDir()); err == nil {
		t.Errorf("a directory is opened to be read: %v", f)
	}
}
