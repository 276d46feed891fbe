package policy_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/policy"
)

// expressions are seeds, with what they stand for; nil where that is no few texts.
var expressions = []struct {
	text  string
	texts []string
}{
	{`^http://team-7\.corp\.example(:80)?/`, []string{"http://team-7.corp.example/", "http://team-7.corp.example:80/"}},
	{`/admin`, []string{"/admin"}},
	{`^(GET|HEAD)$`, []string{"GET", "HEAD"}},
	{`\.(bak|old)$`, []string{".bak", ".old"}},
	{`^https?://x/.*`, []string{"http://x/", "https://x/"}},
	{`.*x`, []string{"x"}},
	{`(.*)x(.*?)`, []string{"x"}},
	{`^$`, []string{""}},
	{`.*`, []string{""}},
	{``, []string{""}},
	{`\Aa\z`, []string{"a"}},
	{`[Aa]b`, []string{"Ab", "ab"}},
	{`^a.*$`, nil}, // a newline may follow
	{`^.*a`, nil},
	{`(?m)^a$`, nil},
	{`(?i)ad`, []string{"AD", "Ad", "aD", "ad"}},
	{`(?i)admin`, nil}, // too many
	{`(?i)k`, nil},     // U+212A is one
	{"\u212a", nil},
	{"\ufffd", nil}, // any invalid byte is one
	{`a+`, nil},
	{`[a-z]`, nil},
	{`\badmin\b`, nil},
	{`[^\x00-\x{10FFFF}]`, nil},
	{`(a|b)(c|d)(e|f)(g|h)(i|j)`, nil},
	{`(^a|b)`, nil},
}

// What is looked for instead of run is no secret slow path: losing it costs each
// request a microsecond, and nothing else would say so.
func TestExpressionsThatAreTexts(t *testing.T) {
	for _, x := range expressions {
		_, _, texts, err := policy.Expression(x.text)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(texts)
		if !slices.Equal(texts, x.texts) {
			t.Errorf("%s stands for %q, want %q", x.text, texts, x.texts)
		}
	}
}

// FuzzExpression: looking for texts finds what running the expression finds.
func FuzzExpression(f *testing.F) {
	for _, x := range expressions {
		for _, text := range []string{"http://team-7.corp.example:80/", "a\n", "\xff", "", "/x.bak", "GET", "\u212aAdmin", "xa\nb"} {
			f.Add(x.text, text)
		}
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		if len(expression) > 200 || len(text) > 1000 {
			return // as slow as it is long, and nothing new
		}
		re, err := regexp.Compile(expression)
		match, matchBytes, _, ours := policy.Expression(expression)
		if (err == nil) != (ours == nil) {
			t.Fatalf("%q: %v, and for rules %v", expression, err, ours)
		}
		if err != nil {
			return
		}
		// Texts of the expression are likelier to match than what chance makes.
		for _, in := range []string{text, expression, text + expression, strings.ReplaceAll(expression, `\`, "")} {
			want := re.MatchString(in)
			if got := match(in); got != want {
				t.Errorf("%q matches %q: %v, want %v", expression, in, got, want)
			}
			if got := matchBytes([]byte(in)); got != want {
				t.Errorf("%q matches the bytes %q: %v, want %v", expression, in, got, want)
			}
		}
	})
}

// slowRules have expressions that no key spares a request.
func slowRules(t *testing.T, n int) *policy.Rules {
	t.Helper()
	set := policy.RuleSet{Allow: []string{"any"}}
	for i := range n {
		set.Blacklist = append(set.Blacklist, policy.Rule{URL: fmt.Sprintf(`[x-z]{2}\d+[a-c]%d$`, i%10)},
			policy.Rule{Headers: map[string]string{"X-Team": fmt.Sprintf(`[x-z]{2}\d+[a-c]%d$`, i%10)}})
	}
	r, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A caller who makes the URL, or a field, as long as a head may be does not have the
// rules looked at for seconds: it is denied, also where no rule would deny it.
func TestLongTextsForManyExpressions(t *testing.T) {
	long := strings.Repeat("xy1/", 15<<10)
	for _, x := range []struct {
		name   string
		rules  int
		path   string
		field  string
		method string
		want   bool
	}{
		{"a long URL for few rules", 2, long, "", "GET", true},
		{"a usual URL for many rules", 100, long[:500], "ops", "GET", true},
		{"a long URL for many rules", 100, long, "", "GET", false},
		{"a long field for many rules", 100, "", long, "GET", false},
		{"a path that is no normal form", 40, "./" + long, "", "GET", false},
	} {
		r := slowRules(t, x.rules)
		q := query(x.method, "http://api.internal/"+x.path, "api.internal:80")
		q.Fields = http.Header{"X-Team": {x.field}}
		_, err := r.Check(q)
		if (err == nil) != x.want {
			t.Errorf("%s: %v", x.name, err)
		}
		if err != nil && engine.ReasonOf(err) != engine.ReasonDenied {
			t.Errorf("%s: %v, want that the rules deny it", x.name, err)
		}
		if !x.want && !strings.Contains(fmt.Sprint(err), "too long") {
			t.Errorf("%s: decided by %v, after all expressions were run", x.name, err)
		}
		if got := r.Explain(q, policy.Unknown{}); (got.Verdict == policy.Allowed) != x.want {
			t.Errorf("%s: explained as %v: %s", x.name, got.Verdict, got.Why)
		}
	}
	// A method of the caller's own is as long as he likes.
	set := policy.RuleSet{Allow: []string{"any"}}
	for range 100 {
		set.Blacklist = append(set.Blacklist, policy.Rule{Method: `[x-z]{2}\d+$`})
	}
	r, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Check(query(strings.Repeat("xy1", 20<<10), "http://api.internal/", "api.internal:80")); err == nil {
		t.Error("a method of 60 KiB is held against 100 expressions")
	}
}
