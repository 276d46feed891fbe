package command

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"adit/engine"
	"adit/engine/filter"
)

// shellWords splits a line as a shell does, up to the first pipe or redirection.
func shellWords(line string) []string {
	var words []string
	word, quoted, open := "", false, false
	for _, c := range line {
		switch {
		case c == '\'':
			quoted, open = !quoted, true
		case quoted:
			word += string(c)
		case c == '|' || c == '>':
			return words
		case c == ' ':
			if open {
				words = append(words, word)
			}
			word, open = "", false
		default:
			word += string(c)
			open = true
		}
	}
	if open {
		words = append(words, word)
	}
	return words
}

// full returns the whole command line, as main has it.
func full() *cobra.Command {
	return Root(&Process{
		Stdout: io.Discard, Stderr: io.Discard,
		Keys:   func(io.Writer, Form, string, string) error { return nil },
		Themes: func(io.Writer, Form, string) error { return nil },
	})
}

// People paste examples.
func TestEveryExampleParses(t *testing.T) {
	every(full(), func(cmd *cobra.Command) {
		if cmd.Name() == "version" {
			return
		}
		if cmd.Example == "" || cmd.Long == "" {
			t.Errorf("%s has no example or no text", cmd.CommandPath())
		}
		for line := range strings.Lines(strings.ReplaceAll(cmd.Example, "\\\n", "")) {
			words := shellWords(strings.TrimSpace(line))
			if len(words) == 0 || words[0] != "adit" {
				if !strings.HasPrefix(line, "#") {
					t.Errorf("%s: %q is no line of ours", cmd.Name(), line)
				}
				continue
			}
			checkLine(t, words[1:])
		}
	})
}

func checkLine(t *testing.T, words []string) {
	t.Helper()
	cmd, rest, err := full().Find(words)
	if err != nil {
		t.Errorf("%v: %v", words, err)
		return
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%v: %v", words, err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Errorf("%v: %v", words, err)
	}
	text := cmd.Flags().Lookup("filter")
	if text == nil {
		return
	}
	subject := filter.Requests
	switch what := first(cmd.Flags().Args()); {
	case cmd.Name() == "ls" && what != "requests" && what != "events",
		slices.Contains([]string{"kill", "drain", "ban", "unban", "top"}, cmd.Name()):
		subject = filter.Connections
	case what == "events", what == "connections":
		subject = filter.Events
	}
	if _, err := filter.Parse(subject, text.Value.String()); err != nil {
		t.Errorf("%v: %v", words, err)
	}
}

// Who writes a script counts on these flags with each of them.
func TestEveryVerbHasTheFlagsOfAll(t *testing.T) {
	verbs := map[string]*cobra.Command{}
	for _, cmd := range full().Commands() {
		verbs[cmd.Name()] = cmd
	}
	for _, name := range []string{"ls", "tail", "show", "kill", "ban", "unban", "drain", "replay", "export", "top", "cancel"} {
		for _, flag := range []string{"addr", "json", "filter", "wait-ready"} {
			if verbs[name] == nil || verbs[name].Flags().Lookup(flag) == nil {
				t.Errorf("adit %s has no --%s", name, flag)
			}
		}
	}
}

// What the dashboard can do scripts can: a method of the engine without a verb
// would be missing from them.
func TestEveryActionHasAVerb(t *testing.T) {
	var verbs []string
	for _, cmd := range full().Commands() {
		verbs = append(verbs, cmd.Name())
	}
	for _, action := range []engine.Action{engine.ActionKill, engine.ActionDrain, engine.ActionBan, engine.ActionUnban,
		engine.ActionCancel, engine.ActionReplay, engine.ActionCapture} {
		if !slices.Contains(verbs, string(action)) {
			t.Errorf("no verb for %s", action)
		}
	}
}

// A newcomer asks for help with every verb; nothing may be in front of it.
func TestHelpNeedsNoRun(t *testing.T) {
	for _, cmd := range full().Commands() {
		code, out, report := execute(t, cmd.Name(), "--help")
		if code != 0 || report != "" || (cmd.Name() != "help" && !strings.Contains(out, cmd.Short) && !strings.Contains(out, "Usage")) {
			t.Errorf("%s --help: exit code %d: %s", cmd.Name(), code, report)
		}
	}
}

// every calls f with cmd and all verbs below it but the library's help.
func every(cmd *cobra.Command, f func(*cobra.Command)) {
	if cmd.Name() == "help" {
		return
	}
	f(cmd)
	for _, verb := range cmd.Commands() {
		every(verb, f)
	}
}

// On a terminal of 80 columns nothing of any help is cut or wrapped: the library
// that prints it cuts examples, and capitalises the first word of a flag's text and
// makes the rest of that word small.
func TestHelpFitsTheTerminal(t *testing.T) {
	every(full(), func(cmd *cobra.Command) {
		name := cmd.CommandPath()
		for line := range strings.Lines(cmd.Example) {
			if len(strings.TrimSpace(line)) > helpWidth-8 {
				t.Errorf("%s: an example of %d columns: %s", name, len(line), line)
			}
		}
		for line := range strings.Lines(cmd.Long) {
			if len(line) > helpWidth-2 {
				t.Errorf("%s: a text of %d columns: %s", name, len(line), line)
			}
		}
		longest := 0
		for _, verb := range cmd.Commands() {
			longest = max(longest, len(verbTitle(verb)))
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				longest = max(longest, len(flagTitle(f)))
			}
		})
		for _, verb := range cmd.Commands() {
			if width := helpMargin + longest + helpGap + len(verb.Short); width > helpWidth {
				t.Errorf("%s lists %s in %d columns", name, verb.Name(), width)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			for line := range strings.SplitSeq(f.Usage, "\n") {
				// What has no space in it can't be broken.
				if width := helpMargin + longest + helpGap + len(line); !f.Hidden && width > helpWidth && strings.Contains(line, " ") {
					t.Errorf("%s --%s: a line of %d columns: %s", name, f.Name, width, line)
				}
			}
			first, _, _ := strings.Cut(f.Usage, " ")
			if first != "JSON" && strings.ContainsAny(first[min(1, len(first)):], "ABCDEFGHIJKLMNOPQRSTUVWXYZ.") {
				t.Errorf("%s --%s: the help would begin with a misspelt %q", name, f.Name, first)
			}
		})
	})
}

// What the README has people type is what the program takes.
func TestEveryCommandInTheReadmeParses(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found, inside := 0, false
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", "")) {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside
		case inside && strings.HasPrefix(strings.TrimPrefix(line, "sudo "), "adit "):
			found++
			checkLine(t, shellWords(strings.TrimSpace(strings.TrimPrefix(line, "sudo ")))[1:])
		}
	}
	if found < 12 {
		t.Errorf("only %d commands are found", found)
	}
}
