package command

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"adit/engine"
)

// clock is how lines show a time of day, date how tables show more than that.
const (
	clock = "15:04:05.000"
	date  = "2006-01-02 15:04:05.000 -0700"
)

// printable returns s with a question mark for whatever a terminal could obey.
func printable(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return strings.Map(visibleRune, s)
		}
	}
	return s
}

// visibleRune keeps what has a shape of its own.
func visibleRune(c rune) rune {
	if unicode.IsPrint(c) {
		return c
	}
	return '?'
}

// A grid is a table for people: columns as wide as what is in them, one space
// line of titles, numbers to the right.
type grid struct {
	titles []string // those that begin with ">" are of numbers
	rows   [][]string
}

// add appends a row; what it lacks at its end is empty.
func (g *grid) add(cells ...string) {
	for i := range cells {
		cells[i] = printable(cells[i])
	}
	g.rows = append(g.rows, cells)
}

// lines appends the table, nothing where it has no rows.
func (g *grid) lines(b []byte) []byte {
	if len(g.rows) == 0 {
		return b
	}
	width := make([]int, len(g.titles))
	titles := make([]string, len(g.titles))
	for i, t := range g.titles {
		titles[i] = strings.TrimPrefix(t, ">")
		width[i] = len(titles[i])
		for _, row := range g.rows {
			if i < len(row) {
				width[i] = max(width[i], utf8.RuneCountInString(row[i]))
			}
		}
	}
	b = g.line(b, titles, width)
	for _, row := range g.rows {
		b = g.line(b, row, width)
	}
	return b
}

func (g *grid) line(b []byte, cells []string, width []int) []byte {
	start := len(b)
	for i, cell := range cells {
		if i > 0 {
			b = append(b, "  "...)
		}
		b = appendCell(b, cell, width[i], strings.HasPrefix(g.titles[i], ">"))
	}
	for len(b) > start && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return append(b, '\n')
}

// appendCell appends a cell that is at least so wide.
func appendCell(b []byte, cell string, width int, right bool) []byte {
	pad := max(width-utf8.RuneCountInString(cell), 0)
	if right {
		b = append(b, strings.Repeat(" ", pad)...)
		return append(b, cell...)
	}
	b = append(b, cell...)
	return append(b, strings.Repeat(" ", pad)...)
}

// sizeText is a number of bytes in units of 1,024: "512B", "1.2K", "18K".
func sizeText(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10) + "B"
	}
	const units = "KMGTPE"
	v, unit := float64(n)/1024, 0
	for v >= 999.5 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	digits := 0
	if v < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + units[unit:unit+1]
}

// durationText is a duration: "40us", "3ms", "1.20s", "30.0s", "3m28s", "6d02h";
// "" below 0, which is not known.
func durationText(d time.Duration) string {
	two := func(n int64) string { return strconv.FormatInt(n/10, 10) + strconv.FormatInt(n%10, 10) }
	whole := int64(d / time.Second)
	switch {
	case d < 0:
		return ""
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + "us"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(float64(d.Milliseconds()/10)/100, 'f', 2, 64) + "s"
	case d < time.Minute:
		return strconv.FormatFloat(float64(d.Milliseconds()/100)/10, 'f', 1, 64) + "s"
	case d < time.Hour:
		return strconv.FormatInt(whole/60, 10) + "m" + two(whole%60) + "s"
	case d < 24*time.Hour:
		return strconv.FormatInt(whole/3600, 10) + "h" + two(whole/60%60) + "m"
	}
	return strconv.FormatInt(whole/86400, 10) + "d" + two(whole/3600%24) + "h"
}

// ageText is how long ago t was at now, in whole seconds.
func ageText(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := max(now.Sub(t), 0)
	if d < time.Minute {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return durationText(d)
}

// millisText is a duration in milliseconds without the unit: "3.1"; "" where it
// is not known.
func millisText(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64)
}

func countText(n uint64) string { return strconv.FormatUint(n, 10) }

// statusText is "" where there is no status.
func statusText(status int) string {
	if status == 0 {
		return ""
	}
	return strconv.Itoa(status)
}

// lasted returns how long r took, or has taken at now; below 0 where nobody
// knows.
func lasted(r *engine.Request, now time.Time) time.Duration {
	switch {
	case r.Outcome != engine.OutcomeNone:
		return r.LastByte
	case r.InFlight():
		return max(now.Sub(r.Arrived), 0)
	}
	return -1
}

// verdict says how an exchange ended that did not complete, "in flight" of one
// that runs; "" of all others.
func verdict(r *engine.Request) string {
	switch {
	case r.InFlight():
		return "in flight"
	case r.Outcome == engine.OutcomeNone:
		return r.Reason
	case r.Outcome == engine.OutcomeCompleted:
		return ""
	case r.Reason == "", r.Reason == strings.ReplaceAll(r.Outcome.String(), "_", " "):
		return r.Outcome.String()
	}
	return r.Outcome.String() + ": " + r.Reason
}
