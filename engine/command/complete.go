package command

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"adit/engine/filter"
)

const (
	// completionsMost bounds what is offered for one word.
	completionsMost = 200

	// noteWidth bounds what stands beside it, in characters.
	noteWidth = 60
)

// A completer offers words. It is silent: what goes wrong is an offer of nothing.
type completer struct{ *Process }

// addCompletions has every verb below root complete its words and the values of
// its flags.
func (p *Process) addCompletions(root *cobra.Command) {
	c := completer{p}
	none := cobra.ShellCompDirectiveNoFileComp
	root.CompletionOptions.DefaultShellCompDirective = &none
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
			cmd.ValidArgsFunction = c.word
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			is := optionOf(f)
			f.Usage = is.help
			// An error is that the flag has an offer already.
			_ = cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
				o := c.value(cmd, f, is, args, typed)
				return o.words, o.directive
			})
		})
		for _, verb := range cmd.Commands() {
			walk(verb)
		}
	}
	walk(root)
}

// An offer is what a word may become.
type offer struct {
	words     []cobra.Completion
	directive cobra.ShellCompDirective
}

func nothing() offer { return offer{directive: cobra.ShellCompDirectiveNoFileComp} }

// files offers files, those with one of these extensions where some are given.
func files(extensions ...string) offer {
	if len(extensions) == 0 {
		return offer{directive: cobra.ShellCompDirectiveDefault}
	}
	return offer{extensions, cobra.ShellCompDirectiveFilterFileExt}
}

func directories() offer { return offer{directive: cobra.ShellCompDirectiveFilterDirs} }

// add offers a word, unless a shell could take it for something else.
func (o *offer) add(word, note, typed string) {
	if len(o.words) < completionsMost && strings.HasPrefix(word, typed) && safeWord(word) {
		o.words = append(o.words, cobra.CompletionWithDesc(word, safeNote(note)))
	}
}

// safeWord reports whether a shell takes word as it is, wherever it puts it: some
// are chosen by clients, and shells evaluate what they have completed.
func safeWord(word string) bool {
	if word == "" || len(word) > 256 || !utf8.ValidString(word) {
		return false
	}
	for i, c := range word {
		switch {
		case unicode.IsLetter(c), unicode.IsDigit(c):
		case i == 0 && strings.ContainsRune("/.@", c): // a path, a file of a value
		case i > 0 && strings.ContainsRune("/._-@:+,%=", c):
		default:
			return false
		}
	}
	return true
}

// safeNote makes text fit to stand beside a word.
func safeNote(text string) string {
	var b strings.Builder
	n := 0
	for _, c := range text {
		if n++; n > noteWidth {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(c) || strings.ContainsRune("$`\\", c) {
			c = '?'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// word completes a word that is no flag.
func (c completer) word(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var o offer
	verb := strings.TrimPrefix(cmd.CommandPath(), "adit ")
	switch verb {
	case "show", "kill", "cancel", "drain", "ban", "unban", "replay", "export":
		o = c.ids(cmd, verb, args, typed)
	case "attach":
		if len(args) == 0 {
			o = c.addresses(typed)
		}
	case "play":
		o = files("db")
	case "record", "man":
		o = files()
	case "keys", "config check":
		o = files("yaml", "yml", "cfg")
	case "themes":
		o = directories()
	case "capture":
		o = choices([]string{"off", "heads", "content"}, typed, len(args) == 0)
	case "config example", "config md":
		o = choices([]string{"server", "client"}, typed, len(args) == 0)
	case "rules test":
		o = choices(methods(), typed, len(args) == 0)
	case "token revoke":
		o = c.tokens(cmd, args, typed)
	default:
		o = nothing()
	}
	return o.words, o.directive
}

func methods() []string {
	return []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT"}
}

// choices offers the only words that there are.
func choices(words []string, typed string, first bool) offer {
	o := nothing()
	for _, w := range words {
		if first {
			o.add(w, "", typed)
		}
	}
	return o
}

// value completes the value of a flag by what its help calls it.
func (c completer) value(cmd *cobra.Command, f *pflag.Flag, is option, args []string, typed string) offer {
	switch is.value {
	case "FILTER":
		return c.filter(cmd, args, typed)
	case "PATH|URL":
		return c.addresses(typed)
	case "CLIENT":
		return c.ids(cmd, "ban", nil, typed)
	case "METHOD":
		return choices(methods(), typed, true)
	case "DIRECTORY":
		return directories()
	case "":
		if f.Value.Type() == "bool" {
			return choices([]string{"true", "false"}, typed, true)
		}
		return nothing()
	}
	o := nothing()
	kinds := strings.Split(is.value, "|")
	for _, kind := range kinds {
		if isWord(kind) {
			o.add(kind, "", typed)
		}
	}
	switch {
	case slices.Contains(kinds, "@FILE") || slices.Contains(kinds, "NAME=@FILE"):
		return c.fileOf(o, typed)
	case slices.Contains(kinds, "FILE"):
		plain := files(extensionsOf(f, is)...)
		if len(o.words) > 0 {
			o.directive = cobra.ShellCompDirectiveDefault
			return o
		}
		return plain
	case slices.Contains(kinds, "PATH"):
		o.directive = cobra.ShellCompDirectiveDefault
	}
	return o
}

// isWord reports whether a value in help is meant literally.
func isWord(kind string) bool {
	for _, c := range kind {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.ContainsRune("+-._", c)) {
			return false
		}
	}
	return kind != ""
}

// extensionsOf returns how files are called that a flag takes; nil where they are
// called anything.
func extensionsOf(f *pflag.Flag, is option) []string {
	switch f.Name {
	case "config", "config-old":
		return []string{"yaml", "yml", "cfg"}
	case "tokens", "file":
		return []string{"yaml", "yml"}
	case "har":
		return []string{"har"}
	}
	if strings.Contains(is.help, "PEM") {
		return []string{"pem", "crt", "cer", "key"}
	}
	return nil
}

// fileOf completes the name of a file after @.
func (c completer) fileOf(o offer, typed string) offer {
	lead, path, found := strings.Cut(typed, "@")
	if !found {
		if typed == "" {
			o.add("@", "a file that has it", typed)
			o.directive |= cobra.ShellCompDirectiveNoSpace
		}
		return o
	}
	dir, name := filepath.Split(path)
	place := dir
	if rest, home := strings.CutPrefix(dir, "~/"); home && c.LookupEnv != nil {
		own, _ := c.LookupEnv("HOME")
		place = filepath.Join(own, rest)
	}
	if place == "" {
		place = "."
	}
	d, err := os.Open(place)
	if err != nil {
		return o
	}
	defer d.Close()
	entries, _ := d.ReadDir(10_000) // what of a larger directory is not looked at can be typed
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(name, ".") {
			continue
		}
		end := ""
		if e.IsDir() {
			end = "/"
		}
		if safeWord(e.Name()) || strings.HasPrefix(e.Name(), ".") && safeWord(e.Name()[1:]) {
			o.add(lead+"@"+dir+e.Name()+end, "", typed)
		}
	}
	if len(o.words) == 1 && strings.HasSuffix(strings.TrimSpace(o.words[0]), "/") {
		o.directive |= cobra.ShellCompDirectiveNoSpace
	}
	return o
}

// filter completes the last word of a filter.
func (c completer) filter(cmd *cobra.Command, args []string, typed string) offer {
	o := offer{directive: cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveKeepOrder}
	start := filter.WordStart(typed)
	before, word := typed[:start], typed[start:]
	var seen func(string) []filter.Seen
	if field, _, clause := strings.Cut(word, ":"); clause && asksRun(field) || strings.HasPrefix(word, "label.") {
		if g := c.glimpse(cmd); g != nil {
			defer g.close()
			seen = g.seen
		}
	}
	for _, w := range filter.Complete(filterSubject(cmd, args), word, seen) {
		note := w.Help
		if w.Count > 1 {
			note = countText(uint64(w.Count)) + " connections"
		}
		if len(o.words) < completionsMost && safeClause(w.Text, word) && strings.HasPrefix(w.Text, word) {
			o.words = append(o.words, cobra.CompletionWithDesc(before+w.Text, safeNote(note)))
		}
	}
	return o
}

// safeClause is safeWord of what is appended to what was typed.
func safeClause(text, typed string) bool {
	rest, ok := strings.CutPrefix(text, typed)
	return ok && safeWord("x"+strings.Trim(rest, `"`))
}

// filterSubject returns what a filter of a verb selects from.
func filterSubject(cmd *cobra.Command, args []string) filter.Subject {
	what := first(args)
	switch cmd.Name() {
	case "ls":
		return subjectOf(what)
	case "tail":
		if what != "" && what != "requests" {
			return filter.Events
		}
	case "kill", "drain", "ban", "unban", "top":
		return filter.Connections
	}
	return filter.Requests
}
