package capture

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"adit/engine"
	"adit/engine/filter"
)

func keeper(t *testing.T, o Options) *Keeper {
	t.Helper()
	if o.Capture.Mode == 0 {
		o.Capture.Mode = engine.CaptureContent
	}
	k, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func content(t *testing.T, x *Tee) *engine.Content {
	t.Helper()
	var c engine.Content
	if !x.Content(&c) {
		t.Fatal("the content was dropped")
	}
	return &c
}

func state(k *Keeper) engine.CaptureState {
	var s engine.CaptureState
	k.State(&s)
	return s
}

func noField(string) string { return "" }

func TestModeThatKeepsWhatItShouldNot(t *testing.T) {
	shop := &engine.Request{Method: "POST", Target: "http://shop/cart", Client: "shop"}
	blog := &engine.Request{Method: "GET", Target: "http://blog/", Client: "blog"}
	for _, test := range []struct {
		capture    engine.Capture
		shop, blog bool
		heads      bool
	}{
		{engine.Capture{}, false, false, true},
		{engine.Capture{Mode: engine.CaptureOff}, false, false, false},
		{engine.Capture{Mode: engine.CaptureHeads}, false, false, true},
		{engine.Capture{Mode: engine.CaptureContent}, true, true, true},
		{engine.Capture{Mode: engine.CaptureOff, Content: []string{"client:shop"}}, true, false, false},
		{engine.Capture{Content: []string{"method:PUT", "path:/cart"}}, true, false, true},
	} {
		k, err := New(Options{Capture: test.capture})
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Begin(shop, false) != nil; got != test.shop {
			t.Errorf("%v keeps the shop: %v", test.capture, got)
		}
		if got := k.Begin(blog, false) != nil; got != test.blog {
			t.Errorf("%v keeps the blog: %v", test.capture, got)
		}
		if k.Begin(blog, true) == nil {
			t.Errorf("%v does not keep a replay", test.capture)
		}
		if k.Heads() != test.heads {
			t.Errorf("%v keeps heads: %v", test.capture, k.Heads())
		}
	}
}

func TestSetThatIsRefusedChangesNothing(t *testing.T) {
	k := keeper(t, Options{Capture: engine.Capture{Mode: engine.CaptureOff, Content: []string{"client:a"}}})
	var wrong *filter.Error
	if err := k.Set(engine.Capture{Mode: engine.CaptureContent, Content: []string{"status:"}}); !errors.As(err, &wrong) {
		t.Errorf("a filter that does not parse: %v", err)
	}
	if k.Set(engine.Capture{Content: make([]string, engine.MaxCaptureFilters+1)}) == nil {
		t.Error("too many filters are taken")
	}
	if k.Set(engine.Capture{Mode: 9}) == nil {
		t.Error("a mode that is none is taken")
	}
	if s := state(k); s.Mode != engine.CaptureOff || len(s.Content) != 1 || s.Content[0] != "client:a" {
		t.Errorf("the state is %+v", s)
	}
}

// A filter that never answers yes must not be taken in silence.
func TestFilterOfWhatIsNotKnownYet(t *testing.T) {
	for text, column := range map[string]int{
		"header.x-debug:1": 0, "type:json": 0, "status:>=500": 0, "client:a status:500": 9, "path:/x (method:PUT OR -dur:>1s)": 24,
		"is:marked": 0, "is:failed": 0, "label.region:eu": 0, "out:>1M": 0, "outcome:completed": 0, "wait:>1s": 0,
	} {
		k := keeper(t, Options{})
		var wrong *filter.Error
		if err := k.Set(engine.Capture{Content: []string{text}}); !errors.As(err, &wrong) || wrong.Column != column || !strings.Contains(wrong.Text, "not known when") {
			t.Errorf("%s: %v, want an error at %d: %+v", text, err, column, wrong)
		}
	}
	k := keeper(t, Options{})
	if err := k.Set(engine.Capture{Content: []string{"client:a host:b path:/c -query:d=1 (method:PUT OR way:host) caller:192.0.2. protocol:wsp age:<1h", "cart"}}); err != nil {
		t.Error(err)
	}
}

func TestBeginningIsKeptAndTheRestCounted(t *testing.T) {
	k := keeper(t, Options{})
	x := k.Begin(&engine.Request{}, false)
	x.Request([]byte("name=va"))
	x.Request([]byte("lue"))
	x.EndRequest()
	x.Head(200, noField)
	piece := bytes.Repeat([]byte("0123456789"), 700)
	for range 20 {
		x.Response(piece)
	}
	c := content(t, x)
	if !c.Request.Whole() || string(c.Request.Data) != "name=value" {
		t.Errorf("the request is %q, %d bytes, over %v", c.Request.Data, c.Request.Size, c.Request.Over)
	}
	if c.Response.Over || c.Response.Size != 140_000 || len(c.Response.Data) != engine.MaxContent ||
		!bytes.HasPrefix(bytes.Repeat(piece, 20), c.Response.Data) {
		t.Errorf("of the response %d bytes of %d are kept, over %v", len(c.Response.Data), c.Response.Size, c.Response.Over)
	}
	x.EndResponse()
	if c = content(t, x); !c.Response.Over || c.Response.Whole() {
		t.Errorf("at the end the response is over %v, whole %v", c.Response.Over, c.Response.Whole())
	}
}

// What a caller did with its buffer after it was told would show in what is kept.
func TestPieceIsCopied(t *testing.T) {
	x := keeper(t, Options{}).Begin(&engine.Request{}, false)
	p := []byte("as it was")
	x.Response(p)
	copy(p, "overwrite")
	if got := string(content(t, x).Response.Data); got != "as it was" {
		t.Errorf("kept %q", got)
	}
}

func TestNilTeeDoesNothing(t *testing.T) {
	var x *Tee
	x.Head(200, noField)
	x.Request([]byte("a"))
	x.Response([]byte("a"))
	x.EndRequest()
	x.EndResponse()
	if x.Captured() != nil {
		t.Error("a nil tee has something captured")
	}
}

func TestOldestGoesWhereThereIsNoRoom(t *testing.T) {
	k := keeper(t, Options{Limit: 1 << 20})
	var all []*Tee
	for range 100 {
		x := k.Begin(&engine.Request{}, true)
		x.Response(make([]byte, 30<<10))
		all = append(all, x)
	}
	var c engine.Content
	if all[0].Content(&c) {
		t.Error("the oldest is kept")
	}
	if all[0].Response([]byte("more")); all[0].Content(&c) || len(c.Response.Data) > 0 {
		t.Error("what was dropped is kept again")
	}
	if !all[99].Content(&c) || len(c.Response.Data) != 30<<10 {
		t.Error("the newest is not kept")
	}
	kept := 0
	for _, x := range all {
		if x.Content(&c) {
			kept++
		}
	}
	s := state(k)
	if s.Bytes > s.Limit || s.Bytes < s.Limit/2 || s.Limit != 1<<20 {
		t.Errorf("%d bytes are kept of %d", s.Bytes, s.Limit)
	}
	if kept < 30 || s.Dropped != uint64(100-kept) {
		t.Errorf("%d are kept and %d dropped of 100", kept, s.Dropped)
	}
}

// The books must agree at the end whoever wrote, read and dropped at once.
func TestBooksOfManyAtOnce(t *testing.T) {
	k := keeper(t, Options{Limit: 1 << 20})
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			var c engine.Content
			for j := range 200 {
				x := k.Begin(&engine.Request{}, true)
				work.Go(func() {
					x.Request(make([]byte, (i*j)%5000))
					x.EndRequest()
				})
				x.Head(200, func(string) string { return "text/event-stream" })
				x.Response([]byte(strings.Repeat("data: 1\n\n", j)))
				x.EndResponse()
				x.Content(&c)
			}
		})
	}
	work.Wait()
	if s := state(k); s.Bytes > s.Limit || s.Bytes <= 0 {
		t.Errorf("%d bytes of %d", s.Bytes, s.Limit)
	}
	k.mu.Lock()
	sum := int64(0)
	for x := k.oldest; x != nil; x = x.next {
		sum += x.charged
	}
	k.mu.Unlock()
	if got := k.bytes.Load(); got != sum {
		t.Errorf("%d bytes in the books, %d in what is kept", got, sum)
	}
}

func TestContentReusesItsSlices(t *testing.T) {
	x := keeper(t, Options{}).Begin(&engine.Request{Way: engine.WayTCP}, false)
	for i := range 10 {
		x.Request(fmt.Appendf(nil, "to %d", i))
		x.Response(fmt.Appendf(nil, "from %d", i))
	}
	var c engine.Content
	x.Content(&c)
	if n := testing.AllocsPerRun(10, func() { x.Content(&c) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if len(c.Messages) != 20 || string(c.Messages[19].Data) != "from 9" {
		t.Errorf("%d messages, the last %q", len(c.Messages), c.Messages[len(c.Messages)-1].Data)
	}
}
