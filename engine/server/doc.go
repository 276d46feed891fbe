// Package server is the public end: it admits clients at /register, keeps their
// connections in pools, and carries callers to them by four ways: /request, the
// forward proxy, host names and TCP ports.
//
// Start with server.go (what a Server is, how it begins) and ways.go (which way
// a request takes); then register.go for clients, dispatch.go for how a caller
// finds a connection, gateway.go for one exchange over HTTP and raw.go for one
// that became a byte stream. callerconn.go is the socket of a caller, proxied.go and
// forwarded.go who stands before it.
//
// Locks, in the order in which they may be held together: Server.rechecking,
// Server.claims, dispatcher.mu. Those of the register of calls and of the register
// of connections are leaves, as are those of limits; see the map in package engine.
package server
