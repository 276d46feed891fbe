package themes

import (
	"fmt"
	"image/color"
	"io"
	"slices"
	"text/tabwriter"
)

// Print writes the themes that there are, one a line, and then the problems of
// the directory's files.
func Print(w io.Writer, dir string) error {
	set, problems := Load(dir)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "THEME\tFOR\tFROM\n")
	for _, t := range set.themes {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", t.Name, t.Kind(), t.from())
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	return list(w, problems)
}

// Check writes the problems of the directory's files and returns an error if
// there is one that is more than a warning.
func Check(w io.Writer, dir string) error {
	_, problems := Load(dir)
	if err := list(w, problems); err != nil {
		return err
	}
	if n := len(slices.DeleteFunc(problems, func(p Problem) bool { return p.Warning })); n > 0 {
		return fmt.Errorf("%s: %d problems with its themes; see above", dir, n)
	}
	return nil
}

// Markdown writes the themes as a table for documentation: the contrast of each
// role on the background that the theme is made for.
func Markdown(w io.Writer, dir string) error {
	set, _ := Load(dir)
	shown := []Role{Fg, Muted, Border, Accent, OK, Warn, Err, Info}
	head, rule := "| Theme | For |", "|---|---|"
	for _, r := range shown {
		head += " " + r.String() + " |"
		rule += "---|"
	}
	if _, err := fmt.Fprintf(w, "%s\n%s\n", head, rule); err != nil {
		return err
	}
	for _, t := range set.themes {
		row := fmt.Sprintf("| %s | %s |", t.Name, t.Kind())
		for _, r := range shown {
			row += " " + ratio(t.looks[r].Color, t.Nominal) + " |"
		}
		if _, err := fmt.Fprintln(w, row); err != nil {
			return err
		}
	}
	return nil
}

// Kind says in words what terminals the theme is made for.
func (t *Theme) Kind() string {
	switch {
	case t.Mono:
		return "no colours"
	case t.Nominal == nil:
		return "16 colours"
	case t.Light:
		return "light"
	}
	return "dark"
}

func (t *Theme) from() string {
	if t.File == "" {
		return "built in"
	}
	return t.File
}

func ratio(fg, bg color.Color) string {
	if fg == nil || bg == nil || palette16(fg) || palette16(bg) {
		return "-"
	}
	return fmt.Sprintf("%.1f", Contrast(fg, bg))
}

func list(w io.Writer, problems []Problem) error {
	for _, p := range problems {
		if _, err := fmt.Fprintln(w, p); err != nil {
			return err
		}
	}
	return nil
}
