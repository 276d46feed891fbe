//go:build !unix

package certs

import "io/fs"

// othersMayRead does not know: what Mode says is not who may read.
func othersMayRead(fs.FileInfo) bool { return false }
