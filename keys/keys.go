// Package keys maps keys to actions: default sets, the user's file, conflicts,
// and what help, footer and documentation say of it.
package keys

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"adit/keys/userfile"
)

// A Problem is something in a file that was left out or shadowed.
type Problem = userfile.Problem

// A Map is what the keys mean. It is never changed after Load.
type Map struct {
	set  string
	path string
	file stamp // of path, when it was read
	find map[chord]Action
	keys map[place]names
}

type chord struct {
	context Context
	key     string
}

type place struct {
	context Context
	action  Action
}

// names are the keys of an action in a context, as Bubble Tea and as people name
// them.
type names struct{ keys, labels, ascii []string }

// Load returns the default set of that name ("": the first) with what the file
// at path says over it; "" or a file that does not exist: nothing. Problems do
// not keep the map from working; an error does (unknown set, unreadable file).
//
// The file is YAML: a context with actions, each with a key, a list of keys, or
// none.
//
//	connections:
//	  conn.kill: [x, delete]
//	  client.ban: none
func Load(set, path string) (*Map, []Problem, error) {
	m, problems, _, err := load(set, path)
	return m, problems, err
}

// Reload loads again if the file has come, gone or changed; if not, it returns m
// and false. A file that can no longer be understood at all keeps what the keys
// mean. It reads the file: not for the dashboard's goroutine.
func (m *Map) Reload() (*Map, []Problem, bool) {
	file := stampOf(m.path)
	if file.size == m.file.size && file.modified.Equal(m.file.modified) {
		return m, nil, false
	}
	next, problems, understood, err := load(m.set, m.path)
	if err != nil {
		problems = []Problem{{File: m.path, Text: userfile.Printable(err.Error())}}
	}
	if err != nil || !understood {
		kept := *m
		kept.file = file // it is not read again before it changes
		return &kept, problems, true
	}
	return next, problems, true
}

// A stamp tells whether a file has changed.
type stamp struct {
	modified time.Time
	size     int64 // -1: there is none
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if path == "" || err != nil {
		return stamp{size: -1}
	}
	return stamp{info.ModTime(), info.Size()}
}

// load is Load; understood is false for a file that is no YAML of ours at all.
func load(set, path string) (m *Map, problems []Problem, understood bool, err error) {
	var entries []userfile.Entry
	file := stampOf(path) // before the file: what changes meanwhile is read again
	if path != "" {
		if entries, problems, err = userfile.Read(path); err != nil {
			return nil, nil, false, fmt.Errorf("read the keys: %w", err)
		}
	}
	understood = len(entries) > 0 || len(problems) == 0
	l := loader{path: path, problems: problems}
	if set == "" {
		set = Sets()[0]
	}
	base, ok := defaults(set)
	if !ok {
		return nil, nil, false, fmt.Errorf("no key set %q, the nearest is %s; there are %s",
			userfile.Printable(set), userfile.Nearest(set, Sets()), strings.Join(Sets(), ", "))
	}
	l.read(entries)
	m = l.build(set, base)
	m.path, m.file = path, file
	return m, l.problems, understood, nil
}

// Set returns the name of the set of keys below what the file says.
func (m *Map) Set() string { return m.set }

// Find returns what key, as Bubble Tea's KeyPressMsg.String names it, means in
// the given contexts, innermost first. Everywhere is one only if it is given.
func (m *Map) Find(key string, contexts ...Context) (Action, bool) {
	for _, c := range contexts {
		if a, ok := m.find[chord{c, key}]; ok {
			return a, true
		}
	}
	return "", false
}

// Keys returns the keys of an action in the given contexts, innermost first, as
// people read them ("⇧tab", "↓"), the one to show first; none if it has no key
// there, or only keys that mean something else further inside. With ascii there
// are only ASCII characters ("shift+tab", "down"). The caller doesn't change
// what it gets.
func (m *Map) Keys(a Action, ascii bool, contexts ...Context) []string {
	var all []string
	for _, c := range contexts {
		n, ok := m.keys[place{c, a}]
		if !ok {
			continue
		}
		labels := n.labels
		if ascii {
			labels = n.ascii
		}
		whole := true
		for _, key := range n.keys {
			found, _ := m.Find(key, contexts...)
			whole = whole && found == a
		}
		if whole && all == nil {
			all = labels
			continue
		}
		for i, key := range n.keys {
			if found, _ := m.Find(key, contexts...); found == a && !slices.Contains(all, labels[i]) {
				all = append(slices.Clip(all), labels[i])
			}
		}
	}
	return all
}

func (m *Map) bind(c Context, a Action, keys []string) {
	if len(keys) == 0 {
		return
	}
	n := m.keys[place{c, a}]
	for _, key := range keys {
		m.find[chord{c, key}] = a
		n.keys = append(n.keys, key)
		n.labels = append(n.labels, label(key, false))
		n.ascii = append(n.ascii, label(key, true))
	}
	m.keys[place{c, a}] = n
}
