package command

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"adit/engine/config"
)

// helpWidth is what help takes of a terminal, in columns. The library that
// prints it breaks texts at hyphens, also those of --tcp-ports, and flags not at
// all, so all is broken here.
const helpWidth = 80

const (
	helpMargin = 4  // before what is listed, of texts less
	helpGap    = 2  // between a flag and what it is
	helpLeast  = 30 // columns for what a flag is, however long its name
)

// fitHelp breaks the help of cmd and of the verbs below it into lines.
func fitHelp(cmd *cobra.Command) {
	paragraphs := strings.Split(cmd.Long, "\n\n")
	for i, text := range paragraphs {
		paragraphs[i] = strings.Join(config.Wrap(text, helpWidth-helpMargin), "\n")
	}
	cmd.Long = strings.Join(paragraphs, "\n\n")
	examples := strings.Split(cmd.Example, "\n")
	for i, line := range examples {
		examples[i] = fitExample(line)
	}
	cmd.Example = strings.Join(examples, "\n")
	longest := 0
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			longest = max(longest, len(flagTitle(f)))
		}
	})
	for _, verb := range cmd.Commands() {
		fitHelp(verb)
		longest = max(longest, len(verbTitle(verb)))
	}
	room := max(helpWidth-helpMargin-helpGap-longest, helpLeast)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = fitUsage(f, room) })
}

// fitExample breaks a command line before its flags, as a shell takes it.
func fitExample(line string) string {
	const most = helpWidth - 2*helpMargin
	if len(line) <= most {
		return line
	}
	var b strings.Builder
	width, word, quoted := 0, 0, false
	flush := func(end int) {
		if text := line[word:end]; b.Len() == 0 {
			b.WriteString(text)
			width = len(text)
		} else if width+len(" ")+len(text) > most-len(` \`) {
			b.WriteString(" \\\n  " + text)
			width = len("  ") + len(text)
		} else {
			b.WriteString(" " + text)
			width += len(" ") + len(text)
		}
		word = end + 1
	}
	for i := range len(line) {
		switch {
		case line[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(line[i:], " -"):
			flush(i)
		}
	}
	flush(len(line))
	return b.String()
}

func flagTitle(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand + " --" + f.Name
	}
	return "--" + f.Name
}

// verbTitle is how the help of its parent lists a verb.
func verbTitle(cmd *cobra.Command) string {
	title := cmd.Use
	if cmd.HasSubCommands() {
		title += " [command]"
	}
	if cmd.Flags().HasAvailableFlags() {
		title += " [--flags]"
	}
	return title
}

// fitUsage breaks what a flag is, and leaves room for the default that follows.
func fitUsage(f *pflag.Flag, room int) string {
	fallback := strings.ReplaceAll("\x00("+f.DefValue+")", " ", "\x00")
	switch f.DefValue {
	case "", "false", "0", "[]":
		fallback = ""
	}
	lines := config.Wrap(f.Usage+fallback, room)
	return strings.TrimSuffix(strings.Join(lines, "\n"), fallback)
}
