package filter

import (
	"slices"
	"strings"
)

// completionsMost is the most that Complete returns.
const completionsMost = 100

// A Seen is a value that a field has in what there is.
type Seen struct {
	Text  string
	Count int // how many have it; 0 unknown
}

// A Completion is one way to end a word.
type Completion struct {
	Text  string // the whole word: "client:edge-1"
	Title string // what a list shows: "edge-1"
	Help  string // of a field
	Count int    // of a value that was seen; 0 unknown
}

// WordStart returns where the word begins that text ends in: after the last space
// or parenthesis that is not quoted, and after a minus.
func WordStart(text string) int {
	start, quoted := 0, false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '(' || c == ')'):
			start = i + 1
		}
	}
	if start < len(text) && text[start] == '-' {
		start++
	}
	return start
}

// Complete returns the ways to end a word, at most 100: fields, or values of the field before
// its colon, those that seen returns before those that the field can have. Of
// "label." seen returns the names of labels. It may be nil.
func Complete(s Subject, word string, seen func(field string) []Seen) []Completion {
	name, value, isClause := strings.Cut(word, ":")
	if !isClause {
		return completeField(s, word, seen)
	}
	// After the last comma, and what compares.
	at := strings.LastIndexByte(value, ',') + 1
	at += len(value[at:]) - len(strings.TrimLeft(value[at:], "<>=!"))
	prefix, typed := name+":"+value[:at], strings.ToLower(strings.TrimPrefix(value[at:], `"`))
	var list []Completion
	add := func(v Seen) {
		known := slices.ContainsFunc(list, func(c Completion) bool { return c.Title == v.Text })
		if !known && len(list) < completionsMost && strings.HasPrefix(strings.ToLower(v.Text), typed) {
			list = append(list, Completion{Text: prefix + Quote(v.Text), Title: v.Text, Count: v.Count})
		}
	}
	if seen != nil {
		for _, v := range seen(name) {
			add(v)
		}
	}
	for _, f := range Fields(s) {
		if f.Name != name {
			continue
		}
		fixed := f.Values
		if name == "status" {
			fixed = []string{"2xx", "3xx", "4xx", "5xx"}
		}
		for _, v := range fixed {
			add(Seen{Text: v})
		}
	}
	return list
}

func completeField(s Subject, word string, seen func(string) []Seen) []Completion {
	var list []Completion
	typed := strings.ToLower(word)
	if strings.HasPrefix(word, "label.") && seen != nil {
		for _, v := range seen("label.") {
			if text := "label." + v.Text + ":"; strings.HasPrefix(text, word) && len(list) < completionsMost {
				list = append(list, Completion{Text: text, Title: text, Count: v.Count})
			}
		}
		return list
	}
	for _, f := range Fields(s) {
		text := f.Name
		if !strings.HasSuffix(text, ".") {
			text += ":"
		}
		if strings.HasPrefix(text, typed) && len(list) < completionsMost {
			list = append(list, Completion{Text: text, Title: text, Help: f.Help})
		}
	}
	return list
}

// Quote returns a value as the language takes it literally.
func Quote(value string) string {
	plain := value != ""
	for i := range len(value) {
		c := value[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.", c) >= 0) {
			plain = false
			break
		}
	}
	if plain {
		return value
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range value {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}
