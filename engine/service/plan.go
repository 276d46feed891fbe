package service

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// A Plan is what installing and removing a service does.
type Plan struct {
	Path string      // of the file; "" there is none
	Text string      // what is in it; of Windows, a script that does the same by hand
	Mode fs.FileMode // of the file

	Prepare [][]string // programs to run before the file is written
	Start   [][]string // and after it, where the service was not there
	Restart [][]string // and where it was and is otherwise now
	Stop    [][]string // before the file is removed
	Forget  [][]string // and after it

	State   string // directory of the history and of certificates
	Sockets string // directory of the control socket
	Logs    string // how to read what the service prints, a command line
	Notes   []string
}

// Plan returns what installing the service does. Nothing is looked at or changed.
func (s *Spec) Plan() (*Plan, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	switch s.Kind {
	case Systemd:
		return s.systemd(), nil
	case Launchd:
		return s.launchd(), nil
	case Windows:
		return s.windows(), nil
	case OpenRC:
		return s.openrc(), nil
	case RCD:
		return s.rcd(), nil
	}
	return nil, fmt.Errorf("%q manages no services; want systemd, launchd, windows, openrc or rcd", s.Kind)
}

// A file of ours says so, with a hash of its text, so that it is known to be ours
// and as we wrote it.
const (
	markHead = "made by adit service install, removed by adit service uninstall ("
	markNone = "0000000000000000"
	mark     = markHead + markNone + ")"
)

var markPattern = regexp.MustCompile(regexp.QuoteMeta(markHead) + `([0-9a-f]{16})\)`)

// seal puts into text, which has the mark, the hash of it.
func seal(text string) string {
	return strings.Replace(text, mark, markHead+hashOf(text)+")", 1)
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:len(markNone)/2])
}

// An Author is who wrote a file.
type Author int

const (
	Foreign Author = iota // somebody else
	Edited                // we, and then somebody else
	Ours
	Packaged // we, for a package that brought it
)

// authorOf says who wrote text.
func authorOf(text string) Author {
	found := markPattern.FindStringSubmatchIndex(text)
	if found == nil {
		return Foreign
	}
	if given := text[found[2]:found[3]]; hashOf(text[:found[2]]+markNone+text[found[3]:]) != given {
		return Edited
	}
	return Ours
}
