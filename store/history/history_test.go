package history

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"adit/engine"
)

// open opens a history that is closed with the test.
func open(t testing.TB, path string, o Options) *File {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "server-edge.db")
	}
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// finished returns the end of the n-th request, with what depends on n in all of
// its fields.
func finished(n int) *engine.Event {
	at := time.Unix(1_800_000_000, int64(n)*int64(time.Millisecond))
	us := func(k int) time.Duration { return time.Duration(n%1000*k+k) * time.Microsecond }
	return &engine.Event{Seq: uint64(2 * n), Time: at.Add(us(9)), Kind: engine.KindRequestFinished, Request: &engine.Request{
		ID: engine.RequestID(n), Connection: engine.ConnectionID(n%7 + 1), Client: fmt.Sprintf("edge-%d", n%5), Caller: fmt.Sprintf("192.0.2.%d:4711", n%250),
		Way: engine.Way(n%5 + 1), Protocol: engine.Protocol(n%2 + 1), Method: []string{"GET", "POST", "PUT"}[n%3],
		Target: fmt.Sprintf("https://app.example.com/api/v1/orders/%d?page=%d", n, n%10), Status: []int{200, 200, 200, 404, 500}[n%5],
		RequestBytes: int64(n % 100), ResponseBytes: int64(n % 5000),
		Arrived: at, Queued: us(1), Sent: us(2), Connect: us(3), FirstByte: us(5), LastByte: us(9),
		Outcome: engine.Outcome(n%7 + 1),
	}}
}

// large is finished with a target of 512 bytes.
func large(n int) *engine.Event {
	e := finished(n)
	e.Request.Target += strings.Repeat("x", 512-len(e.Request.Target))
	return e
}

// settle waits until everything that was added can be read.
func settle(t testing.TB, f *File, number uint64) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for f.Readable() < number {
		if time.Now().After(deadline) {
			t.Fatalf("row %d can't be read: only %d can. %s", number, f.Readable(), f.Problem())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestRequestComesBackOtherThanItWas(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{})
	want := *finished(4711).Request
	want.Reason, want.Upgraded, want.Replay, want.Connect, want.Credential = "why", true, true, -1, "robot"
	settle(t, f, f.Add(&engine.Event{Kind: engine.KindRequestFinished, Time: want.Arrived, Request: &want}))
	got, err := f.Request(context.Background(), 4711)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, err := f.Request(context.Background(), 4712); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

func TestIDUsedTwice(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "h.db")
	for run, want := range []engine.RequestID{1, 11, 21} {
		f, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if first, _ := f.Next(); first != want {
			t.Errorf("run %d begins with %v, want %v", run, first, want)
		}
		first, _ := f.Next()
		// The last ones have begun only.
		for n := range 10 {
			e := finished(int(first) + n)
			if n > 7 {
				e.Kind = engine.KindRequestStarted
			}
			f.Add(e)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecondWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "h.db")
	open(t, path, Options{})
	if f, err := Open(path, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("two write to one database: %v, %v", f, err)
	}
}
