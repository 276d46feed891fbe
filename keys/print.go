package keys

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Print writes what the keys mean, one line for each action and context, and
// then the problems of the file.
func Print(w io.Writer, set, path string) error {
	m, problems, err := Load(set, path)
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "CONTEXT\tKEYS\tACTION\tWHAT\n")
	for _, l := range m.lines() {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", l.context, strings.Join(l.keys, " "), l.info.Action, ASCII(l.info.Title))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	return list(w, problems)
}

// Check writes the problems of the file and returns an error if there is one
// that is more than a warning.
func Check(w io.Writer, set, path string) error {
	_, problems, err := Load(set, path)
	if err != nil {
		return err
	}
	if err := list(w, problems); err != nil {
		return err
	}
	if n := len(slices.DeleteFunc(problems, func(p Problem) bool { return p.Warning })); n > 0 {
		return fmt.Errorf("%s: %d of its lines do not do what they say; see above", path, n)
	}
	return nil
}

// Markdown writes the keys as tables for documentation, one for each context.
func Markdown(w io.Writer, set, path string) error {
	m, _, err := Load(set, path)
	if err != nil {
		return err
	}
	var b strings.Builder
	var in Context
	for _, l := range m.lines() {
		if l.context != in {
			if in != "" {
				b.WriteByte('\n')
			}
			in = l.context
			fmt.Fprintf(&b, "### %s\n\n| Keys | What | Action |\n|---|---|---|\n", in)
		}
		quoted := make([]string, len(l.keys))
		for i, key := range l.keys {
			quoted[i] = "`" + strings.ReplaceAll(key, "|", "\\|") + "`"
			if key == "`" {
				quoted[i] = "`` ` ``"
			}
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` |\n", strings.Join(quoted, " "), l.info.Title, l.info.Action)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

type line struct {
	context Context
	keys    []string
	info    Info
}

func (m *Map) lines() []line {
	var all []line
	for _, c := range Contexts() {
		for _, info := range infos {
			if n, ok := m.keys[place{c, info.Action}]; ok && len(n.ascii) > 0 {
				all = append(all, line{c, n.ascii, info})
			}
		}
	}
	return all
}

func list(w io.Writer, problems []Problem) error {
	for _, p := range problems {
		if _, err := fmt.Fprintln(w, p); err != nil {
			return err
		}
	}
	return nil
}

// ASCII returns a text of this package with ASCII characters only.
func ASCII(s string) string { return strings.ReplaceAll(s, "…", "...") }
