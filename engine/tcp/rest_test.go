package tcp

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// TestRestingReadsAreWholeAndInOrder: bytes that lie in a lent buffer must not
// be overtaken by a read that passes the buffer by, nor lost with it.
func TestRestingReadsAreWholeAndInOrder(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"lent": Wrap,
		"kept": func(c net.Conn) net.Conn { return c },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := ends(t)
			own := Rest(wrap(a))
			sent := make([]byte, 2<<20)
			rand.NewChaCha8([32]byte{2}).Read(sent)
			var work sync.WaitGroup
			work.Go(func() {
				rng := rand.New(rand.NewPCG(1, 1))
				for rest := sent; len(rest) > 0; {
					n := min(len(rest), 1+rng.IntN(9000))
					b.Write(rest[:n])
					rest = rest[n:]
				}
				b.CloseWrite()
			})
			rng := rand.New(rand.NewPCG(2, 2))
			var got []byte
			p := make([]byte, 10_000)
			for {
				n, err := own.Read(p[:1+rng.IntN(len(p))])
				got = append(got, p[:n]...)
				if err != nil {
					if n != 0 || err != io.EOF {
						t.Fatalf("read: %d, %v", n, err)
					}
					break
				}
			}
			work.Wait()
			if !bytes.Equal(got, sent) {
				t.Fatalf("%d bytes came through, not the %d that were sent", len(got), len(sent))
			}
		})
	}
}
