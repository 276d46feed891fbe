package doctor

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// synchronised asks the kernel whether something keeps the clock right.
func synchronised() (is, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return false, false
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, true
}

// far are file systems of networks, by what statfs says of them.
func far(kind int64) string {
	switch uint32(kind) {
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "smb"
	case unix.CEPH_SUPER_MAGIC:
		return "ceph"
	case unix.AFS_SUPER_MAGIC:
		return "afs"
	case unix.V9FS_MAGIC:
		return "9p"
	}
	return ""
}

func diskOf(dir string) (Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Disk{}, err
	}
	return Disk{Free: int64(s.Bavail) * int64(s.Bsize), Far: far(int64(s.Type))}, nil
}

// holder finds the program that listens at a port: its socket in the kernel's
// table, and who has that open. Of processes of others only root is told.
func holder(port uint16) string {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listening(table, port, sockets)
	}
	if len(sockets) == 0 {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || !sockets[to] {
			continue
		}
		pid, _, _ := strings.Cut(strings.TrimPrefix(link, "/proc/"), "/")
		name, err := readSmall("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (pid %s)", bounded(strings.TrimSpace(string(name))), pid)
	}
	return ""
}

// listening adds the sockets that listen at a port, as /proc/PID/fd shows them.
func listening(table string, port uint16, sockets map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	const listens, local, state, inode, most = "0A", 1, 3, 9, 1 << 20
	lines := bufio.NewScanner(f)
	for n := 0; lines.Scan() && n < most; n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) > inode && fields[state] == listens && strings.HasSuffix(fields[local], fmt.Sprintf(":%04X", port)) {
			sockets["socket:["+fields[inode]+"]"] = true
		}
	}
}
