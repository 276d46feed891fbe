package enginetest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// relayed returns the two ends of a connection through a relay over memnet.
func relayed(t *testing.T, toxics Toxics) (r *Relay, front, behind net.Conn) {
	t.Helper()
	in, out := NewListener(1), NewListener(2)
	r = NewRelay(in, out.Dial, 1)
	r.Set(toxics)
	front, err := in.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !toxics.Blackhole {
		if behind, err = out.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = front.Close()
		if behind != nil {
			_ = behind.Close()
		}
		_ = r.Close()
		_ = out.Close()
	})
	return r, front, behind
}

func TestRelayPassesBytesUnderEveryShapingToxic(t *testing.T) {
	tests := []struct {
		name        string
		toxics      Toxics
		least, most time.Duration
	}{
		{"none", Toxics{}, 0, 0},
		{"latency", Toxics{Latency: 200 * time.Millisecond}, 200 * time.Millisecond, 200 * time.Millisecond},
		{"jitter", Toxics{Latency: 200 * time.Millisecond, Jitter: 150 * time.Millisecond}, 50 * time.Millisecond, 350 * time.Millisecond},
		{"slices", Toxics{Slice: 7}, 0, 0},
		{"rate", Toxics{Rate: 100_000}, 2500 * time.Millisecond, 2700 * time.Millisecond},
		{"slow close", Toxics{SlowClose: time.Minute}, time.Minute, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, front, behind := relayed(t, tt.toxics)
				want := bytes.Repeat([]byte("0123456789"), 26_000)
				began := time.Now()
				go func() {
					_, _ = front.Write(want)
					_ = front.(*Conn).CloseWrite()
				}()
				got, err := io.ReadAll(behind)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
				if took := time.Since(began); took < tt.least || took > tt.most {
					t.Fatalf("took %v, want %v to %v", took, tt.least, tt.most)
				}
				// The other direction is still open.
				go behind.Write([]byte("yes"))
				var p [3]byte
				if _, err := io.ReadFull(front, p[:]); err != nil {
					t.Fatal(err)
				}
				if c := r.Traffic(); c.BytesUp != int64(len(want)) || c.BytesDown != 3 || c.Accepted != 1 {
					t.Fatalf("%+v", c)
				}
			})
		})
	}
}

func TestRelayLatencyKeepsThroughput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, front, behind := relayed(t, Toxics{Latency: 100 * time.Millisecond})
		began := time.Now()
		go func() {
			_, _ = front.Write(make([]byte, 10*relayChunk))
			_ = front.Close()
		}()
		n, err := io.Copy(io.Discard, behind)
		if took := time.Since(began); err != nil || n != 10*relayChunk || took != 100*time.Millisecond {
			t.Fatalf("%d bytes in %v, %v: latency was paid for every chunk", n, took, err)
		}
	})
}

func TestRelayResetsAfterBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, front, behind := relayed(t, Toxics{ResetAfter: 1000})
		go front.Write(make([]byte, 5000))
		n, err := io.Copy(io.Discard, behind)
		if !errors.Is(err, syscall.ECONNRESET) || n > 1000 {
			t.Fatalf("%d bytes, %v", n, err)
		}
		synctest.Wait()
		if _, err := front.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("front: %v", err)
		}
		if c := r.Traffic(); c.Resets != 1 || c.BytesUp != 1000 || c.Open != 0 {
			t.Fatalf("%+v", c)
		}
	})
}

func TestRelayBlackholeIsSilentAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, front, behind := relayed(t, Toxics{})
		r.Set(Toxics{Blackhole: true})
		_, _ = front.Write([]byte("held"))
		_ = front.Close()
		_ = behind.SetReadDeadline(time.Now().Add(time.Hour))
		var p [4]byte
		var ne net.Error
		if _, err := behind.Read(p[:]); !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("read through the blackhole: %v", err)
		}
		_ = behind.SetReadDeadline(time.Time{})
		r.Set(Toxics{})
		if got, err := io.ReadAll(behind); err != nil || string(got) != "held" {
			t.Fatalf("after healing: %q, %v", got, err)
		}
	})
}

func TestRelayBlackholeHoldsNewConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, front, _ := relayed(t, Toxics{Blackhole: true})
		_, _ = front.Write([]byte("x"))
		synctest.Wait()
		if c := r.Traffic(); c.Accepted != 1 || c.Open != 0 {
			t.Fatalf("%+v", c)
		}
	})
}

func TestRelayResetAllAndHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, front, behind := relayed(t, Toxics{})
		synctest.Wait()
		r.CloseWriteAll(true)
		if n, err := behind.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatalf("half-close: %d, %v", n, err)
		}
		go behind.Write([]byte("still"))
		var p [5]byte
		if _, err := io.ReadFull(front, p[:]); err != nil {
			t.Fatal(err)
		}
		if n := r.ResetAll(); n != 1 {
			t.Fatalf("reset %d connections", n)
		}
		if _, err := front.Read(p[:]); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("front: %v", err)
		}
	})
}

func TestRelayOverTCPPassesResetOn(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r, err := NewTCPRelay(ln.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	front, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	behind, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	abort(behind)
	_ = front.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := front.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("front: %v", err)
	}
}
