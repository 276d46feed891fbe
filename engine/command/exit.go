package command

import (
	"errors"

	"adit/engine/client"
)

// Exit codes of the process (product.md, "Command line").
const (
	codeDone        = 0 // also after a signal that drained
	codeFailed      = 1
	codeUsage       = 2   // wrong usage, or a refusal to start
	codeUnreachable = 3   // could not listen or dial
	codeRefused     = 4   // credential or rule
	codeLost        = 5   // the connection was lost for good
	codeWarned      = 6   // adit doctor: nothing worse than a warning
	codeInterrupted = 130 // a second signal, which stops at once
)

// An exit is an error with the exit code that it means.
type exit struct {
	code int
	err  error // nil: there is nothing to say
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// exitCode returns the exit code for what a verb returned.
func exitCode(err error) int {
	var (
		given *exit
		run   *client.RunError
	)
	switch {
	case err == nil:
		return codeDone
	case errors.As(err, &given):
		return given.code
	case errors.As(err, &run):
		return codeOfPhase(run.Phase)
	}
	return codeFailed
}

func codeOfPhase(p client.Phase) int {
	switch p {
	case client.PhaseDial:
		return codeUnreachable
	case client.PhaseRefused:
		return codeRefused
	case client.PhaseLost:
		return codeLost
	}
	return codeFailed
}
