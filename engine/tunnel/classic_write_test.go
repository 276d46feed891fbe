package tunnel

import (
	"bytes"
	"errors"
	"math/rand"
	"net"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// recorder is a connection that keeps each Write.
type recorder struct {
	net.Conn
	writes [][]byte
	err    error
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.writes = append(r.writes, bytes.Clone(p))
	return len(p), nil
}

func (*recorder) SetWriteDeadline(time.Time) error { return nil }

// TestFrameWriterAgainstRFC holds every form of a frame to the test peer's own
// encoder, and each call to one Write.
func TestFrameWriterAgainstRFC(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for _, server := range []bool{true, false} {
		for _, n := range []int{0, 1, 7, 8, 9, 125, 126, 127, 4096, 32 << 10, 65535, 65536, 256 << 10} {
			payload := make([]byte, n)
			rng.Read(payload)
			out := &recorder{}
			w := newFrameWriter(out, server)
			for _, fin := range []bool{false, false, true} {
				if err := w.content(payload, fin, time.Second); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.text(payload, true, time.Second); err != nil {
				t.Fatal(err)
			}
			want := []enginetest.Frame{{Opcode: opBinary}, {Opcode: opContinuation}, {Opcode: opContinuation, Fin: true}, {Opcode: opText, Fin: true}}
			if len(out.writes) != len(want) {
				t.Fatalf("%d writes", len(out.writes))
			}
			for i, f := range want {
				f.Payload, f.Masked = payload, !server
				got := out.writes[i]
				if i == 3 {
					tail := enginetest.AppendFrame(nil, enginetest.Frame{Fin: true, Opcode: opBinary, Masked: !server})
					copy(tail[len(tail)-4*btoi(!server):], got[len(got)-4*btoi(!server):])
					if !bytes.HasSuffix(got, tail) {
						t.Fatalf("text of %d bytes without its empty content", n)
					}
					got = got[:len(got)-len(tail)]
				}
				if f.Masked {
					copy(f.Key[:], got[len(got)-n-4:])
				}
				if !bytes.Equal(got, enginetest.AppendFrame(nil, f)) {
					t.Fatalf("server %v, %d bytes, frame %d: wrong bytes % x…", server, n, i, got[:min(len(got), 16)])
				}
			}
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestFrameWriterStopsAfterFailure: half a frame may stand on the wire.
func TestFrameWriterStopsAfterFailure(t *testing.T) {
	out := &recorder{err: errors.New("no")}
	w := newFrameWriter(out, true)
	if err := w.content([]byte("a"), false, time.Second); err == nil {
		t.Fatal("a failed write went well")
	}
	out.err = nil
	if err := w.control(opPing, nil, time.Second); !errors.Is(err, errBroken) || len(out.writes) != 0 {
		t.Fatalf("wrote on after a failure: %v", err)
	}
	w = newFrameWriter(out, true)
	if err := w.close(1000, "bye"); err != nil {
		t.Fatal(err)
	}
	if err := w.content(nil, true, time.Second); !errors.Is(err, errBroken) || len(out.writes) != 1 {
		t.Fatalf("wrote on after Close: %v", err)
	}
}

func TestClassicReasonKeepsNoSecret(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"plain":                                "plain",
		"Get \"http://a/?t=secret\": no\nmore": "Get \"http://a/\": no",
		"a?secret b?secret c?secret":           "a b c",
		"x?secret":                             "x",
		"\xff":                                 "\uFFFD",
		"Get \"http://a/?a=b?secret\": dial \"?secret\":": "Get \"http://a/\": dial \"\":",
	} {
		if got := classicReason([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
