//go:build linux || darwin || freebsd

package control

import "net"

// peerUser returns the user at the other end, as the kernel knows it.
func peerUser(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var user int
	var failed error
	if err := raw.Control(func(fd uintptr) { user, failed = socketUser(int(fd)) }); err != nil {
		return 0, err
	}
	return user, failed
}
