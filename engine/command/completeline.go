package command

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// newCompleteLine returns the verb by which bash asks: bash splits words at
// characters that filters are full of, and would have to evaluate the line to
// take its quotes away.
func newCompleteLine(p *Process) *cobra.Command {
	return &cobra.Command{
		Use:                "__completeLine LINE WORD WIDTH",
		Hidden:             true,
		DisableFlagParsing: true,
		Args:               cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			t := readTyped(args[0])
			var out bytes.Buffer
			inner := *p
			inner.Stdout = &out
			root := Root(&inner)
			root.SilenceErrors, root.SilenceUsage = true, true
			root.SetArgs(append(append([]string{cobra.ShellCompRequestCmd}, t.words...), t.word))
			if root.ExecuteContext(cmd.Context()) != nil {
				return nil
			}
			width, _ := strconv.Atoi(args[2])
			_, _ = p.Stdout.Write(t.replies(out.String(), args[1], width))
			return nil
		},
	}
}

// A typed is a command line up to the cursor.
type typed struct {
	words []string // without quotes, the name of the program and the last word
	word  string   // the one that the cursor is in
	quote byte     // that is open in it: 0, ' or "
}

// readTyped reads the newest command of a line as bash does, but that nothing is
// expanded.
func readTyped(line string) typed {
	var t typed
	var word []byte
	open, skip := false, false // a word has begun; it is the file of a redirection
	end := func() {
		if open && !skip {
			t.words = append(t.words, string(word))
		}
		if open {
			skip = false
		}
		word, open = word[:0], false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case t.quote == '\'':
			if c == '\'' {
				t.quote = 0
			} else {
				word = append(word, c)
			}
		case c == '\\':
			if i++; i < len(line) {
				if t.quote == '"' && !strings.ContainsRune("\"\\$`", rune(line[i])) {
					word = append(word, c)
				}
				word, open = append(word, line[i]), true
			}
		case t.quote == '"':
			if c == '"' {
				t.quote = 0
			} else {
				word = append(word, c)
			}
		case c == '\'' || c == '"':
			t.quote, open = c, true
		case c == ' ' || c == '\t':
			end()
		case strings.IndexByte("|&;()\n`", c) >= 0:
			end()
			t.words = t.words[:0]
		case c == '<' || c == '>':
			end()
			skip = true
		default:
			word, open = append(word, c), true
		}
	}
	t.word = string(word)
	for len(t.words) > 0 && strings.Contains(t.words[0], "=") {
		t.words = t.words[1:] // variables of the command
	}
	if len(t.words) > 0 {
		t.words = t.words[1:]
	}
	return t
}

// replies makes of what the program offers what bash puts in the place of raw,
// the end of the line: a line of orders first. width is the terminal's, 0 to have
// no descriptions.
func (t *typed) replies(offers, raw string, width int) []byte {
	lines := strings.Split(strings.TrimSuffix(offers, "\n"), "\n")
	directive, err := strconv.Atoi(strings.TrimPrefix(lines[len(lines)-1], ":"))
	if err != nil {
		return nil
	}
	lines = lines[:len(lines)-1]
	is := func(d cobra.ShellCompDirective) bool { return cobra.ShellCompDirective(directive)&d != 0 }
	switch {
	case is(cobra.ShellCompDirectiveError):
		return []byte("nofiles\n")
	case is(cobra.ShellCompDirectiveFilterFileExt):
		return []byte("files " + strings.Join(lines, " ") + "\n")
	case is(cobra.ShellCompDirectiveFilterDirs):
		return []byte("directories\n")
	}
	var orders []string
	for _, o := range []struct {
		is   cobra.ShellCompDirective
		name string
	}{{cobra.ShellCompDirectiveNoSpace, "nospace"}, {cobra.ShellCompDirectiveNoFileComp, "nofiles"}, {cobra.ShellCompDirectiveKeepOrder, "nosort"}} {
		if is(o.is) {
			orders = append(orders, o.name)
		}
	}
	begin := t.word
	if _, value, found := strings.Cut(begin, "="); found && strings.HasPrefix(begin, "-") {
		begin = value
	}
	var words, notes []string
	longest := 0
	for _, line := range lines {
		word, note, _ := strings.Cut(line, "\t")
		rest, fits := strings.CutPrefix(word, begin)
		quoted, can := t.quoted(rest)
		if !fits || !can {
			continue
		}
		words, notes = append(words, raw+quoted), append(notes, note)
		longest = max(longest, utf8.RuneCountInString(raw+quoted))
	}
	b := []byte(strings.Join(orders, " ") + "\n")
	for i, word := range words {
		b = append(b, word...)
		if room := width - longest - len("  ()"); len(words) > 1 && notes[i] != "" && room >= 8 {
			b = fmt.Appendf(b, "%*s", longest-utf8.RuneCountInString(word), "")
			note := []rune(notes[i])
			if len(note) > room {
				note = append(note[:room-1], '…')
			}
			b = fmt.Appendf(b, "  (%s)", string(note))
		}
		b = append(b, '\n')
	}
	return b
}

// quoted returns text as bash takes it behind what is typed; false where it can't
// be written there.
func (t *typed) quoted(text string) (string, bool) {
	switch t.quote {
	case '\'':
		return text, !strings.Contains(text, "'")
	case '"':
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(text), true
	}
	var b strings.Builder
	for _, c := range text {
		if c < utf8.RuneSelf && !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-", c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String(), true
}
