package filter

import (
	"slices"
	"testing"
)

func TestCompletionsOfAWord(t *testing.T) {
	seen := func(field string) []Seen {
		if field == "client" {
			return []Seen{{"edge-1", 3}, {"edge-2", 1}, {`odd "one"`, 1}}
		}
		return nil
	}
	for _, c := range []struct {
		subject Subject
		word    string
		want    []string
	}{
		{Requests, "sta", []string{"status:"}},
		{Connections, "sta", []string{"state:"}},
		{Requests, "LAB", []string{"label."}},
		{Requests, "status:", []string{"status:2xx", "status:3xx", "status:4xx", "status:5xx"}},
		{Requests, "status:!=4", []string{"status:!=4xx"}},
		{Requests, "client:EDGE-1", []string{"client:edge-1"}},
		{Requests, "client:edge-1,edge-2", []string{"client:edge-1,edge-2"}},
		{Requests, `client:"od`, []string{`client:"odd \"one\""`}},
		{Requests, "way:tc", []string{"way:tcp"}},
		{Requests, "nothing:x", nil},
		{Events, "level:", []string{"level:debug", "level:info", "level:warn", "level:error"}},
	} {
		var got []string
		for _, x := range Complete(c.subject, c.word, seen) {
			got = append(got, x.Text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.word, got, c.want)
		}
	}
	many := make([]Seen, 3*completionsMost)
	for i := range many {
		many[i].Text = string(rune('A'+i/26%26)) + string(rune('a'+i%26)) + string(rune('0'+i/26/26))
	}
	if n := len(Complete(Requests, "client:", func(string) []Seen { return many })); n != completionsMost {
		t.Errorf("%d of many", n)
	}
}

func TestWordThatATextEndsIn(t *testing.T) {
	for text, want := range map[string]int{"": 0, "a": 0, "a b": 2, "a -b": 3, "(-b": 2, `a "b c`: 2, `a:"b c" d`: 8, "a ": 2, "-": 1} {
		if got := WordStart(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// What is completed parses, or parses with a value behind it.
func FuzzComplete(f *testing.F) {
	f.Add("client:edge")
	f.Add(`-(status:!=4,"x`)
	f.Fuzz(func(t *testing.T, text string) {
		start := WordStart(text)
		if start < 0 || start > len(text) {
			t.Fatalf("%q: %d", text, start)
		}
		for _, s := range []Subject{Requests, Connections, Events} {
			for _, c := range Complete(s, text[start:], func(string) []Seen { return []Seen{{Text: text}} }) {
				if c.Text == "" || c.Title == "" && text != "" {
					t.Errorf("%q: %+v", text, c)
				}
			}
		}
	})
}
