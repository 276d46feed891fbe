package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newMan(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "man [DIR]",
		Short: "Print the pages of the manual",
		Long: "Print adit(1), the first page of the manual, as man reads it. With DIR, which is made where it is not " +
			"there, write every page into it: one of each verb, such as adit-rules-test.1, and adit.yaml.5 of the file of " +
			"settings.\n\n" +
			"The date of the pages is that of the commit, or SOURCE_DATE_EPOCH, in seconds since 1970.",
		Example: "adit man | man -l -\nadit man pages",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(context.Context) error {
			m := p.manual(cmd.Root())
			if len(args) == 0 {
				_, err := io.WriteString(p.Stdout, m.verbPage(cmd.Root()))
				return err
			}
			return m.write(args[0])
		})(cmd, args)
	}
	return cmd
}

// A manual is what all of its pages share.
type manual struct {
	root          *cobra.Command
	date, version string
}

func (p *Process) manual(root *cobra.Command) *manual {
	return &manual{root: root, date: p.sourceDate(), version: ShortVersion(p.Version)}
}

// sourceDate returns the date of what this was built from, "" where it is not
// known: two builds of the same commit have the same manual.
func (p *Process) sourceDate() string {
	const day = "2006-01-02"
	if p.LookupEnv != nil {
		text, _ := p.LookupEnv("SOURCE_DATE_EPOCH")
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 && seconds < 1<<36 {
			return time.Unix(seconds, 0).UTC().Format(day)
		}
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range build.Settings {
		if s.Key != "vcs.time" {
			continue
		}
		if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
			return t.UTC().Format(day)
		}
	}
	return ""
}

// write writes every page into dir.
func (m *manual) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the manual: %w", err)
	}
	for name, page := range m.pages() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(page), 0o644); err != nil {
			return fmt.Errorf("write a page of the manual: %w", err)
		}
	}
	return nil
}

// pages returns all pages by the names of their files.
func (m *manual) pages() map[string]string {
	pages := map[string]string{"adit.yaml.5": m.settingsPage()}
	var add func(cmd *cobra.Command)
	add = func(cmd *cobra.Command) {
		pages[pageName(cmd)+".1"] = m.verbPage(cmd)
		for _, verb := range pagedVerbs(cmd) {
			add(verb)
		}
	}
	add(m.root)
	return pages
}

// pagedVerbs returns the verbs below cmd that have a page.
func pagedVerbs(cmd *cobra.Command) []*cobra.Command {
	var verbs []*cobra.Command
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() && verb.Name() != "help" {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

// pageName returns the name of the page of a verb: "adit-rules-test".
func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// pageReference refers to another page.
func pageReference(name string, section int) string {
	return roffBold(name) + "(" + strconv.Itoa(section) + ")"
}

// verbPage returns the page of a verb, or of adit itself.
func (m *manual) verbPage(cmd *cobra.Command) string {
	r := &roffPage{}
	r.title(pageName(cmd), 1, m.date, m.version)
	r.section("name")
	r.text(roffCode(pageName(cmd)) + ` \- ` + roffProse(lowerFirst(cmd.Short)))
	r.section("synopsis")
	m.synopsis(r, cmd)
	r.section("description")
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	r.prose(text)
	m.verbs(r, cmd)
	r.section("options")
	m.options(r, cmd)
	m.examples(r, cmd)
	r.section("exit status")
	for _, s := range exitStatuses(cmd) {
		r.item(roffBold(strconv.Itoa(s.code)), s.means)
	}
	if list := environmentOf(cmd); len(list) > 0 {
		r.section("environment")
		for _, e := range list {
			r.item(roffBold(e.name), e.means)
		}
	}
	if list := filesOf(cmd); len(list) > 0 {
		r.section("files")
		for _, f := range list {
			r.item(roffItalic(f.name), f.means)
		}
	}
	m.seeAlso(r, cmd)
	return r.String()
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

func (m *manual) synopsis(r *roffPage, cmd *cobra.Command) {
	_, words, _ := strings.Cut(cmd.Use, " ")
	line := roffBold(cmd.CommandPath())
	if cmd.HasSubCommands() {
		line += " [" + roffItalic("COMMAND") + "]"
	}
	for _, word := range strings.Fields(words) {
		if word == "[flags]" {
			continue
		}
		bare := strings.Trim(word, "[].")
		before, after, _ := strings.Cut(word, bare)
		line += " " + roffText(before) + roffItalic(bare) + roffText(after)
	}
	r.line(line + " [" + roffItalic("FLAG") + " ...]")
}

// verbs lists what stands below cmd, by groups where it has them.
func (m *manual) verbs(r *roffPage, cmd *cobra.Command) {
	verbs := pagedVerbs(cmd)
	if len(verbs) == 0 {
		return
	}
	r.section("commands")
	list := func(group string) {
		for _, verb := range verbs {
			if verb.GroupID == group {
				r.item(roffBold(verb.Name()), verb.Short+".")
			}
		}
	}
	list("")
	for _, g := range cmd.Groups() {
		r.subsection(g.Title)
		list(g.ID)
	}
}

func (m *manual) options(r *roffPage, cmd *cobra.Command) {
	settings := false
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		o := optionOf(f)
		text := sentence(o.help)
		if o.fallback != "" {
			text += " Default: " + o.fallback + "."
		}
		if o.repeatable {
			text += " It may be given several times."
		}
		raw, isSetting := f.Value.(*rawFlag)
		if isSetting {
			settings = true
			text += " Environment: " + raw.setting.Env() + "."
		}
		r.item(o.tag(f), text)
	})
	r.item(roffBold("-h")+", "+roffBold("--help"), "Print help.")
	if !cmd.HasParent() {
		r.item(roffBold("-v")+", "+roffBold("--version"), "Print the version.")
	}
	if settings && cmd.Flags().Lookup("config") != nil {
		r.b.WriteString(".PP\n")
		r.text("A flag goes before the environment, that before the file of " + roffBold("--config") + ", and that before the default.")
	}
}

// sentence makes one of what help says of a flag.
func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "…") {
		return s
	}
	return s + "."
}

// An option is what the help of a flag says, taken apart.
type option struct {
	help, value, fallback string
	repeatable            bool
}

// optionOf reads the usage of a flag: "what it is (default: …) [VALUE]...".
func optionOf(f *pflag.Flag) option {
	var o option
	o.help = strings.Join(strings.Fields(f.Usage), " ")
	rest, repeatable := strings.CutSuffix(o.help, "]...")
	if !repeatable {
		rest = strings.TrimSuffix(o.help, "]")
	}
	if rest != o.help {
		depth := 0
		for i := len(rest) - 1; i >= 0; i-- {
			if rest[i] == ']' {
				depth++
			}
			if rest[i] == '[' {
				if depth == 0 && i > 0 && rest[i-1] != ' ' {
					break
				}
				if depth == 0 {
					o.help, o.value, o.repeatable = strings.TrimSpace(rest[:i]), rest[i+1:], repeatable
					break
				}
				depth--
			}
		}
	}
	if text, default_, found := strings.Cut(o.help, "(default: "); found && strings.HasSuffix(default_, ")") {
		o.help, o.fallback = strings.TrimSpace(text), strings.TrimSuffix(default_, ")")
	} else if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "[]" && d != "0s" {
		o.fallback = d
	}
	return o
}

// tag returns the flag with its value.
func (o *option) tag(f *pflag.Flag) string {
	tag := roffBold("--" + f.Name)
	if f.Shorthand != "" {
		tag = roffBold("-"+f.Shorthand) + ", " + tag
	}
	switch {
	case o.value != "" && f.NoOptDefVal != "":
		return tag + "[=" + roffItalic(o.value) + "]"
	case o.value != "":
		return tag + " " + roffItalic(o.value)
	}
	return tag
}

// examples writes each line with what is said of it before it.
func (m *manual) examples(r *roffPage, cmd *cobra.Command) {
	if cmd.Example == "" {
		return
	}
	r.section("examples")
	r.literal(cmd.Example)
}

func (m *manual) seeAlso(r *roffPage, cmd *cobra.Command) {
	var list []string
	if cmd.HasParent() {
		list = append(list, pageReference(pageName(cmd.Parent()), 1))
		if cmd.Parent().HasParent() {
			list = append(list, pageReference("adit", 1))
		}
	}
	for _, verb := range pagedVerbs(cmd) {
		list = append(list, pageReference(pageName(verb), 1))
	}
	if cmd.HasParent() && cmd.Parent().HasParent() {
		for _, verb := range pagedVerbs(cmd.Parent()) {
			if verb != cmd {
				list = append(list, pageReference(pageName(verb), 1))
			}
		}
	}
	list = append(list, pageReference("adit.yaml", 5))
	r.section("see also")
	r.line(strings.Join(list, ",\n"))
}
