package frame

import (
	"bytes"
	"io"
	"testing"
)

// TestMessagesRead: a message counts when its last byte was read, however the
// stream is cut. One that counts early would make a reader wait for it.
func TestMessagesRead(t *testing.T) {
	for _, tc := range []struct {
		name   string
		stream []byte
		want   uint64
	}{
		{"text and nothing", []byte{0x81, 2, 'h', 'i', 0x82, 0}, 2},
		{"masked and empty", []byte{0x82, 0x80, 1, 2, 3, 4}, 1},
		{"fragments", []byte{0x02, 1, 'a', 0x00, 0, 0x80, 1, 'b'}, 1},
		{"control frames", []byte{0x02, 0, 0x89, 1, 'p', 0x8A, 0, 0x80, 0}, 1},
		{"long", append([]byte{0x82, 126, 0, 130}, make([]byte, 130)...), 1},
		{"reserved opcode", []byte{0x83, 0, 0x82, 0}, 0},
	} {
		for size := 1; size <= len(tc.stream); size++ {
			below := &chunks{}
			for rest := tc.stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				below.next = append(below.next, bytes.Clone(rest[:min(size, len(rest))]))
			}
			c := NewConn(below, new(Counters), StartNow, StartNow)
			for read := 0; read < len(tc.stream)-1; {
				n, err := c.Read(make([]byte, min(size, len(tc.stream)-1-read)))
				if err != nil {
					t.Fatal(err)
				}
				if read += n; read == len(tc.stream)-1 && tc.want > 0 && c.MessagesRead() != tc.want-1 {
					t.Errorf("%s by %d: %d messages before the last byte", tc.name, size, c.MessagesRead())
				}
			}
			if _, err := io.ReadAll(c); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			if c.MessagesRead() != tc.want {
				t.Errorf("%s by %d: %d messages, want %d", tc.name, size, c.MessagesRead(), tc.want)
			}
		}
	}
}
