// Package engine is the vocabulary of a running tunnel endpoint: the Engine
// interface, events, snapshots, records of requests, reasons and outcomes. It
// imports the standard library only.
package engine
