// Package keys maps keys to actions: default sets, the user's file, conflicts,
// and what help, footer and documentation say of it.
package keys

import "adit/keys/userfile"

// A Map is what the keys mean. It is never changed after Load.
type Map struct{}

// A Problem is something in a file that was left out or shadowed.
type Problem = userfile.Problem

// Sets are the names of the default sets.
func Sets() []string { return []string{"vim+arrows", "emacs", "basic"} }

// Load returns the default set of that name ("": the first) with what the file
// at path says over it; "" or a file that does not exist: nothing. Problems do
// not keep the map from working; an error does (unknown set, unreadable file).
func Load(set, path string) (*Map, []Problem, error) { return &Map{}, nil, nil }

// Find returns what key, as Bubble Tea's KeyPressMsg.String names it, means in
// the given contexts, innermost first.
func (m *Map) Find(key string, contexts ...Context) (Action, bool) { return "", false }

// Keys returns the keys of an action in the given contexts, as people read them
// ("⇧tab", "↓"), the one to show first; none if it has no key there. With ascii
// there are only ASCII characters ("shift+tab", "down").
func (m *Map) Keys(a Action, ascii bool, contexts ...Context) []string { return nil }

// An Info is what is to be said of an action.
type Info struct {
	Action   Action
	Context  Context
	Short    string // for the footer: "kill"
	Title    string // for help and palette: "kill… (asks)"
	Group    string // of help: MOVE, FIND, ACT, COPY, VIEW
	Mutating bool   // acts on the engine: absent with --read-only
}

// Actions returns all of them, in the order of help.
func Actions() []Info { return nil }

// Of returns what is to be said of a.
func Of(a Action) Info { return Info{Action: a} }
