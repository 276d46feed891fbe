package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"adit/engine"
	"adit/engine/policy"
)

// maxFile bounds a configuration file in bytes.
const maxFile = 1 << 20

// A document is a YAML file whose nodes know their lines.
type document struct {
	path string
	root *yaml.Node // a mapping; nil for a file without content
	from sources    // told what it sets; may be nil
}

func readDocument(path string) (*document, error) {
	data, err := readBounded(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return parseDocument(path, data)
}

func parseDocument(path string, data []byte) (*document, error) {
	d := &document{path: path}
	var nodes []yaml.Node
	if err := yaml.Load(data, &nodes, yaml.WithAllDocuments()); err != nil {
		return nil, d.syntaxError(err, data)
	}
	if len(nodes) > 1 {
		return nil, d.fail(&nodes[1], "a second document; want one")
	}
	if len(nodes) == 0 {
		return d, nil
	}
	root := &nodes[0]
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		root = root.Content[0]
	}
	root = resolve(root)
	switch {
	case root.Kind == yaml.MappingNode:
		d.root = root
	case root.Kind != yaml.DocumentNode && !isNull(root):
		return nil, d.fail(root, "want keys with values, not a single value or list")
	}
	return d, nil
}

// syntaxError keeps the line and what is wrong; the parser's text may quote what
// it could not read, which may be a credential.
func (d *document) syntaxError(err error, data []byte) error {
	const hint = `; a value that begins with @, *, & or a backquote needs quotes, as in "@FILE"`
	var e *yaml.LoadError
	if !errors.As(err, &e) || e.Mark.Line == 0 {
		return fmt.Errorf("%s: no YAML", d.path)
	}
	message := e.Message
	switch {
	case isTabbed(data, e.Mark.Line):
		message = "the line is indented with a tab; YAML wants spaces"
	case strings.Contains(message, "anchor"):
		message = "an alias without its anchor" + hint
	case strings.Contains(message, "cannot start any token"):
		message += hint
	case strings.Contains(message, "unexpected end of stream"):
		message = "the file ends within a text; a quote is open further up"
	}
	return fmt.Errorf("%s:%d: no YAML: %s", d.path, e.Mark.Line, message)
}

// isTabbed reports whether a line, counted from 1, has a tab in front.
func isTabbed(data []byte, line int) bool {
	for text := range bytes.Lines(data) {
		if line--; line == 0 {
			indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
			return bytes.ContainsRune(indent, '\t')
		}
	}
	return false
}

func (d *document) fail(at *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", d.path, at.Line, fmt.Errorf(format, args...))
}

// An entry is one key of a mapping with its value.
type entry struct {
	key       string
	at, value *yaml.Node
}

// entries returns the entries of a mapping, those that are sound also beside an
// error; a key twice is one.
func (d *document) entries(of string, mapping *yaml.Node) ([]entry, error) {
	if isNull(mapping) {
		return nil, nil
	}
	if mapping.Kind != yaml.MappingNode {
		return nil, d.fail(mapping, "%s wants keys with values below it", of)
	}
	seen := make(map[string]bool, len(mapping.Content)/2)
	list := make([]entry, 0, len(mapping.Content)/2)
	var wrong []error
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key := mapping.Content[i]
		if key.Kind != yaml.ScalarNode {
			wrong = append(wrong, d.fail(key, "a key that is no word"))
			continue
		}
		if seen[key.Value] {
			wrong = append(wrong, d.fail(key, "key %q stands here a second time", engine.Bound(key.Value)))
			continue
		}
		seen[key.Value] = true
		list = append(list, entry{key: key.Value, at: key, value: resolve(mapping.Content[i+1])})
	}
	return list, errors.Join(wrong...)
}

// scalars returns the text of a value, or of each item of a list.
func (d *document) scalars(e entry, list bool) ([]string, error) {
	if e.value.Kind == yaml.ScalarNode && !isNull(e.value) {
		return []string{e.value.Value}, nil
	}
	if e.value.Kind != yaml.SequenceNode || !list {
		if isNull(e.value) {
			return nil, d.fail(e.at, "%s has no value", e.key)
		}
		return nil, d.fail(e.value, "%s wants one value", e.key)
	}
	values := make([]string, 0, len(e.value.Content))
	for _, item := range e.value.Content {
		item = resolve(item)
		if item.Kind != yaml.ScalarNode || isNull(item) {
			return nil, d.fail(item, "%s wants a list of values", e.key)
		}
		values = append(values, item.Value)
	}
	return values, nil
}

func (d *document) unknown(key *yaml.Node, of string, known []string) error {
	name := engine.Bound(key.Value)
	near, distance := nearest(key.Value, known)
	if distance > (len(name)+1)/2 {
		return d.fail(key, "%s has no key %q, nor one like it; adit config example prints all", of, name)
	}
	return d.fail(key, "%s has no key %q; the nearest is %q", of, name, near)
}

// misplaced is about a key beside server and client.
func (d *document) misplaced(key *yaml.Node, settings []Setting) error {
	rules := key.Value == "whitelist" || key.Value == "blacklist"
	if rules || slices.ContainsFunc(settings, func(s Setting) bool { return s.Name == key.Value }) {
		return d.fail(key, "%s stands outside; want it indented below server: or client:", key.Value)
	}
	return d.unknown(key, "the file", []string{"server", "client"})
}

// resolve follows an alias (YAML 1.2 §7.1) to what it stands for. Nobody walks
// deeper than the shape of the file goes, so a cycle ends there.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil && n.Alias != n {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// nearest returns the known key with the smallest edit distance to key, and that.
func nearest(key string, known []string) (best string, least int) {
	least = -1
	key = strings.ToLower(engine.Bound(key))
	for _, k := range known {
		if d := distance(key, k); least < 0 || d < least {
			best, least = k, d
		}
	}
	return best, least
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

// isWSP tells a file of wsp from adit.yaml: keys of wsp, and neither a server
// nor a client section.
func (d *document) isWSP(top []entry) bool {
	found := false
	for _, e := range top {
		if e.key == "server" || e.key == "client" {
			return false
		}
		found = found || isWSPKey(e.key)
	}
	return found
}

// A section is where one role's part of adit.yaml goes.
type section struct {
	name                 string // "server" or "client"
	settings             []Setting
	other                []Setting // of the other role: their names are known
	whitelist, blacklist *[]policy.Rule
}

// apply sets what the section of adit.yaml says, and checks the keys of both
// sections.
func (s *section) apply(d *document, top []entry) error {
	var wrong []error
	for _, e := range top {
		if e.key != "server" && e.key != "client" {
			wrong = append(wrong, d.misplaced(e.at, slices.Concat(s.settings, s.other)))
			continue
		}
		settings := s.settings
		if e.key != s.name {
			settings = s.other
		}
		fields, err := d.entries(e.key, e.value)
		wrong = append(wrong, err)
		for _, f := range fields {
			wrong = append(wrong, s.applyField(d, e.key, f, settings))
		}
	}
	return errors.Join(wrong...)
}

func (s *section) applyField(d *document, role string, f entry, settings []Setting) error {
	mine := role == s.name
	known := []string{"whitelist", "blacklist"}
	for i := range settings {
		setting := &settings[i]
		known = append(known, setting.Name)
		if setting.Name != f.key {
			continue
		}
		values, err := d.scalars(f, setting.Repeatable)
		if err != nil || !mine {
			return err
		}
		if err := setting.Set(values); err != nil {
			return d.fail(f.value, "%s: %w", f.key, err)
		}
		d.from.set(setting.Name, d.place(f.at.Line), values)
		return nil
	}
	if f.key != "whitelist" && f.key != "blacklist" {
		return d.unknown(f.at, role, known)
	}
	rules, err := d.rules(f, role == "server")
	if err != nil || !mine {
		return err
	}
	d.from.set(f.key, d.place(f.at.Line), nil)
	if f.key == "whitelist" {
		*s.whitelist = rules
	} else {
		*s.blacklist = rules
	}
	return nil
}
