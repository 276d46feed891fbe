// Package format writes numbers as the dashboard shows them. The Append forms
// write into a buffer of the caller and allocate nothing. Nothing here pads:
// who draws aligns. Something that is not known has no digits: where a value can
// be unknown, the text of that is "".
package format

import (
	"strconv"
	"strings"
	"time"
)

// AppendSize appends bytes: "0B", "512B", "1.2K", "18K", "4.1M", "31.9M", in
// units of 1,024. It takes at most 5 cells.
func AppendSize(b []byte, n uint64) []byte {
	if n < 1000 {
		return append(strconv.AppendUint(b, n, 10), 'B')
	}
	v, unit := scale(float64(n), 1024)
	if unit == 0 && v >= 9.95 {
		return append(appendFixed(b, v, 0), 'K')
	}
	return appendScaled(b, v, "KMGTPE"[unit])
}

// AppendByteRate appends bytes per second: "0B/s", "84K/s", "4.0M/s", "88.1M/s".
// Below 0 it is not known.
func AppendByteRate(b []byte, v float64) []byte {
	if !(v >= 0) {
		return b
	}
	return append(AppendByteFlow(b, v), "/s"...)
}

// AppendByteFlow is AppendByteRate without "/s", for where there is no room.
func AppendByteFlow(b []byte, v float64) []byte {
	switch {
	case !(v >= 0):
		return b
	case v < 999.5:
		return append(appendFixed(b, v, 0), 'B')
	}
	v, unit := scale(min(v, 1e18), 1024)
	if unit == 0 {
		return append(appendFixed(b, max(v, 1), 0), 'K')
	}
	return appendScaled(b, v, "KMGTPE"[unit])
}

// AppendCount appends a count with its digits in groups: "0", "1 204", "88 120",
// and from a million on three digits: "1.92M", "14.1M". At most 7 cells.
func AppendCount(b []byte, n uint64) []byte {
	if n < 1e6 {
		return appendGrouped(b, n, ' ')
	}
	v, unit := scale(float64(n)/1000, 1000)
	digits := 2
	if v >= 9.995 {
		digits = 1
	}
	if v >= 99.95 {
		digits = 0
	}
	return append(appendFixed(b, v, digits), "MGTPE"[unit])
}

// AppendPlural appends a count with its noun: "1 connection", "1 204 requests",
// "2 addresses".
func AppendPlural(b []byte, n int, noun string) []byte {
	b = append(append(AppendCount(b, uint64(max(n, 0))), ' '), noun...)
	switch {
	case n == 1:
		return b
	case strings.HasSuffix(noun, "s"):
		b = append(b, 'e')
	}
	return append(b, 's')
}

// Plural is AppendPlural as a string.
func Plural(n int, noun string) string { return string(AppendPlural(nil, n, noun)) }

// AppendExact appends a count with all its digits: "98,204".
func AppendExact(b []byte, n uint64) []byte { return appendGrouped(b, n, ',') }

// AppendShort appends a count in at most 5 cells: "312", "1.2k", "98k", "16.0M".
func AppendShort(b []byte, n uint64) []byte {
	if n < 1000 {
		return strconv.AppendUint(b, n, 10)
	}
	v, unit := scale(float64(n), 1000)
	if unit == 0 && v >= 9.95 {
		return append(appendFixed(b, v, 0), 'k')
	}
	return appendScaled(b, v, "kMGTPE"[unit])
}

// AppendRate appends events per second without a unit: "0", "1.4", "410",
// "1.2k", "61k". Below 0 it is not known.
func AppendRate(b []byte, v float64) []byte {
	switch {
	case !(v >= 0):
		return b
	case v < 0.05:
		return append(b, '0')
	case v < 9.95:
		b = appendFixed(b, v, 1)
		if n := len(b); b[n-1] == '0' {
			b = b[:n-2]
		}
		return b
	case v < 999.5:
		return appendFixed(b, v, 0)
	}
	return AppendShort(b, uint64(min(v, 1e18)))
}

// AppendShare appends a share of 0 to 1 in percent, without the sign: "0.0",
// "2.9", "100". What is more than nothing is never "0.0", what is less than all
// never "100". Below 0 it is not known.
func AppendShare(b []byte, share float64) []byte {
	switch {
	case !(share >= 0):
		return b
	case share >= 1:
		return append(b, "100"...)
	case share == 0:
		return append(b, "0.0"...)
	}
	return appendFixed(b, min(max(share*100, 0.1), 99.9), 1)
}

// AppendDuration appends a duration, cut, not rounded: "40us", "0.4ms", "3ms",
// "1.20s", "30.0s", "3m28s", "5h07m", "6d02h", "123d". At most 6 cells. Below 0
// it is not known.
func AppendDuration(b []byte, d time.Duration) []byte {
	switch {
	case d < 0:
		return b
	case d < 100*time.Microsecond:
		return append(strconv.AppendInt(b, d.Microseconds(), 10), "us"...)
	case d < time.Millisecond:
		b = append(b, '0', '.', '0'+byte(d/(100*time.Microsecond)))
		return append(b, "ms"...)
	case d < time.Second:
		return append(strconv.AppendInt(b, d.Milliseconds(), 10), "ms"...)
	case d < 10*time.Second:
		n := d.Milliseconds() / 10
		b = append(strconv.AppendInt(b, n/100, 10), '.')
		return append(two(b, n%100), 's')
	case d < time.Minute:
		n := d.Milliseconds() / 100
		b = append(strconv.AppendInt(b, n/10, 10), '.')
		return append(b, '0'+byte(n%10), 's')
	}
	return AppendAge(b, d)
}

// AppendAge is AppendDuration in whole seconds: "0s", "41s", "12m44s".
func AppendAge(b []byte, d time.Duration) []byte {
	s := int64(d / time.Second)
	switch {
	case d < 0:
		return b
	case s < 60:
		return append(strconv.AppendInt(b, s, 10), 's')
	case s < 3600:
		return append(two(append(strconv.AppendInt(b, s/60, 10), 'm'), s%60), 's')
	case s < 86400:
		return append(two(append(strconv.AppendInt(b, s/3600, 10), 'h'), s/60%60), 'm')
	case s < 100*86400:
		return append(two(append(strconv.AppendInt(b, s/86400, 10), 'd'), s/3600%24), 'h')
	}
	return append(strconv.AppendInt(b, s/86400, 10), 'd')
}

// AppendElapsed appends a duration as a clock that runs: "00:17", "01:02:03".
func AppendElapsed(b []byte, d time.Duration) []byte {
	s := int64(max(d, 0) / time.Second)
	if s >= 3600 {
		b = append(two(b, s/3600), ':')
	}
	return two(append(two(b, s/60%60), ':'), s%60)
}

// AppendMillis appends milliseconds without the unit: "3.1", "231.5", "4 186".
// Below 0 it is not known.
func AppendMillis(b []byte, ms float64) []byte {
	switch {
	case !(ms >= 0):
		return b
	case ms < 999.95:
		return appendFixed(b, ms, 1)
	}
	return appendGrouped(b, uint64(min(ms+0.5, 1e15)), ' ')
}

// AppendTime appends the time of day with milliseconds: "15:04:11.761". The zero
// time is not known.
func AppendTime(b []byte, t time.Time, utc bool) []byte {
	return appendClock(b, t, utc, "15:04:05.000")
}

// AppendTimeShort is AppendTime without milliseconds.
func AppendTimeShort(b []byte, t time.Time, utc bool) []byte {
	return appendClock(b, t, utc, "15:04:05")
}

func appendClock(b []byte, t time.Time, utc bool, layout string) []byte {
	switch {
	case t.IsZero():
		return b
	case utc:
		t = t.UTC()
	default:
		t = t.Local()
	}
	return t.AppendFormat(b, layout)
}

// Size is AppendSize as a string.
func Size(n uint64) string { return string(AppendSize(nil, n)) }

// Count is AppendCount as a string.
func Count(n uint64) string { return string(AppendCount(nil, n)) }

// Exact is AppendExact as a string.
func Exact(n uint64) string { return string(AppendExact(nil, n)) }

// Duration is AppendDuration as a string.
func Duration(d time.Duration) string { return string(AppendDuration(nil, d)) }

// Age is AppendAge as a string.
func Age(d time.Duration) string { return string(AppendAge(nil, d)) }

// scale divides v, at least about base, by base until fewer than four digits are
// left; unit 0 is one division.
func scale(v, base float64) (scaled float64, unit int) {
	v /= base
	for v >= 999.5 && unit < 5 {
		v /= base
		unit++
	}
	return v, unit
}

// appendScaled appends one decimal as long as that takes no more than four cells.
func appendScaled(b []byte, v float64, unit byte) []byte {
	digits := 1
	if v >= 99.95 {
		digits = 0
	}
	return append(appendFixed(b, v, digits), unit)
}

func appendFixed(b []byte, v float64, digits int) []byte {
	return strconv.AppendFloat(b, v, 'f', digits, 64)
}

func appendGrouped(b []byte, n uint64, separator byte) []byte {
	if n < 1000 {
		return strconv.AppendUint(b, n, 10)
	}
	b = append(appendGrouped(b, n/1000, separator), separator)
	return append(two(b, int64(n%1000/10)), '0'+byte(n%10))
}

func two(b []byte, n int64) []byte {
	if n < 10 {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, n, 10)
}
