package tunnel

import (
	"context"
	"testing"
	"testing/synctest"
)

// The context of an exchange does for package context, and for who asks late,
// what one of its own does.
func TestIncomingContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c incomingContext
		early, before := c.Done(), 0
		stop := c.AfterFunc(func() { before++ })
		taken := c.AfterFunc(func() { t.Error("called after it was taken back") })
		child, cancel := context.WithCancel(&c)
		defer cancel()
		if !taken() || taken() {
			t.Error("taken back not once")
		}
		if c.Err() != nil || child.Err() != nil {
			t.Error("ended before its end")
		}
		c.end()
		c.end()
		<-early
		<-c.Done()
		<-child.Done()
		synctest.Wait()
		if stop() || before != 1 {
			t.Errorf("called %d times", before)
		}
		if c.Err() != context.Canceled || context.Cause(&c) != context.Canceled {
			t.Errorf("ended with %v, %v", c.Err(), context.Cause(&c))
		}
		late := 0
		stop = c.AfterFunc(func() { late++ })
		synctest.Wait()
		if stop() || late != 1 {
			t.Errorf("registered late, called %d times", late)
		}
		var asked incomingContext
		asked.end()
		<-asked.Done()
	})
}

func TestContextList(t *testing.T) {
	var l contextList
	var a, b, c incomingContext
	for _, x := range []*incomingContext{&a, &b, &c} {
		l.add(x)
	}
	for n, x := range []*incomingContext{&b, &c, &a} {
		if got := len(l.all()); got != 3-n {
			t.Errorf("%d contexts, want %d", got, 3-n)
		}
		l.remove(x)
	}
	if l.first != nil {
		t.Error("one is left")
	}
}
