//go:build !linux && !darwin && !freebsd

package control

import (
	"errors"
	"net"
)

// peerUser is not known here.
func peerUser(*net.UnixConn) (int, error) { return 0, errors.ErrUnsupported }
