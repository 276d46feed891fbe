package command

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// released is a build of a known version and date.
func released(env map[string]string) *Process {
	return &Process{
		Stdout: io.Discard, Stderr: io.Discard, Version: "1.2.3",
		Keys:   func(io.Writer, Form, string, string) error { return nil },
		Themes: func(io.Writer, Form, string) error { return nil },
		LookupEnv: func(key string) (string, bool) {
			v, ok := env[key]
			return v, ok
		},
	}
}

// writeManual returns the directory of all pages, as the verb writes them.
func writeManual(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "made", "man")
	p := released(map[string]string{"SOURCE_DATE_EPOCH": "1790000000"})
	root := Root(p)
	root.SetArgs([]string{"man", dir})
	if code := p.Finish(root.ExecuteContext(t.Context())); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	return dir
}

// Two pages as they are read: a change of one is seen before a reader sees it.
// UPDATE_GOLDEN=1 writes them anew.
func TestPagesOfTheManual(t *testing.T) {
	dir := writeManual(t)
	for _, name := range []string{"adit-kill.1", "adit-token-new.1"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if os.Getenv("UPDATE_GOLDEN") == "1" {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not as it was; UPDATE_GOLDEN=1 writes it anew:\n%s", name, got)
		}
	}
}

// A verb without a page, or a flag that its page does not have, looks as if it
// were not there.
func TestManualHasEveryVerbAndFlag(t *testing.T) {
	dir := writeManual(t)
	root := Root(released(nil))
	pages := 1 // adit.yaml.5
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" {
			return
		}
		pages++
		page, err := os.ReadFile(filepath.Join(dir, pageName(cmd)+".1"))
		if err != nil {
			t.Error(err)
		}
		text := string(page)
		for _, title := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"} {
			if !strings.Contains(text, ".SH \""+title+"\"\n") {
				t.Errorf("%s has no section %s", cmd.CommandPath(), title)
			}
		}
		if cmd.Example != "" && !strings.Contains(text, ".SH \"EXAMPLES\"\n") {
			t.Errorf("%s has no examples", cmd.CommandPath())
		}
		cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(text, roffCode("--"+f.Name)) {
				t.Errorf("%s does not have --%s", cmd.CommandPath(), f.Name)
			}
		})
		for _, verb := range cmd.Commands() {
			walk(verb)
		}
	}
	walk(root)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != pages {
		t.Errorf("%d pages for %d verbs and the file of settings: %v", len(entries), pages-1, err)
	}
	settings, err := os.ReadFile(filepath.Join(dir, "adit.yaml.5"))
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"server", "client"} {
		verb(t, role).Flags().VisitAll(func(f *pflag.Flag) {
			if raw, ok := f.Value.(*rawFlag); ok && !strings.Contains(string(settings), "\n"+roffBold(f.Name)+": ") {
				t.Errorf("adit.yaml(5) does not have %s of %s", raw.setting.Name, role)
			}
		})
	}
}

// What readers of the manual complain of is wrong in the page.
func TestManualIsWellFormed(t *testing.T) {
	dir := writeManual(t)
	pages, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, reader := range [][]string{{"mandoc", "-T", "lint", "-W", "style"}, {"groff", "-man", "-ww", "-z"}} {
		t.Run(reader[0], func(t *testing.T) {
			if _, err := exec.LookPath(reader[0]); err != nil {
				t.Skip(err)
			}
			if out, err := exec.CommandContext(t.Context(), reader[0], append(reader[1:], pages...)...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// A text that roff would obey must be shown.
func TestRoffObeysNoText(t *testing.T) {
	for text, want := range map[string]string{
		".TH x":             `\&.TH x` + "\n",
		"'x' \\fB `a` ^~":   `\(aqx\(aq \efB \(gaa\(ga \(ha\(ti` + "\n",
		"(--yes), -n: a-b…": `(\fB\-\-yes\fR), \fB\-n\fR: a-b\[u2026]` + "\n",
	} {
		r := &roffPage{}
		r.text(roffProse(text))
		if r.String() != want {
			t.Errorf("%q becomes %q, want %q", text, r.String(), want)
		}
	}
}

func TestDateOfTheManual(t *testing.T) {
	for text, want := range map[string]string{"1790000000": "2026-09-21", "0": "", "-5": "", "soon": "", "99999999999999": ""} {
		if got := released(map[string]string{"SOURCE_DATE_EPOCH": text}).sourceDate(); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

func TestFlagIsTakenApart(t *testing.T) {
	for _, c := range []struct {
		usage, fallback string
		want            option
	}{
		{"what it is [FILE]", "", option{help: "what it is", value: "FILE"}},
		{"a service [[NAME=]URL|tcp:PORT=HOST:PORT]...", "", option{help: "a service", value: "[NAME=]URL|tcp:PORT=HOST:PORT", repeatable: true}},
		{"RULE is HOST[:PORT]", "x", option{help: "RULE is HOST[:PORT]", fallback: "x"}},
		{"name of it (default: the\nhost name) [NAME]", "", option{help: "name of it", value: "NAME", fallback: "the host name"}},
		{"how long [DURATION]", "0s", option{help: "how long", value: "DURATION"}},
		{"whether", "false", option{help: "whether"}},
	} {
		f := &pflag.Flag{Name: "x", Usage: c.usage, DefValue: c.fallback}
		if got := optionOf(f); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%q: %+v, want %+v", c.usage, got, c.want)
		}
	}
}

// Who writes a script reads of exit codes in three places: the help of a verb, its
// page, and the README.
func TestExitCodesAreTheSameEverywhere(t *testing.T) {
	codes := func(cmd *cobra.Command) []string {
		var all []string
		for _, s := range exitStatuses(cmd) {
			all = append(all, strconv.Itoa(s.code))
		}
		return all
	}
	told := 0
	sentence := regexp.MustCompile(`(?:[Ee]xit code|ends) (?:is|with) \d[^.]*\.`)
	every(Root(released(nil)), func(cmd *cobra.Command) {
		for _, code := range regexp.MustCompile(`\b\d+\b`).FindAllString(sentence.FindString(cmd.Long), -1) {
			told++
			if !slices.Contains(codes(cmd), code) {
				t.Errorf("the help of %s has the exit code %s, its page has %v", cmd.CommandPath(), code, codes(cmd))
			}
		}
	})
	if told < 12 {
		t.Errorf("only %d exit codes are found in help texts", told)
	}

	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| exit code | meaning |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var rows []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(table, -1) {
		rows = append(rows, m[1])
	}
	if want := codes(Root(released(nil))); !slices.Equal(rows, want) {
		t.Errorf("the README has the exit codes %v, adit(1) has %v", rows, want)
	}
}
