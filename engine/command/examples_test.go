package command

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

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
	root := full()
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Name() == "help" || cmd.Name() == "completion" || cmd.Name() == "version" {
			continue
		}
		if cmd.Example == "" || cmd.Long == "" {
			t.Errorf("%s has no example or no text", cmd.Name())
		}
		for line := range strings.Lines(cmd.Example) {
			words := shellWords(strings.TrimSpace(strings.ReplaceAll(line, "\\\n", "")))
			if len(words) == 0 || words[0] != "adit" {
				if !strings.HasPrefix(line, "#") {
					t.Errorf("%s: %q is no line of ours", cmd.Name(), line)
				}
				continue
			}
			checkLine(t, words[1:])
		}
	}
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
