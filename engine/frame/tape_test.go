package frame

import (
	"fmt"
	"net"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
)

// noted writes down what a note gets to see.
func noted(f *engine.FrameRecord, first []byte, nth uint64) string {
	return fmt.Sprintf("%d %q", nth, first)
}

// stream is a net.Conn that reads from in and takes all writes.
func stream(pieces ...[]byte) *chunks { return &chunks{next: pieces} }

func readAll(c *Conn) {
	for buffer := make([]byte, 4096); ; {
		if _, err := c.Read(buffer); err != nil {
			return
		}
	}
}

func TestShapesOfFrames(t *testing.T) {
	var in []byte
	for _, n := range []int{0, 127, 128, 1023, 1024, 16<<10 - 1, 16 << 10, 100_000} {
		in = appendFrame(in, 0x82, false, 0, make([]byte, n))
	}
	in = appendFrame(in, 0x01, true, 0, make([]byte, 5)) // a message of three
	in = appendFrame(in, 0x00, true, 0, make([]byte, 5))
	in = appendFrame(in, 0x89, true, 0, make([]byte, 125)) // no data frame
	in = appendFrame(in, 0x80, true, 0, make([]byte, 7))
	var c Counters
	conn := NewConn(stream(in), &c, StartNow, StartNow)
	readAll(conn)
	if _, err := conn.Write(appendFrame(nil, 0x8A, false, 0, make([]byte, 3))); err != nil {
		t.Fatal(err)
	}
	gotIn, gotOut := c.Shapes()
	if want := (engine.FrameShape{Sizes: [4]uint64{5, 2, 2, 2}, Fragmented: 1, LastOpcode: 0, LastLength: 7}); gotIn != want {
		t.Errorf("in %+v, want %+v", gotIn, want)
	}
	if want := (engine.FrameShape{LastOpcode: 0xA, LastLength: 3}); gotOut != want {
		t.Errorf("out %+v, want %+v", gotOut, want)
	}
}

func TestTapeNotesWhatComesAfterItWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Counters
		in := appendFrame(nil, 0x82, true, 0, []byte("masked, and longer than what a note sees"))
		for i := range in[6:] { // appendFrame leaves that to others
			in[6+i] ^= in[2+i%4]
		}
		var split [][]byte
		for i := range in { // byte by byte
			split = append(split, in[i:i+1])
		}
		conn := NewConn(stream(split...), &c, StartNow, StartNow)
		write := func(first byte, payload string) {
			if _, err := conn.Write(appendFrame(nil, first, false, 0, []byte(payload))); err != nil {
				t.Fatal(err)
			}
		}
		write(0x81, "before")
		if got := c.Tape(nil, noted); len(got) != 0 {
			t.Errorf("a tape that nobody has asked for: %+v", got)
		}
		began := time.Now()
		write(0x02, "out")
		time.Sleep(time.Second)
		write(0x80, "")
		readAll(conn)
		want := []engine.FrameRecord{
			{Time: began, Out: true, Opcode: 2, Length: 3, Note: `1 "out"`},
			{Time: began.Add(time.Second), Out: true, Opcode: 0, Fin: true, Note: `1 ""`},
			{Time: began.Add(time.Second), Opcode: 2, Fin: true, Length: 40, Note: `1 "masked, and longer than "`},
		}
		if got := c.Tape(nil, noted); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v,\nwant %+v", got, want)
		}

		time.Sleep(TapeTime)
		write(0x81, "x") // at the last moment
		if got := c.Tape(nil, noted); len(got) != 4 || got[3].Note != `2 "x"` {
			t.Errorf("asked for again and again: %+v", got)
		}
		time.Sleep(TapeTime + 1)
		write(0x81, "y")
		if c.out.tape.Load() != nil {
			t.Error("a tape that nobody asks for goes on")
		}
		if got := c.Tape(nil, noted); len(got) != 0 {
			t.Errorf("an old tape: %+v", got)
		}
		for i := range 100 {
			write(0x82, fmt.Sprint(i))
		}
		got := c.Tape(make([]engine.FrameRecord, 1), noted)
		if len(got) != 1+TapeFrames || got[1].Note != fmt.Sprintf(`%d "36"`, 38) || got[TapeFrames].Note != `101 "99"` {
			t.Errorf("%d frames, from %+v to %+v", len(got), got[1], got[len(got)-1])
		}
	})
}

// TestTapeUnderLoad is for the race detector.
func TestTapeUnderLoad(t *testing.T) {
	var c Counters
	near, far := net.Pipe()
	conn := NewConn(near, &c, StartNow, StartNow)
	var wg, writers sync.WaitGroup
	wg.Go(func() { readAll(conn) })
	wg.Go(func() { readAll(NewConn(far, new(Counters), StartNow, StartNow)) })
	f := appendFrame(nil, 0x82, true, 0, []byte("some bytes"))
	writers.Go(func() {
		for range 300 {
			if _, err := far.Write(f); err != nil {
				t.Errorf("%v", err)
			}
		}
	})
	for range 2 {
		wg.Go(func() {
			var tape []engine.FrameRecord
			for range 300 {
				tape = c.Tape(tape[:0], noted)
			}
		})
	}
	for range 300 {
		if _, err := conn.Write(f); err != nil {
			t.Errorf("%v", err)
		}
	}
	writers.Wait()
	near.Close()
	far.Close()
	wg.Wait()
}

func BenchmarkObserve(b *testing.B) {
	f := appendFrame(nil, 0x82, true, 0, make([]byte, 100))
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprintf("watched=%v", watched), func(b *testing.B) {
			var c Counters
			conn := NewConn(taking{}, &c, StartNow, StartNow)
			b.ReportAllocs()
			for b.Loop() {
				if watched {
					c.Tape(nil, nil)
				}
				if _, err := conn.Write(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// taking takes all writes.
type taking struct{ net.Conn }

func (taking) Write(p []byte) (int, error) { return len(p), nil }
