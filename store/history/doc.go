// Package history is the database behind the ring: one SQLite file with what
// was seen, written by one goroutine in batches, read by any number. It opens
// in any SQLite tool; migrations/ has its schema.
package history
