package keys

import (
	"fmt"
	"slices"
	"strings"

	"adit/keys/userfile"
)

// none is the word for no key.
const none = "none"

type loader struct {
	path     string
	problems []Problem
	own      []override // in the order of the file
}

// An override is what the file says of an action in a context.
type override struct {
	context Context
	action  Action
	line    int
	keys    []bound
}

type bound struct {
	key  string
	line int
}

func (l *loader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: l.path, Line: line, Text: fmt.Sprintf(format, args...)})
}

func (l *loader) warn(line int, format string, args ...any) {
	l.problem(line, format, args...)
	l.problems[len(l.problems)-1].Warning = true
}

func (l *loader) read(entries []userfile.Entry) {
	known := make([]string, 0, len(Contexts()))
	for _, c := range Contexts() {
		known = append(known, string(c))
	}
	for _, e := range entries {
		switch {
		case e.Key == "set" && e.IsWord:
			l.problem(e.Line, "the set of keys is chosen by --keys, ADIT_KEYS or keys in adit.yaml; it was left out")
		case e.Key == "confirm":
			l.problem(e.Line, "the keys of dialogs are fixed; it was left out")
		case !slices.Contains(known, e.Key):
			l.problem(e.Line, "unknown context %q, the nearest is %s; it was left out",
				userfile.Printable(e.Key), userfile.Nearest(e.Key, known))
		case !e.IsMap:
			l.problem(e.Line, "%s wants actions with keys below it; it was left out", e.Key)
		default:
			for _, a := range e.Entries {
				l.action(Context(e.Key), a)
			}
		}
	}
}

func (l *loader) action(c Context, e userfile.Entry) {
	a := Action(e.Key)
	info := Of(a)
	if info.Title == "" {
		known := make([]string, 0, len(infos))
		for _, i := range infos {
			known = append(known, string(i.Action))
		}
		l.problem(e.Line, "unknown action %q, the nearest is %s; it was left out",
			userfile.Printable(e.Key), userfile.Nearest(e.Key, known))
		return
	}
	if c != Everywhere && !info.In(c) {
		var where []string
		for _, in := range info.Contexts {
			where = append(where, string(in))
		}
		l.problem(e.Line, "%s means nothing in %s, only in %s; it was left out", a, c, strings.Join(where, ", "))
		return
	}
	words, ok := e.Words()
	if !ok {
		l.problem(e.Line, "%s wants a key, a list of keys or none; it was left out", a)
		return
	}
	o := override{context: c, action: a, line: e.Line}
	for _, w := range words {
		if w.Key == none {
			continue
		}
		if key, ok := l.key(w, a); ok && !slices.ContainsFunc(o.keys, func(b bound) bool { return b.key == key }) {
			o.keys = append(o.keys, bound{key, w.Line})
		}
	}
	// What has only keys that can't be bound keeps its default.
	if len(words) > 0 && len(o.keys) == 0 && !slices.ContainsFunc(words, func(w userfile.Entry) bool { return w.Key == none }) {
		return
	}
	if len(o.keys) == 1 && (o.keys[0].key == "ctrl+a" || o.keys[0].key == "ctrl+b") {
		l.warn(e.Line, "%s has no key but %s: %s", a, o.keys[0].key, taken[o.keys[0].key])
	}
	l.own = append(l.own, o)
}

// key returns the name of a key that can be bound.
func (l *loader) key(w userfile.Entry, a Action) (string, bool) {
	key, nearest, ok := normal(w.Key)
	if !ok {
		l.problem(w.Line, "no key %q, the nearest is %s; it was left out", userfile.Printable(w.Key), nearest)
		return "", false
	}
	if why, no := refused[key]; no {
		l.problem(w.Line, "%s can't be bound: %s; it was left out", key, why)
		return "", false
	}
	if key == wayOut && a != Quit {
		l.problem(w.Line, "%s can't be bound to %s: pressed twice it ends the run, whatever is open; it was left out", key, a)
		return "", false
	}
	if why, ok := taken[key]; ok && key != "ctrl+a" && key != "ctrl+b" {
		l.warn(w.Line, "%s may not arrive: %s", key, why)
	}
	return key, true
}

// build binds what the file says, the first of two wins, and then the defaults
// that are left.
func (l *loader) build(set string, base []binding) *Map {
	m := &Map{set: set, find: map[chord]Action{}, keys: map[place]names{}}
	lines := map[chord]int{}
	for _, o := range l.own {
		var keys []string
		for _, b := range o.keys {
			at := chord{o.context, b.key}
			if first, ok := m.find[at]; ok {
				l.problem(b.line, "%s in %s is %s already (line %d); %s goes without it",
					label(b.key, true), o.context, first, lines[at], o.action)
				continue
			}
			lines[at] = b.line
			keys = append(keys, b.key)
		}
		m.bind(o.context, o.action, keys)
	}
	for _, d := range base {
		if slices.ContainsFunc(l.own, func(o override) bool { return o.context == d.context && o.action == d.action }) {
			continue
		}
		var keys []string
		for _, key := range d.keys {
			at := chord{d.context, key}
			winner, ok := m.find[at]
			if !ok {
				keys = append(keys, key)
				continue
			}
			left := "it keeps its other keys"
			if len(d.keys) == 1 {
				left = "it has no key there now"
			}
			l.problem(lines[at], "%s in %s was %s and is %s now; %s", label(key, true), d.context, d.action, winner, left)
		}
		m.bind(d.context, d.action, keys)
	}
	l.shadows(m, lines)
	l.keepWayOut(m)
	return m
}

// shadows lists keys of the file that hide what they mean everywhere, or that
// are hidden where a default has them.
func (l *loader) shadows(m *Map, lines map[chord]int) {
	for _, o := range l.own {
		for _, b := range o.keys {
			if m.find[chord{o.context, b.key}] != o.action {
				continue
			}
			if o.context != Everywhere {
				outer := []Context{Everywhere}
				if o.context != List && isList(o.context) {
					outer = []Context{List, Everywhere}
				}
				if hidden, ok := m.Find(b.key, outer...); ok && hidden != o.action {
					l.warn(b.line, "%s hides %s in %s", label(b.key, true), hidden, o.context)
				}
				continue
			}
			for _, c := range Contexts() {
				at := chord{c, b.key}
				if inner, ok := m.find[at]; ok && c != Everywhere && inner != o.action && lines[at] == 0 {
					l.warn(b.line, "%s is %s everywhere but in %s, where it is %s", label(b.key, true), o.action, c, inner)
				}
			}
		}
	}
}

// wayOut is the key that ends a run in any case.
const wayOut = "ctrl+c"

// keepWayOut shows it where the file leaves no other.
func (l *loader) keepWayOut(m *Map) {
	if len(m.keys[place{Everywhere, Quit}].keys) > 0 {
		return
	}
	m.bind(Everywhere, Quit, []string{wayOut})
	l.problem(0, "%s had no key left; %s keeps it", Quit, wayOut)
}
