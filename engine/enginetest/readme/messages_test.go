package readme_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"adit/engine/enginetest/readme"
)

// texts returns the strings of our code, those that are put together of several
// as one: what is no string between them is "\x00".
func texts(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "enginetest" || strings.HasPrefix(d.Name(), ".") && name != top):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.BasicLit, *ast.BinaryExpr:
				if text := folded(n.(ast.Expr)); text != "\x00" {
					all = append(all, text)
				}
				_, sum := n.(*ast.BinaryExpr)
				return !sum || folded(n.(ast.Expr)) == "\x00"
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func folded(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			if x, y := folded(e.X), folded(e.Y); x != "\x00" || y != "\x00" {
				return x + y
			}
		}
	}
	return "\x00"
}

// Words that are not ours, and what says them.
func notOurs(t *testing.T) map[string]error {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, twice := net.Listen("tcp", taken.Addr().String())
	taken.Close()
	_, refused := net.DialTimeout("tcp", taken.Addr().String(), 5*time.Second)
	// Not a name, so that nobody is asked.
	_, nameless := (&net.Resolver{PreferGo: true}).LookupHost(context.Background(), "a..b")
	return map[string]error{
		"bind: address already in use":                twice,
		"connect: connection refused":                 refused,
		"no such host":                                nameless,
		"certificate has expired or is not yet valid": x509.CertificateInvalidError{Reason: x509.Expired},
		"tls: failed to verify certificate":           &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
		"certificate signed by unknown author":        x509.UnknownAuthorityError{},
	}
}

// What people search the page for is what the program says, to the letter.
func TestMessagesAreWhatTheProgramSays(t *testing.T) {
	table, err := readme.Between(theReadme(t), "<!-- messages -->", "<!-- end of messages -->")
	if err != nil {
		t.Fatal(err)
	}
	ours, foreign, told := texts(t), notOurs(t), map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^tells \S+ '(.*)'$`).FindAllStringSubmatch(scripts(t), -1) {
		told[m[1]] = true
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := readme.Cells(line)
		if len(cells) < 3 || !strings.HasPrefix(cells[1], "`") {
			continue
		}
		rows++
		message := strings.Trim(cells[1], "`")
		if said(message, ours) || told[message] {
			continue
		}
		found := false
		for text, err := range foreign {
			// What is ours behind it is looked up by itself.
			if rest, ok := strings.CutPrefix(message, text); ok && err != nil && strings.Contains(err.Error(), text) {
				found = rest == "" || said(strings.TrimPrefix(rest, "; "), ours)
			}
		}
		if !found {
			t.Errorf("nothing says %q", message)
		}
	}
	if rows < 20 {
		t.Errorf("only %d messages are found", rows)
	}
}

func said(message string, texts []string) bool {
	for _, text := range texts {
		if strings.Contains(text, message) {
			return true
		}
	}
	return false
}
