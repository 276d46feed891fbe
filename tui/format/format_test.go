package format

import (
	"math"
	"testing"
	"time"
)

func check[T any](t *testing.T, name string, f func([]byte, T) []byte, in T, want string) {
	t.Helper()
	if got := string(f(nil, in)); got != want {
		t.Errorf("%s(%v) = %q, want %q", name, in, got, want)
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0B", 512: "512B", 999: "999B", 1000: "1.0K", 1023: "1.0K", 1229: "1.2K", 4096: "4.0K",
		10188: "9.9K", 10189: "10K", 18 << 10: "18K", 240 << 10: "240K", 1023487: "999K", 1023488: "1.0M", 4 << 20: "4.0M",
		4299162: "4.1M", 33449574: "31.9M", 500 << 20: "500M", 1 << 40: "1.0T", math.MaxUint64: "16.0E"} {
		check(t, "Size", AppendSize, n, want)
	}
}

func TestByteRates(t *testing.T) {
	for v, want := range map[float64]string{0: "0B/s", 0.4: "0B/s", 512: "512B/s", 999.6: "1K/s", 3 << 10: "3K/s", 84 << 10: "84K/s",
		839 << 10: "839K/s", 4 << 20: "4.0M/s", 88.1 * (1 << 20): "88.1M/s", -1: "", 1023 << 10: "1.0M/s"} {
		check(t, "ByteRate", AppendByteRate, v, want)
	}
	check(t, "ByteRate", AppendByteRate, math.NaN(), "")
	check(t, "ByteRate", AppendByteRate, math.Inf(1), "888P/s")
}

func TestCounts(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 12: "12", 999: "999", 1204: "1 204", 88120: "88 120", 999999: "999 999", 1000000: "1.00M",
		1920000: "1.92M", 14100000: "14.1M", 123456789: "123M", 999999999: "1.00G", math.MaxUint64: "18.4E"} {
		check(t, "Count", AppendCount, n, want)
	}
	for n, want := range map[uint64]string{0: "0", 2311: "2,311", 98204: "98,204", 1002003: "1,002,003"} {
		check(t, "Exact", AppendExact, n, want)
	}
	for n, want := range map[uint64]string{312: "312", 1204: "1.2k", 9949: "9.9k", 9960: "10k", 98204: "98k", 176000: "176k", 999600: "1.0M", 16000000: "16.0M"} {
		check(t, "Short", AppendShort, n, want)
	}
}

func TestRatesAndShares(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.01: "0", 1.4: "1.4", 2: "2", 2.04: "2", 9.96: "10", 410: "410", 999.6: "999", 1200: "1.2k", 61000: "61k", -1: ""} {
		check(t, "Rate", AppendRate, v, want)
	}
	for v, want := range map[float64]string{-1: "", 0: "0.0", 1e-9: "0.1", 0.008: "0.8", 0.029: "2.9", 0.9999: "99.9", 1: "100"} {
		check(t, "Share", AppendShare, v, want)
	}
	for v, want := range map[float64]string{-1: "", 0: "0.0", 3.14: "3.1", 231.5: "231.5", 4186: "4 186"} {
		check(t, "Millis", AppendMillis, v, want)
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{-1: "", 0: "0us", 40 * time.Microsecond: "40us", 412 * time.Microsecond: "0.4ms", 3 * time.Millisecond: "3ms",
		999*time.Millisecond + 999*time.Microsecond: "999ms", 1200 * time.Millisecond: "1.20s", 9999 * time.Millisecond: "9.99s",
		30 * time.Second: "30.0s", 59999 * time.Millisecond: "59.9s", 208 * time.Second: "3m28s", 5*time.Hour + 7*time.Minute: "5h07m",
		6*24*time.Hour + 2*time.Hour: "6d02h", 123 * 24 * time.Hour: "123d"} {
		check(t, "Duration", AppendDuration, d, want)
	}
	for d, want := range map[time.Duration]string{0: "0s", 41900 * time.Millisecond: "41s", 121 * time.Second: "2m01s"} {
		check(t, "Age", AppendAge, d, want)
	}
	for d, want := range map[time.Duration]string{17 * time.Second: "00:17", 3723 * time.Second: "01:02:03", -1: "00:00"} {
		check(t, "Elapsed", AppendElapsed, d, want)
	}
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 11, 22, 15, 4, 11, 761e6, time.FixedZone("x", 3600))
	if got := string(AppendTime(nil, at, true)); got != "14:04:11.761" {
		t.Errorf("got %s", got)
	}
	if got := string(AppendTimeShort(nil, at, true)); got != "14:04:11" {
		t.Errorf("got %s", got)
	}
	if got := string(AppendTime(nil, time.Time{}, true)); got != "" {
		t.Errorf("the zero time is %q", got)
	}
}

func TestNumberThatAllocates(t *testing.T) {
	b := make([]byte, 0, 256)
	at := time.Date(2026, 11, 22, 15, 4, 11, 761e6, time.UTC)
	if n := testing.AllocsPerRun(100, func() {
		b = AppendSize(b[:0], 4299162)
		b = AppendByteRate(b, 88.1e6)
		b = AppendCount(b, 88120)
		b = AppendRate(b, 1.4)
		b = AppendShare(b, 0.029)
		b = AppendDuration(b, 1200*time.Millisecond)
		b = AppendMillis(b, 231.5)
		b = AppendTime(b, at, true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRow(b *testing.B) {
	buffer := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buffer = AppendSize(buffer[:0], 4299162)
		buffer = AppendByteRate(buffer, 88.1e6)
		buffer = AppendCount(buffer, 88120)
		buffer = AppendDuration(buffer, 1200*time.Millisecond)
	}
}
