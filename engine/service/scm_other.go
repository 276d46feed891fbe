//go:build !windows

package service

import (
	"context"
	"errors"
)

// errElsewhere is what there is of Windows elsewhere.
var errElsewhere = errors.New("this is not Windows: --print shows what is to be run there")

func scmInstall(context.Context, *Host, *Spec, bool, *Change) error { return errElsewhere }

func scmUninstall(context.Context, *Host, *Spec, bool, *Change) error { return errElsewhere }

func scmStatus(*Spec) (*Status, error) { return nil, errElsewhere }

// Serve runs a program that no service control manager has started.
func Serve(run func(*Requests) int) int { return run(nil) }
