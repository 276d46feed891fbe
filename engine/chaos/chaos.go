//go:build chaos

// Package chaos holds the fault tests of whole binaries: it builds adit once,
// runs server and clients as processes on loopback, and kills, cuts, stalls and
// overloads them while the correlation oracle watches.
//
// Run them with
//
//	go test -tags chaos [-race] [-run TestSoak] ./engine/chaos
//
// CHAOS_SCALE chooses the size: smoke (the default, 3 minutes on two cores), ci
// (20 minutes) or night. With -race the binary is built with the race detector
// too, and no rate or memory is asserted. CHAOS_BINARY names a binary to test
// in place of a fresh build.
package chaos
