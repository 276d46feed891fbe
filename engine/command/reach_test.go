package command

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"adit/engine/config"
)

// A lenient importer knows the packages that were checked before; all others are
// empty, and what is selected from them is an error that nobody looks at.
type lenient map[string]*types.Package

func (l lenient) Import(name string) (*types.Package, error) {
	if known := l[name]; known != nil {
		return known, nil
	}
	empty := types.NewPackage(name, path.Base(name))
	empty.MarkComplete()
	return empty, nil
}

// fieldsRead returns which fields are selected in packages of this module,
// outside of functions that skip matches, and the package of the settings.
func fieldsRead(t *testing.T, skip *regexp.Regexp) (map[types.Object]bool, *types.Package) {
	t.Helper()
	read, known, set := map[types.Object]bool{}, lenient{}, token.NewFileSet()
	for _, p := range []struct{ path, dir string }{{"adit/engine/config", "../config"}, {"adit/engine/command", "."}, {"adit", "../.."}} {
		names, err := filepath.Glob(filepath.Join(p.dir, "*.go"))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", p.dir, err)
		}
		var files []*ast.File
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
		conf := types.Config{Importer: known, Error: func(error) {}}
		known[p.path], _ = conf.Check(p.path, set, files, info)
		for _, file := range files {
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); !ok || skip.MatchString(f.Name.Name) {
					continue
				}
				ast.Inspect(d, func(n ast.Node) bool {
					if e, ok := n.(*ast.SelectorExpr); ok {
						if s := info.Selections[e]; s != nil {
							read[s.Obj()] = true
						}
					}
					return true
				})
			}
		}
	}
	return read, known["adit/engine/config"]
}

// A setting that nobody reads looks as if it worked. What defines and checks
// settings does not count.
func TestEverySettingIsReadBySomebody(t *testing.T) {
	read, pkg := fieldsRead(t, regexp.MustCompile(`Settings?$|^[cC]heck|^settle$|^idle$|^missing$|[rR]efusal$|[nN]otices$|^applyWSP$|^appendRun$`))
	// Read by engine/config itself: settle makes Path of Off, and more of WSPFile.
	inside := map[string]bool{"Store.Off": true, "Server.WSPFile": true}
	var walk func(of string, s *types.Struct)
	walk = func(of string, s *types.Struct) {
		for f := range s.Fields() {
			name := of + "." + f.Name()
			if named, ok := f.Type().(*types.Named); ok && named.Obj().Pkg() == pkg {
				if inner, ok := named.Underlying().(*types.Struct); ok {
					walk(named.Obj().Name(), inner)
					continue
				}
			}
			if !read[f] && !inside[name] {
				t.Errorf("nobody reads %s", name)
			}
		}
	}
	for _, role := range []string{"Server", "Client"} {
		walk(role, pkg.Scope().Lookup(role).Type().Underlying().(*types.Struct))
	}
}

// A reached is all that a configuration becomes here.
type reached struct {
	options any
	plan    plan
	err     string
}

func reachOf(options any, err error, pl plan) reached {
	r := reached{options: options, plan: pl}
	if err != nil {
		r.err = err.Error()
	}
	r.plan.settings = nil
	return r
}

// serverReach and clientReach return what becomes of settings. Files of the
// examples are not there: that one can't be read proves that it is asked for.
func serverReach(t *testing.T, flags map[string][]string) reached {
	t.Helper()
	c, loaded, err := config.LoadServerFrom(config.Input{Flags: flags})
	if c == nil {
		t.Fatal(err)
	}
	o, err := serverOptions(c)
	return reachOf(o, errors.Join(err, checkServerFiles(c, loaded)), serverPlan(c, loaded))
}

func clientReach(t *testing.T, flags map[string][]string) reached {
	t.Helper()
	c, loaded, err := config.LoadClientFrom(config.Input{Flags: flags})
	if c == nil {
		t.Fatal(err)
	}
	o, err := clientOptions(c)
	return reachOf(o, errors.Join(err, (&Process{}).checkClientFiles(c, loaded)), clientPlan(c, loaded))
}

// Each setting becomes something beyond engine/config. Which of them the options
// and the plan do not show is listed: it is wired elsewhere, and the test above
// says that it is read.
func TestEverySettingBecomesSomething(t *testing.T) {
	elsewhere := map[string]bool{
		"listen": true, "headless": true, "no-watch": true, // of the run
		"tls-key": true, "tls-min": true, "acme": true, "acme-email": true, "acme-directory": true, "acme-cache": true, "listen-http": true, // of certs
		"proxy": true, "server-name": true, "no-store": true,
	}
	text, err := os.ReadFile("../config/testdata/values.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "server" && words[0] != "client" || elsewhere[words[1]] {
			continue
		}
		seen++
		given, beside := map[string][]string{}, map[string][]string{}
		values := true
		for _, w := range words[2:] {
			name, value, _ := strings.Cut(w, "=")
			switch {
			case w == "--":
				values = false
			case values:
				given[words[1]] = append(given[words[1]], w)
			default:
				beside[name] = append(beside[name], value)
				if name != words[1] {
					given[name] = append(given[name], value)
				}
			}
		}
		reach := serverReach
		if words[0] == "client" {
			reach = clientReach
		}
		if reflect.DeepEqual(reach(t, given), reach(t, beside)) {
			t.Errorf("%s: nothing comes of --%s %v", words[0], words[1], given[words[1]])
		}
	}
	if seen < 100 {
		t.Errorf("%d settings were tried", seen)
	}
}
