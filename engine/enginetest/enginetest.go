// Package enginetest is what the tests of the engine stand on: an in-memory
// network, a relay that delays, slices and cuts, a WebSocket peer that speaks
// single frames, a scripted origin, and the correlation oracle. Only tests
// import it.
package enginetest
