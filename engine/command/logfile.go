package command

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// maxLog bounds the file of logs, in bytes; the one before is kept beside it.
const maxLog = 8 << 20

// openLog returns the logger of a run with a dashboard: to a file, or to nobody
// where none can be opened, which it says.
func (r *run) openLog() *slog.Logger {
	if r.plan.role == "" {
		return slog.New(slog.DiscardHandler)
	}
	f, err := openLogFile(r.process.LookupEnv, r.plan.role+"-"+r.plan.name)
	if err != nil {
		r.process.say("no logs are kept while the dashboard runs: %v", err)
		return slog.New(slog.DiscardHandler)
	}
	r.closers = append(r.closers, func() { f.Close() })
	return newLogger(f, &r.level, r.plan.logFormat)
}

// stateDir returns the directory of files that one run leaves for people and
// for the next one.
func stateDir(env func(string) (string, bool)) (string, error) {
	if env == nil {
		return "", errors.New("there is no environment")
	}
	if dir := managed(env, "STATE_DIRECTORY"); dir != "" {
		return dir, nil
	}
	if dir, _ := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "adit"), nil
	}
	if runtime.GOOS == "windows" {
		if dir, _ := env("LocalAppData"); filepath.IsAbs(dir) {
			return filepath.Join(dir, "adit", "state"), nil
		}
		return "", errors.New("neither XDG_STATE_HOME nor LocalAppData is set")
	}
	home, _ := env("HOME")
	if home == "" {
		return "", errors.New("neither XDG_STATE_HOME nor HOME is set")
	}
	return filepath.Join(home, ".local", "state", "adit"), nil
}

// managed returns the first of the directories that a service manager has made for
// this service (systemd.exec(5), "RuntimeDirectory="); "" none.
func managed(env func(string) (string, bool), name string) string {
	if env == nil {
		return ""
	}
	text, is := env(name)
	if runtime.GOOS != "windows" {
		text, _, _ = strings.Cut(text, ":")
	}
	if !is || !filepath.IsAbs(text) {
		return ""
	}
	return filepath.Clean(text)
}

// fileName makes a name of a run fit to name a file.
func fileName(name string) string {
	return strings.Map(func(c rune) rune {
		if c <= ' ' || c == 0x7f || strings.ContainsRune(`/\:*?"<>|`, c) {
			return '_'
		}
		return c
	}, name)
}

// A logFile is a file of bounded size, written to by one run.
type logFile struct {
	path string

	mu   sync.Mutex
	file *os.File
	size int64
}

func openLogFile(env func(string) (string, bool), name string) (*logFile, error) {
	dir, err := stateDir(env)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := &logFile{path: filepath.Join(dir, fileName(name)+".log")}
	return l, l.open()
}

// OpenServiceLog opens what takes the place of stdout and stderr where a service
// manager has none: adit.log in the directory of the service, of bounded size.
func OpenServiceLog(env func(string) (string, bool)) (io.WriteCloser, error) {
	return openLogFile(env, "adit")
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return fmt.Errorf("%s belongs to another run of that name", l.path)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write appends p. A file that is full becomes the one before.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return 0, os.ErrClosed
	}
	if l.size+int64(len(p)) > maxLog && l.size > 0 {
		l.file.Close()
		l.file = nil
		if err := os.Rename(l.path, l.path+".1"); err != nil {
			return 0, err
		}
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

var _ io.WriteCloser = (*logFile)(nil)
