package readme_test

import (
	"bytes"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"adit/engine"
	"adit/engine/command"
	"adit/engine/config"
	"adit/engine/enginetest/readme"
)

const top = "../../.."

func theReadme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// scripts returns all of testdata/script.
func scripts(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(top, "testdata/script/*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		all.WriteString("\n")
	}
	return all.String()
}

// root returns the verbs as main has them.
func root() *cobra.Command {
	return command.Root(&command.Process{
		Stdout: io.Discard, Stderr: io.Discard,
		Keys:   func(io.Writer, command.Form, string, string) error { return nil },
		Themes: func(io.Writer, command.Form, string) error { return nil },
	})
}

// Why a line is not typed by a script; where says what holds it instead: a file
// from the top, and a text that it has.
var notTyped = []struct{ line, why, file, text string }{
	{"go run . demo", "a script starts the binary; the check runs the line itself", ".ci/run", "go run . demo --for 3s"},
	{"go test ./...", "it would run itself", ".ci/run", "\ngo test ./...\n"},
	{"CGO_ENABLED=0 go build -trimpath .", "a minute of building", ".ci/run", "CGO_ENABLED=0 GOOS="},
	{"go run github.com/goreleaser", "minutes of building", ".goreleaser.yaml", "release --snapshot --clean --skip=publish,ko"},
	{"sha256sum --check", "what a release has", ".goreleaser.yaml", "name_template: checksums.txt"},
	{"sudo apt install", "a package manager", ".goreleaser.yaml", "formats: [deb, rpm, apk]"},
	{"sudo dnf install", "a package manager", ".goreleaser.yaml", "formats: [deb, rpm, apk]"},
	{"sudo apk add", "a package manager", ".goreleaser.yaml", "formats: [deb, rpm, apk]"},
	{"tar -xzf", "what a release has", ".goreleaser.yaml", "formats: [tar.gz]"},
	{"sudo groupadd --system", "a group of the system", "engine/service/systemd.go", `"groupadd", "--system", "--force"`},
	{"sudo install -D", "a file of the system", "engine/command/service.go", "/etc/adit/adit.yaml"},
	{"sudo adit service install server", "a service manager", "engine/command/service.go", `"install server|client"`},
	{".ci/run", "it runs everything", ".ci/run", "The whole check of a commit"},
	{"adit server --listen :443 --domain", "an authority would be asked for certificates", "engine/command/examples_test.go", "TestEveryCommandInTheReadmeParses"},
	{"adit client --server wss://tunnels.example.com/register", "another machine", "engine/command/examples_test.go", "TestEveryCommandInTheReadmeParses"},
	{"curl -H \"Authorization: Bearer", "another machine", "testdata/script/credentials.txtar", "Authorization: Bearer "},
	{"adit attach https://edge.example.com:9443", "another machine, and a terminal", "testdata/script/remote.txtar", "https://"},
}

// A line on the page that nobody runs is wrong one day.
func TestEveryLineIsTypedOrSaysWhyNot(t *testing.T) {
	page := theReadme(t)
	held := map[string]string{}
	for _, words := range readme.Typed(scripts(t)) {
		line, err := readme.Command(page, words)
		if err != nil {
			t.Errorf("a script types %q: %v", words, err)
		}
		held[line] = "typed"
	}
	for _, n := range notTyped {
		found := false
		for _, l := range readme.Commands(page) {
			if strings.HasPrefix(l.Text, n.line) {
				found = true
				if held[l.Text] == "typed" {
					t.Errorf("%q is typed, and has a reason why not", l.Text)
				}
				held[l.Text] = n.why
			}
		}
		if !found {
			t.Errorf("%q is not on the page any more", n.line)
		}
		if text, err := os.ReadFile(filepath.Join(top, n.file)); err != nil || !strings.Contains(string(text), n.text) {
			t.Errorf("%q is not held by %s, which lacks %q: %v", n.line, n.file, n.text, err)
		}
	}
	all := readme.Commands(page)
	if len(all) < 20 {
		t.Errorf("only %d command lines are found", len(all))
	}
	for _, l := range all {
		if held[l.Text] == "" {
			t.Errorf("README.md:%d: no script types %q, and nothing says why not", l.Number, l.Text)
		}
	}
}

// Blocks of lines that are no command lines have a language, or a test of their own.
func TestEveryBlockHasALanguage(t *testing.T) {
	plain := 0
	for _, b := range readme.Blocks(theReadme(t)) {
		switch b.Language {
		case "sh", "yaml", "json", "text", "nginx", "haproxy":
		case "":
			plain++
		default:
			t.Errorf("README.md:%d: a block in %q", b.Lines[0].Number, b.Language)
		}
	}
	if plain != 1 {
		t.Errorf("%d blocks have no language; the picture of the dashboard is one", plain)
	}
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	page := theReadme(t)
	anchors := readme.Anchors(page)
	for _, l := range readme.Links(page) {
		if name, ok := strings.CutPrefix(l.Text, "#"); ok {
			if !anchors[name] {
				t.Errorf("README.md:%d: no heading %s", l.Number, l.Text)
			}
			continue
		}
		u, err := url.Parse(l.Text)
		if err != nil {
			t.Errorf("README.md:%d: %v", l.Number, err)
		} else if u.Scheme == "" {
			if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(u.Path))); err != nil {
				t.Errorf("README.md:%d: %v", l.Number, err)
			}
		} else if u.Scheme != "https" {
			t.Errorf("README.md:%d: %s", l.Number, l.Text)
		}
	}
}

// A lack that is claimed of others without a source is slander.
func TestEveryLackOfOthersHasASource(t *testing.T) {
	page := theReadme(t)
	table, err := readme.Between(page, "## Beside others", "What they have")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := readme.Cells(line)
		if len(cells) < 3 {
			continue
		}
		rows++
		for _, cell := range cells[2:] {
			if regexp.MustCompile(`^(no|not|none)\b|removed|plugin`).MatchString(cell) && !strings.Contains(cell, "[^") {
				t.Errorf("%s: %q has no source", cells[0], cell)
			}
		}
	}
	if rows < 8 {
		t.Errorf("only %d rows", rows)
	}
	defined := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\[\^([a-z]+)\]: (.*)$`).FindAllStringSubmatch(page, -1) {
		defined[m[1]] = true
		if !regexp.MustCompile(`<https://[^>]+>.*\(20\d\d-\d\d-\d\d\)\.$`).MatchString(m[2]) {
			t.Errorf("[^%s] has no address with a date: %s", m[1], m[2])
		}
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`\[\^([a-z]+)\](?:[^:]|$)`).FindAllStringSubmatch(page, -1) {
		used[m[1]] = true
		if !defined[m[1]] {
			t.Errorf("[^%s] is nowhere", m[1])
		}
	}
	for name := range defined {
		if !used[name] {
			t.Errorf("nothing refers to [^%s]", name)
		}
	}
}

// A row with a cell too many loses it on the page.
func TestEveryRowHasTheCellsOfItsTable(t *testing.T) {
	want := 0
	for _, l := range readme.Prose(theReadme(t)) {
		cells := readme.Cells(l.Text)
		if cells != nil && want != 0 && len(cells) != want {
			t.Errorf("README.md:%d: %d cells in a table of %d: %s", l.Number, len(cells), want, l.Text)
		}
		want = len(cells)
	}
}

// TestReference: UPDATE_GOLDEN=1 writes it.
func TestReferenceIsWhatConfigPrints(t *testing.T) {
	const begin, end = "<!-- adit config md -->\n", "<!-- end of adit config md -->"
	page := theReadme(t)
	got, err := readme.Between(page, begin, end)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := config.WriteReference(&want, "server", "client"); err != nil {
		t.Fatal(err)
	}
	if got == want.String() {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		page = strings.Replace(page, begin+got+end, begin+want.String()+end, 1)
		if err := os.WriteFile(filepath.Join(top, "README.md"), []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	now, kept := strings.Split(want.String(), "\n"), strings.Split(got, "\n")
	for i := range min(len(now), len(kept)) {
		if now[i] != kept[i] {
			t.Fatalf("the reference has\n%s\nand adit config md prints\n%s\nUPDATE_GOLDEN=1 writes it", kept[i], now[i])
		}
	}
	t.Fatal("the reference is not what adit config md prints; UPDATE_GOLDEN=1 writes it")
}

// What the page calls a verb or a flag is one.
func TestVerbsAndFlagsAreThere(t *testing.T) {
	all, flags := root(), map[string]bool{"help": true, "version": true}
	var collect func(cmd *cobra.Command)
	collect = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags[f.Name] = true })
		for _, verb := range cmd.Commands() {
			collect(verb)
		}
	}
	collect(all)
	foreign := []string{"unix-socket", "now"} // of curl and systemctl
	flag := regexp.MustCompile(`--([a-z][a-z-]*)(…?)`)
	for _, l := range readme.Prose(theReadme(t)) {
		for _, code := range readme.Code(l.Text) {
			known := flags
			if words := strings.Fields(code); len(words) > 1 && words[0] == "adit" && !strings.HasPrefix(words[1], "-") {
				cmd, _, err := all.Find(words[1:])
				if err != nil || cmd == all {
					t.Errorf("README.md:%d: `%s`: %v", l.Number, code, err)
					continue
				}
				known = map[string]bool{"help": true}
				cmd.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
			}
			for _, m := range flag.FindAllStringSubmatch(code, -1) {
				part := m[2] != "" || strings.HasSuffix(m[1], "-")
				if known[m[1]] || slices.Contains(foreign, m[1]) {
					continue
				}
				if part && slices.ContainsFunc(keysOf(known), func(name string) bool { return strings.HasPrefix(name, m[1]) }) {
					continue
				}
				t.Errorf("README.md:%d: `%s` has no flag --%s", l.Number, code, m[1])
			}
		}
	}
}

func keysOf(m map[string]bool) []string {
	var all []string
	for name := range m {
		all = append(all, name)
	}
	return all
}

// Tests and files that the page names are there.
func TestTestsAndFilesAreThere(t *testing.T) {
	tests := map[string]bool{}
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && name != top {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, "_test.go") {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w*)\(`).FindAllSubmatch(text, -1) {
				tests[string(m[1])] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`^(?:engine|store|tui|keys|themes|testdata|\.ci|\.release)/[\w./-]*$`)
	for _, l := range readme.Prose(theReadme(t)) {
		for _, code := range readme.Code(l.Text) {
			for _, name := range regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*`).FindAllString(code, -1) {
				if !tests[name] {
					t.Errorf("README.md:%d: no test %s", l.Number, name)
				}
			}
			if place.MatchString(code) {
				if _, err := os.Stat(filepath.Join(top, code)); err != nil {
					t.Errorf("README.md:%d: %v", l.Number, err)
				}
			}
		}
	}
}

// Who reads events can look each kind up.
func TestKindsOfEventsAreThere(t *testing.T) {
	events, err := readme.Between(theReadme(t), "\n## Events", "\n## ")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for k := engine.KindReady; engine.KindsAll.Has(k); k++ {
		n++
		if !strings.Contains(events, "`"+k.String()+"`") {
			t.Errorf("no %s among the events", k)
		}
	}
	if n < 10 {
		t.Errorf("only %d kinds are found", n)
	}
}

// A key of the sample of a file that nobody knows would keep it from starting.
func TestKeysOfTheFileAreSettings(t *testing.T) {
	known := map[string]bool{"whitelist": true, "blacklist": true}
	for _, s := range append(config.ServerSettings(new(config.Server)), config.ClientSettings(new(config.Client))...) {
		known[s.Name] = true
	}
	found := 0
	for _, b := range readme.Blocks(theReadme(t)) {
		for _, l := range b.Lines {
			if m := regexp.MustCompile(`^  ([a-z-]+):`).FindStringSubmatch(l.Text); b.Language == "yaml" && m != nil {
				found++
				if !known[m[1]] {
					t.Errorf("README.md:%d: no setting %s", l.Number, m[1])
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d keys are found", found)
	}
}

// A stranger has five minutes for what stands before the daily work.
func TestLandingIsShort(t *testing.T) {
	landing, _, found := strings.Cut(theReadme(t), "\n## Attach and scripts")
	if !found {
		t.Fatal("no end of the landing part")
	}
	words, folded := 0, false
	for _, l := range readme.Prose(landing) {
		folded = folded && l.Text != "</details>" || l.Text == "<details>"
		if !folded {
			words += len(strings.Fields(strings.NewReplacer("|", " ", "---", " ").Replace(l.Text)))
		}
	}
	if words > 1650 {
		t.Errorf("the landing part has %d words: move what is reference below", words)
	}
}
