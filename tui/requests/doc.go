// Package requests shows what was recorded of exchanges: a [List] that other
// screens embed, and the screen of all of them.
package requests
