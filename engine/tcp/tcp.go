// Package tcp makes the system calls of TCP connections cheap.
//
// Package net announces each read and write to the scheduler, which may take
// the processor away from a call that lasts longer than 20 µs. On a loaded
// machine that happens to every second write: waking the receiver lets it run
// first. The price is a watching thread that never sleeps for longer than those
// 20 µs (a tenth of the CPU of either end with 64 callers), and a thread switch
// for each processor taken. A call on a non-blocking socket does not wait,
// though, so there is nothing to be announced: without it a small request
// through both ends costs 17 to 20 % less.
package tcp

import "net"

// mostAtOnce bounds the bytes of one system call, and so the time for which it
// keeps a processor.
const mostAtOnce = 256 << 10

// Wrap returns c with reads and writes that are not announced to the scheduler.
// Deadlines, Close and concurrent use are those of net.Conn. It returns c itself
// where that is not a TCP connection, on systems other than Linux, and under the
// race detector, which has to see the calls of package net.
func Wrap(c net.Conn) net.Conn { return wrap(c) }
