package filter

import (
	"errors"
	"strings"
	"testing"
)

func TestErrorThatDoesNotSayWhere(t *testing.T) {
	for _, c := range []struct {
		text, at string // at: the bytes at fault; "" one past the end
		want     string
	}{
		{"dur:>20q", "20q", "dur:>20q: unknown unit q; use us ms s m"},
		{"path:/api dur:>20", "20", "dur:>20: 20 has no unit; use us ms s m"},
		{"out:1x", "1x", "out:1x: unknown unit x; use B KiB MiB K M G"},
		{"status:20x", "20x", "status:20x: 20x is no status; use 404, 5xx or 500..504"},
		{"status:500,abc", "abc", "status:500,abc: abc is no status"},
		{"statsu:500", "statsu", "unknown field statsu; did you mean status?"},
		{"localhost:8080", "localhost", "unknown field localhost; quote it to search for the text"},
		{"a.example:80", "a.example", "quote it"},
		{"status:", "", "status: needs a value, as in status:>=500"},
		{"status:>= x", " ", "needs a value"},
		{"path:", "", "path: needs a value"},
		{"method:>GET", ">", "no order"},
		{"status:>1..2", "1..2", "a range stands without >"},
		{"status:..", "..", "at least one end"},
		{"status:5..1", "5..1", "ends before it begins"},
		{"way:road", "road", "unknown value road; use request proxy connect host tcp"},
		{"is:nothing", "nothing", "use inflight ended"},
		{"label.:x", "label.", "label. needs a name"},
		{"label:x", "label", "did you mean label.?"},
		{"conn:x", "x", "no connection; use c-17"},
		{"id:c-1", "c-1", "no request; use r-4711"},
		{"time:25:00", "25:00", "is no time; use 15:04"},
		{"time:-5m", "-5m", "write time:-5m.. for what came since"},
		{"time:-5q..", "-5q..", "unknown unit q; use s m h d"},
		{"path:/(/", "/(/", "missing closing ): `(?i)(`"},
		{"(a", "(", "this ( is not closed; add )"},
		{"a)", ")", "remove it"},
		{"()", ")", "something has to follow"},
		{"a OR", "", "something has to follow here: a word or a clause like status:>=500"},
		{"OR a", "OR", "nothing stands before OR; quote it"},
		{"a OR OR b", "OR", "nothing stands before OR"},
		{"-", "", "something has to follow"},
		{"- a", " ", "something has to follow"},
		{`"abc`, `"`, "this quote is not closed"},
		{`x path:"abc`, `"`, "this quote is not closed"},
		{"dur:99999999999999h", "99999999999999h", "too much"},
		{strings.Repeat("(", 100), "(", "within one another"},
	} {
		f, err := Parse(Requests, c.text)
		var fault *Error
		if !errors.As(err, &fault) || f != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if !strings.Contains(fault.Text, c.want) || fault.Length < 1 {
			t.Errorf("%s: %+v", c.text, fault)
		}
		if c.at == "" {
			if fault.Column != len(c.text) {
				t.Errorf("%s: column %d", c.text, fault.Column)
			}
		} else if got := c.text[fault.Column : fault.Column+fault.Length]; got != c.at {
			t.Errorf("%s: %q is said to be at fault, not %q", c.text, got, c.at)
		}
	}
	if _, err := Parse(Requests, strings.Repeat("x", MaxLength+1)); err == nil {
		t.Error("a text without bound is taken")
	}
	if _, err := Parse(Events, "level:loud"); err == nil || !strings.Contains(err.Error(), "use debug info warn error") {
		t.Error(err)
	}
}
