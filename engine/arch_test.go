package engine_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A sourceFile is one Go file of the module.
type sourceFile struct {
	path   string // from the top, with slashes: "engine/wire/record.go"
	lines  int
	syntax *ast.File
	set    *token.FileSet
}

func (f *sourceFile) test() bool  { return strings.HasSuffix(f.path, "_test.go") }
func (f *sourceFile) dir() string { return path.Dir(f.path) }

func (f *sourceFile) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(p).Line)
}

func (f *sourceFile) imports() []string {
	var all []string
	for _, spec := range f.syntax.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			all = append(all, name)
		}
	}
	return all
}

// parsed holds every Go file of the module, read once for all laws: reading them
// is nearly all that the laws cost, ten times that under the race detector.
var parsed = sync.OnceValues(parse)

// sources returns every Go file of the module, whatever its build constraints.
func sources(t *testing.T) []*sourceFile {
	t.Helper()
	all, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(f *sourceFile) bool { return f.path == "main.go" }) {
		t.Fatal("main.go not found: this test no longer sees the whole module")
	}
	return all
}

func parse() ([]*sourceFile, error) {
	var all []*sourceFile
	set := token.NewFileSet()
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "testdata" || base != ".." && strings.HasPrefix(base, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", name)
		all = append(all, &sourceFile{path: filepath.ToSlash(rel), lines: bytes.Count(text, []byte("\n")), syntax: syntax, set: set})
		return err
	})
	return all, err
}

// under reports whether the slash-separated name is root or below it.
func under(name, root string) bool { return name == root || strings.HasPrefix(name, root+"/") }

func anyUnder(name string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return under(name, root) })
}

// An importLaw says who alone may import something. Tests may import more.
type importLaw struct {
	what []string // import path and all below it
	who  []string // directories and all below them; "." is main.go
}

func importLaws() []importLaw {
	return []importLaw{
		{[]string{"github.com/gorilla"}, []string{"engine/tunnel", "engine/demo", "engine/doctor"}},
		{[]string{"charm.land", "github.com/charmbracelet"}, []string{".", "tui", "keys", "themes"}},
		{[]string{"github.com/spf13"}, []string{".", "engine/command"}},
		{[]string{"modernc.org/sqlite", "database/sql"}, []string{"store"}},
		{[]string{"github.com/mattn/go-isatty"}, []string{"."}},
		{[]string{"os/signal"}, []string{"."}},
		{[]string{"github.com/prometheus"}, []string{"engine/metrics"}},
		{[]string{"go.opentelemetry.io"}, []string{"engine/trace"}},
		{[]string{"golang.org/x/crypto/acme"}, []string{"engine/certs"}},
		{[]string{"google.golang.org/protobuf"}, []string{"engine/trace"}},
		{[]string{"golang.org/x/sys/windows/svc"}, []string{"engine/service"}},
		{[]string{"golang.org/x/net/proxy", "golang.org/x/net/http/httpproxy"}, []string{"engine/egress"}},
		{[]string{"go.yaml.in"}, []string{"engine/config", "keys/userfile", "tui/memory"}},
		// Who starts another program: a successor, the guard of the terminal, an editor or a pager.
		// A service is put in the hands of its manager by the manager's own program. Scripts are tests.
		{[]string{"os/exec"}, []string{"engine/handover", "engine/service", "tui", "engine/enginetest/script"}},
		{[]string{"net/http/pprof"}, []string{"engine/control"}},
		{[]string{"adit/tui"}, []string{".", "tui"}},
		{[]string{"adit/store"}, []string{".", "store"}},
		{[]string{"adit/keys", "adit/themes"}, []string{".", "tui", "keys", "themes"}},
		{[]string{"adit/engine/server", "adit/engine/client"}, []string{"engine/command", "engine/demo"}},
		{[]string{"adit/engine/command"}, []string{"."}},
	}
}

func TestImportOutsideItsPlace(t *testing.T) {
	for _, f := range sources(t) {
		if f.test() {
			continue
		}
		for _, name := range f.imports() {
			for _, law := range importLaws() {
				if anyUnder(name, law.what...) && !slices.Contains(law.who, f.dir()) && !anyUnder(f.dir(), law.who...) {
					t.Errorf("%s imports %s: only %v may", f.path, name, law.who)
				}
			}
		}
	}
}

// The vocabulary is what everything stands on, headless or not.
func TestVocabularyImportsOnlyTheStandardLibrary(t *testing.T) {
	for _, f := range sources(t) {
		if f.dir() != "engine" || f.test() {
			continue
		}
		for _, name := range f.imports() {
			if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") || first == "adit" {
				t.Errorf("%s imports %s: engine imports the standard library only", f.path, name)
			}
		}
	}
}

// layers are the rooms of doc.go from the top: each imports only what stands
// below it, so nothing in one line knows its neighbour.
func layers() [][]string {
	return [][]string{
		{"engine/command"},
		{"engine/demo"},
		{"engine/config", "engine/server", "engine/client"},
		{"engine/capture", "engine/control", "engine/doctor", "engine/metrics", "engine/trace"},
		{"engine/origin", "engine/tunnel", "engine/procs", "engine/filter", "engine/inspect"},
		{"engine/wire", "engine/frame", "engine/policy", "engine/observe", "engine/tcp",
			"engine/certs", "engine/egress", "engine/handover", "engine/limit", "engine/proxyproto", "engine/service"},
		{"engine"},
	}
}

func TestImportUpTheMap(t *testing.T) {
	depth := map[string]int{}
	for i, layer := range layers() {
		for _, dir := range layer {
			depth[dir] = i
		}
	}
	for _, f := range sources(t) {
		// What tests stand on imports what it tests.
		if f.test() || !under(f.dir(), "engine") || anyUnder(f.dir(), "engine/enginetest", "engine/chaos") {
			continue
		}
		own, ok := depth[f.dir()]
		if !ok {
			t.Errorf("%s: %s has no place in layers", f.path, f.dir())
			continue
		}
		for _, name := range f.imports() {
			dir, ours := strings.CutPrefix(name, "adit/")
			if !ours {
				continue
			}
			if below, ok := depth[dir]; !ok || below <= own {
				t.Errorf("%s imports %s, which does not stand below it", f.path, name)
			}
		}
	}
}

// Whatever a test imports, the engine is built without a front end.
func TestEngineTestsDoNotImportTheFrontEnd(t *testing.T) {
	for _, f := range sources(t) {
		if !under(f.dir(), "engine") {
			continue
		}
		for _, name := range f.imports() {
			if anyUnder(name, "adit/tui", "adit/store", "adit/keys", "adit/themes", "charm.land") {
				t.Errorf("%s imports %s", f.path, name)
			}
		}
	}
}

func TestPackageNameThatSaysNothing(t *testing.T) {
	for _, f := range sources(t) {
		switch name := strings.TrimSuffix(f.syntax.Name.Name, "_test"); name {
		case "util", "utils", "common", "helper", "helpers", "types", "models", "misc":
			t.Errorf("%s: package %s", f.path, name)
		}
	}
}

func TestFileAbove500Lines(t *testing.T) {
	for _, f := range sources(t) {
		if f.lines > 500 {
			t.Errorf("%s has %d lines", f.path, f.lines)
		}
	}
}

func TestInitOutsideDriverRegistration(t *testing.T) {
	for _, f := range sources(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && f.dir() != "store" {
				t.Errorf("%s: init", f.at(fn.Pos()))
			}
		}
	}
}

// A package whose tests don't look for goroutines that were left behind would
// leave them in the process it is part of.
func TestPackageWhoseTestsMissLeaks(t *testing.T) {
	looks := map[string]bool{}
	for _, f := range sources(t) {
		// chaos starts whole binaries; the vocabulary starts nothing.
		if !f.test() || !under(f.dir(), "engine") || f.dir() == "engine" || f.dir() == "engine/chaos" {
			continue
		}
		looks[f.dir()] = looks[f.dir()] || calls(f, "goleak", "VerifyTestMain")
	}
	for dir, ok := range looks {
		if !ok {
			t.Errorf("%s: no test file has goleak.VerifyTestMain", dir)
		}
	}
}

// calls reports whether f names from.name.
func calls(f *sourceFile, from, name string) bool {
	found := false
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == name {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == from {
				found = true
			}
		}
		return !found
	})
	return found
}

func TestExitOutsideMain(t *testing.T) {
	for _, f := range sources(t) {
		if f.path == "main.go" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := call.X.(*ast.Ident)
			if !ok {
				return true
			}
			ends := from.Name == "os" && call.Sel.Name == "Exit" ||
				from.Name == "syscall" && call.Sel.Name == "Exit" ||
				from.Name == "log" && strings.HasPrefix(call.Sel.Name, "Fatal")
			// os.Exit(m.Run()) is how TestMain ends.
			if ends && !f.test() {
				t.Errorf("%s: %s.%s", f.at(call.Pos()), from.Name, call.Sel.Name)
			}
			return true
		})
	}
}

func TestTopLevelHasOnlyWhatIsFixed(t *testing.T) {
	fixed := []string{"main.go", "main_test.go", "tui", "engine", "store", "keys", "themes",
		"go.mod", "go.sum", "README.md", "LICENSE", "testdata"}
	// What a build or a release leaves behind is ignored by git as well.
	ignored, err := os.ReadFile("../.gitignore")
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || slices.Contains(fixed, name) || ignores(string(ignored), name) {
			continue
		}
		t.Errorf("%s does not belong at the top level", name)
	}
}

// ignores understands the few forms of pattern that our .gitignore uses.
func ignores(patterns, name string) bool {
	for line := range strings.Lines(patterns) {
		pattern := strings.Trim(strings.TrimSpace(line), "/")
		if ok, _ := path.Match(pattern, name); ok && pattern != "" {
			return true
		}
	}
	return false
}
