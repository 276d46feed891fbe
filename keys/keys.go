// Package keys maps keys to actions: default sets, the user's file, conflicts,
// and what help, footer and documentation say of it.
package keys

import (
	"fmt"
	"slices"
	"strings"

	"adit/keys/userfile"
)

// A Problem is something in a file that was left out or shadowed.
type Problem = userfile.Problem

// A Map is what the keys mean. It is never changed after Load.
type Map struct {
	set  string
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
	var entries []userfile.Entry
	var problems []Problem
	if path != "" {
		var err error
		if entries, problems, err = userfile.Read(path); err != nil {
			return nil, nil, fmt.Errorf("read the keys: %w", err)
		}
	}
	l := loader{path: path, problems: problems}
	if set == "" {
		set = Sets()[0]
	}
	base, ok := defaults(set)
	if !ok {
		return nil, nil, fmt.Errorf("no key set %q, the nearest is %s; there are %s",
			userfile.Printable(set), userfile.Nearest(set, Sets()), strings.Join(Sets(), ", "))
	}
	l.read(entries)
	return l.build(set, base), l.problems, nil
}

// Set returns the name of the default set below.
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
