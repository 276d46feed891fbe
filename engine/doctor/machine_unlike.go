//go:build !linux

package doctor

import "errors"

// What only Linux tells so is not known elsewhere.

func synchronised() (is, known bool) { return false, false }

func holder(uint16) string { return "" }

func diskOf(string) (Disk, error) { return Disk{}, errors.ErrUnsupported }
