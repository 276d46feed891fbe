package enginetest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreePort returns a port of 127.0.0.1 that nobody listens on, for what has to
// come back to the same port or is told it before it listens. It is below the
// ports that systems give out (Linux from 32768, others from 49152): no listener
// on port 0 and no connection of a test beside this one takes it meanwhile, nor
// can a client that dials it connect to itself.
func FreePort(t testing.TB) uint16 {
	t.Helper()
	var err error
	for range 100 {
		port := 10_000 + rand.N(20_000)
		var ln net.Listener
		if ln, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = ln.Close()
			return uint16(port)
		}
	}
	t.Fatalf("no port is free: %v", err)
	return 0
}

// FreeAddr is FreePort with the address before it.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(FreePort(t))))
}
