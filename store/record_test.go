package store

import (
	"fmt"
	"strings"
	"testing"

	"adit/engine"
)

// Heads mostly say what others said just before: kept for each request they
// would be most of the memory.
func TestHeadsThatRepeatAreKeptOnce(t *testing.T) {
	l := empty(defaultRecords, defaultBytes)
	head := strings.Repeat("accept: */*\n", 20)
	for id := 1; id <= 1000; id++ {
		e := finished(id)
		e.Request.Heads = &engine.Heads{Request: strings.Clone(head), Response: fmt.Sprintf("etag: %d\n", id), Cut: id == 7}
		put(l, e)
	}
	if each := l.ring.bytes / 1000; each > recordSize+200 {
		t.Errorf("%d bytes for each record", each)
	}
	for _, id := range []engine.RequestID{1, 7, 1000} {
		r, err := l.Request(t.Context(), id)
		if err != nil || r.Heads == nil || r.Heads.Request != head || r.Heads.Response != fmt.Sprintf("etag: %d\n", id) || r.Heads.Cut != (id == 7) {
			t.Errorf("%d: %+v, %v", id, r.Heads, err)
		}
	}
	if fault := unsound(l); fault != "" {
		t.Error(fault)
	}
}

// What stands in pieces of memory is what was put there, whatever its length.
func TestPackedTextsAreNotMixedUp(t *testing.T) {
	var p packer
	var kept []ref
	var want []string
	for i := range 3000 {
		text := strings.Repeat(string(rune('a'+i%26)), i*37%(piece/2))
		got, _ := p.once(text)
		kept, want = append(kept, got), append(want, text)
		all, ends := p.join(text, "x", "", "yz", fmt.Sprint(i))
		if n := uint32(len(text)); p.text(all) != text+"xyz"+fmt.Sprint(i) || ends != [4]uint32{n, n + 1, n + 1, n + 3} {
			t.Fatalf("%d: %d bytes, %v", i, all.size, ends)
		}
	}
	for i := range kept {
		if p.text(kept[i]) != want[i] {
			t.Fatalf("text %d has changed", i)
		}
	}
}

// The name of a credential is kept beside the reason, and never taken for a part of
// it, whatever either is.
func TestCredentialIsNotMixedUpWithTheReason(t *testing.T) {
	l := empty(defaultRecords, defaultBytes)
	words := []string{"", "robot", "why", "a\x00b", "\x00", "\x00\x00"}
	id := 0
	for _, reason := range words {
		for _, credential := range words {
			id++
			e := finished(id)
			e.Request.Reason, e.Request.Credential = reason, credential
			put(l, e)
			r, err := l.Request(t.Context(), engine.RequestID(id))
			if err != nil || r.Reason != reason || r.Credential != strings.ReplaceAll(credential, "\x00", "?") {
				t.Errorf("%q and %q come back as %q and %q, %v", reason, credential, r.Reason, r.Credential, err)
			}
		}
	}
}
