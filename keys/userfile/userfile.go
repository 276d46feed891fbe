// Package userfile reads the small YAML files in which an operator says what
// keys mean and what things look like: keys with lines, and what is wrong with
// them in words that name the place.
package userfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// Limit bounds a file in bytes.
const Limit = 256 << 10

// A Problem is something in a file that was left out or shadowed.
type Problem struct {
	File    string // "" for a default
	Line    int    // from 1; 0 unknown
	Text    string // what is wrong and what was done about it
	Warning bool   // it works, but not well: no reason for exit code 1
}

// String returns the problem as compilers write theirs: file:line: text.
func (p Problem) String() string {
	text := p.Text
	if p.Warning {
		text = "warning: " + text
	}
	switch {
	case p.File == "":
		return text
	case p.Line == 0:
		return p.File + ": " + text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, text)
}

// An Entry is one key of a mapping with its value.
type Entry struct {
	Key  string
	Line int // of the key

	// One of these: a word, a list of words, or entries below. None of them: null.
	Word    string
	IsWord  bool
	List    []Entry // Key and Line of each are the word and its line
	IsList  bool
	Entries []Entry
	IsMap   bool
}

// Words returns a word or the words of a list with their lines; ok is false for
// what is neither.
func (e Entry) Words() (words []Entry, ok bool) {
	switch {
	case e.IsWord:
		return []Entry{{Key: e.Word, Line: e.Line}}, true
	case e.IsList:
		return e.List, true
	}
	return nil, false
}

// Read returns the entries of the file at path, in their order; a file that does
// not exist has none. What it cannot understand becomes problems and the rest is
// read. The error is of a file that cannot be read at all.
func Read(path string) ([]Entry, []Problem, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, Limit+1))
	if err != nil {
		return nil, nil, err
	}
	if len(data) > Limit {
		return nil, nil, fmt.Errorf("%s is larger than %d bytes", path, Limit)
	}
	entries, problems := Parse(path, data)
	return entries, problems, nil
}

// Parse is Read of data that came from the file at path.
func Parse(path string, data []byte) ([]Entry, []Problem) {
	r := reader{path: path}
	var nodes []yaml.Node
	if err := yaml.Load(data, &nodes, yaml.WithAllDocuments()); err != nil {
		line, text := 0, "no YAML: the file was left out"
		var e *yaml.LoadError
		if errors.As(err, &e) {
			line = e.Mark.Line
			text = "no YAML: " + Printable(e.Message) + ": the file was left out"
		}
		r.problem(line, "%s", text)
		return nil, r.problems
	}
	if len(nodes) == 0 {
		return nil, nil
	}
	if len(nodes) > 1 {
		r.problem(nodes[1].Line, "a second document was left out")
	}
	root := &nodes[0]
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		root = root.Content[0]
	}
	if root.Kind == yaml.DocumentNode || null(root) {
		return nil, r.problems
	}
	if root.Kind != yaml.MappingNode {
		r.problem(root.Line, "want names with values, as in `name: value`; the file was left out")
		return nil, r.problems
	}
	return r.mapping(root, 0), r.problems
}

// maxDepth bounds how deep mappings are read.
const maxDepth = 4

type reader struct {
	path     string
	problems []Problem
}

func (r *reader) problem(line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.path, Line: line, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) mapping(n *yaml.Node, depth int) []Entry {
	seen := make(map[string]bool, len(n.Content)/2)
	entries := make([]Entry, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			r.problem(key.Line, "a name that is no word was left out")
			continue
		}
		if seen[key.Value] {
			r.problem(key.Line, "%q stands here a second time; this one was left out", Printable(key.Value))
			continue
		}
		seen[key.Value] = true
		if e, ok := r.entry(key, value, depth); ok {
			entries = append(entries, e)
		}
	}
	return entries
}

func (r *reader) entry(key, value *yaml.Node, depth int) (Entry, bool) {
	e := Entry{Key: key.Value, Line: key.Line}
	switch {
	case null(value):
	case value.Kind == yaml.ScalarNode:
		e.Word, e.IsWord = value.Value, true
	case value.Kind == yaml.SequenceNode:
		e.IsList = true
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode || null(item) {
				r.problem(item.Line, "an item of %q that is no word was left out", Printable(key.Value))
				continue
			}
			e.List = append(e.List, Entry{Key: item.Value, Line: item.Line})
		}
	case value.Kind == yaml.MappingNode && depth < maxDepth:
		e.IsMap = true
		e.Entries = r.mapping(value, depth+1)
	default:
		r.problem(key.Line, "the value of %q was left out: want a word, a list of words or names with values", Printable(key.Value))
		return Entry{}, false
	}
	return e, true
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// maxPrintable bounds, in characters, what is quoted from a file.
const maxPrintable = 60

// Printable returns s as it can be shown: without control characters and cut.
func Printable(s string) string {
	var b strings.Builder
	n := 0
	for _, c := range s {
		if n == maxPrintable {
			b.WriteString("...")
			break
		}
		if !unicode.IsPrint(c) {
			c = '?'
		}
		b.WriteRune(c)
		n++
	}
	return b.String()
}

// Nearest returns the known name with the smallest edit distance to name.
func Nearest(name string, known []string) string {
	best, least := "", -1
	if len(name) > maxPrintable {
		name = name[:maxPrintable]
	}
	name = strings.ToLower(name)
	for _, k := range known {
		if d := distance(name, strings.ToLower(k)); least < 0 || d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the edit distance of Levenshtein, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
