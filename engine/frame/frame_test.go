package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"adit/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reference counts a whole stream at once: the second parser.
func reference(stream []byte, start Start) (uint64, engine.Frames) {
	var f engine.Frames
	if start == StartAfterHead {
		_, after, found := bytes.Cut(stream, []byte("\r\n\r\n"))
		if !found {
			return 0, f
		}
		stream = after
	}
	total := uint64(len(stream))
	for len(stream) >= 2 {
		opcode, masked, length := stream[0]%16, stream[1] >= 128, uint64(stream[1]%128)
		stream = stream[2:]
		switch {
		case length == 126 && len(stream) >= 2:
			length = uint64(binary.BigEndian.Uint16(stream))
			stream = stream[2:]
		case length == 127 && len(stream) >= 8:
			length = binary.BigEndian.Uint64(stream)
			stream = stream[8:]
		case length >= 126:
			return total, f
		}
		if length > 1<<63-1 {
			return total, f
		}
		switch opcode {
		case 0x0:
			f.Continuation++
		case 0x1:
			f.Text++
		case 0x2:
			f.Binary++
		case 0x8:
			f.Close++
		case 0x9:
			f.Ping++
		case 0xA:
			f.Pong++
		default:
			return total, f
		}
		if masked {
			length += 4
		}
		if length > uint64(len(stream)) {
			return total, f
		}
		stream = stream[length:]
	}
	return total, f
}

// chunks is a net.Conn that reads the given chunks and accepts writes.
type chunks struct {
	net.Conn
	next [][]byte
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.next) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.next[0])
	if c.next[0] = c.next[0][n:]; len(c.next[0]) == 0 {
		c.next = c.next[1:]
	}
	return n, nil
}

func (c *chunks) Write(p []byte) (int, error) { return len(p), nil }

// check sends stream in chunks through both directions of a Conn and compares
// with the second parser.
func check(t interface {
	Helper()
	Fatalf(string, ...any)
}, stream []byte, sizes []byte, start Start) {
	t.Helper()
	var split [][]byte
	for rest, i := stream, 0; len(rest) > 0; i++ {
		n := len(rest)
		if len(sizes) > 0 {
			n = min(n, 1+int(sizes[i%len(sizes)]))
		}
		split, rest = append(split, rest[:n]), rest[n:]
	}
	for _, taped := range []bool{false, true} {
		checkOnce(t, stream, split, start, taped)
	}
}

// checkOnce is check with and without a tape, which must not change a thing.
func checkOnce(t interface {
	Helper()
	Fatalf(string, ...any)
}, stream []byte, split [][]byte, start Start, taped bool) {
	t.Helper()
	var counters Counters
	below := &chunks{next: append([][]byte(nil), split...)}
	conn := NewConn(below, &counters, start, start)
	if taped {
		counters.Tape(nil, noted)
	}
	for _, s := range split {
		if n, err := conn.Write(s); n != len(s) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, stream) {
		t.Fatalf("the stream changed: read %x, %v; want %x", got, err, stream)
	}
	total, frames := reference(stream, start)
	want := engine.Traffic{BytesIn: total, BytesOut: total, FramesIn: frames, FramesOut: frames}
	if have := counters.Traffic(); have != want {
		t.Fatalf("counted %+v, want %+v\nstream %x\nin %d chunks, taped %v", have, want, stream, len(split), taped)
	}
	in, out := counters.Shapes()
	data := frames.Text + frames.Binary + frames.Continuation
	if sum := in.Sizes[0] + in.Sizes[1] + in.Sizes[2] + in.Sizes[3]; in != out || sum != data || in.Fragmented > frames.Text+frames.Binary {
		t.Fatalf("shapes %+v and %+v of %+v", in, out, frames)
	}
	if !taped {
		return
	}
	// The last frame of each direction may not have come to its end.
	n := uint64(len(counters.Tape(nil, noted)))
	if most := 2 * frames.Total(); n > most || n < min(TapeFrames, most-min(most, 2)) {
		t.Fatalf("%d of %d frames on the tape", n, most)
	}
	if counters.BytesIn() != total {
		t.Fatalf("BytesIn %d, want %d", counters.BytesIn(), total)
	}
}

// appendFrame appends a frame with a header of the given length form: 7, 16 or
// 64 bits, or the shortest that fits for 0.
func appendFrame(dst []byte, first byte, masked bool, form int, payload []byte) []byte {
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	dst = append(dst, first)
	switch n := len(payload); {
	case form == 64 || n > 1<<16-1:
		dst = binary.BigEndian.AppendUint64(append(dst, mask|127), uint64(n))
	case form == 16 || n > 125:
		dst = binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(n))
	default:
		dst = append(dst, mask|byte(n))
	}
	if masked {
		dst = append(dst, 0xDE, 0xAD, 0xBE, 0xEF)
	}
	return append(dst, payload...)
}

func TestChunkBoundariesDoNotLoseFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]Start{StartNow, StartAfterHead}).Draw(t, "start")
		var stream []byte
		if start == StartAfterHead {
			stream = append(stream, rapid.SampledFrom([]string{
				"\r\n\r\n",
				"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
				"GET / HTTP/1.1\r\nA: \r\r\n\n\r\r\n\r\n",
			}).Draw(t, "head")...)
		}
		var want engine.Frames
		for range rapid.IntRange(0, 6).Draw(t, "messages") {
			payload := make([]byte, rapid.OneOf(rapid.IntRange(0, 6), rapid.IntRange(120, 130), rapid.IntRange(65530, 65540)).Draw(t, "length"))
			for i := range payload {
				payload[i] = byte(i) ^ '\r'
			}
			masked := rapid.Bool().Draw(t, "masked")
			form := rapid.SampledFrom([]int{0, 16, 64}).Draw(t, "form")
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				stream = appendFrame(stream, 0x80|0x9, masked, 0, payload[:min(len(payload), 125)])
				stream = appendFrame(stream, 0x80|0xA, masked, 0, nil)
				want.Ping++
				want.Pong++
			case 1:
				stream = appendFrame(stream, 0x80|0x8, masked, form, payload)
				want.Close++
			default:
				more := rapid.IntRange(0, 4).Draw(t, "continuations")
				first := byte(0x02)
				if rapid.Bool().Draw(t, "text") {
					first = 0x01
					want.Text++
				} else {
					want.Binary++
				}
				if more == 0 {
					first |= 0x80
				}
				stream = appendFrame(stream, first, masked, form, payload)
				for i := range more {
					fin := byte(0)
					if i == more-1 {
						fin = 0x80
					}
					stream = appendFrame(stream, fin, masked, form, payload)
				}
				want.Continuation += uint64(more)
			}
		}
		if _, frames := reference(stream, start); frames != want {
			t.Fatalf("the second parser counted %+v, sent %+v", frames, want)
		}
		check(t, stream, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "sizes"), start)
	})
}

func TestCountingStopsAtWhatCannotBeParsed(t *testing.T) {
	ok := appendFrame(nil, 0x82, true, 0, []byte("abc"))
	for name, bad := range map[string][]byte{
		"reserved data opcode":    {0x83, 0x00},
		"reserved control opcode": {0x8B, 0x80, 1, 2, 3, 4},
		"2^63 length":             {0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0},
		"2^64-1 masked length":    {0x82, 255, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
	} {
		stream := append(append(append([]byte{}, ok...), bad...), ok...)
		for _, sizes := range [][]byte{nil, {0}, {1}, {2, 0, 6}} {
			check(t, stream, sizes, StartNow)
		}
		var counters Counters
		conn := NewConn(&chunks{}, &counters, StartNow, StartNow)
		if _, err := conn.Write(stream); err != nil {
			t.Fatal(err)
		}
		want := engine.Traffic{BytesOut: uint64(len(stream)), FramesOut: engine.Frames{Binary: 1}}
		if got := counters.Traffic(); got != want {
			t.Errorf("%s: counted %+v, want %+v", name, got, want)
		}
	}
}

// TestHugeLengthIsSkippedWithoutWrapping: the largest legal length plus a
// masking key must not overflow into a short skip.
func TestHugeLengthIsSkippedWithoutWrapping(t *testing.T) {
	stream := []byte{0x82, 255, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}
	stream = append(stream, bytes.Repeat([]byte{0x81, 0x00}, 500)...)
	check(t, stream, nil, StartNow)
	check(t, stream, []byte{0}, StartNow)
}

// short writes only so many bytes, then fails.
type short struct {
	net.Conn
	left int
}

func (s *short) Write(p []byte) (int, error) {
	n := min(len(p), s.left)
	s.left -= n
	if n < len(p) {
		return n, errors.New("reset")
	}
	return n, nil
}

func TestUnwrittenBytesAreNotCounted(t *testing.T) {
	stream := appendFrame(appendFrame(nil, 0x81, false, 0, []byte("hello")), 0x89, false, 0, nil)
	for left := range len(stream) {
		var counters Counters
		conn := NewConn(&short{left: left}, &counters, StartNow, StartNow)
		if n, err := conn.Write(stream); n != left || err == nil {
			t.Fatalf("write returned %d, %v", n, err)
		}
		total, frames := reference(stream[:left], StartNow)
		want := engine.Traffic{BytesOut: total, FramesOut: frames}
		if got := counters.Traffic(); got != want {
			t.Errorf("after %d bytes counted %+v, want %+v", left, got, want)
		}
	}
}

func FuzzTap(f *testing.F) {
	f.Add([]byte("\x81\x05hello\x80\x00"), []byte{0}, false)
	f.Add([]byte("HTTP/1.1 101 X\r\n\r\n\x82\x7e\x00\x03abc"), []byte{3, 1}, true)
	f.Add([]byte("\r\n\r\r\n\r\n\x89\x80\x01\x02\x03\x04"), []byte{2}, true)
	f.Add([]byte("\x02\x7f\x00\x00\x00\x00\x00\x00\x00\x01a\x80\x00\x83\x00"), []byte{}, false)
	f.Fuzz(func(t *testing.T, stream, sizes []byte, afterHead bool) {
		start := StartNow
		if afterHead {
			start = StartAfterHead
		}
		check(t, stream, sizes, start)
	})
}

func BenchmarkRead(b *testing.B) {
	for name, message := range map[string][]byte{
		"record": appendFrame(nil, 0x82, true, 0, make([]byte, 120)),
		"64KiB":  appendFrame(nil, 0x82, true, 0, make([]byte, 64<<10)),
		"tiny":   bytes.Repeat(appendFrame(nil, 0x82, true, 0, make([]byte, 4)), 100),
	} {
		b.Run(name, func(b *testing.B) {
			var d direction
			t := newTap(StartNow)
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				t.observe(&d, message)
			}
		})
	}
}
