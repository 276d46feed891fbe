// Package limit counts and paces: how many at once, how many a second, how many
// bytes a second, each for any number of keys within bounded memory. It knows
// nothing of HTTP.
package limit
