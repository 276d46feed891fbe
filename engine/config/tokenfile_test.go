package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"adit/engine/policy"
)

// Who was stopped for so long that somebody else took his draft for left over must
// not put the other's, of which half may be written, in the place of the file.
func TestDraftThatSomebodyElseTookOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	before := string(formatTokens(nil))
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	const half = "tokens:\n  - id: ab"
	err := changeTokens(path, false, func(f *tokenFile, data []byte) ([]policy.Token, []byte, error) {
		if err := os.Remove(path + ".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", []byte(half), 0o600); err != nil {
			t.Fatal(err)
		}
		return f.tokens, data, nil
	})
	if err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("%v", err)
	}
	for name, want := range map[string]string{path: before, path + ".new": half} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", filepath.Base(name), got, err, want)
		}
	}
}
