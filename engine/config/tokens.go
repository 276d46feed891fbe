package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v4"

	"adit/engine"
	"adit/engine/policy"
)

// maxTokenFile bounds a file of tokens in bytes.
const maxTokenFile = 16 << 20

// ReadTokens reads a file of tokens: at most 16 MiB and policy.MaxTokens entries.
// The error names the line. A file that others than its owner can change is an
// error, one that everybody can read a notice.
//
//	tokens:
//	  - id: k3j5x2ab               # what revokes it; stands in the token in clear
//	    name: "edge"               # in records and on the screen
//	    kind: client               # client or caller
//	    hash: sha256:0c7e…         # of the token; adit token new makes one
//	    ids: ["edge-*"]            # clients that it may be, or be served by
//	    hosts: ["app"]             # names that it may expose, or reach
//	    ports: ["20000-20010"]     # TCP ports that it may expose
//	    destinations: ["*.internal:80"]  # that it may carry, or reach, as --allow
//	    created: 2026-01-02T15:04:05Z
//	    expires: 2026-02-01        # from that moment on it is worth nothing
//	    note: "the box in the cellar"
//
// Without hosts, ports and destinations all are meant; with one of them nothing
// but what is named.
func ReadTokens(path string) (list []policy.Token, notices []string, err error) {
	data, mode, err := readTokenFile(path)
	if err != nil {
		return nil, nil, err
	}
	if mode&0o004 != 0 {
		notices = append(notices, fmt.Sprintf("everybody on this machine can read %s; it has no token, but says who has one: chmod o-r %s", path, quote(path)))
	}
	f, err := parseTokens(path, data)
	if err != nil {
		return nil, nil, err
	}
	return f.tokens, notices, nil
}

func readTokenFile(path string) (data []byte, mode os.FileMode, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // of a pipe too, which is refused below
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("read the tokens: %w; adit token new --file %s makes it", err, quote(path))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the tokens: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("read the tokens: %w", err)
	}
	mode = info.Mode()
	if runtime.GOOS == "windows" {
		mode &^= 0o077 // it has other means, which these bits do not tell of
	}
	switch {
	case !mode.IsRegular():
		return nil, 0, fmt.Errorf("read the tokens: %s is no file", path)
	case mode&0o022 != 0:
		return nil, 0, fmt.Errorf("read the tokens: others can change %s (mode %04o), and let themselves in; chmod go-w %s", path, mode.Perm(), quote(path))
	}
	data, err = io.ReadAll(io.LimitReader(f, maxTokenFile+1))
	if err != nil {
		return nil, 0, fmt.Errorf("read the tokens: %w", err)
	}
	if len(data) > maxTokenFile {
		return nil, 0, fmt.Errorf("read the tokens: %s is larger than %d MiB", path, maxTokenFile>>20)
	}
	return data, mode, nil
}

// A tokenFile is a file of tokens as it was read.
type tokenFile struct {
	tokens []policy.Token
	items  []*yaml.Node // of tokens
	list   *yaml.Node   // of items; nil where there is none
}

func parseTokens(path string, data []byte) (*tokenFile, error) {
	d, err := parseDocument(path, data)
	if err != nil {
		return nil, err
	}
	f := new(tokenFile)
	if d.root == nil {
		return f, nil
	}
	top, err := d.entries("the file", d.root)
	if err != nil {
		return nil, err
	}
	for _, e := range top {
		if e.key != "tokens" {
			return nil, d.unknown(e.at, "a file of tokens", []string{"tokens"})
		}
		if isNull(e.value) {
			continue
		}
		if e.value.Kind != yaml.SequenceNode {
			return nil, d.fail(e.value, "tokens wants a list, each item with id, name, kind and hash")
		}
		if len(e.value.Content) > policy.MaxTokens {
			return nil, d.fail(e.at, "%d tokens, at most %d may be", len(e.value.Content), policy.MaxTokens)
		}
		f.list = e.value
	}
	if f.list == nil {
		return f, nil
	}
	seen := make(map[string]bool, len(f.list.Content))
	for _, item := range f.list.Content {
		t, err := d.token(resolve(item))
		if err != nil {
			return nil, err
		}
		if seen[t.ID] {
			return nil, d.fail(item, "the id %s stands here a second time", t.ID)
		}
		seen[t.ID] = true
		f.tokens, f.items = append(f.tokens, t), append(f.items, item)
	}
	return f, nil
}

// tokenKeys are the keys of an entry, in the order in which they are written.
func tokenKeys() []string {
	return []string{"id", "name", "kind", "hash", "ids", "hosts", "ports", "destinations", "created", "expires", "note"}
}

func (d *document) token(item *yaml.Node) (t policy.Token, err error) {
	if isNull(item) {
		return t, d.fail(item, "an empty token; want id, name, kind and hash")
	}
	fields, err := d.entries("a token", item)
	if err != nil {
		return t, err
	}
	for _, e := range fields {
		lists := map[string]*[]string{"ids": &t.Scope.IDs, "hosts": &t.Scope.Hosts, "ports": &t.Scope.Ports, "destinations": &t.Scope.Destinations}
		if list, ok := lists[e.key]; ok {
			if *list, err = d.scalars(e, true); err != nil {
				return t, err
			}
			if len(*list) == 0 {
				return t, d.fail(e.at, "%s is empty, which might be read as all or as none; leave it out for no bound", e.key)
			}
			continue
		}
		var text []string
		if text, err = d.scalars(e, false); err != nil {
			return t, err
		}
		switch v := text[0]; e.key {
		case "id":
			t.ID = v
		case "name":
			t.Name = v
		case "note":
			t.Note = v
		case "kind":
			t.Kind, err = policy.ParseTokenKind(v)
		case "hash":
			t.Hash, err = policy.ParseHash(v)
		case "created":
			t.Created, err = ParseMoment(v)
		case "expires":
			t.Expires, err = ParseMoment(v)
		default:
			return t, d.unknown(e.at, "a token", tokenKeys())
		}
		if err != nil {
			return t, d.fail(e.value, "%s: %w", e.key, err)
		}
	}
	if err := t.Check(); err != nil {
		return t, d.fail(item, "%w", err)
	}
	return t, nil
}

// ParseMoment reads RFC 3339 or a date, which begins at midnight UTC.
func ParseMoment(v string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; want 2026-01-02T15:04:05Z or 2026-01-02", engine.Bound(v))
}

// appendToken writes an entry of the list whose dash stands behind indent spaces.
func appendToken(b []byte, t *policy.Token, indent int) []byte {
	margin := strings.Repeat(" ", indent)
	lead := margin + "- "
	line := func(key, value string) {
		if value != "" {
			b = append(append(append(b, lead...), key+": "+value...), '\n')
			lead = margin + "  "
		}
	}
	list := func(key string, items []string) {
		if len(items) > 0 {
			quoted := make([]string, len(items))
			for i, v := range items {
				quoted[i] = strconv.Quote(v)
			}
			line(key, "["+strings.Join(quoted, ", ")+"]")
		}
	}
	moment := func(key string, at time.Time) {
		if !at.IsZero() {
			line(key, at.UTC().Format(time.RFC3339))
		}
	}
	line("id", strconv.Quote(t.ID)) // one of digits only is no number
	line("name", strconv.Quote(t.Name))
	line("kind", t.Kind.String())
	line("hash", policy.FormatHash(t.Hash))
	list("ids", t.Scope.IDs)
	list("hosts", t.Scope.Hosts)
	list("ports", t.Scope.Ports)
	list("destinations", t.Scope.Destinations)
	moment("created", t.Created)
	moment("expires", t.Expires)
	if t.Note != "" {
		line("note", strconv.Quote(t.Note))
	}
	return b
}

// formatTokens returns a whole file.
func formatTokens(list []policy.Token) []byte {
	b := []byte("# Tokens of clients and callers, by hash: adit token new, ls and revoke keep this file.\n" +
		"# A change by hand is as good; adit server takes it up at once.\n")
	if len(list) == 0 {
		return append(b, "tokens: []\n"...)
	}
	b = append(b, "tokens:\n"...)
	for i := range list {
		b = appendToken(b, &list[i], 2)
	}
	return b
}

// AddToken adds an entry to a file of tokens, which it makes with mode 0600 where
// there is none. What else stands in the file stays as it is.
func AddToken(path string, t policy.Token) error {
	return changeTokens(path, true, func(f *tokenFile, data []byte) ([]policy.Token, []byte, error) {
		if err := t.Check(); err != nil {
			return nil, nil, err
		}
		indent := 2
		if f.list != nil && len(f.items) > 0 {
			indent = max(f.list.Column-1, 0)
		}
		if n := len(data); n > 0 && data[n-1] != '\n' {
			data = append(data, '\n')
		}
		return append(f.tokens, t), appendToken(data, &t, indent), nil
	})
}

// ErrNoToken says that no token of a file has that id or name.
var ErrNoToken = errors.New("no such token")

// RevokeToken removes the token of that id, else all of that name, from a file
// and returns what it removed. What else stands in the file stays as it is.
func RevokeToken(path, which string) (removed []policy.Token, err error) {
	err = changeTokens(path, false, func(f *tokenFile, data []byte) ([]policy.Token, []byte, error) {
		byID := false
		for i := range f.tokens {
			byID = byID || f.tokens[i].ID == which
		}
		var kept []policy.Token
		removed = nil
		lines := strings.SplitAfter(string(data), "\n")
		for i, t := range f.tokens {
			if byID && t.ID != which || !byID && t.Name != which {
				kept = append(kept, t)
				continue
			}
			removed = append(removed, t)
			for n := f.items[i].Line; n <= lastLine(f.items[i]) && n <= len(lines); n++ {
				lines[n-1] = ""
			}
		}
		if len(removed) == 0 {
			return nil, nil, fmt.Errorf("%s: %w: %q; adit token ls --file %s shows which there are", path, ErrNoToken, engine.Bound(which), quote(path))
		}
		return kept, []byte(strings.Join(lines, "")), nil
	})
	if err != nil {
		return nil, err // it is all there still
	}
	return removed, nil
}

// lastLine returns the line on which the last of a node begins.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}
