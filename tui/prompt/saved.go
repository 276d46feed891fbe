package prompt

import (
	"fmt"
	"slices"
	"strings"

	"adit/engine/filter"
	"adit/keys"
	"adit/tui/pane"
)

const (
	historyMost = 200
	savedMost   = 100
	// valueMost bounds what is given to the memory under one name, in bytes.
	valueMost = 48 << 10
)

// A Saved is a filter that was kept under a name.
type Saved struct {
	Name   string // without the @
	Text   string
	Screen keys.Action // where it applies
}

// AllSaved returns what was saved, by screen and name.
func AllSaved(m pane.Memory) []Saved {
	var all []Saved
	for _, s := range [...]struct {
		subject filter.Subject
		screen  keys.Action
	}{{filter.Connections, keys.ScreenConnections}, {filter.Requests, keys.ScreenRequests}, {filter.Events, keys.ScreenEvents}} {
		for _, line := range readSaved(m, s.subject) {
			name, text, _ := strings.Cut(line, " ")
			all = append(all, Saved{name, text, s.screen})
		}
	}
	return all
}

func subjectName(s filter.Subject) string {
	switch s {
	case filter.Connections:
		return "connections"
	case filter.Events:
		return "events"
	}
	return "requests"
}

// isName reports whether a filter can be saved under a name.
func isName(name string) bool {
	if name == "" || len(name) > 32 {
		return false
	}
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

func lines(m pane.Memory, name string) []string {
	if m == nil {
		return nil
	}
	return strings.FieldsFunc(m.Get(name), func(r rune) bool { return r == '\n' })
}

// keep writes as many of the lines as fit, the first before the others.
func keep(m pane.Memory, name string, all []string, most int) {
	if m == nil {
		return
	}
	size := 0
	for i, line := range all {
		size += len(line) + 1
		if i == most || size > valueMost {
			all = all[:i]
			break
		}
	}
	m.Set(name, strings.Join(all, "\n"))
}

// readSaved returns lines "name text".
func readSaved(m pane.Memory, s filter.Subject) []string {
	return lines(m, "filters."+subjectName(s))
}

// save keeps text under a name, or forgets the name if text is "".
func save(m pane.Memory, s filter.Subject, name, text string) pane.Effect {
	all := readSaved(m, s)
	all = slices.DeleteFunc(all, func(line string) bool {
		have, _, _ := strings.Cut(line, " ")
		return have == name
	})
	if text == "" {
		keep(m, "filters."+subjectName(s), all, savedMost)
		return pane.Say{Text: "@" + name + " is forgotten"}
	}
	if len(all) >= savedMost {
		return pane.Say{Text: fmt.Sprintf("@%s is not saved: there are %d filters; forget one by @NAME=", name, savedMost), Bad: true}
	}
	all = append(all, name+" "+text)
	slices.Sort(all)
	keep(m, "filters."+subjectName(s), all, savedMost)
	return pane.Say{Text: "saved as @" + name}
}

func readHistory(m pane.Memory, s filter.Subject) []string {
	return lines(m, "history."+subjectName(s))
}

// writeHistory puts text before the others, where it stands once.
func writeHistory(m pane.Memory, s filter.Subject, have []string, text string) {
	if text == "" {
		return
	}
	all := append([]string{text}, slices.DeleteFunc(slices.Clone(have), func(line string) bool { return line == text })...)
	keep(m, "history."+subjectName(s), all, historyMost)
}

// expand puts saved filters in the place of their names.
func (p *Prompt) expand(text string) (string, error) {
	if !strings.Contains(text, "@") {
		return text, nil
	}
	saved := readSaved(p.memory, p.screen.Subject())
	find := func(name string) (string, bool) {
		for _, line := range saved {
			if have, text, _ := strings.Cut(line, " "); have == name {
				return text, true
			}
		}
		return "", false
	}
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); {
		c := text[i]
		if c == '"' {
			quoted = !quoted
		}
		begins := i == 0 || strings.IndexByte(" (-", text[i-1]) >= 0
		if c != '@' || quoted || !begins {
			b.WriteByte(c)
			i++
			continue
		}
		end := i + 1
		for end < len(text) && isName(text[end:end+1]) {
			end++
		}
		name := text[i+1 : end]
		have, ok := find(name)
		if !ok {
			return "", &filter.Error{Column: i, Length: max(end-i, 1),
				Text: "@" + name + ": no filter of that name; save one by @NAME=FILTER, or search for it in quotes"}
		}
		if i == 0 && end == len(text) {
			return have, nil
		}
		b.WriteString("(" + have + ")")
		i = end
	}
	return b.String(), nil
}
