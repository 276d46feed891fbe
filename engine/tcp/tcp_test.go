package tcp

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns a wrapped connection and its peer.
func pair(t testing.TB) (own net.Conn, peer *net.TCPConn) {
	a, b := ends(t)
	return Wrap(a), b
}

// ends returns both ends of a connection.
func ends(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

func TestAllBytesPassBothWaysThroughFullBuffers(t *testing.T) {
	own, peer := pair(t)
	sent := make([]byte, 8<<20)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(sent)
	var work sync.WaitGroup
	work.Go(func() {
		if n, err := own.Write(sent); n != len(sent) || err != nil {
			t.Errorf("wrote %d: %v", n, err)
		}
		own.(interface{ CloseWrite() error }).CloseWrite()
	})
	work.Go(func() {
		// A slow reader: the writer has to wait for room many times.
		io.CopyBuffer(struct{ io.Writer }{peer}, struct{ io.Reader }{peer}, make([]byte, 32<<10))
		peer.CloseWrite()
	})
	got, err := io.ReadAll(own)
	work.Wait()
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes came back, %v", len(got), err)
	}
	if n, err := own.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v; want io.EOF", n, err)
	}
}

func TestDeadlinesEndAWaitAndCanBeMovedOn(t *testing.T) {
	own, peer := pair(t)
	for range 2 {
		own.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		n, err := own.Read(make([]byte, 1))
		var ne net.Error
		if n != 0 || !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read: %d, %v", n, err)
		}
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "read" {
			t.Errorf("the error of a read says %v", err)
		}
	}
	own.SetReadDeadline(time.Time{})
	peer.Write([]byte("x"))
	if n, err := own.Read(make([]byte, 8)); n != 1 || err != nil {
		t.Fatalf("after the deadline was taken back: %d, %v", n, err)
	}
	own.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	n, err := own.Write(make([]byte, 64<<20))
	if n == 0 || n == 64<<20 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a write that nobody reads: %d, %v", n, err)
	}
}

func TestCloseEndsAWait(t *testing.T) {
	own, _ := pair(t)
	ended := make(chan error, 1)
	go func() {
		_, err := own.Read(make([]byte, 1))
		ended <- err
	}()
	own.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if _, err := own.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: %v", err)
	}
}

func TestAResetIsTheErrorOfPackageNet(t *testing.T) {
	own, peer := pair(t)
	peer.SetLinger(0)
	peer.Close()
	_, err := own.Read(make([]byte, 1))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	_, err = own.Write([]byte("x"))
	var op *net.OpError
	if !errors.Is(err, syscall.EPIPE) || !errors.As(err, &op) || op.Op != "write" || op.Addr == nil {
		t.Errorf("write: %v", err)
	}
}

func TestWhatIsNoTCPStaysAsItIs(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Wrap(a) != a {
		t.Error("a pipe was wrapped")
	}
}

func BenchmarkEcho(b *testing.B) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"net": func(c net.Conn) net.Conn { return c },
		"tcp": Wrap,
	} {
		b.Run(name, func(b *testing.B) {
			near, peer := ends(b)
			own, far := wrap(near), wrap(peer)
			var work sync.WaitGroup
			work.Go(func() { io.CopyBuffer(struct{ io.Writer }{far}, struct{ io.Reader }{far}, make([]byte, 4096)) })
			buf := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := own.Write(buf); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(own, buf); err != nil {
					b.Fatal(err)
				}
			}
			own.Close()
			work.Wait()
		})
	}
}
