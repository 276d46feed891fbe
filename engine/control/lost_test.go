package control

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
)

func TestServerKilledAndRestartedUnderARemote(t *testing.T) {
	rig := newRig(t, scene(3))
	r := dial(t, rig.path, DialOptions{})
	events, err := r.Subscribe(t.Context(), engine.SubscribeOptions{Kinds: engine.KindsLifecycle})
	if err != nil {
		t.Fatal(err)
	}
	var page engine.RequestPage
	if err := r.Requests(t.Context(), engine.RequestQuery{Count: 2}, &page); err != nil {
		t.Fatal(err)
	}
	_ = rig.server.Close()
	eventually(t, "lost", func() bool { return r.Link().Lost })
	lost := r.Link()
	if lost.Cause == "" || lost.LastData.IsZero() || lost.Since.Before(lost.LastData) {
		t.Errorf("link %+v", lost)
	}
	var snap engine.Snapshot
	if err := r.Snapshot(t.Context(), &snap); err != nil || len(snap.Connections) != 3 {
		t.Errorf("what was known: %v, %d connections", err, len(snap.Connections))
	}
	if err := r.Requests(t.Context(), engine.RequestQuery{Count: 2}, &page); err != nil || len(page.Requests) != 2 {
		t.Errorf("records that were known: %v, %d", err, len(page.Requests))
	}
	if err := r.Requests(t.Context(), engine.RequestQuery{Count: 3}, &page); !errors.Is(err, engine.ErrLost) {
		t.Errorf("records that were not: %v", err)
	}
	if err := r.Ban(t.Context(), "x", engine.Operator{}); !errors.Is(err, engine.ErrLost) {
		t.Errorf("action: %v", err)
	}
	rig.engine.Update(func(s *engine.Snapshot) { s.Instance, s.Connections = "i-2", s.Connections[:1] })
	rig.start(t)
	eventually(t, "back", func() bool { return !r.Link().Lost })
	if l := r.Link(); l.Restarts != 1 || l.Gaps != 1 || l.Instance != "i-2" || l.Attempt != 0 {
		t.Errorf("link %+v", l)
	}
	if err := r.Snapshot(t.Context(), &snap); err != nil || len(snap.Connections) != 1 {
		t.Errorf("a full snapshot after it came back: %v, %d connections", err, len(snap.Connections))
	}
	select {
	case b := <-events:
		if b.Dropped == 0 {
			t.Errorf("nothing is said to be missing: %+v", b)
		}
	case <-time.After(5 * time.Second):
		t.Error("nobody told the subscription that events are missing")
	}
}

func TestEventsMissedAreCounted(t *testing.T) {
	rig := newRig(t, scene(1), withTokens)
	addr, trust := rig.secure(t)
	relay, err := enginetest.NewTCPRelay(addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	r := dial(t, "https://"+relay.Addr().String(), DialOptions{Token: "all-powerful", TLS: trust})
	events, err := r.Subscribe(t.Context(), engine.SubscribeOptions{Kinds: engine.KindsLifecycle})
	if err != nil {
		t.Fatal(err)
	}
	rig.engine.Publish(engine.Event{Kind: engine.KindNotice, Reason: "one"})
	receive(t, events, 1)
	relay.ResetAll()
	eventually(t, "lost", func() bool { return r.Link().Lost })
	for range 3 {
		rig.engine.Publish(engine.Event{Kind: engine.KindNotice, Reason: "missed"})
	}
	eventually(t, "back", func() bool { return !r.Link().Lost })
	rig.engine.Publish(engine.Event{Kind: engine.KindNotice, Reason: "after"})
	var dropped uint64
	for {
		b := <-events
		dropped += b.Dropped
		if len(b.Events) > 0 {
			if dropped != 3 || b.Events[0].Reason != "after" {
				t.Errorf("%d dropped before %q, want 3", dropped, b.Events[0].Reason)
			}
			break
		}
	}
	if l := r.Link(); l.Restarts != 0 || l.Gaps != 1 {
		t.Errorf("link %+v", l)
	}
}

// P12: with a round trip of 100 ms a screen is usable 1 s after the link can be
// opened again.
func TestLinkThatComesBackSlowly(t *testing.T) {
	rig := newRig(t, scene(42), withTokens)
	addr, trust := rig.secure(t)
	relay, err := enginetest.NewTCPRelay(addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	r := dial(t, "https://"+relay.Addr().String(), DialOptions{Token: "all-powerful", TLS: trust})
	relay.Set(enginetest.Toxics{Latency: 50 * time.Millisecond, Slice: 1000})
	for range 3 {
		relay.ResetAll()
		eventually(t, "lost", func() bool { return r.Link().Lost })
		begun := time.Now()
		r.Retry()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := r.Wait(ctx)
		cancel()
		if took := time.Since(begun); err != nil || took > time.Second {
			t.Errorf("%v after %v", err, took)
		}
	}
	if l := r.Link(); l.RoundTrip < 100*time.Millisecond || l.RoundTrip > 500*time.Millisecond || l.Skew.Abs() > time.Second {
		t.Errorf("round trip %v, skew %v", l.RoundTrip, l.Skew)
	}
}

func TestLinkThatGoesSilent(t *testing.T) {
	t.Parallel()
	rig := newRig(t, scene(1), withTokens)
	addr, trust := rig.secure(t)
	relay, err := enginetest.NewTCPRelay(addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	r := dial(t, "https://"+relay.Addr().String(), DialOptions{Token: "all-powerful", TLS: trust})
	relay.Set(enginetest.Toxics{Blackhole: true})
	begun := time.Now()
	eventually(t, "lost", func() bool { return r.Link().Lost })
	if took := time.Since(begun); took > silence+2*time.Second {
		t.Errorf("noticed after %v", took)
	}
	relay.ResetAll()
	relay.Set(enginetest.Toxics{})
	r.Retry()
	eventually(t, "back", func() bool { return !r.Link().Lost })
}

// Of a line that stops coming the dashboard says that nothing comes, not that it is
// no line.
func TestHalfALineAndSilence(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	path := answersThen(t, []byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"+
		`{"hello":{"protocol":{"major":1,"minor":0},"instance":"i"}}`+"\n"+`{"snapshot":{"full":tr`), over)
	defer close(over)
	r, err := Dial(t.Context(), path, DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	eventually(t, "a try that failed", func() bool { return r.Link().Attempt > 0 })
	if l := r.Link(); !strings.Contains(l.Cause, "no data for 5s") {
		t.Errorf("cause %q", l.Cause)
	}
}

// answers serves one text to each who connects.
func answers(t *testing.T, text []byte) string {
	t.Helper()
	now := make(chan struct{})
	close(now)
	return answersThen(t, text, now)
}

// answersThen serves one text to each who connects, and closes then.
func answersThen(t *testing.T, text []byte, then <-chan struct{}) string {
	t.Helper()
	path := socketPath(t)
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			for r := bufio.NewReader(c); ; {
				if line, err := r.ReadString('\n'); err != nil || line == "\r\n" {
					break
				}
			}
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			_, _ = c.Write(text)
			<-then
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return path
}

func TestHostileServer(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
	const hello = `{"hello":{"protocol":{"major":1,"minor":0},"instance":"i"}}` + "\n"
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(bytes.Repeat([]byte{' '}, 64<<20))
	_ = z.Close()
	many := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"snapshot":{"full":true,"connections":[`)
		for i := range n {
			fmt.Fprintf(&b, `{"conn":"c-%d"},`, n-i)
		}
		return b.String() + `{"conn":"c-1"}]`
	}
	for _, c := range []struct {
		name, text, cause string
		stuck             bool
	}{
		{"no HTTP", "SSH-2.0-OpenSSH_9.9\r\n", "malformed HTTP", false},
		{"a web server", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", "not adit", true},
		{"an error", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 30\r\n\r\n" + `{"error":"the token was wrong"}`[:30], "401", true},
		{"a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 33\r\n\r\n" + `{"error":"not you; become root"} `, "become root", true},
		{"another place", "HTTP/1.1 302 Found\r\nLocation: http://evil.example.com/\r\n\r\n", "302", false},
		{"another major version", ok + `{"hello":{"version":"9","protocol":{"major":2,"minor":1}}}` + "\n", "update the older", true},
		{"no hello", ok + `{"snapshot":{"full":true}}` + "\n", "who it is", false},
		{"two hellos", ok + hello + hello, "twice", false},
		{"no JSON", ok + hello + "garbage\n", "no line", false},
		{"deep", ok + hello + strings.Repeat("[", 100_000) + "\n", "no line", false},
		{"changes of nothing", ok + hello + `{"snapshot":{"seq":1}}` + "\n", "did not tell", false},
		{"a wrong id", ok + hello + `{"snapshot":{"full":true,"connections":[{"conn":"r-1"}]}}` + "\n", "connection id", false},
		{"a wrong time", ok + hello + `{"snapshot":{"full":true,"time":"yesterday"}}` + "\n", "RFC 3339", false},
		{"a negative count", ok + hello + `{"snapshot":{"full":true,"seq":-1}}` + "\n", "no line", false},
		{"an endless line", ok + hello + strings.Repeat("x", maxLine+1), "line of more", false},
		{"an endless snapshot", ok + hello + strings.Repeat(`{"snapshot":{"full":true,"more":true,"name":"`+strings.Repeat("x", 1<<19)+`"}}`+"\n", 40), "snapshot of more", false},
		{"too many connections", ok + hello + many(40_000) + `,"more":true}}` + "\n" +
			strings.ReplaceAll(strings.Replace(many(40_000), `"full":true,`, "", 1), "c-", "c-9") + `,"more":true}}` + "\n" +
			strings.ReplaceAll(strings.Replace(many(40_000), `"full":true,`, "", 1), "c-", "c-8") + "}}\n", "connections", false},
		{"a bomb", "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Encoding: gzip\r\n\r\n" + bomb.String(), "line of more", false},
		{"a half line", ok + hello + `{"snapshot":{"full":tr`, "no line", false},
		{"an end", ok + hello + `{"end":{"reason":"the engine has ended"}}` + "\n", "has ended", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Dial(t.Context(), answers(t, []byte(c.text)), DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			eventually(t, "a try that failed", func() bool { return r.Link().Attempt > 0 })
			if l := r.Link(); !l.Lost || l.Stuck != c.stuck || !strings.Contains(l.Cause, c.cause) {
				t.Errorf("lost %t, stuck %t, cause %q; want %q, stuck %t", l.Lost, l.Stuck, l.Cause, c.cause, c.stuck)
			}
			if err := r.Snapshot(t.Context(), &engine.Snapshot{}); !errors.Is(err, engine.ErrLost) {
				t.Errorf("Snapshot: %v", err)
			}
		})
	}
}

func TestNewerServer(t *testing.T) {
	path := answers(t, []byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"+
		`{"hello":{"protocol":{"major":1,"minor":7},"instance":"i","future":{}}}`+"\n"+
		`{"snapshot":{"full":true,"name":"edge","weather":[1],"connections":[{"conn":"c-1","state":"dreaming","mood":"fine"}]}}`+"\n"+
		`{"prophecy":"x"}`+"\n"+`{"events":[{"kind":"eclipse","seq":3,"time":""}]}`+"\n"))
	r := dial(t, path, DialOptions{})
	var s engine.Snapshot
	if err := r.Snapshot(t.Context(), &s); err != nil || s.Name != "edge" || len(s.Connections) != 1 {
		t.Errorf("%v %+v", err, s)
	}
	if n := r.Link().Notice; !strings.Contains(n, "newer") {
		t.Errorf("notice %q", n)
	}
}

func TestAddressThatIsNone(t *testing.T) {
	for address, says := range map[string]string{
		"http://127.0.0.1:1":           "in the clear",
		"127.0.0.1:8080":               "https://",
		"":                             "https://",
		"https://user:pass@host/path":  "https://",
		"/" + strings.Repeat("x", 200): "bytes",
	} {
		if r, err := Dial(t.Context(), address, DialOptions{}); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "pass@") {
			t.Errorf("%s: %v, want %q", address, err, says)
			if err == nil {
				r.Close()
			}
		}
	}
	r, err := Dial(t.Context(), "/nonexistent/"+fmt.Sprint(os.Getpid()), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := r.Wait(ctx); !errors.Is(err, engine.ErrLost) || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("Wait: %v", err)
	}
}

// A Remote that is closed while it does anything leaves nothing behind; goleak
// looks.
func TestCloseOfABusyRemote(t *testing.T) {
	rig := newRig(t, scene(3))
	for range 5 {
		r := dial(t, rig.path, DialOptions{})
		ch, err := r.Subscribe(context.Background(), engine.SubscribeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rig.engine.Publish(engine.Event{Kind: engine.KindNotice})
		r.Close()
		for range ch {
		}
		select {
		case <-r.Done():
		default:
			t.Error("Done is not closed")
		}
		if _, err := r.Subscribe(context.Background(), engine.SubscribeOptions{}); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Subscribe after Close: %v", err)
		}
	}
}
