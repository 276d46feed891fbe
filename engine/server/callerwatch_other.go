//go:build !linux

package server

import "net"

// A callerWatch watches nobody here: net/http reads in the background.
type callerWatch struct{}

type watchID uint64

func (*callerWatch) begin(net.Listener)      {}
func (*callerWatch) close()                  {}
func (*callerWatch) add(*callerConn) watchID { return 0 }
func (*callerWatch) remove(*callerConn)      {}

func exhausted(*net.TCPConn) bool { return false }
