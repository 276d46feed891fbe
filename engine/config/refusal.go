package config

import (
	"slices"
	"strings"
)

// A RefusalError says that the configuration is sound but that adit does not
// start with it, and how it would. The exit code is 2.
type RefusalError struct {
	Why string   // lower case, without the way out
	Fix []string // command lines that would start, the best one first

	// Closed says that it would be of no use rather than unsafe: nobody comes in
	// without a credential. A run that goes on may become so.
	Closed bool
}

// Error returns Why and the lines that fix it, each on a line of its own.
func (e *RefusalError) Error() string {
	return e.Why + "; start it with\n  " + strings.Join(e.Fix, "\nor\n  ")
}

// commandLine returns the command as it was given with more added: what the
// environment or a file set stays there. Credentials given as flags are shown as
// @FILE.
func commandLine(verb, path string, settings []Setting, flags map[string][]string, more ...string) string {
	words := []string{"adit", verb}
	if path != "" {
		words = append(words, "--config", quote(path))
	}
	for i := range settings {
		s := &settings[i]
		for _, v := range flags[s.Name] {
			switch {
			case slices.Contains(more, "--"+s.Name):
			case s.Secret:
				words = append(words, "--"+s.Name, "@FILE")
			case s.Bare != "" && v == s.Bare:
				words = append(words, "--"+s.Name)
			case s.Bare != "":
				words = append(words, "--"+s.Name+"="+quote(v))
			default:
				words = append(words, "--"+s.Name, quote(v))
			}
		}
	}
	return strings.Join(append(words, more...), " ")
}

// quote quotes a word for a POSIX shell where it needs it.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@,+%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
