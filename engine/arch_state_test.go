package engine_test

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// stateAllowed lists the package-level variables that the rule below can't see
// to be constant, each with its reason.
func stateAllowed() map[string]string {
	return map[string]string{
		"main.go version":             "written by the linker, before the program starts",
		"engine/tcp/counter.go large": "what the whole process moves, as GOMAXPROCS is the whole process's",
	}
}

// TestPackageLevelState finds variables at package level that could change. A
// variable may be an error, a compiled pattern, an embedded file, an assertion
// of an interface, a sync.Pool (free memory, which nobody can observe), or a
// table that nobody in the package assigns to.
func TestPackageLevelState(t *testing.T) {
	allowed := stateAllowed()
	for dir, files := range byPackage(sources(t)) {
		tables := map[string]string{}
		for _, f := range files {
			for _, d := range f.syntax.Decls {
				decl, ok := d.(*ast.GenDecl)
				if !ok || decl.Tok != token.VAR {
					continue
				}
				for _, s := range decl.Specs {
					spec := s.(*ast.ValueSpec)
					for i, name := range spec.Names {
						key := f.path + " " + name.Name
						if allowed[key] != "" {
							delete(allowed, key)
							continue
						}
						switch {
						case name.Name == "_" || embedded(decl, spec) || pool(spec.Type) || constantCall(spec, i):
						case constantTable(spec, i):
							tables[name.Name] = f.at(name.Pos())
						default:
							t.Errorf("%s: package-level variable %s", f.at(name.Pos()), name.Name)
						}
					}
				}
			}
		}
		for _, f := range files {
			for name, pos := range assigned(f, tables) {
				t.Errorf("%s: table %s (%s) is written to", f.at(pos), name, dir)
			}
		}
	}
	for key := range allowed {
		t.Errorf("%s is allowed and does not exist", key)
	}
}

func byPackage(files []*sourceFile) map[string][]*sourceFile {
	packages := map[string][]*sourceFile{}
	for _, f := range files {
		if !f.test() {
			packages[f.dir()] = append(packages[f.dir()], f)
		}
	}
	return packages
}

func embedded(decl *ast.GenDecl, spec *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{decl.Doc, spec.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if len(c.Text) > len("//go:embed") && c.Text[:len("//go:embed")] == "//go:embed" {
				return true
			}
		}
	}
	return false
}

// pool: the type is sync.Pool, or an array of them.
func pool(e ast.Expr) bool {
	if array, ok := e.(*ast.ArrayType); ok {
		return array.Len != nil && pool(array.Elt)
	}
	s, ok := e.(*ast.SelectorExpr)
	return ok && isIdent(s.X, "sync") && s.Sel.Name == "Pool"
}

func isIdent(e ast.Expr, name string) bool {
	ident, ok := e.(*ast.Ident)
	return ok && ident.Name == name
}

// constantCall: the value is an error or a compiled pattern.
func constantCall(spec *ast.ValueSpec, i int) bool {
	if i >= len(spec.Values) {
		return false
	}
	call, ok := spec.Values[i].(*ast.CallExpr)
	if !ok {
		return false
	}
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := fn.X.(*ast.Ident)
	if !ok {
		return false
	}
	return slices.Contains([]string{"errors.New", "fmt.Errorf", "engine.Fail", "regexp.MustCompile",
		"netip.MustParsePrefix", "netip.MustParseAddr"}, from.Name+"."+fn.Sel.Name)
}

// constantTable: the value is a literal of an array, slice, map or struct, or
// made from nothing but literals by a function of the package, or an array that
// a function literal fills.
func constantTable(spec *ast.ValueSpec, i int) bool {
	if i >= len(spec.Values) {
		return false
	}
	switch v := spec.Values[i].(type) {
	case *ast.CompositeLit:
		return true
	case *ast.CallExpr:
		if made, ok := v.Fun.(*ast.FuncLit); ok {
			return len(v.Args) == 0 && returnsArray(made.Type)
		}
		_, local := v.Fun.(*ast.Ident)
		return local && len(v.Args) > 0 && !slices.ContainsFunc(v.Args, func(arg ast.Expr) bool {
			_, literal := arg.(*ast.BasicLit)
			return !literal
		})
	}
	return false
}

func returnsArray(f *ast.FuncType) bool {
	if f.Results == nil || len(f.Results.List) != 1 {
		return false
	}
	array, ok := f.Results.List[0].Type.(*ast.ArrayType)
	return ok && array.Len != nil
}

// assigned returns where f assigns to a table, an element or a field of one. A
// local variable of the same name counts too: it should have another.
func assigned(f *sourceFile, tables map[string]string) map[string]token.Pos {
	found := map[string]token.Pos{}
	target := func(e ast.Expr) {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
			case *ast.SelectorExpr:
				e = x.X
			case *ast.ParenExpr:
				e = x.X
			case *ast.Ident:
				if _, ok := tables[x.Name]; ok {
					found[x.Name] = x.Pos()
				}
				return
			default:
				return
			}
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				target(e)
			}
		case *ast.IncDecStmt:
			target(n.X)
		}
		return true
	})
	return found
}
