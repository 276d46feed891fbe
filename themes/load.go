package themes

import (
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"adit/keys/userfile"
)

// A Problem is something in a file that was left out, or that is hard to read.
type Problem = userfile.Problem

// maxFiles bounds how many files of a directory are read.
const maxFiles = 64

// suffix is how the name of a theme's file ends.
const suffix = ".yaml"

// A Set is the built-in themes and those of a directory. It is never changed.
type Set struct {
	dir    string
	themes []*Theme
	stamps map[string]stamp // of the files that were read
}

// A stamp tells whether a file has changed.
type stamp struct {
	modified time.Time
	size     int64
}

// Load returns the built-in themes with those of the directory, where a file
// NAME.yaml is the theme NAME, also instead of a built-in one. "" or a directory
// that does not exist: the built-in ones.
func Load(dir string) (*Set, []Problem) {
	return load(dir, nil)
}

// Reload loads again if a file of the directory has come, gone or changed; if
// not, it returns s and false. A file that can no longer be understood keeps the
// theme that it was. It reads the directory: not for the dashboard's goroutine.
func (s *Set) Reload() (*Set, []Problem, bool) {
	if s.dir == "" {
		return s, nil, false
	}
	if now, _ := files(s.dir); sameStamps(now, s.stamps) {
		return s, nil, false
	}
	next, problems := load(s.dir, s)
	return next, problems, true
}

// ByName returns a theme.
func (s *Set) ByName(name string) (*Theme, bool) {
	i := slices.IndexFunc(s.themes, func(t *Theme) bool { return t.Name == name })
	if i < 0 {
		return nil, false
	}
	return s.themes[i], true
}

// Themes returns all of them: built-in ones first, then by name.
func (s *Set) Themes() []*Theme { return slices.Clone(s.themes) }

// Names returns their names in the same order.
func (s *Set) Names() []string {
	names := make([]string, len(s.themes))
	for i, t := range s.themes {
		names[i] = t.Name
	}
	return names
}

// Nearest returns the name of a theme that may be meant.
func (s *Set) Nearest(name string) string { return userfile.Nearest(name, s.Names()) }

func sameStamps(a, b map[string]stamp) bool {
	if len(a) != len(b) {
		return false
	}
	for name, x := range a {
		if y, ok := b[name]; !ok || x.size != y.size || !x.modified.Equal(y.modified) {
			return false
		}
	}
	return true
}

func files(dir string) (map[string]stamp, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	stamps := make(map[string]stamp)
	for _, e := range list {
		if len(stamps) == maxFiles {
			return stamps, fmt.Errorf("more than %d files; the others were left out", maxFiles)
		}
		if !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		// Themes are often links into a repository of dotfiles.
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		stamps[e.Name()] = stamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}

func load(dir string, before *Set) (*Set, []Problem) {
	s := &Set{dir: dir, themes: Builtin()}
	if dir == "" {
		return s, nil
	}
	var problems []Problem
	stamps, err := files(dir)
	if err != nil {
		problems = append(problems, Problem{File: dir, Text: err.Error()})
	}
	s.stamps = stamps
	names := make([]string, 0, len(stamps))
	for name := range stamps {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, file := range names {
		t, found := read(filepath.Join(dir, file), strings.TrimSuffix(file, suffix))
		problems = append(problems, found...)
		if t == nil && before != nil {
			if old, ok := before.ByName(strings.TrimSuffix(file, suffix)); ok && old.File != "" {
				t = old
			}
		}
		if t == nil {
			continue
		}
		if i := slices.IndexFunc(s.themes, func(b *Theme) bool { return b.Name == t.Name }); i >= 0 {
			s.themes[i] = t
		} else {
			s.themes = append(s.themes, t)
		}
	}
	return s, problems
}

// read returns the theme in a file, nil if there is none to be had.
func read(path, name string) (*Theme, []Problem) {
	entries, problems, err := userfile.Read(path)
	if err != nil {
		return nil, []Problem{{File: path, Text: err.Error() + "; the theme was left out"}}
	}
	if name == "" || name == Auto || name != userfile.Printable(name) {
		return nil, []Problem{{File: path, Text: fmt.Sprintf("no name for a theme: %q; it was left out", userfile.Printable(name))}}
	}
	if entries == nil && len(problems) > 0 {
		return nil, problems
	}
	r := themeReader{path: path, problems: problems}
	t := r.theme(name, entries)
	for _, text := range t.Dim() {
		r.problems = append(r.problems, Problem{File: path, Text: text, Warning: true})
	}
	return t, r.problems
}

// Entries of a theme's file that are no roles.
const (
	entryBase       = "base"
	entryLight      = "light"
	entryPaint      = "paint"
	entryBackground = "background"
	entryANSI16     = "ansi16"
)

type themeReader struct {
	path     string
	problems []Problem
}

func (r *themeReader) problem(line int, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.path, Line: line, Text: fmt.Sprintf(format, args...)})
}

func (r *themeReader) theme(name string, entries []userfile.Entry) *Theme {
	t := r.base(entries)
	t.Name, t.File = name, r.path
	for _, e := range entries {
		switch e.Key {
		case entryBase, entryLight:
		case entryPaint:
			t.Paints = r.truth(e)
		case entryBackground:
			if c, ok := r.color(e); ok {
				t.Nominal = c
			}
		case entryANSI16:
			if !e.IsMap {
				r.problem(e.Line, "ansi16 wants roles with names of colours; it was left out")
				continue
			}
			few := terminal()
			few.Name, few.File, few.Light = name, r.path, t.Light
			for _, e := range e.Entries {
				r.role(few, e)
			}
			t.few = few
		default:
			r.role(t, e)
		}
	}
	return t
}

// base returns what the theme begins with.
func (r *themeReader) base(entries []userfile.Entry) *Theme {
	light, name, line := false, "", 0
	for _, e := range entries {
		switch e.Key {
		case entryLight:
			light = r.truth(e)
		case entryBase:
			if name, line = e.Word, e.Line; !e.IsWord {
				r.problem(e.Line, "base wants the name of a built-in theme; the default was taken")
			}
		}
	}
	if name != "" {
		if t, ok := ByName(name); ok {
			t.Light = t.Light || light
			return t
		}
		var known []string
		for _, t := range Builtin() {
			known = append(known, t.Name)
		}
		r.problem(line, "no built-in theme %q, the nearest is %s; the default was taken",
			userfile.Printable(name), userfile.Nearest(name, known))
	}
	name = Midnight
	if light {
		name = Daylight
	}
	t, _ := ByName(name)
	return t
}

func (r *themeReader) truth(e userfile.Entry) bool {
	v, err := strconv.ParseBool(e.Word)
	if err != nil {
		r.problem(e.Line, "%s wants true or false, not %q; it was left out", e.Key, userfile.Printable(e.Word))
	}
	return v
}

func (r *themeReader) role(t *Theme, e userfile.Entry) {
	names := roleNames()
	i := slices.Index(names[:], e.Key)
	if i < 0 {
		known := append(names[:], entryBase, entryLight, entryPaint, entryBackground, entryANSI16)
		r.problem(e.Line, "unknown role %q, the nearest is %s; it was left out",
			userfile.Printable(e.Key), userfile.Nearest(e.Key, known))
		return
	}
	c, ok := r.color(e)
	if !ok {
		return
	}
	t.looks[i] = Look{Color: c, Bold: Role(i) == Title || Role(i) == Mark}
}

func (r *themeReader) color(e userfile.Entry) (color.Color, bool) {
	if e.IsWord {
		if c, ok := parseColor(e.Word); ok {
			return c, true
		}
	}
	r.problem(e.Line, `%s: no colour %q; want "#rrggbb" in quotes, a number from 0 to 255, default, or a name like red or bright-red; it was left out`,
		e.Key, userfile.Printable(e.Word))
	return nil, false
}

// parseColor returns nil and true for the terminal's own colour.
func parseColor(s string) (color.Color, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "default" {
		return nil, true
	}
	if hex, ok := strings.CutPrefix(s, "#"); ok {
		if _, err := strconv.ParseUint(hex, 16, 32); err != nil || len(hex) != 3 && len(hex) != 6 {
			return nil, false
		}
		return lipgloss.Color(s), true
	}
	name, bright := strings.CutPrefix(s, "bright-")
	basic := []string{"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"}
	if i := slices.Index(basic, name); i >= 0 {
		if bright {
			i += len(basic)
		}
		return lipgloss.Color(strconv.Itoa(i)), true
	}
	if n, err := strconv.ParseUint(s, 10, 8); err == nil {
		return lipgloss.Color(strconv.FormatUint(n, 10)), true
	}
	return nil, false
}
