package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrInUse says that another process listens there.
var ErrInUse = errors.New("in use by another process")

// maxSocketPath is what sun_path takes on every system (unix(7): 108 on Linux,
// 104 elsewhere, with a zero byte).
const maxSocketPath = 103

// Listen opens a Unix socket at path, mode 0600, in a directory that it makes
// with mode 0700 if there is none; one that others can write to is refused. A
// socket that nobody listens on any more is replaced, anything else that stands
// there is not; ErrInUse where somebody listens. Closing removes the socket.
func Listen(path string) (net.Listener, error) { return listenAs(path, 0o600) }

// ListenShared is Listen with mode 0660: who is in the group of the process may use the
// socket as well, with the rights of its user.
func ListenShared(path string) (net.Listener, error) { return listenAs(path, 0o660) }

func listenAs(path string, mode fs.FileMode) (net.Listener, error) {
	ln, err := listen(path, mode)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return ln, nil
}

// CheckPlace reports why Listen would find no place for a socket at path; it makes
// nothing. A directory that is not there yet is none of its reasons.
func CheckPlace(path string) error {
	if len(path) > maxSocketPath {
		return tooLong(path)
	}
	err := checkDirectory(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func tooLong(path string) error {
	return fmt.Errorf("the path has %d bytes, and a Unix socket takes at most %d; choose a shorter one", len(path), maxSocketPath)
}

func listen(path string, mode fs.FileMode) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, tooLong(path)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkDirectory(dir); err != nil {
		return nil, err
	}
	// Two that start together would otherwise remove each other's socket.
	unlock, err := lockDirectory(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	if err := os.Chmod(path, mode); err != nil {
		_ = ln.Close()
		return nil, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		_ = ln.Close()
		return nil, err
	}
	return &socket{UnixListener: ln, path: path, info: info}, nil
}

// Adopt is Listen for a socket that the process was started with: of a former
// process, whose file at path is ours from now on, or with path "" of a service
// manager, whose file is not.
func Adopt(ln *net.UnixListener, path string) net.Listener {
	ln.SetUnlinkOnClose(false)
	s := &socket{UnixListener: ln, path: path}
	if info, err := os.Lstat(path); path != "" && err == nil {
		s.info = info
	} else {
		s.once.Do(func() {})
	}
	return s
}

// isShared reports whether the file of a socket lets in a group, and nobody else: the
// kernel has looked at it when somebody connects. A service manager's that lets in
// everybody was not meant so.
func isShared(ln net.Listener) bool {
	addr := ln.Addr()
	if addr.Network() != "unix" {
		return false
	}
	info, err := os.Lstat(addr.String())
	return err == nil && info.Mode().Perm()&0o067 == 0o060
}

// checkDirectory refuses a directory in which others could put another socket in
// the place of ours.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	return openToOthers(dir, info)
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return errors.New("something that is no socket stands there; remove it, or choose another path")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return ErrInUse
	}
	if !refused(err) {
		// Busy, or not ours to know: somebody may be there.
		return fmt.Errorf("%w (%w)", ErrInUse, err)
	}
	return os.Remove(path)
}

// A socket removes its file when it is closed, if it is still its own.
type socket struct {
	*net.UnixListener
	path string
	info fs.FileInfo
	once sync.Once
}

func (s *socket) Close() error {
	s.once.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.info) && now.ModTime().Equal(s.info.ModTime()) {
			_ = os.Remove(s.path)
		}
	})
	return s.UnixListener.Close()
}
