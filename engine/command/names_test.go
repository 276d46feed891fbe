package command

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"adit/engine"
)

// A name that scripts read and nobody documents changes unnoticed.
func TestNamesOfJSONAreInTheReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "<!-- names of --json -->")
	table, _, found := strings.Cut(after, "<!-- end of names -->")
	if !found {
		t.Fatal("the README has no table of names")
	}
	var known []string
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(table, -1) {
		known = append(known, m[1])
	}
	inside := []string{"greeting", "frames_in", "frames_out", "shape_in", "shape_out"} // of events, and of the admin API
	var check func(where string, v any)
	check = func(where string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				if !slices.Contains(known, name) {
					t.Errorf("%s: %q is not in the README", where, name)
				}
				if !slices.Contains(inside, name) {
					check(where, member)
				}
			}
		case []any:
			for _, item := range v {
				check(where, item)
			}
		}
	}
	for _, args := range [][]string{
		{"ls"}, {"ls", "clients"}, {"ls", "requests"}, {"show", "r-1", "--content"}, {"kill", "c-7"}, {"capture"},
	} {
		f := newFakeRun().add(request(1, 200, func(r *engine.Request) {
			r.Heads = &engine.Heads{Request: "host: a\n", Response: "content-type: application/json\n", Cut: true}
			r.Upgraded, r.Replay, r.Protocol, r.Caller, r.Reason = true, true, engine.ProtocolNative, "192.0.2.9:1", "late"
		}))
		f.content[1] = engine.Content{Response: engine.Part{Data: []byte(`{"a":1}`), Size: 9, Over: true}, MessagesLost: 2,
			Messages: []engine.Message{{Kind: engine.MessageText, Data: []byte("\xff"), FromCaller: true}, {Kind: engine.MessageText, Data: []byte("hi")}}}
		f.Update(func(s *engine.Snapshot) { s.Capture.Mode = engine.CaptureHeads })
		code, out, report := f.ask(t, append(args, "--json")...)
		if code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, report)
		}
		for line := range strings.Lines(out) {
			var v any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			check(strings.Join(args, " "), v)
		}
	}
}

// What a verb prints for scripts has no run to ask in a test of its own: the names are
// read off the code.
func TestNamesThatVerbsPrintAreInTheReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "<!-- names of --json -->")
	table, _, _ := strings.Cut(after, "\n## Command line") // events too
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	printers := []string{"appendMember", "appendName", "appendNumber", "appendFlag", "appendTextAlways"}
	printed := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			called, _ := call.Fun.(*ast.Ident)
			name, _ := call.Args[1].(*ast.BasicLit)
			if called == nil || name == nil || !slices.Contains(printers, called.Name) {
				return true
			}
			printed++
			if !strings.Contains(table, "`"+strings.Trim(name.Value, `"`)+"`") {
				t.Errorf("%s prints %s, which is not in the README", path, name.Value)
			}
			return true
		})
	}
	if printed < 60 {
		t.Errorf("only %d names are found", printed)
	}
}
