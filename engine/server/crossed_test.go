package server

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// bodyOf is what a request with that path carries, answerOf what it gets: of no
// other the same.
func bodyOf(path string) string   { return strings.Repeat("to"+path+";", len(path)*97%800) }
func answerOf(path string) string { return strings.Repeat("of"+path+";", 1+len(path)*61%900) }

// crossing answers, and breaks off what its path tells it to.
func crossing(in tunnel.Incoming) {
	body, err := content(in)
	path := in.Request().Path
	if err != nil {
		return
	}
	if string(body) != bodyOf(path) {
		panic("the content of another request at " + path)
	}
	answer := answerOf(path)
	in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Type", Value: "text/plain"}}}, false)
	out := writer{in}
	if strings.HasPrefix(path, "/cut/") {
		io.WriteString(out, answer[:len(answer)/2])
		in.Reset(wire.ResetOriginFailed, "cut")
		return
	}
	for len(answer) > 0 {
		n := min(len(answer), 1+rand.IntN(4000))
		if _, err := io.WriteString(out, answer[:n]); err != nil {
			return
		}
		answer = answer[n:]
	}
	in.CloseWrite(nil)
}

// Calls are used again, and their content is told by several goroutines: what is
// kept of one must never be that of another, however they end.
func TestContentIsNeverThatOfAnother(t *testing.T) {
	b := exposed(t, crossing, contentOn)
	for range 4 { // classic ones carry one exchange at a time
		if _, err := b.tryDial(greeting("old"), crossing, classic); err != nil {
			t.Fatal(err)
		}
	}
	b.awaitMember("old")
	const callers, each = 6, 40
	reading, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() { // what an inspector does all the time
		var c engine.Content
		for reading.Err() == nil {
			for _, e := range b.seen(engine.KindRequestStarted) {
				if kept := e.Request.Live.Captured.Load(); kept != nil && (*kept).Content(&c) {
					path := e.Request.Target[strings.LastIndex(e.Request.Target, "example")+len("example"):]
					if !strings.HasPrefix(bodyOf(path), string(c.Request.Data)) || !strings.HasPrefix(answerOf(path), string(c.Response.Data)) {
						t.Errorf("%s: content of another while it runs", path)
					}
				}
			}
			time.Sleep(3 * time.Millisecond)
		}
	})
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			client := caller(t)
			for i := range each {
				path := fmt.Sprintf("/%s/%d/%d/%s", []string{"whole", "cut", "left", "whole"}[i%4], n, i, strings.Repeat("x", rand.IntN(20)))
				ctx, cancel := context.WithCancel(context.Background())
				req, _ := http.NewRequestWithContext(ctx, "POST", "http://"+b.addr+"/request", strings.NewReader(bodyOf(path)))
				req.Header.Set("X-Proxy-Destination", "http://api.example"+path)
				resp, err := client.Do(req)
				if err == nil {
					if i%4 == 2 {
						cancel() // leaves in the middle
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				cancel()
			}
		})
	}
	all.Wait()
	b.finished(callers * each)
	stop()
	readers.Wait()
	whole := 0
	for _, e := range b.seen(engine.KindRequestFinished) {
		r := e.Request
		if r.Connection == 0 {
			continue // nobody was free
		}
		path := r.Target[strings.LastIndex(r.Target, "example")+len("example"):]
		var c engine.Content
		if r.Captured == nil || !r.Captured.Content(&c) {
			t.Fatalf("%s: nothing is kept", path)
		}
		if !strings.HasPrefix(bodyOf(path), string(c.Request.Data)) || !strings.HasPrefix(answerOf(path), string(c.Response.Data)) {
			t.Errorf("%s: %q, %q are kept", path, c.Request.Data, c.Response.Data)
		}
		if c.Request.Size != r.RequestBytes || c.Response.Size != r.ResponseBytes {
			t.Errorf("%s: %d and %d bytes passed, the record says %d and %d", path, c.Request.Size, c.Response.Size, r.RequestBytes, r.ResponseBytes)
		}
		if over := c.Response.Over; over != (r.Outcome == engine.OutcomeCompleted) {
			t.Errorf("%s: %v, and over is %v", path, r.Outcome, over)
		}
		if r.Outcome == engine.OutcomeCompleted {
			whole++
			if string(c.Response.Data) != answerOf(path) || string(c.Request.Data) != bodyOf(path) {
				t.Errorf("%s: not all is kept", path)
			}
		}
	}
	if whole < callers*each/4 {
		t.Errorf("%d completed", whole)
	}
}
