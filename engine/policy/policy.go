// Package policy decides who may do what: credentials of clients and callers,
// allow and deny rules for every request, and the guard that resolves a
// destination, checks the address and dials the address it checked.
//
// It keeps no state that changes: [Secrets], [Clients], [Callers], [Rules] and
// [Dialer] may be used by any number of goroutines at once. Start reading at
// [Rules.Check]; what is denied whatever the rules say is in address.go.
package policy
