//go:build !unix

package origin

const canPeek = false

func silent(uintptr, []byte) bool { return false }
