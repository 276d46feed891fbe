package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// suggest has every verb below root say, where a word or a flag is not known, which
// one may have been meant.
func suggest(root *cobra.Command) {
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w%s; `%s --help` lists the flags", err, didYouMean(flagNamed(err), flagNames(cmd)), cmd.CommandPath())
	})
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error { return wordError(cmd, args, check(cmd, args)) }
		}
		for _, verb := range cmd.Commands() {
			walk(verb)
		}
	}
	walk(root)
}

// wordError says what is wrong with the words behind a verb.
func wordError(cmd *cobra.Command, args []string, err error) error {
	path := cmd.CommandPath()
	switch {
	case err == nil:
		return nil
	case cmd.HasSubCommands() && len(args) == 0:
		return err
	case cmd.HasSubCommands():
		var verbs []string
		for _, verb := range cmd.Commands() {
			if verb.IsAvailableCommand() {
				verbs = append(verbs, verb.Name())
			}
		}
		return fmt.Errorf("%w%s; `%s --help` lists the commands", err, didYouMean(args[0], verbs), path)
	case len(cmd.ValidArgs) > 0:
		for _, arg := range args {
			if !slices.Contains(cmd.ValidArgs, arg) {
				return fmt.Errorf("%s %q is unknown; want %s%s", path, arg, strings.Join(cmd.ValidArgs, ", "), didYouMean(arg, cmd.ValidArgs))
			}
		}
		return wantWords(cmd)
	case strings.HasPrefix(err.Error(), "unknown command"):
		return fmt.Errorf("%s takes no word, and there is %q; `%s --help` shows its flags", path, args[0], path)
	}
	return wantWords(cmd)
}

// wantWords says which words a verb wants, as its usage has them.
func wantWords(cmd *cobra.Command) error {
	words := strings.TrimSpace(strings.TrimPrefix(cmd.Use, cmd.Name()))
	if len(cmd.ValidArgs) > 0 && !strings.Contains(words, "|") {
		words += " (" + strings.Join(cmd.ValidArgs, ", ") + ")"
	}
	return fmt.Errorf("want %s %s; `%s --help` has examples", cmd.CommandPath(), words, cmd.CommandPath())
}

// flagNamed returns the flag that err is about, "" where it is about another.
func flagNamed(err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return ""
	}
	return "--" + unknown.GetSpecifiedName()
}

func flagNames(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return names
}

// didYouMean asks for the one of names that given is nearest to, "" where none is
// near.
func didYouMean(given string, names []string) string {
	best, nearest := "", 3
	for _, name := range names {
		d := distance(given, name)
		if len(given) > 3 && strings.HasPrefix(name, given) {
			d = min(d, 2)
		}
		if d < nearest && d < len(strings.TrimLeft(name, "-")) {
			best, nearest = name, d
		}
	}
	if given == "" || best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// distance returns how many letters have to be put in, left out, changed or swapped
// with the next to make b of a; what is longer than a name is far from all.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var two, one, row [longest + 1]int
	for j := range len(b) + 1 {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := one[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(one[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one = one, row
	}
	return one[len(b)]
}
