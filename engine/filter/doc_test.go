package filter

import (
	"os"
	"strings"
	"testing"
)

// docExamples returns the indented lines of the package comment by subject,
// without what explains them.
func docExamples(t testing.TB) map[Subject][]string {
	t.Helper()
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[Subject][]string{}
	subject := Requests
	for line := range strings.Lines(string(source)) {
		switch strings.TrimSpace(line) {
		case "// Of connections:":
			subject = Connections
		case "// Of events:":
			subject = Events
		}
		if example, ok := strings.CutPrefix(line, "//\t"); ok {
			example, _, _ = strings.Cut(example, "    ")
			all[subject] = append(all[subject], strings.TrimSpace(example))
		}
	}
	return all
}

func TestExampleOfTheDocumentationThatDoesNotParse(t *testing.T) {
	examples := docExamples(t)
	if len(examples[Requests]) < 20 || len(examples[Connections]) < 3 || len(examples[Events]) < 2 {
		t.Fatalf("the documentation has changed its form: %v", examples)
	}
	for subject, texts := range examples {
		for _, text := range texts {
			f, err := Parse(subject, text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			roundTrip(t, subject, f)
		}
	}
}

func TestFieldWithoutHelpOrWithABrokenExample(t *testing.T) {
	for _, subject := range []Subject{Requests, Connections, Events} {
		seen := map[string]bool{}
		for _, f := range Fields(subject) {
			if f.Name == "" || f.Help == "" || seen[f.Name] || !strings.HasPrefix(f.Example, f.Name) {
				t.Errorf("%d: field %+v", subject, f)
			}
			seen[f.Name] = true
			if _, err := Parse(subject, f.Example); err != nil {
				t.Errorf("%s: %v", f.Example, err)
			}
			for _, v := range f.Values {
				if _, err := Parse(subject, f.Name+":"+v); err != nil {
					t.Errorf("%s:%s: %v", f.Name, v, err)
				}
			}
		}
	}
}

// roundTrip fails if what a filter's tree says is not what its text says.
func roundTrip(t *testing.T, s Subject, f *Filter) {
	t.Helper()
	if f.Empty() {
		return
	}
	normal := f.Tree().String()
	back, err := Parse(s, normal)
	if err != nil {
		t.Errorf("%q is written as %q: %v", f, normal, err)
		return
	}
	if again := back.Tree().String(); again != normal || shape(back.Tree()) != shape(f.Tree()) {
		t.Errorf("%q is written as %q, that as %q; %s became %s", f, normal, again, shape(f.Tree()), shape(back.Tree()))
	}
}

// shape is a tree without where it stands.
func shape(n *Node) string {
	if n.Kind == Clause {
		return "‹" + n.source + "›"
	}
	var b strings.Builder
	b.WriteByte("?&|-"[n.Kind])
	b.WriteByte('(')
	for _, child := range n.Nodes {
		b.WriteString(shape(child))
	}
	b.WriteByte(')')
	return b.String()
}
