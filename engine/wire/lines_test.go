package wire

import (
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	fields := []Field{{"B", "2"}, {"a", ""}, {"B", "3"}}
	for _, tt := range []struct {
		host   string
		fields []Field
		limit  int
		want   string
		cut    bool
	}{
		{"", nil, 100, "", false},
		{"h:1", fields, 100, "host: h:1\nB: 2\na: \nB: 3\n", false},
		{"", fields, 14, "B: 2\na: \nB: 3\n", false},
		{"", fields, 13, "B: 2\na: \n", true},
		{"", []Field{{"long", strings.Repeat("x", 50)}, {"a", "b"}}, 20, "a: b\n", true}, // what fits still goes
		{"", fields, 0, "", true},
		{"", []Field{{"a", "b\nauthorization: c"}, {"a: b\nc", "d"}, {"a", "b\r"}, {"", "x"}, {"e", "f"}}, 100, "e: f\n", true},
	} {
		if got, cut := Lines(tt.host, tt.fields, tt.limit); got != tt.want || cut != tt.cut {
			t.Errorf("%v in %d: %q, %v, want %q, %v", tt.fields, tt.limit, got, cut, tt.want, tt.cut)
		}
	}
}

// TestPeekAgreesWithNextRecord on all that is valid, and reads no further than
// the header.
func TestPeekAgreesWithNextRecord(t *testing.T) {
	for kind := TypeRequest; kind <= TypeConnect; kind++ {
		for _, exchange := range []uint64{1, 127, 128, 1 << 40, 1<<62 + 1} {
			for _, length := range []int{1, 200, 70_000} {
				msg := AppendRecordHeader(nil, kind, kind == TypeData || kind == TypeTrailers, exchange, length)
				header := len(msg)
				msg = append(msg, make([]byte, length)...)
				want, rest, err := NextRecord(append(msg, 'x'))
				if err != nil {
					t.Fatal(err)
				}
				got, size, ok := PeekRecord(msg[:header])
				if !ok || got.Type != want.Type || got.End != want.End || got.Exchange != want.Exchange || size != uint64(len(msg)) || len(rest) != 1 {
					t.Errorf("%v x%d of %d: %+v, %d, %v", kind, exchange, length, got, size, ok)
				}
				for n := range header {
					if _, _, ok := PeekRecord(msg[:n]); ok && n < 4 {
						t.Errorf("%d bytes are a header", n)
					}
				}
			}
		}
	}
	for _, b := range []string{"", "\x08\x00\x01\x01x", "\x00\x00\x01\x01x", "\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if r, _, ok := PeekRecord([]byte(b)); ok {
			t.Errorf("%q: %+v", b, r)
		}
	}
}

// TestLinesStay finds a text that changes when others are made.
func TestLinesStay(t *testing.T) {
	var kept [3000]string
	line := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), i%97) }
	for i := range kept {
		kept[i], _ = Lines("", []Field{{"n", line(i)}}, 8<<10)
	}
	for i, got := range kept {
		if want := "n: " + line(i) + "\n"; got != want {
			t.Fatalf("%d: %q, want %q", i, got, want)
		}
	}
}
