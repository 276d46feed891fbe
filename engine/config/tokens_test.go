package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine/config"
	"adit/engine/policy"
)

const oneHash = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

func newToken(name string) policy.Token {
	_, id, hash := policy.MakeToken()
	return policy.Token{ID: id, Name: name, Kind: policy.TokenClient, Hash: hash}
}

// tokenFile writes a file of tokens as the verbs would.
func tokenFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokensReadAsTheyAreDocumented(t *testing.T) {
	path := tokenFile(t, `
tokens:
  - id: k3j5x2ab
    name: edge
    kind: client
    hash: `+oneHash+`
    ids: ["edge-*"]
    hosts: app
    ports: ["20000-20010", 5432]
    destinations:
      - "*.internal:80"
    created: 2026-01-02T15:04:05Z
    expires: 2026-02-01
    note: the box in the cellar
  - {id: abcd, name: robot, kind: caller, hash: "`+oneHash+`"}
`)
	list, notices, err := config.ReadTokens(path)
	if err != nil || len(notices) != 0 || len(list) != 2 {
		t.Fatal(list, notices, err)
	}
	got := list[0]
	if got.ID != "k3j5x2ab" || got.Name != "edge" || got.Kind != policy.TokenClient || policy.FormatHash(got.Hash) != oneHash ||
		got.Scope.String() != "ids edge-*; hosts app; ports 20000-20010, 5432; destinations *.internal:80" ||
		!got.Created.Equal(time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)) || !got.Expires.Equal(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)) ||
		got.Note != "the box in the cellar" || list[1].Kind != policy.TokenCaller {
		t.Errorf("read as %+v", list)
	}
	for _, empty := range []string{"", "tokens:\n", "tokens: []\n", "# nothing\n"} {
		if list, _, err := config.ReadTokens(tokenFile(t, empty)); err != nil || len(list) != 0 {
			t.Errorf("%q: %v, %v", empty, list, err)
		}
	}
}

func TestTokensThatCanNotBeRead(t *testing.T) {
	entry := "tokens:\n  - id: abcd\n    name: x\n    kind: client\n    hash: " + oneHash + "\n"
	for _, k := range []struct{ text, want string }{
		{"token: []\n", `:1: a file of tokens has no key "token"; the nearest is "tokens"`},
		{"tokens: abc\n", ":1: tokens wants a list"},
		{"tokens:\n  -\n", ":2: an empty token"},
		{"tokens:\n  - abc\n", ":2: a token wants keys"},
		{entry + "    expire: 2026-02-01\n", `:6: a token has no key "expire"; the nearest is "expires"`},
		{entry + "    expires: soon\n", `:6: expires: "soon" is no time`},
		{entry + "    hosts: [a.b]\n", ":2: hosts:"},
		{entry + "    hosts: []\n", ":6: hosts is empty"},
		{entry + "    ports: [99999]\n", ":2: ports:"},
		{entry + "    name: y\n", `:6: key "name" stands here a second time`},
		{entry + "  - id: abcd\n    name: y\n    kind: caller\n    hash: " + oneHash + "\n", ":6: the id abcd stands here a second time"},
		{strings.Replace(entry, "client", "server", 1), ":4: kind:"},
		{strings.Replace(entry, oneHash, "md5:00", 1), ":5: hash:"},
		{strings.Replace(entry, "id: abcd", "id: ABCD", 1), ":2: id"},
		{entry + "---\n" + entry, ":6: a second document"},
		{"tokens: *x\n", "an alias without its anchor"},
		{"\tx", "no YAML"},
	} {
		path := tokenFile(t, k.text)
		if _, _, err := config.ReadTokens(path); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%q: %v, want %q", k.text, err, k.want)
		}
		if err := config.AddToken(path, newToken("y")); err == nil {
			t.Errorf("%q: something is added", k.text)
		}
		if now, _ := os.ReadFile(path); string(now) != k.text {
			t.Errorf("%q: what is wrong was written over", k.text)
		}
	}
	if _, _, err := config.ReadTokens(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, _, err := config.ReadTokens(t.TempDir()); err == nil {
		t.Error("a directory is read")
	}
	big := tokenFile(t, "")
	if err := os.Truncate(big, 16<<20+1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := config.ReadTokens(big); err == nil || !strings.Contains(err.Error(), "16 MiB") {
		t.Error(err)
	}
}

// Who can change the file can let himself in; who can read it learns who else may.
func TestModeOfAFileOfTokens(t *testing.T) {
	for mode, want := range map[os.FileMode]string{0o600: "", 0o640: "", 0o644: "notice", 0o660: "chmod go-w", 0o606: "chmod go-w", 0o666: "chmod go-w"} {
		path := tokenFile(t, "tokens: []\n")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, notices, err := config.ReadTokens(path)
		switch want {
		case "chmod go-w":
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%o: %v", mode, err)
			}
		default:
			if err != nil || (len(notices) == 1) != (want == "notice") {
				t.Errorf("%o: %q, %v", mode, notices, err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "new.yaml")
	if err := config.AddToken(path, newToken("x")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new file: %v, %v", info.Mode(), err)
	}
	kept := tokenFile(t, "tokens: []\n")
	if err := os.Chmod(kept, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(kept, link); err != nil {
		t.Fatal(err)
	}
	if err := config.AddToken(link, newToken("x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if real, err2 := os.Stat(kept); err != nil || err2 != nil || info.Mode()&os.ModeSymlink == 0 || real.Mode().Perm() != 0o640 {
		t.Errorf("a link: %v, %v", info, err)
	}
}

// What an operator wrote by hand survives the verbs: comments, order, spelling.
func TestChangesKeepWhatElseIsInTheFile(t *testing.T) {
	before := "# ours\ntokens:\n# the first\n- id: aaaa # a\n  name: one\n  kind: client\n  hash: " + oneHash + "\n  hosts:\n  - app\n\n" +
		"# the second\n- {id: bbbb, name: two, kind: caller, hash: '" + oneHash + "'}\n# the end"
	path := tokenFile(t, before)
	added := newToken("three: \"3\" # no comment\u00e4")
	added.Scope = policy.Scope{IDs: []string{"a\\b", "c\"d"}, Destinations: []string{`/^http://x\.y/`}}
	added.Expires = time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	if err := config.AddToken(path, added); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	if !strings.HasPrefix(string(text), before+"\n") {
		t.Errorf("after an addition:\n%s", text)
	}
	list, _, err := config.ReadTokens(path)
	if err != nil || len(list) != 3 || list[2].Name != added.Name || list[2].Scope.String() != added.Scope.String() || !list[2].Expires.Equal(added.Expires) {
		t.Fatalf("%+v, %v", list, err)
	}
	removed, err := config.RevokeToken(path, "one")
	if err != nil || len(removed) != 1 || removed[0].ID != "aaaa" {
		t.Fatal(removed, err)
	}
	text, _ = os.ReadFile(path)
	if want := "# ours\ntokens:\n# the first\n\n# the second\n- {id: bbbb"; !strings.HasPrefix(string(text), want) {
		t.Errorf("after a removal:\n%s", text)
	}
	for _, which := range []string{"bbbb", added.ID} {
		if _, err := config.RevokeToken(path, which); err != nil {
			t.Fatal(err)
		}
	}
	if text, _ = os.ReadFile(path); !strings.HasPrefix(string(text), "# ours\ntokens:\n# the first\n\n# the second\n# the end") {
		t.Errorf("after the last removal:\n%s", text)
	}
	if err := config.AddToken(path, added); err != nil {
		t.Fatal(err)
	}
	if _, err := config.RevokeToken(path, "nobody"); !errors.Is(err, config.ErrNoToken) {
		t.Error(err)
	}
}

// A shape that can't be mended in place is written anew, and says the same.
func TestChangesOfAnotherShape(t *testing.T) {
	item := func(id string) string {
		return "{id: " + id + ", name: " + id + ", kind: client, hash: '" + oneHash + "'}"
	}
	for _, text := range []string{
		"tokens: [" + item("aaaa") + ", " + item("bbbb") + "]\n",
		"{tokens: [" + item("aaaa") + ",\n" + item("bbbb") + "\n]}",
		"tokens: # here\n  - &a " + item("aaaa") + "\n  - " + item("bbbb") + "\n...\n",
	} {
		path := tokenFile(t, text)
		if err := config.AddToken(path, newToken("new")); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if _, err := config.RevokeToken(path, "aaaa"); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		list, _, err := config.ReadTokens(path)
		if err != nil || len(list) != 2 || list[0].ID != "bbbb" || list[1].Name != "new" {
			t.Errorf("%q: %+v, %v", text, list, err)
		}
	}
}

// Two who write at the same time lose nothing, and a reader sees no half of it.
func TestChangesAtTheSameTime(t *testing.T) {
	path := tokenFile(t, "tokens: []\n")
	var wg sync.WaitGroup
	done := make(chan struct{})
	for i := range 16 {
		wg.Go(func() {
			if err := config.AddToken(path, newToken(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	go func() { wg.Wait(); close(done) }()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		if _, _, err := config.ReadTokens(path); err != nil {
			t.Fatal(err)
		}
	}
	if list, _, err := config.ReadTokens(path); err != nil || len(list) != 16 {
		t.Errorf("%d tokens, %v", len(list), err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left over: %v", files)
	}
}

// FuzzTokens holds whatever is read against what is written of it.
func FuzzTokens(f *testing.F) {
	f.Add("tokens:\n  - id: abcd\n    name: x\n    kind: client\n    hash: " + oneHash + "\n    ids: ['a*']\n    expires: 2026-02-01\n")
	f.Add("tokens: [{id: abcd, name: \"\\u00e4\", kind: caller, hash: '" + oneHash + "', destinations: ['/x/', '10.0.0.0/8']}]")
	f.Add("tokens: &a [*a]\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "tokens.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, _, err := config.ReadTokens(path)
		if err != nil {
			return
		}
		added := newToken("added")
		if err := config.AddToken(path, added); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		more, _, err := config.ReadTokens(path)
		if err != nil || len(more) != len(list)+1 || more[len(list)].Hash != added.Hash {
			t.Fatalf("%q: %+v, %v", text, more, err)
		}
		if _, err := config.RevokeToken(path, added.ID); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, _, err := config.ReadTokens(path)
		if err != nil || len(again) != len(list) {
			t.Fatalf("%q: %+v, %v", text, again, err)
		}
		for i := range list {
			if again[i].ID != list[i].ID || again[i].Name != list[i].Name || again[i].Scope.String() != list[i].Scope.String() || !again[i].Expires.Equal(list[i].Expires) {
				t.Fatalf("%q: %+v is %+v now", text, list[i], again[i])
			}
		}
	})
}

// TestClockThatWasAheadLeavesNoLock: a run that crashed with its draft there, when
// the clock was an hour ahead, keeps nobody from changing tokens for an hour.
func TestClockThatWasAheadLeavesNoLock(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		path := filepath.Join(t.TempDir(), "tokens")
		at := time.Now().Add(by)
		if err := errors.Join(os.WriteFile(path+".new", nil, 0o600), os.Chtimes(path+".new", at, at)); err != nil {
			t.Fatal(err)
		}
		if err := config.AddToken(path, newToken("x")); err != nil {
			t.Errorf("%v: %v", by, err)
		}
	}
}
