package pane

import (
	"testing"
	"time"

	"adit/themes"
)

// What is only a lower bound, or will grow, is not shown as a total.
func TestMatches(t *testing.T) {
	ascii, err := themes.GlyphsFor("ascii", nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, m := range map[string]Matches{
		"312 of 98,204 - 0.9 ms":             {Matched: 312, Of: 98_204, Took: 900 * time.Microsecond},
		"312 of 98,204":                      {Matched: 312, Of: 98_204},
		"312 of 98,204 - searching...":       {Matched: 312, Of: 98_204, Searching: true, Took: time.Second},
		"1.05M+ of 3,000,000 - 2.0 ms":       {Matched: 1_048_577, Of: 3_000_000, Least: true, Took: 2 * time.Millisecond},
		"1.05M+ of 3,000,000 - searching...": {Matched: 1_048_577, Of: 3_000_000, Least: true, Searching: true},
		"compact 1.05M+/3.0M":                {Matched: 1_048_577, Of: 3_000_000, Least: true},
		"compact 9312/98k searching...":      {Matched: 9312, Of: 98_204, Searching: true},
	} {
		f := &Frame{Glyphs: ascii, Class: Normal}
		prefix := ""
		if len(want) > 8 && want[:8] == "compact " {
			f.Class, prefix = Compact, "compact "
		}
		if got := prefix + string(m.Append(nil, f)); got != want {
			t.Errorf("%+v: %q, want %q", m, got, want)
		}
	}
}
