// Package observe is how the engine is seen: the event bus, the totals of a
// run, records of requests as they become events, and their JSON. Nothing in it
// can slow the tunnel: a publisher makes no blocking send, no system call, no
// allocation, no log line and no callback.
package observe
