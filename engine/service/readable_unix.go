//go:build unix

package service

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// hidden are the directories that a unit of the system does not see, or sees empty.
func hidden() []string { return []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp"} }

// CheckReadable reports which of these files, and whether the program, the service
// could not read, and what would help. Of an operator's own service it knows nothing.
func (s *Spec) CheckReadable(files []string) error {
	if s.User || s.Kind == Windows {
		return nil
	}
	owner, name := -1, group
	if s.Kind == Launchd {
		name = daemonUser
		if u, err := user.Lookup(daemonUser); err == nil {
			owner, _ = strconv.Atoi(u.Uid)
		}
	}
	gid := -1
	if g, err := user.LookupGroup(name); err == nil {
		gid, _ = strconv.Atoi(g.Gid)
	}
	var wrong []error
	if s.Kind == Systemd && isHidden(s.Binary) || !reachable(s.Binary, owner, gid, 0o5) {
		wrong = append(wrong, fmt.Errorf("%s can't be run by the service:\n  sudo install -m 755 %s /usr/local/bin/adit && sudo /usr/local/bin/adit service install %s",
			s.Binary, shellWord(s.Binary), s.Role))
	}
	for _, path := range files {
		switch {
		case s.Kind == Systemd && isHidden(path):
			wrong = append(wrong, fmt.Errorf("%s is hidden from the service, as all below %s: move it to /etc/adit", path, strings.Join(hidden(), ", ")))
		case !reachable(path, owner, gid, 0o4):
			line := "sudo chgrp " + name + " " + shellWord(path) + " && sudo chmod 640 " + shellWord(path)
			if gid < 0 {
				line = "sudo groupadd --system " + name + " && " + line
			}
			wrong = append(wrong, fmt.Errorf("%s can't be read by the service, which is in the group %s:\n  %s", path, name, line))
		}
	}
	return errors.Join(wrong...)
}

func isHidden(path string) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil && real != filepath.Clean(path) && isHidden(real) {
		return true
	}
	for _, dir := range hidden() {
		if strings.HasPrefix(filepath.Clean(path), dir+"/") {
			return true
		}
	}
	return false
}

// reachable reports whether the modes of a file and of the directories above it give
// a user these rights of rwx. What is not there, or what only an access list gives, is
// not known: it counts as reachable.
func reachable(path string, uid, gid int, rights os.FileMode) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for {
		info, err := os.Stat(path)
		if err != nil {
			return true
		}
		st, known := info.Sys().(*syscall.Stat_t)
		if !known {
			return true
		}
		mode := info.Mode().Perm()
		switch {
		case int(st.Uid) == uid:
			mode >>= 6
		case int(st.Gid) == gid:
			mode >>= 3
		}
		if mode&rights != rights {
			return false
		}
		if up := filepath.Dir(path); up != path {
			path, rights = up, 0o1
			continue
		}
		return true
	}
}
