package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A scribe notes what net/http does with a connection.
type scribe struct {
	net.Conn
	mu    sync.Mutex
	calls []string
	quiet bool // answer a read of one byte with nothing
}

func (s *scribe) note(format string, a ...any) {
	s.mu.Lock()
	s.calls = append(s.calls, fmt.Sprintf(format, a...))
	s.mu.Unlock()
}

func (s *scribe) notes() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.calls, " ")
}

func (s *scribe) Read(p []byte) (int, error) {
	if len(p) == 1 {
		s.note("one")
		if s.quiet {
			return 0, nil
		}
	} else {
		s.note("read")
	}
	return s.Conn.Read(p)
}

func (s *scribe) SetReadDeadline(t time.Time) error {
	switch {
	case t.IsZero():
		s.note("zero")
	case t.Before(time.Now()):
		s.note("past")
	default:
		s.note("later")
	}
	return s.Conn.SetReadDeadline(t)
}

func (s *scribe) SetDeadline(t time.Time) error {
	s.note("both")
	return s.Conn.SetDeadline(t)
}

// TestNetHTTPReadsAsBefore holds what callerConn relies on (see there): if a
// release of Go makes it fail, read connReader in net/http's server.go again.
func TestNetHTTPReadsAsBefore(t *testing.T) {
	for _, c := range []struct{ name, request, during, after string }{
		{"no content", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "zero zero one", " later"},
		{"content", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "zero zero one", " later"},
		{"hijack", "GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n", "zero zero one", " both"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				defer theirs.Close()
				s := &scribe{Conn: ours, quiet: true}
				ended := make(chan context.Context, 1)
				web := &http.Server{ReadHeaderTimeout: time.Second, IdleTimeout: time.Minute,
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						io.Copy(io.Discard, r.Body)
						time.Sleep(time.Hour)
						got := s.notes()
						if i := strings.Index(got, "zero"); i < 0 || got[i:] != c.during {
							t.Errorf("before and during the handler: %s", got)
						}
						if r.Context().Err() != nil {
							t.Error("the answer (0, nil) ended the context")
						}
						ended <- r.Context()
						if r.URL.Path == "/hijack" {
							conn, _, _ := http.NewResponseController(w).Hijack()
							io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
							conn.Close()
						}
					})}
				ln := &oneListener{conn: s, closed: make(chan struct{})}
				go web.Serve(ln)
				defer web.Close()
				go io.WriteString(theirs, c.request)
				resp, err := http.ReadResponse(bufio.NewReader(theirs), nil)
				if err != nil || resp.StatusCode > 204 {
					t.Fatalf("%v, %v", resp, err)
				}
				<-ended
				synctest.Wait()
				_, after, _ := strings.Cut(s.notes(), c.during)
				if after != c.after && !strings.HasPrefix(after, c.after+" ") {
					t.Errorf("after the handler:%s, want%s", after, c.after)
				}
			})
		})
	}
}

// A oneListener accepts one connection.
type oneListener struct {
	conn   net.Conn
	given  bool
	closed chan struct{}
	once   sync.Once
}

func (l *oneListener) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *oneListener) Addr() net.Addr { return l.conn.LocalAddr() }

// TestReadDeadlinesThatMove: the deadline of the connection below is older than
// the one that is wanted, and must neither cut a Read nor let one wait on.
func TestReadDeadlinesThatMove(t *testing.T) {
	type step struct {
		after, set time.Duration // set < 0: none
	}
	for name, c := range map[string]struct {
		before []time.Duration // deadlines set before the Read
		during []step
		want   time.Duration // when the Read times out; 0 never
	}{
		"kept":              {before: []time.Duration{10}, want: 10},
		"later before":      {before: []time.Duration{10, 30}, want: 30},
		"sooner before":     {before: []time.Duration{30, 10}, want: 10},
		"none before":       {before: []time.Duration{10, -1}},
		"later during":      {before: []time.Duration{10}, during: []step{{5, 30}}, want: 30},
		"sooner during":     {before: []time.Duration{30}, during: []step{{5, 10}}, want: 10},
		"first during":      {during: []step{{5, 10}}, want: 10},
		"now":               {before: []time.Duration{30}, during: []step{{5, 0}}, want: 5},
		"taken back":        {before: []time.Duration{10}, during: []step{{5, -1}}},
		"taken back, again": {before: []time.Duration{10}, during: []step{{5, -1}, {10, 20}}, want: 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				begun := time.Now()
				at := func(d time.Duration) time.Time {
					if d < 0 {
						return time.Time{}
					}
					return begun.Add(d * time.Second)
				}
				conn := &callerConn{Conn: ours, s: &Server{}, epoch: time.Now()}
				// A Read that armed the first one.
				for i, d := range c.before {
					conn.SetReadDeadline(at(d))
					if i == 0 {
						go theirs.Write([]byte("x"))
						conn.Read(make([]byte, 8))
					}
				}
				go func() {
					for _, s := range c.during {
						time.Sleep(s.after * time.Second)
						conn.SetReadDeadline(at(s.set))
					}
					time.Sleep(time.Hour)
					theirs.Close()
				}()
				_, err := conn.Read(make([]byte, 8))
				took := time.Since(begun)
				if c.want == 0 && err != io.EOF || c.want > 0 && (!errors.Is(err, os.ErrDeadlineExceeded) || took != c.want*time.Second) {
					t.Errorf("%v after %v", err, took)
				}
				conn.Close()
				if c.want > 0 {
					time.Sleep(2 * time.Hour)
				}
			})
		})
	}
}
