// Package enginetest is what the tests of the engine stand on; only tests
// import it.
//
//   - memnet.go: in-memory connections, listeners and networks that block
//     durably inside testing/synctest bubbles ([Pipe], [Listener], [Network])
//   - relay.go: a relay, over TCP or in memory, that delays, slices, cuts and
//     swallows ([Relay], [Toxics])
//   - wspeer.go: a WebSocket peer that speaks single frames, valid or not
//     ([Peer], [Frame])
//   - origin.go, token.go: an origin server steered by its callers, which
//     remembers the token of every request ([Origin], [Token], [Pattern])
//   - oracle.go: requests whose answers can be checked, and the comparison of
//     what was sent, seen and answered ([Oracle], [Report])
//   - fake.go: an engine for the tests of front ends ([Fake])
//
// Everything blocks on channels and condition variables only, and whatever
// starts a goroutine has a method that stops and joins it.
package enginetest
