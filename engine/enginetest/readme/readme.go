// Package readme reads what a page of Markdown promises, so that tests can hold
// it to that: the command lines that it has people type, its links, its tables.
package readme

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// A Line is a line of a page, or what a shell takes for one.
type Line struct {
	Number int // of its first line, from 1
	Text   string
}

// A Block is what stands between fences.
type Block struct {
	Language string // what stands behind the opening fence: "sh"
	Lines    []Line
}

// Blocks returns all of a page.
func Blocks(page string) []Block {
	var all []Block
	inside := false
	for i, text := range strings.Split(page, "\n") {
		language, fence := strings.CutPrefix(text, "```")
		switch {
		case fence && !inside:
			all = append(all, Block{Language: language})
			inside = true
		case fence:
			inside = false
		case inside:
			last := &all[len(all)-1]
			last.Lines = append(last.Lines, Line{i + 1, text})
		}
	}
	return all
}

// Prose returns what stands outside fences, in lines.
func Prose(page string) []Line {
	var all []Line
	inside := false
	for i, text := range strings.Split(page, "\n") {
		if strings.HasPrefix(text, "```") {
			inside = !inside
		} else if !inside {
			all = append(all, Line{i + 1, text})
		}
	}
	return all
}

// Commands returns the command lines of all blocks in sh, without comments; one
// that goes on behind a backslash is one line.
func Commands(page string) []Line {
	var all []Line
	for _, b := range Blocks(page) {
		if b.Language != "sh" {
			continue
		}
		var open *Line
		for _, l := range b.Lines {
			text, more := strings.CutSuffix(l.Text, `\`)
			text = strings.TrimSpace(text)
			if open == nil && (text == "" || text[0] == '#') {
				continue
			}
			if open == nil {
				open = &Line{Number: l.Number, Text: text}
			} else {
				open.Text += " " + text
			}
			if !more {
				all = append(all, *open)
				open = nil
			}
		}
	}
	return all
}

// Command returns the command line that has these words, else the only one that
// begins with them.
func Command(page, words string) (string, error) {
	var found []string
	for _, l := range Commands(page) {
		if l.Text == words {
			return l.Text, nil
		}
		if strings.HasPrefix(l.Text, words+" ") {
			found = append(found, l.Text)
		}
	}
	switch {
	case len(found) == 0:
		return "", fmt.Errorf("no command line begins with %q", words)
	case len(found) > 1:
		return "", fmt.Errorf("%d command lines begin with %q: give more words", len(found), words)
	}
	return found[0], nil
}

// Typed returns the words by which a script has the lines of a page typed: what
// follows "typed" and its flags, without quotes.
func Typed(script string) []string {
	line := regexp.MustCompile(`(?m)^(?:\[\w+\] )?typed (?:-any |-start \S+ )?(?:'((?:[^']|'')*)'|([^'\n]+))$`)
	var all []string
	for _, m := range line.FindAllStringSubmatch(script, -1) {
		all = append(all, strings.ReplaceAll(m[1], "''", "'")+m[2])
	}
	return all
}

// Links returns where the links and pictures of prose lead to.
func Links(page string) []Line {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"`)
	var all []Line
	for _, l := range Prose(page) {
		for _, m := range link.FindAllStringSubmatch(l.Text, -1) {
			all = append(all, Line{l.Number, m[1] + m[2]})
		}
	}
	return all
}

// Anchors returns what a link to a heading can name, as hosts of Markdown make it
// of the heading's text, and what footnotes define.
func Anchors(page string) map[string]bool {
	all := map[string]bool{}
	for _, l := range Prose(page) {
		title := strings.TrimLeft(l.Text, "#")
		if title == l.Text || !strings.HasPrefix(title, " ") {
			continue
		}
		name := strings.Map(func(c rune) rune {
			switch {
			case c == ' ':
				return '-'
			case c == '-' || c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c):
				return unicode.ToLower(c)
			}
			return -1
		}, strings.TrimSpace(title))
		for again, n := name, 1; ; n++ {
			if !all[again] {
				all[again] = true
				break
			}
			again = fmt.Sprintf("%s-%d", name, n)
		}
	}
	return all
}

// Cells returns the cells of a row of a table, nil for another line.
func Cells(line string) []string {
	text, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
	if !ok {
		return nil
	}
	text = strings.TrimSuffix(text, "|")
	cells := strings.Split(strings.ReplaceAll(text, `\|`, "\x00"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "\x00", "|"))
	}
	return cells
}

// Code returns what stands between backticks.
func Code(line string) []string {
	var all []string
	for i, part := range strings.Split(line, "`") {
		if i%2 == 1 {
			all = append(all, part)
		}
	}
	return all
}

// Between returns what stands between two marks.
func Between(page, begin, end string) (string, error) {
	_, rest, ok := strings.Cut(page, begin)
	if !ok {
		return "", fmt.Errorf("no %s", begin)
	}
	text, _, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("no %s behind %s", end, begin)
	}
	return text, nil
}
