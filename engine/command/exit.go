package command

import (
	"errors"

	"adit/engine/client"
	"adit/engine/config"
)

// Exit codes of the process (product.md, "Command line").
const (
	CodeDone        = 0   // also after a signal that drained
	CodeFailed      = 1   //
	CodeUsage       = 2   // wrong usage, or a refusal to start
	CodeUnreachable = 3   // could not listen or dial
	CodeRefused     = 4   // credential or rule
	CodeLost        = 5   // the connection was lost for good
	CodeInterrupted = 130 // a second signal, which stops at once
)

// An Exit is an error with the exit code of the process. Its text is printed
// once, by main; an Exit without Err prints nothing.
type Exit struct {
	Code int
	Err  error // nil: what there was to say has been said
}

func (e *Exit) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e *Exit) Unwrap() error { return e.Err }

// ExitCode returns the exit code for what a verb returned. What is not an
// [*Exit] comes from the parser of the command line.
func ExitCode(err error) int {
	if err == nil {
		return CodeDone
	}
	var exit *Exit
	if errors.As(err, &exit) {
		return exit.Code
	}
	return CodeUsage
}

// exitOf gives what a verb returned its exit code.
func exitOf(err error) error {
	var (
		exit    *Exit
		refusal *config.RefusalError
		run     *client.RunError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return err
	case errors.As(err, &refusal):
		return &Exit{CodeUsage, err}
	case errors.As(err, &run):
		return &Exit{codeOfPhase(run.Phase), err}
	}
	return &Exit{CodeFailed, err}
}

func codeOfPhase(p client.Phase) int {
	switch p {
	case client.PhaseDial:
		return CodeUnreachable
	case client.PhaseRefused:
		return CodeRefused
	case client.PhaseLost:
		return CodeLost
	}
	return CodeFailed
}
