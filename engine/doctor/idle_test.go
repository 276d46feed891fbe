package doctor

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"adit/engine/server"
)

// cuts relays, and ends what was silent for so long: by closing it, or without a
// word.
func cuts(t *testing.T, addr string, after time.Duration, silently bool) string {
	return accepts(t, func(c net.Conn) {
		s, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer s.Close()
		var mu sync.Mutex
		dropped := false
		var idle *time.Timer
		idle = time.AfterFunc(after, func() {
			mu.Lock()
			defer mu.Unlock()
			dropped = true
			if !silently {
				_ = c.Close()
				_ = s.Close()
			}
		})
		defer idle.Stop()
		relay := func(to, from net.Conn) {
			buf := make([]byte, 32<<10)
			for {
				n, err := from.Read(buf)
				mu.Lock()
				over := dropped
				if !over {
					idle.Reset(after)
				}
				mu.Unlock()
				if err != nil {
					_ = to.Close()
					return
				}
				if !over {
					_, _ = to.Write(buf[:n])
				}
			}
		}
		var both sync.WaitGroup
		both.Go(func() { relay(s, c) })
		both.Go(func() { relay(c, s) })
		both.Wait()
	})
}

// Something that cuts after a second of silence is found as exactly as it shows
// itself, and the setting that helps is named.
func TestIdleCutOff(t *testing.T) {
	t.Parallel()
	behind := adit(t, server.Options{})
	for name, k := range map[string]struct {
		silently bool
		ping     time.Duration
		severity Severity
		words    []string
	}{
		"closed, pings too far apart":  {false, 1800 * time.Millisecond, Warning, []string{"cuts an idle WebSocket after 1s", "before the next ping", "ping: 400ms", "proxy_read_timeout"}},
		"closed, pings near enough":    {false, 100 * time.Millisecond, Note, []string{"cuts an idle WebSocket after 1s", "keep a tunnel alive"}},
		"closed, pings close":          {false, 600 * time.Millisecond, Warning, []string{"after 1s", "but closely"}},
		"dropped, pings too far apart": {true, 1800 * time.Millisecond, Warning, []string{"drops an idle WebSocket after 500ms to 1.6s, without a word", "ping: 200ms"}},
		"dropped, pings near enough":   {true, 100 * time.Millisecond, Note, []string{"after 500ms to 1.6s", "keep a tunnel alive"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t, at("ws", cuts(t, behind, time.Second, k.silently)))
			o.Quick, o.Idle = false, 2*time.Second
			o.pace = pace{step: 2 * time.Second, slow: 2 * time.Second, flow: time.Millisecond, unit: 200 * time.Millisecond, ping: k.ping,
				waits: []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, 1600 * time.Millisecond, 2 * time.Second}}
			diagnose(t, o).want(t, "idle", k.severity, k.words...)
		})
	}
}

// Something that counts no pings is not helped by any setting of ours.
func TestJudgeIdle(t *testing.T) {
	t.Parallel()
	s := time.Second
	lives := func(d time.Duration) silence { return silence{wait: d, lives: true} }
	lost := func(d time.Duration) silence { return silence{wait: d, how: "nothing comes back after it"} }
	closed := func(d, at time.Duration) silence { return silence{wait: d, cut: at, how: "it is closed with 1001"} }
	failed := silence{wait: 10 * s, err: errors.New("the server answers 429")}
	for name, k := range map[string]struct {
		all      []silence
		pinged   *silence
		ping     time.Duration
		severity Severity
		words    []string
	}{
		"none":              {[]silence{lives(10 * s), lives(90 * s)}, nil, 20 * s, OK, []string{"1m30s still lives"}},
		"nginx at 25 s":     {[]silence{lives(10 * s), lives(20 * s), closed(45*s, 25*s), closed(90*s, 25*s)}, &silence{lives: true}, 20 * s, Warning, []string{"after 25s", "1001", "ping: 10s", "closely"}},
		"nginx at 60 s":     {[]silence{lives(45 * s), closed(90*s, 60*s+3*time.Millisecond)}, &silence{lives: true}, 20 * s, Note, []string{"after 1m0s"}},
		"longer interval":   {[]silence{lives(20 * s), lost(25 * s)}, nil, 60 * s, Warning, []string{"after 20s to 25s", "ping: 8s", "before the next ping"}},
		"within the first":  {[]silence{lost(10 * s), lost(15 * s)}, &silence{lives: true}, 2 * s, Note, []string{"within 10s"}},
		"pings do not help": {[]silence{lives(10 * s), closed(30*s, 29*s)}, &silence{wait: 5 * s}, 5 * s, Failure, []string{"after 29s", "do not keep a tunnel alive"}},
		"not let in":        {[]silence{failed, failed}, nil, 20 * s, Note, []string{"429"}},
		"one not let in":    {[]silence{failed, lives(20 * s)}, nil, 20 * s, OK, nil},
		// Their difference is more than an int of 32 bits holds.
		"as they came in": {[]silence{lost(25 * s), lives(10 * s), lives(15 * s), lost(20 * s)}, nil, 2 * s, Note, []string{"after 15s to 20s"}},
	} {
		w := &way{c: &clientProbe{o: &ClientOptions{pace: pace{unit: s}}}}
		f := w.judgeIdle(k.all, k.pinged, k.ping, "ping of the server")
		f.Check = "idle"
		t.Run(name, func(t *testing.T) { findings{f}.want(t, "idle", k.severity, k.words...) })
	}
}

// The ladder is bounded: a server lets 16 probes in.
func TestLadder(t *testing.T) {
	for _, most := range []time.Duration{time.Second, 25 * time.Second, 90 * time.Second, time.Hour} {
		waits := ladder(most)
		if len(waits) > 14 || waits[len(waits)-1] != most {
			t.Errorf("%v: %v", most, waits)
		}
		for i := range waits[1:] {
			if waits[i] >= waits[i+1] {
				t.Errorf("%v: %v", most, waits)
			}
		}
	}
}
