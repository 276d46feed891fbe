package memory

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func open(t *testing.T, path string) *Memory {
	t.Helper()
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestValuesOutliveARun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "dashboard.yaml")
	m := open(t, path)
	if m.Get("theme") != "" || m.Changed() {
		t.Fatal("a new memory is not empty")
	}
	m.Set("theme", "nord")
	m.Set("filters", "slow=dur:>200ms\n5xx=status:5xx: #\x1b")
	m.Set("gone", "x")
	m.Set("gone", "")
	if !m.Changed() {
		t.Fatal("no change seen")
	}
	if err := m.Write(); err != nil || m.Changed() {
		t.Fatal(err, m.Changed())
	}
	again := open(t, path)
	if again.Get("theme") != "nord" || again.Get("filters") != m.Get("filters") || again.Get("gone") != "" {
		t.Fatalf("%q", again.values)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Fatal("others can read what the operator chose", info, err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) != 0 {
		t.Fatal("left behind:", left)
	}
}

func TestTwoDashboardsLoseNothingOfEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dashboard.yaml")
	a, b := open(t, path), open(t, path)
	a.Set("a", "1")
	b.Set("b", "2")
	for _, m := range []*Memory{a, b} {
		if err := m.Write(); err != nil {
			t.Fatal(err)
		}
	}
	both := open(t, path)
	if both.Get("a") != "1" || both.Get("b") != "2" {
		t.Fatalf("%q", both.values)
	}
}

func TestBrokenFileIsNotOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dashboard.yaml")
	const text = "theme: [not, a, text\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("error %v", err)
	}
	m.Set("theme", "nord")
	if m.Get("theme") != "nord" {
		t.Fatal("does not work in memory")
	}
	if err := m.Write(); err != nil {
		t.Fatal(err)
	}
	if kept, _ := os.ReadFile(path); string(kept) != text {
		t.Fatalf("overwritten: %q", kept)
	}
}

func TestFailedWriteIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "dashboard.yaml")
	m := open(t, path)
	m.Set("a", "old")
	blocked := filepath.Join(dir, "sub")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if m.Write() == nil {
		t.Fatal("wrote into a file's place")
	}
	m.Set("a", "new")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := m.Write(); err != nil {
		t.Fatal(err)
	}
	if got := open(t, path).Get("a"); got != "new" {
		t.Fatalf("a = %q", got)
	}
}

func TestNoPathKeepsNothing(t *testing.T) {
	m := open(t, "")
	m.Set("a", "1")
	if m.Get("a") != "1" || m.Changed() || m.Write() != nil {
		t.Fatal("not a memory without a file")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := open(t, "")
	for i := range 2 * MaxNames {
		m.Set(strconv.Itoa(i), "x")
	}
	m.Set("0", strings.Repeat("y", MaxValue+1))
	m.Set(strings.Repeat("n", MaxName+1), "y")
	if len(m.values) != MaxNames || m.Get("0") != "x" {
		t.Fatal(len(m.values), len(m.Get("0")))
	}
}

func TestEmptyAndNullFiles(t *testing.T) {
	for _, text := range []string{"", " \n", "null\n", "{}\n", "a: 1\n"} {
		path := filepath.Join(t.TempDir(), "dashboard.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Open(path)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		m.Set("b", "2")
		if err := m.Write(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A file larger than what Open reads would lose everything at the next start.
func TestFileThatWouldBeTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dashboard.yaml")
	m := open(t, path)
	m.Set("theme", "nord")
	if err := m.Write(); err != nil {
		t.Fatal(err)
	}
	for i := range MaxFile/MaxValue + 1 {
		m.Set("filters."+strconv.Itoa(i), strings.Repeat("x", MaxValue))
	}
	if err := m.Write(); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error(err)
	}
	if got := open(t, path).Get("theme"); got != "nord" {
		t.Errorf("the file has %q", got)
	}
}
