package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// roleSettings returns the settings of "server" or "client", with defaults.
func roleSettings(role string) []Setting {
	if role == "client" {
		return ClientSettings(new(Client))
	}
	return ServerSettings(new(Server))
}

// general is the heading of settings that have none.
const general = "General"

func (s *Setting) group() string {
	if s.Group == "" {
		return general
	}
	return s.Group
}

// WriteExample writes an adit.yaml with every setting of these roles, "server"
// and "client", as a comment that says what it is, and its default.
func WriteExample(w io.Writer, roles ...string) error {
	var b strings.Builder
	b.WriteString("# adit.yaml, read with --config. Every line that begins with #name: shows a default, or in\n" +
		"# words what the value is; take the # away to set it. The environment (ADIT_LISTEN for\n" +
		"# listen) goes before this file, and a flag (--listen) before both.\n")
	for _, role := range roles {
		b.WriteString("\n" + role + ":\n")
		group := general
		for _, s := range roleSettings(role) {
			if s.group() != group {
				group = s.group()
				b.WriteString("\n  # --- " + group + " ---\n")
			}
			b.WriteString("\n")
			for _, line := range Wrap(s.Help+s.remark(), 96) {
				b.WriteString("  # " + line + "\n")
			}
			b.WriteString("  #" + s.Name + ": " + s.sample() + "\n")
		}
		b.WriteString(exampleRules(role))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func exampleRules(role string) string {
	text := `
  # --- Rules ---

  # Regular expressions, all of a rule must match; requests that the blacklist matches are refused, and
  # where there is a whitelist those that nothing in it matches.
  #blacklist:
  #  - url: ^http://forbidden\.
  #    method: ^(PUT|DELETE)$
  #whitelist:
  #  - url: ^https?://[^/]+\.internal/
  #    headers: {X-Team: ^ops$}
`
	if role == "server" {
		text += "  #  - address: [10.0.0.0/8]\n  #    ports: 8000-8100\n  #    from: [192.0.2.0/24]\n"
	}
	return text
}

// remark says of a setting what its help does not.
func (s *Setting) remark() string {
	switch {
	case s.Live:
		return " (a reload changes it)"
	case s.Reads:
		return " (a reload reads it again)"
	}
	return ""
}

// sample returns the default as a file has it, or what the value is in words.
func (s *Setting) sample() string {
	text := s.Default
	if text == "" {
		text = s.Value
	}
	if text == "" || strings.ContainsAny(text, `:@[]{}|*&#!>%`+"`'\",") {
		text = `"` + strings.ReplaceAll(text, `"`, `\"`) + `"`
	}
	if s.Repeatable {
		return "[" + text + "]"
	}
	return text
}

// Wrap breaks text at white space into lines of at most width bytes, where words
// let it.
func Wrap(text string, width int) []string {
	var lines []string
	line := make([]byte, 0, width)
	for word := range strings.FieldsSeq(text) {
		if len(line) > 0 && len(line)+1+len(word) > width {
			lines = append(lines, string(line))
			line = line[:0]
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		line = append(line, word...)
	}
	return append(lines, string(line))
}

// WriteReference writes tables of the settings of these roles in Markdown.
func WriteReference(w io.Writer, roles ...string) error {
	var b strings.Builder
	for _, role := range roles {
		settings := roleSettings(role)
		var groups []string
		for i := range settings {
			if g := settings[i].group(); !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
		fmt.Fprintf(&b, "### adit %s\n", role)
		for _, g := range groups {
			fmt.Fprintf(&b, "\n#### %s\n\n| setting | value | default | what it is | reload |\n| --- | --- | --- | --- | --- |\n", g)
			for i := range settings {
				if s := &settings[i]; s.group() == g {
					b.WriteString(s.row())
				}
			}
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Setting) row() string {
	reload := "needs a restart"
	switch {
	case s.Live:
		reload = "changes it"
	case s.Reads:
		reload = "reads it again"
	}
	value := s.Value
	if value == "" {
		value = "true|false"
	}
	if s.Repeatable {
		value += " …"
	}
	code := func(text string) string {
		if text == "" {
			return ""
		}
		return "`" + cell(text) + "`"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", s.Name, code(value), code(s.Default), cell(s.Help), reload)
}

// cell keeps a text within its cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
