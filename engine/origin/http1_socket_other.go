//go:build !unix

package origin

import (
	"errors"
	"net"
)

// A http1Socket is nothing here: net.Conn does it all.
type http1Socket struct{}

func newHTTP1Socket(net.Conn) *http1Socket { return nil }

func (*http1Socket) alive() bool { return false }

func (*http1Socket) exchange([]byte, *readAhead, bool) (int, error) {
	return 0, errors.ErrUnsupported
}
