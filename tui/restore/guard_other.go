//go:build !unix || solaris || aix

package restore

import (
	"errors"
	"os"

	"github.com/charmbracelet/x/term"
)

const pipeFd = 3

// isRaw: there is no telling, so the state is restored in any case.
func isRaw(*term.State) bool { return true }

// Ignored are the signals that a guard ignores.
func Ignored() []os.Signal { return []os.Signal{os.Interrupt} }

// A Guard is not made here.
type Guard struct{}

// Start fails: there is no guard on this system.
func Start([]string, *os.File, bool) (*Guard, error) {
	return nil, errors.ErrUnsupported
}

// Arm reports that there is no guard.
func (g *Guard) Arm(*Terminal) bool { return false }

func decode([]byte) (*term.State, []byte, error) { return nil, nil, errors.ErrUnsupported }

// Done does nothing.
func (g *Guard) Done() {}

// Leave does nothing.
func (g *Guard) Leave() {}
