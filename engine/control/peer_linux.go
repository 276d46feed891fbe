package control

import "golang.org/x/sys/unix"

// socketUser asks for SO_PEERCRED (unix(7)).
func socketUser(fd int) (int, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
