package command

import (
	"fmt"
	"strings"

	"adit/engine/config"
)

// roffWidth is what lines of a page's source have at most, in bytes, where words
// let them.
const roffWidth = 78

// A roffPage is a page of the manual in the macros of man(7), as groff and
// mandoc both read them.
type roffPage struct{ b strings.Builder }

// title begins the page. date is in the form 2006-01-02, "" where it is not known.
func (r *roffPage) title(name string, section int, date, version string) {
	fmt.Fprintf(&r.b, ".TH %s %d \"%s\" %s %s\n", roffArgument(strings.ToUpper(name)), section, date,
		roffArgument("adit "+version), roffArgument("adit"))
}

func (r *roffPage) section(title string) {
	r.b.WriteString(".SH " + roffArgument(strings.ToUpper(title)) + "\n")
}

func (r *roffPage) subsection(title string) { r.b.WriteString(".SS " + roffArgument(title) + "\n") }

// line writes one line of text that is roff already.
func (r *roffPage) line(roff string) {
	if strings.HasPrefix(roff, ".") { // that of a macro; an apostrophe is escaped
		roff = `\&` + roff
	}
	r.b.WriteString(roff + "\n")
}

// text writes text that is roff already in lines of its own.
func (r *roffPage) text(roff string) {
	for _, line := range config.Wrap(roff, roffWidth) {
		r.line(line)
	}
}

// prose writes paragraphs, which empty lines are between. Lines that begin with a
// tab are for a shell and stay as they are.
func (r *roffPage) prose(text string) {
	first := true
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		paragraph = strings.Trim(paragraph, "\n ")
		if strings.TrimSpace(paragraph) == "" {
			continue
		}
		if !first {
			r.b.WriteString(".PP\n")
		}
		first = false
		if strings.HasPrefix(paragraph, "\t") {
			r.literal(strings.ReplaceAll(paragraph, "\t", ""))
			continue
		}
		r.text(roffProse(paragraph))
	}
}

// literal writes lines as they are.
func (r *roffPage) literal(text string) {
	r.b.WriteString(".RS 4\n.nf\n")
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		r.line(roffCode(line))
	}
	r.b.WriteString(".fi\n.RE\n")
}

// item writes a paragraph below a tag, which is roff already.
func (r *roffPage) item(tag, text string) {
	r.b.WriteString(".TP\n")
	r.line(tag)
	r.text(roffProse(text))
}

func (r *roffPage) String() string { return r.b.String() }

func roffBold(text string) string   { return `\fB` + roffCode(text) + `\fR` }
func roffItalic(text string) string { return `\fI` + roffCode(text) + `\fR` }

// roffText makes text roff that is shown as it is, but that hyphens are typeset.
func roffText(text string) string {
	var b strings.Builder
	for _, c := range text {
		switch {
		case c == '\\':
			b.WriteString(`\e`)
		case c == '\'':
			b.WriteString(`\(aq`)
		case c == '`':
			b.WriteString(`\(ga`)
		case c == '^':
			b.WriteString(`\(ha`)
		case c == '~':
			b.WriteString(`\(ti`)
		case c == '"':
			b.WriteString(`\(dq`)
		case c > '~':
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// roffCode is roffText of what people copy: a minus stays one.
func roffCode(text string) string { return strings.ReplaceAll(roffText(text), "-", `\-`) }

// roffProse joins the lines of a paragraph and sets the flags in it in bold.
func roffProse(text string) string {
	words := strings.Fields(text)
	for i, word := range words {
		lead := word[:len(word)-len(strings.TrimLeft(word, "(["))]
		flag := strings.TrimRight(word[len(lead):], ".,;:)]")
		tail := word[len(lead)+len(flag):]
		if len(flag) > 1 && flag[0] == '-' && flag != "--" {
			words[i] = roffText(lead) + roffBold(flag) + roffText(tail)
			continue
		}
		words[i] = roffText(word)
	}
	return strings.Join(words, " ")
}

// roffArgument quotes what stands after the name of a macro.
func roffArgument(text string) string { return `"` + roffCode(text) + `"` }
