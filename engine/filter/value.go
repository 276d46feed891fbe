package filter

import (
	"strconv"
	"strings"
	"time"

	"adit/engine"
)

// value reads one alternative of a clause that began at start.
func (p *parser) value(f described, op string, start int) (Value, error) {
	from := p.pos
	if f.form == formText || f.form == formChoice {
		v, ok, err := p.enclosed()
		if err != nil {
			return v, err
		}
		if !ok {
			p.pos = p.until(",")
			v = plain(p.text[from:p.pos])
			if v.Text == "" {
				return v, p.missing(f)
			}
		}
		return p.textValue(f, op, v, from)
	}
	p.pos = p.until(",")
	text := p.text[from:p.pos]
	if text == "" {
		return Value{}, p.missing(f)
	}
	low, high, between := strings.Cut(text, "..")
	v := Value{Match: Range, Text: text, Low: least, High: greatest}
	if between {
		if op != "" && op != "=" && op != "!=" {
			return v, p.fault(from, p.pos, "%s: a range stands without %s; use a..b, a.. or ..b", p.text[start:p.pos], op)
		}
		if low == "" && high == "" {
			return v, p.fault(from, p.pos, "%s: a range has at least one end; use a..b, a.. or ..b", p.text[start:p.pos])
		}
	}
	if !between {
		high = low
	}
	var lower, upper bound
	var fault string
	if low != "" {
		lower, fault = readBound(f.form, low, f.Values)
	}
	if high != "" && fault == "" {
		upper, fault = readBound(f.form, high, f.Values)
	}
	if fault == "" && !between && lower.base == Now && (op == "" || op == "=" || op == "!=") {
		fault = "that is one moment; write time:" + low + ".. for what came since"
	}
	if fault != "" {
		return v, p.fault(from, p.pos, "%s: %s", engine.Bound(p.text[start:p.pos]), fault)
	}
	v.Text = ""
	switch {
	case between:
		if low != "" {
			v.Low, v.LowBase = lower.low, lower.base
		}
		if high != "" {
			v.High, v.HighBase = upper.high, upper.base
		}
		if low != "" && high != "" && lower.base == upper.base && v.Low > v.High {
			if lower.base == Midnight {
				return v, p.fault(from, p.pos, "%s: the range ends before it begins on one day; swap its ends, or give dates, as in 2026-11-22T23:50..2026-11-23T00:10", p.text[start:p.pos])
			}
			return v, p.fault(from, p.pos, "%s: the range ends before it begins; swap its ends", p.text[start:p.pos])
		}
	case op == ">":
		v.Low, v.LowBase = lower.high+1, lower.base
	case op == ">=":
		v.Low, v.LowBase = lower.low, lower.base
	case op == "<":
		v.High, v.HighBase = lower.low-1, lower.base
	case op == "<=":
		v.High, v.HighBase = lower.high, lower.base
	default:
		v.Low, v.High, v.LowBase, v.HighBase = lower.low, lower.low+max(lower.width, lower.high-lower.low), lower.base, lower.base
	}
	return v, nil
}

func (p *parser) missing(f described) error {
	return p.fault(p.pos, p.pos+1, "%s: needs a value, as in %s", f.Name, f.Example)
}

// textValue gives v the meaning that field and operator ask for.
func (p *parser) textValue(f described, op string, v Value, from int) (Value, error) {
	if v.Match == Substring {
		if op != "" {
			v.Match = Exact
		}
		if f.Name == "f" {
			v.Match = Fuzzy
		}
	}
	if f.form != formChoice {
		return v, nil
	}
	if v.Match == Substring {
		for _, name := range f.Values {
			if strings.EqualFold(name, v.Text) {
				v.Match = Exact
			}
		}
	}
	v.Fold = true
	if chosen(f.Values, []Value{v}) == 0 {
		return v, p.fault(from, p.pos, "%s: unknown value %s; use %s", f.Name, engine.Bound(v.Text), strings.Join(f.Values, " "))
	}
	return v, nil
}

// A bound is what a number in a text means: the numbers that are written like
// it to the digit.
type bound struct {
	low, high int64
	width     int64 // of equality, where comparisons take low exactly
	base      Base
}

func exactly(n int64) bound { return bound{low: n, high: n} }

// readBound reads one number, or says what is wrong with it.
func readBound(f form, text string, names []string) (bound, string) {
	switch f {
	case formStatus:
		if len(text) == 3 && '1' <= text[0] && text[0] <= '9' && strings.EqualFold(text[1:], "xx") {
			n := int64(text[0]-'0') * 100
			return bound{low: n, high: n + 99}, ""
		}
	case formConnectionID:
		text = strings.TrimPrefix(strings.ToLower(text), "c-")
	case formRequestID:
		text = strings.TrimPrefix(strings.ToLower(text), "r-")
	case formDuration:
		return readUnits(text, durationUnits[:], "us ms s m")
	case formSize:
		return readUnits(text, sizeUnits[:], "B KiB MiB K M G")
	case formTime:
		return readTime(text)
	case formLevel:
		return readLevel(text, names)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n == greatest {
		return bound{}, notANumber(f, text)
	}
	return exactly(n), ""
}

func notANumber(f form, text string) string {
	switch f {
	case formStatus:
		return text + " is no status; use 404, 5xx or 500..504"
	case formConnectionID:
		return text + " is no connection; use c-17"
	case formRequestID:
		return text + " is no request; use r-4711"
	}
	return text + " is no number; use digits"
}

func readLevel(text string, names []string) (bound, string) {
	for i, name := range names {
		if len(text) > 0 && strings.HasPrefix(name, strings.ToLower(text)) {
			return exactly(int64(i)), ""
		}
	}
	return bound{}, "unknown level " + text + "; use " + strings.Join(names, " ")
}

// A unit is a name and what it stands for.
type unit struct {
	name string
	size int64
}

// durationUnits are in nanoseconds.
var durationUnits = [...]unit{
	{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"μs", 1e3}, {"ms", 1e6}, {"s", 1e9},
	{"m", 60e9}, {"h", 3600e9}, {"d", 24 * 3600e9},
}

// sizeUnits are in bytes. K is KiB, as on the screen.
var sizeUnits = [...]unit{
	{"b", 1}, {"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40},
}

// readUnits reads numbers with units, "1.5s" or "3m28s". Equality is as wide as
// the last digit.
func readUnits(text string, units []unit, use string) (bound, string) {
	var total, width int64
	for rest := text; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		end := digits
		for end < len(rest) && rest[end] != '.' && (rest[end] < '0' || rest[end] > '9') {
			end++
		}
		number, name := rest[:digits], strings.ToLower(rest[digits:end])
		rest = rest[end:]
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return bound{}, text + " is no number with a unit; use " + use
		}
		size := int64(0)
		for _, u := range units {
			if u.name == name {
				size = u.size
			}
		}
		switch {
		case size > 0:
		case name == "" && (value == 0 || units[0].name == "b" && !strings.Contains(number, ".")):
			size = 1
		case name == "":
			return bound{}, text + " has no unit; use " + use
		default:
			return bound{}, "unknown unit " + name + "; use " + use
		}
		if value*float64(size) > 1<<61 {
			return bound{}, text + " is too much; use less"
		}
		total += int64(value*float64(size) + 0.5)
		width = size
		if _, fraction, ok := strings.Cut(number, "."); ok {
			for range fraction {
				width /= 10
			}
		}
		if total > 1<<61 {
			return bound{}, text + " is too much; use less"
		}
	}
	return bound{low: total, high: total, width: max(width-1, 0)}, ""
}

// A layout is a form of a time, and how much one value of it covers.
type layout struct {
	format string
	width  time.Duration
	day    bool // has a date
}

// covers returns how much the value covers that begins at t: a day may be longer
// or shorter than others.
func (l *layout) covers(t time.Time) time.Duration {
	if l.width == 24*time.Hour {
		return t.AddDate(0, 0, 1).Sub(t)
	}
	return l.width
}

var layouts = [...]layout{
	{"15:04", time.Minute, false},
	{"15:04:05", time.Second, false},
	{"15:04:05.000", time.Millisecond, false},
	{"2006-01-02", 24 * time.Hour, true},
	{"2006-01-02T15:04", time.Minute, true},
	{"2006-01-02T15:04:05", time.Second, true},
	{"2006-01-02T15:04:05.000", time.Millisecond, true},
}

// readTime reads a time of day, a date with or without one, or how long ago.
func readTime(text string) (bound, string) {
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		b, fault := readUnits(ago, durationUnits[:], "s m h d")
		if fault != "" {
			return b, fault
		}
		return bound{low: -b.low, high: -b.low, base: Now}, ""
	}
	for _, l := range layouts {
		if len(text) != len(l.format) {
			continue
		}
		t, err := time.ParseInLocation(l.format, strings.ToUpper(text), time.Local)
		if err != nil {
			continue
		}
		b := bound{low: t.UnixNano()}
		if !l.day {
			h, m, s := t.Clock()
			b.low = int64(time.Duration(h)*time.Hour+time.Duration(m)*time.Minute+time.Duration(s)*time.Second) + int64(t.Nanosecond())
			b.base = Midnight
		}
		b.high = b.low + int64(l.covers(t)) - 1
		return b, ""
	}
	return bound{}, text + " is no time; use 15:04, 15:04:11, 2026-11-22T15:04 or -5m for 5 minutes ago"
}
