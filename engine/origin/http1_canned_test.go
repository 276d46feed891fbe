package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine/wire"
)

// A canned connection answers its first write with bytes that come in pieces,
// and then EOF. It has no system socket below it.
type canned struct {
	mu      sync.Mutex
	changed sync.Cond
	wrote   bool
	closed  bool
	late    bool // the read deadline has passed
	rest    string
	piece   int
	writes  int
	written strings.Builder
}

func newCanned(answer string, piece int) *canned {
	c := &canned{rest: answer, piece: max(piece, 1)}
	c.changed.L = &c.mu
	return c
}

func (c *canned) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.wrote && !c.closed && !c.late {
		c.changed.Wait()
	}
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case c.late:
		return 0, context.DeadlineExceeded
	case c.rest == "":
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.piece)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *canned) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	c.wrote = true
	c.writes++
	c.written.Write(p)
	c.changed.Broadcast()
	return len(p), nil
}

func (c *canned) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.changed.Broadcast()
	return nil
}

func (c *canned) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = !t.IsZero() && time.Until(t) <= 0
	c.changed.Broadcast()
	return nil
}

func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *canned) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// An outcome is what became of a response.
type outcome struct {
	refused  error // by Send
	status   int
	fields   []string // sorted
	length   int64
	content  string
	cut      error // of the content
	trailers []string
	informed []int
	ready    bool
}

func (o outcome) String() string {
	switch {
	case o.refused != nil:
		return fmt.Sprintf("refused (%v)", o.refused)
	case o.cut != nil:
		return fmt.Sprintf("%v %d %q length %d, %.40q cut (%v)", o.informed, o.status, o.fields, o.length, o.content, o.cut)
	}
	return fmt.Sprintf("%v %d %q length %d, %.40q %q", o.informed, o.status, o.fields, o.length, o.content, o.trailers)
}

// same ignores what errors say.
func (o outcome) same(other outcome) bool {
	if o.refused != nil || other.refused != nil {
		return (o.refused == nil) == (other.refused == nil)
	}
	return o.status == other.status && slices.Equal(o.fields, other.fields) && o.length == other.length &&
		o.content == other.content && (o.cut == nil) == (other.cut == nil) &&
		slices.Equal(o.trailers, other.trailers) && slices.Equal(o.informed, other.informed)
}

func lines(fields []wire.Field) []string {
	var all []string
	for _, f := range fields {
		all = append(all, f.Name+": "+f.Value)
	}
	slices.Sort(all)
	return all
}

// answered sends a request through one of the two and has it answered by bytes.
func answered(t testing.TB, via sender, method, answer string, piece int) outcome {
	t.Helper()
	c := newCanned(answer, piece)
	dials := 0
	tr := New(Options{Dial: func(context.Context, Class, string) (net.Conn, error) {
		if dials++; dials > 1 {
			return nil, errors.New("dialled again")
		}
		return c, nil
	}})
	defer tr.Close()
	var o outcome
	r := get("origin.example:80", "/")
	r.Method = method
	r.Informational = func(status int, fields []wire.Field) error {
		o.informed = append(o.informed, status)
		return nil
	}
	if method == "UPGRADE" {
		r.Method, r.Upgrade = "GET", "echo"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	resp, err := via(ctx, tr, r)
	if err != nil {
		r.Join()
		o.refused = err
		if ctx.Err() != nil {
			t.Errorf("hangs")
		}
		return o
	}
	o.status, o.fields, o.length, o.ready = resp.Status, lines(resp.Fields), resp.Length, resp.Ready
	source := io.Reader(resp.Content)
	if resp.Raw != nil {
		source = resp.Raw
		defer resp.Raw.Close()
	}
	content, err := io.ReadAll(source)
	o.content, o.cut = string(content), err
	if err == nil && resp.Trailers != nil {
		o.trailers = lines(resp.Trailers())
	}
	if ctx.Err() != nil {
		t.Errorf("hangs")
	}
	resp.Content.Close()
	return o
}
