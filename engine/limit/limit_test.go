package limit

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeysOfAddresses(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
		text string // of a
	}{
		{"192.0.2.1", "::ffff:192.0.2.1", true, "192.0.2.1"},
		{"192.0.2.1", "192.0.2.2", false, "192.0.2.1"},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true, "2001:db8::/64"}, // a host has them all
		{"2001:db8::1", "2001:db8:0:1::1", false, "2001:db8::/64"},
		{"fe80::1%eth0", "fe80::1", true, "fe80::/64"},
		{"::", "0.0.0.0", false, "::/64"},
		{"::1", "0.0.0.1", false, "::/64"},
	} {
		a, b := KeyOf(netip.MustParseAddr(tt.a)), KeyOf(netip.MustParseAddr(tt.b))
		if (a == b) != tt.same || a.String() != tt.text {
			t.Errorf("%s is %v, %s is %v", tt.a, a, tt.b, b)
		}
	}
	if k := KeyOf(netip.Addr{}); k != (Key{}) || k.String() != "" {
		t.Errorf("no address is %q", k)
	}
}

func v4(n uint32) Key {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], n)
	return KeyOf(netip.AddrFrom4(a))
}

func v6(n uint64) Key {
	var a [16]byte
	binary.BigEndian.PutUint64(a[:], n)
	return KeyOf(netip.AddrFrom16(a))
}

// took returns how many of n tokens there were.
func took(r *Rate, k Key, n int, perSecond, burst float64) (got int) {
	for range n {
		if r.Take(k, perSecond, burst) == 0 {
			got++
		}
	}
	return got
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate(100)
		a, b := v4(1), v4(2)
		if got := took(r, a, 50, 10, 20); got != 20 {
			t.Errorf("%d tokens at once, want the 20 of a bucket", got)
		}
		if wait := r.Take(a, 10, 20); wait != 100*time.Millisecond {
			t.Errorf("the next one comes in %v, want 100ms", wait)
		}
		if got := took(r, b, 50, 10, 20); got != 20 {
			t.Errorf("another key has %d", got)
		}
		time.Sleep(500 * time.Millisecond)
		if wait := r.Wait(a, 10, 20); wait != 0 {
			t.Errorf("one should be there, not in %v", wait)
		}
		if got := took(r, a, 50, 10, 20); got != 5 {
			t.Errorf("%d after half a second, want 5", got)
		}
		time.Sleep(time.Hour)
		if got := took(r, a, 50, 10, 20); got != 20 {
			t.Errorf("%d after an hour, want no more than the 20 of a bucket", got)
		}
		// Another rate counts from now on, and takes nobody to task for before.
		if wait := r.Take(a, 1, 1); wait != time.Second {
			t.Errorf("a lower rate: wait %v", wait)
		}
		if got := took(r, a, 50, 10, 40); got != 20 {
			t.Errorf("%d more in a bucket twice as big, want 20", got)
		}
		if r.Take(a, 0, 0) != 0 || r.Take(a, -1, 0) != 0 {
			t.Error("no rate is a bound")
		}
	})
}

// An attacker with any number of addresses must neither make the table grow nor
// get a fresh bucket for one that he has emptied.
func TestRateUnderManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 1000
		r := NewRate(keys)
		mine := v4(1)
		took(r, mine, 10, 1, 10)
		spilled := 0
		for i := range uint64(100_000) {
			if r.Take(v6(0x20010db8_00000000|i), 1, 10) == 0 {
				spilled++
			}
		}
		if n := r.Len(); n > keys {
			t.Errorf("%d buckets, at most %d may be", n, keys)
		}
		// Two networks of /48 hold 100,000 of /64: beyond the table two buckets.
		if most := keys + 2*10; spilled > most {
			t.Errorf("%d tokens, want at most %d", spilled, most)
		}
		if r.Take(mine, 1, 10) == 0 {
			t.Error("a flood of other keys has filled a bucket again")
		}
		// Who comes from elsewhere is not made to pay, but for who shares by chance.
		refused := 0
		for i := range uint32(200) {
			if r.Take(v4(0x0a000000+i<<8), 1, 10) != 0 {
				refused++
			}
		}
		if refused > 5 {
			t.Errorf("%d of 200 other networks are refused", refused)
		}
		// What is full again makes room.
		time.Sleep(time.Minute)
		for i := range uint32(keys) {
			r.Take(v4(0x0b000000+i), 1, 10)
		}
		if r.Take(mine, 1, 10) != 0 {
			t.Error("a bucket that is full again is empty")
		}
	})
}

func TestCount(t *testing.T) {
	var c Count[string]
	for i := range 3 {
		if !c.Add("a", 3) {
			t.Errorf("number %d of 3 is refused", i+1)
		}
	}
	if c.Add("a", 3) || !c.Add("a", 4) || !c.Add("a", -1) || !c.Add("b", 1) {
		t.Error("bound not where it is asked for")
	}
	if n := c.Of("a"); n != 5 {
		t.Errorf("%d, want 5", n)
	}
	for range 5 {
		c.Done("a")
	}
	c.Done("b")
	c.Done("never counted")
	if len(c.all) != 0 || c.Of("a") != 0 {
		t.Errorf("left behind: %v", c.all)
	}
}

// send takes n bytes in pieces as a sender does, and returns how long that was.
func send(p *Pacer, n, piece int, perSecond int64) time.Duration {
	began := time.Now()
	for ; n > 0; n -= piece {
		time.Sleep(p.Take(min(n, piece), perSecond, 0))
	}
	return time.Since(began)
}

func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pacer
		// 10 s at the rate, less what may be made up for and the last piece.
		if d := send(&p, 10<<20, 16<<10, 1<<20); d < 9800*time.Millisecond || d > 10*time.Second {
			t.Errorf("10 MiB at 1 MiB/s took %v", d)
		}
		// Two share it.
		done := make(chan time.Duration, 2)
		for range 2 {
			go func() { done <- send(&p, 5<<20, 16<<10, 1<<20) }()
		}
		for range 2 {
			if d := <-done; d < 9800*time.Millisecond || d > 10100*time.Millisecond {
				t.Errorf("two of 5 MiB at 1 MiB/s took %v", d)
			}
		}
		// No wait saves up for more than a moment.
		time.Sleep(time.Hour)
		if d := send(&p, 1<<20, 16<<10, 1<<20); d < 850*time.Millisecond {
			t.Errorf("1 MiB after an idle hour took %v", d)
		}
		if p.Take(1<<30, 0, 0) != 0 {
			t.Error("no rate is a bound")
		}
	})
}

// What is small goes first, and still counts.
func TestPacerLetsSmallOnesGoAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pacer
		const rate = 64 << 10
		for range 8 { // senders that wait in line
			p.Take(16<<10, rate, 0)
		}
		if wait := p.Take(1000, rate, 0); wait < 1500*time.Millisecond {
			t.Errorf("behind 128 KiB at 64 KiB/s: %v", wait)
		}
		if wait := p.Take(1000, rate, 2*time.Second); wait != 0 {
			t.Errorf("a small one waits %v", wait)
		}
		n := 0
		for ; p.Take(1000, rate, 2*time.Second) == 0; n++ {
		}
		if n > 30 {
			t.Errorf("%d small ones of 1000 bytes go ahead at %d B/s: the limit is none", n, rate)
		}
	})
}

func TestAllocations(t *testing.T) {
	r := NewRate(100)
	var p Pacer
	var c Count[Key]
	k := v4(rand.Uint32())
	c.Add(k, -1)
	r.Take(k, 1e9, 1e9)
	for name, f := range map[string]func(){
		"rate":  func() { r.Take(k, 1e9, 1e9); r.Wait(k, 1, 1) },
		"count": func() { c.Add(k, -1); c.Done(k) },
		"pacer": func() { p.Take(100, 1<<40, 0) },
		"key":   func() { k = KeyOf(netip.AddrFrom4([4]byte{192, 0, 2, 1})) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkRate(b *testing.B) {
	for _, bench := range []struct {
		name string
		keys uint32
	}{{"one", 1}, {"many", 1 << 20}} {
		b.Run(bench.name, func(b *testing.B) {
			r := NewRate(1 << 16)
			b.ReportAllocs()
			for i := uint32(0); b.Loop(); i++ {
				r.Take(v4(i%bench.keys), 10, 100)
			}
		})
	}
}
