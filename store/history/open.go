package history

import (
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	applicationID = 0x61646974 // "adit"
	pageSize      = 8192

	// busy is for how long the writer waits for a lock that another program has.
	busy = "1000"
)

// ErrInUse says that another process writes to the database.
var ErrInUse = errors.New("in use by another process")

// errNewer and errForeign are of databases that are left alone.
var (
	errNewer   = errors.New("written by a newer version of adit: use that one, or another path")
	errForeign = errors.New("a database of another program: use another path")
)

// take makes sure that nobody else writes to path: until what it returns is
// closed, or the process ends, however it ends. SQLite's own locks are of use for
// that on every system.
func take(path string) (*conn, error) {
	path += ".lock"
	if err := create(path); err != nil {
		return nil, err
	}
	c, err := dial(path)
	if err != nil {
		return nil, err
	}
	if err := c.exec("PRAGMA journal_mode = memory; BEGIN EXCLUSIVE"); err != nil {
		if closed := c.Close(); isBusy(err) {
			return nil, errors.Join(ErrInUse, closed)
		}
		return nil, err
	}
	return c, nil
}

// real returns where a path leads to: there stand the log and the lock, whatever name
// somebody else knows the database by.
func real(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return path
}

// create makes a file that only its owner can read, if there is none.
func create(path string) error {
	// Not to be opened where it exists: to close it again would drop this
	// process's locks on it (fcntl).
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openWriter opens the database at path for writing and brings it to the newest
// schema. One that is damaged is moved aside: moved says where to. suspect says that
// something was wrong with its pages, which opening it does not show.
func openWriter(path string, suspect bool, now time.Time) (c *conn, moved string, err error) {
	c, err = tryWriter(path)
	if err == nil && suspect {
		if err = sound(c); err != nil {
			err = errors.Join(err, c.Close())
		}
	}
	if err == nil || !isCorrupt(err) {
		return c, "", err
	}
	moved = path + ".corrupt-" + now.UTC().Format("20060102T150405.000")
	// Its log and index go along, else they would be taken for the new one's.
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, moved+suffix); err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, "", err
		}
	}
	c, err = tryWriter(path)
	return c, moved, err
}

// errDamaged says what SQLite has found.
type errDamaged string

func (e errDamaged) Error() string { return "damaged: " + string(e) }

// sound looks at every page.
func sound(c *conn) error {
	said := ""
	err := c.query("PRAGMA quick_check(1)", func(row []driver.Value) error {
		said = words(row[0])
		return nil
	})
	if err == nil && said != "ok" {
		err = errDamaged(said)
	}
	return err
}

func tryWriter(path string) (*conn, error) {
	if err := create(path); err != nil {
		return nil, err
	}
	c, err := dial(path)
	if err != nil {
		return nil, err
	}
	if err := prepareWriter(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func prepareWriter(c *conn) error {
	if err := c.exec("PRAGMA busy_timeout = " + busy); err != nil {
		return err
	}
	id, err := c.number("PRAGMA application_id")
	if err != nil {
		return err
	}
	tables, err := c.number("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	if id != applicationID && tables > 0 {
		return errForeign
	}
	if tables == 0 {
		// Pages that retention frees can be given back, a few at a time.
		if err := c.exec(fmt.Sprintf("PRAGMA page_size = %d; PRAGMA auto_vacuum = incremental; PRAGMA application_id = %d", pageSize, applicationID)); err != nil {
			return err
		}
	}
	if err := migrate(c); err != nil {
		return err
	}
	return c.exec("PRAGMA journal_mode = wal; PRAGMA synchronous = normal;" +
		"PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384; PRAGMA foreign_keys = off")
}

// migrate brings the schema to its newest version, each step a transaction.
func migrate(c *conn) error {
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return err
	}
	version, err := c.number("PRAGMA user_version")
	if err != nil {
		return err
	}
	if int(version) > len(files) {
		return fmt.Errorf("%w (schema %d, this one knows %d)", errNewer, version, len(files))
	}
	for n := int(version) + 1; n <= len(files); n++ {
		script, err := fs.ReadFile(migrations, "migrations/"+files[n-1].Name())
		if err != nil {
			return err
		}
		err = c.exec(fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nPRAGMA user_version = %d;\nCOMMIT", script, n))
		if err != nil {
			return errors.Join(fmt.Errorf("schema %d: %w", n, err), undo(c))
		}
	}
	return nil
}

// undo ends a transaction that failed; SQLite may have done so itself.
func undo(c *conn) error {
	if err := c.exec("ROLLBACK"); err != nil && !strings.Contains(err.Error(), "no transaction") {
		return err
	}
	return nil
}

// reader returns how a database is opened to be read: in place where nothing is to
// be made beside it, which is right as long as nobody writes to it.
func reader(path string, inPlace bool) (string, error) {
	parameters := []string{"mode=ro", "_pragma=busy_timeout(1000)", "_pragma=query_only(1)", "_pragma=cache_size(-8192)"}
	if inPlace {
		parameters = append(parameters, "immutable=1")
	}
	return sourceName(path, parameters...)
}

// code returns SQLite's code of an error, without its extension; 0 of another's.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xFF
	}
	return 0
}

func isBusy(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
}

func isCorrupt(err error) bool {
	if _, damaged := errors.AsType[errDamaged](err); damaged {
		return true
	}
	c := code(err)
	return c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB
}

// cause says in words why nothing can be written, and what to do: "disk full:
// make room on …".
func cause(err error, path string) (why, advice string) {
	dir := filepath.Dir(path)
	switch code(err) {
	case sqlite3.SQLITE_FULL:
		return "disk full", "make room in " + dir
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "locked by another program", "end what writes to " + path
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return "read-only", "let this user write to " + path
	case sqlite3.SQLITE_CANTOPEN:
		return "can't be opened", "let this user make files in " + dir
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "damaged", "it will be moved aside; look at the disk of " + dir
	case sqlite3.SQLITE_IOERR:
		return "the disk fails", "look at the disk of " + dir
	}
	if errors.Is(err, errPinned) {
		return engineText(err), "end what reads " + path
	}
	if errors.Is(err, errGone) {
		return "the file was taken away", "a new one is made at " + path
	}
	return engineText(err), "look at " + path
}

func engineText(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

// errGone says that the file is no longer where it was opened.
var errGone = errors.New("the file was taken away")
