package tunnel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/frame"
	"adit/engine/wire"
)

// bodyOf returns n bytes that belong to a token and to no other.
func bodyOf(token string, n int) []byte {
	out := make([]byte, 0, n+sha256.Size)
	sum := sha256.Sum256([]byte(token))
	for len(out) < n {
		out = append(out, sum[:]...)
		sum = sha256.Sum256(sum[:])
	}
	return out[:n]
}

// An oracle run sends requests of which each knows what must come back, over
// connections that are used again whenever our server says that they may.
type oracleRun struct {
	t       *testing.T
	mu      sync.Mutex
	seen    map[string]int // tokens at the origin
	session Session
	conn    Conn
	server  *classicServer
}

func (o *oracleRun) origin(in Incoming) {
	r := in.Request()
	// /kind/token/request size/response size
	part := strings.Split(strings.Trim(r.Path, "/"), "/")
	kind, token := part[0], part[1]
	reqSize, _ := strconv.Atoi(part[2])
	respSize, _ := strconv.Atoi(part[3])
	o.mu.Lock()
	o.seen[token]++
	o.mu.Unlock()
	answerHead := &wire.Response{Status: 200, Fields: []wire.Field{{Name: "Token", Value: token}}}
	if respSize%2 == 0 {
		answerHead.Fields = append(answerHead.Fields, wire.Field{Name: "Content-Length", Value: part[3]})
	}
	answer := bodyOf("answer "+token, respSize)
	switch kind {
	case "denied":
		in.Reset(wire.ResetDenied, token)
		return
	case "early":
		answerHead.Status = 413
	default:
		got, err := io.ReadAll(in)
		want := bodyOf("request "+token, reqSize)
		if err == nil && !bytes.Equal(got, want) {
			o.t.Errorf("%s: the origin got another request's content, or a part as the whole", r.Path)
		}
		if err != nil {
			if !bytes.HasPrefix(want, got) {
				o.t.Errorf("%s: the origin got another request's content", r.Path)
			}
			in.Reset(wire.ResetCancelled, "")
			return
		}
	}
	if err := in.WriteResponse(answerHead, false); err != nil {
		return
	}
	for len(answer) > 0 {
		n := min(len(answer), 1+respSize/3)
		if _, err := in.Write(answer[:n]); err != nil {
			return
		}
		answer = answer[n:]
		if kind == "abort" && len(answer) < respSize/2 {
			in.Reset(wire.ResetOriginFailed, "origin broke off")
			return
		}
	}
	_ = in.CloseWrite(nil)
}

// connection returns one with its slot taken.
func (o *oracleRun) connection() Conn {
	for o.conn == nil || !o.conn.Reserve() {
		if o.conn != nil {
			o.conn.Close(engine.CloseGoingAway, "")
			o.session.Close(engine.CloseGoingAway, "")
		}
		s, err := Dial(context.Background(), DialOptions{URL: "ws://server.test/register", Protocol: engine.ProtocolClassic,
			Greeting: &engine.Greeting{ID: "edge"}, Counters: new(frame.Counters), Handler: o.origin, NetDial: o.server.netDial})
		if err != nil {
			o.t.Fatal(err)
		}
		o.session, o.conn = s, <-o.server.conns
	}
	return o.conn
}

// exchange sends one request and judges what comes back.
func (o *oracleRun) exchange(rng *rand.Rand, kind, token string) {
	reqSize, respSize := rng.Intn(32<<10), rng.Intn(32<<10)
	if rng.Intn(3) == 0 {
		reqSize = 0
	}
	if kind == "early" {
		reqSize = rng.Intn(256 << 10)
	}
	path := fmt.Sprintf("/%s/%s/%d/%d", kind, token, reqSize, respSize)
	var fields []wire.Field
	if rng.Intn(2) == 0 && reqSize > 0 {
		fields = append(fields, wire.Field{Name: "content-length", Value: strconv.Itoa(reqSize)})
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := o.connection()
	x, err := c.Open(ctx, ask("POST", path, fields...), reqSize == 0)
	if err != nil {
		c.Unreserve()
		if kind != "lost" && engine.ReasonOf(err) != engine.ReasonTunnelFailed {
			o.t.Errorf("%s: open: %v", path, err)
		}
		return
	}
	var pump sync.WaitGroup
	if reqSize > 0 {
		pump.Add(1)
		go func() {
			defer pump.Done()
			rest := bodyOf("request "+token, reqSize)
			for len(rest) > 0 {
				n := min(len(rest), 1+reqSize/4)
				if _, err := x.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
			_ = x.CloseWrite(nil)
		}()
	}
	delay := time.Duration(rng.Intn(400)) * time.Microsecond
	switch kind {
	case "gone":
		timer := time.AfterFunc(delay, cancel)
		defer timer.Stop()
	case "lost":
		s := o.session
		pump.Add(1)
		timer := time.AfterFunc(delay, func() { defer pump.Done(); s.Close(engine.CloseGoingAway, "") })
		defer timer.Stop()
	}
	o.judge(x, path, kind, token, respSize)
	if err := ctx.Err(); err == nil && kind == "gone" {
		cancel()
	}
	x.Reset(wire.ResetCancelled, "")
	pump.Wait()
	x.Close()
}

func (o *oracleRun) judge(x Exchange, path, kind, token string, respSize int) {
	faulty := kind == "gone" || kind == "lost"
	r, err := x.ReadResponse()
	if err != nil {
		if kind == "denied" {
			var e *engine.Error
			if !errors.As(err, &e) || e.Reason != engine.ReasonOriginFailed || !strings.Contains(e.Err.Error(), token) {
				o.t.Errorf("%s: denied with %v", path, err)
			}
		} else if !faulty {
			o.t.Errorf("%s: no response: %v", path, err)
		}
		return
	}
	if got := wire.Get(r.Fields, "token"); got != token {
		o.t.Errorf("%s: CROSSED: the response is that of %q", path, got)
	}
	got, err := readAll(x)
	want := bodyOf("answer "+token, respSize)
	switch {
	case !bytes.HasPrefix(want, got):
		o.t.Errorf("%s: CROSSED: foreign content", path)
	case err == nil && len(got) != respSize:
		o.t.Errorf("%s: TRUNCATED: %d of %d bytes as the whole", path, len(got), respSize)
	case err != nil && !faulty && kind != "abort":
		o.t.Errorf("%s: content: %v", path, err)
	case err == nil && kind == "abort" && respSize > 10:
		o.t.Errorf("%s: an aborted response came to its end", path)
	}
}

// TestClassicNeverCrosses runs a thousand exchanges of which four in ten go wrong.
func TestClassicNeverCrosses(t *testing.T) {
	const workers, each = 4, 250
	kinds := []string{"fine", "fine", "fine", "fine", "fine", "fine", "early", "gone", "abort", "denied", "lost"}
	for w := range workers {
		t.Run(strconv.Itoa(w), func(t *testing.T) {
			t.Parallel()
			seed := time.Now().UnixNano()
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewSource(seed))
			o := &oracleRun{t: t, seen: map[string]int{}, server: newClassicServer(t, classicOptions{network: w%2 == 0})}
			for i := range each {
				o.exchange(rng, kinds[rng.Intn(len(kinds))], fmt.Sprintf("t%d-%d", w, i))
			}
			if o.conn != nil {
				o.conn.Close(engine.CloseGoingAway, "")
				o.session.Close(engine.CloseGoingAway, "")
			}
			for token, n := range o.seen {
				if n != 1 {
					t.Errorf("DUPLICATED: the origin saw %s %d times", token, n)
				}
			}
		})
	}
}
