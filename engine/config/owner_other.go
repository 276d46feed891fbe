//go:build !unix

package config

import "os"

// keepOwner does nothing: files here have no owner that a mode speaks of.
func keepOwner(*os.File, os.FileInfo) {}
