package filter

import (
	"errors"
	"testing"
	"unicode/utf8"

	"adit/engine"
)

func FuzzParse(f *testing.F) {
	for subject, texts := range docExamples(f) {
		for _, text := range texts {
			f.Add(uint8(subject), text)
		}
	}
	f.Add(uint8(Requests), `-(a OR "b\"" /c\/d/i) NOT path:/x(,y)`)
	f.Add(uint8(Requests), "dur:1s..2m30s,>3 is:,")
	r, c := sample(), context()
	x := &engine.Connection{ID: 1, Client: "a"}
	e := &engine.Event{Seq: 1, Kind: engine.KindNotice, Reason: "a"}
	f.Fuzz(func(t *testing.T, subject uint8, text string) {
		s := Subject(subject%3) + Requests
		parsed, err := Parse(s, text)
		if err != nil {
			var fault *Error
			if !errors.As(err, &fault) || fault.Column < 0 || fault.Length < 1 || fault.Column > len(text) || fault.Column+fault.Length > len(text)+1 {
				t.Fatalf("%q: %+v", text, err)
			}
			return
		}
		if parsed.String() != text {
			t.Fatalf("%q became %q", text, parsed)
		}
		parsed.Request(r, c)
		parsed.Connection(x, c)
		parsed.Event(e, c)
		if parsed.Empty() {
			return
		}
		back, err := Parse(s, parsed.Tree().String())
		if err != nil {
			t.Fatalf("%q is written as %q: %v", text, parsed.Tree(), err)
		}
		if shape(back.Tree()) != shape(parsed.Tree()) {
			t.Fatalf("%q is written as %q: %s, not %s", text, parsed.Tree(), shape(back.Tree()), shape(parsed.Tree()))
		}
		if s == Requests && back.Request(r, c) != parsed.Request(r, c) {
			t.Fatalf("%q and %q select differently", text, parsed.Tree())
		}
	})
}

// FuzzText holds the matchers without case to those with it.
func FuzzText(f *testing.F) {
	f.Add("/api/Orders", "orders")
	f.Add("Straße", "*a?e")
	f.Add("\xffK", "k")
	f.Fuzz(func(t *testing.T, s, pattern string) {
		folded := foldText(s)
		for _, match := range []Match{Substring, Exact, Glob, Fuzzy} {
			with := newMatcher(Value{Match: match, Text: foldText(pattern)})
			without := newMatcher(Value{Match: match, Text: pattern, Fold: true})
			// Two letters beyond ASCII fold to one of it, and bytes that are no
			// text to U+FFFD: there the quick way may differ.
			if keepsWidths(s) && keepsWidths(pattern) && with.matches(folded) != without.matches(s) {
				t.Errorf("%q, %q, match %d", s, pattern, match)
			}
		}
	})
}

// keepsWidths reports whether every character of s folds to one of as many bytes.
func keepsWidths(s string) bool {
	for i, r := range s {
		if _, size := utf8.DecodeRuneInString(s[i:]); size != utf8.RuneLen(fold(r)) {
			return false
		}
	}
	return true
}
