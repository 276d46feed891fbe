package origin

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// TestOriginThatSpeaksFirst: what an origin sends on accept has come before the
// runtime is told of the wait for it, and nothing follows that would tell again.
func TestOriginThatSpeaksFirst(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		good bool
	}{
		"a response": {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", true},
		"a banner":   {"SSH-2.0-OpenSSH_9.6\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			said := make(chan struct{})
			s := newScript(t, func(conn *net.TCPConn, r *bufio.Reader) {
				io.WriteString(conn, c.says)
				close(said)
				io.Copy(io.Discard, r) // stays open
			})
			tr := newTransport(t, Options{HeadTimeout: 10 * time.Second,
				Dial: func(ctx context.Context, _ Class, addr string) (net.Conn, error) {
					conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
					<-said
					time.Sleep(10 * time.Millisecond) // the runtime's poller hears of it
					return conn, err
				}})
			began := time.Now()
			r := get(s.addr, "/")
			resp, err := tr.Send(t.Context(), r)
			if c.good != (err == nil) {
				t.Fatalf("Send: %v", err)
			}
			if err == nil {
				if content, err := io.ReadAll(resp.Content); string(content) != "hi" || err != nil {
					t.Errorf("content %q, %v", content, err)
				}
				resp.Content.Close()
			} else {
				r.Join()
			}
			if time.Since(began) > 5*time.Second {
				t.Error("it was only noticed by the deadline")
			}
		})
	}
}

// TestSourceOfAPieceThatNobodyTookIsClosed: what net/http has not taken of a piece
// when an early answer ends the exchange leaves a source that has not ended. Its
// writer would wait for ever, as TestEarlyResponseIsNotHeldBack did once.
func TestSourceOfAPieceThatNobodyTookIsClosed(t *testing.T) {
	source, caller := io.Pipe()
	defer caller.Close()
	c := newContent(newTransport(t, Options{}), &Request{Content: source}, nil)
	go io.WriteString(caller, "part")
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	c.stop(nil)
	c.mu.Lock()
	for !c.done {
		c.changed.Wait()
	}
	c.mu.Unlock()
	c.join()
	wrote := make(chan error, 1)
	go func() {
		_, err := caller.Write([]byte("x"))
		wrote <- err
	}()
	select {
	case err := <-wrote:
		if err == nil {
			t.Error("the source is read still")
		}
	case <-time.After(10 * time.Second):
		t.Error("the source was not closed")
	}
}
