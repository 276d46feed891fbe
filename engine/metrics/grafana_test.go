package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A board is what is checked of a Grafana dashboard.
type board struct {
	Title  string
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct{ Name string }
	}
}

func grafana(t *testing.T) *board {
	t.Helper()
	text, err := os.ReadFile("../../testdata/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	b := new(board)
	if err := json.Unmarshal(text, b); err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	metricName = regexp.MustCompile(`\b(?:adit|go|process)_[a-z0-9_]+\b`)
	selector   = regexp.MustCompile(`\b((?:adit|go|process)_[a-z0-9_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	legend     = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
	variable   = regexp.MustCompile(`\$\{?([a-z_]+)`)
)

// baseOf returns the family of a name in an expression.
func baseOf(name string) (*family, string) {
	for i := range table {
		f := &table[i]
		if f.name == name && f.kind != histogram {
			return f, name
		}
		if rest, ok := strings.CutPrefix(name, f.name); ok && f.kind == histogram && slices.Contains([]string{"_bucket", "_sum", "_count"}, rest) {
			return f, f.name
		}
	}
	return nil, name
}

func TestPanelThatWouldStayEmpty(t *testing.T) {
	said := parsed(t, strings.Split(everything(t), "\n# of the client\n")[0])
	b := grafana(t)
	shown := map[string]bool{}
	variables := []string{"__rate_interval", "__range"}
	for _, v := range b.Templating.List {
		variables = append(variables, v.Name)
	}
	for _, p := range b.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			labels := []string{"le", "job", "instance"} // those that Prometheus adds
			names := metricName.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: no metric in %s", p.Title, target.Expr)
			}
			for _, name := range names {
				f, base := baseOf(name)
				if f == nil && (strings.HasPrefix(name, "adit_") || said[name] == nil) {
					t.Errorf("%s: nobody says %s", p.Title, name)
					continue
				}
				if shown[base] = true; f == nil {
					continue
				}
				labels = append(labels, f.labels...)
				if rated := strings.Contains(target.Expr, "rate("+name) || strings.Contains(target.Expr, "increase("+name); rated == (f.kind == gauge) {
					t.Errorf("%s: %s is a %v: %s", p.Title, name, f.kind, target.Expr)
				}
			}
			for _, s := range selector.FindAllStringSubmatch(target.Expr, -1) {
				for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
					if !slices.Contains(labels, m[1]) {
						t.Errorf("%s: %s has no label %s", p.Title, s[1], m[1])
					}
				}
			}
			var by []string
			for _, g := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				by = append(by, strings.Split(strings.ReplaceAll(g[1], " ", ""), ",")...)
			}
			for _, label := range by {
				if !slices.Contains(labels, label) {
					t.Errorf("%s: by a label %s that none has: %s", p.Title, label, target.Expr)
				}
			}
			for _, l := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(by, l[1]) {
					t.Errorf("%s: the legend wants %s, which is summed away", p.Title, l[1])
				}
			}
			for _, v := range variable.FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(variables, v[1]) {
					t.Errorf("%s: $%s is not defined", p.Title, v[1])
				}
			}
			if open, closed := strings.Count(target.Expr, "("), strings.Count(target.Expr, ")"); open != closed {
				t.Errorf("%s: %d brackets open, %d close: %s", p.Title, open, closed, target.Expr)
			}
		}
	}
	for _, f := range table {
		if !shown[f.name] {
			t.Errorf("no panel shows %s", f.name)
		}
	}
}

func TestPanelsThatOverlap(t *testing.T) {
	b := grafana(t)
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range b.Panels {
		if ids[p.ID] {
			t.Errorf("%s has the id of another", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, there := taken[[2]int{x, y}]; there || x >= 24 {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
