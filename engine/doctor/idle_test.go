package doctor

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine/enginetest"
	"adit/engine/server"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// cuts relays from one address to another, and ends what was silent for so long: by
// closing it, or without a word.
func cuts(t *testing.T, n *enginetest.Network, from, to string, after time.Duration, silently bool) {
	acceptsOn(t, n.Listen(from), func(c net.Conn) {
		s, err := n.DialContext(t.Context(), "tcp", to)
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

// Something that cuts after 27 s of silence is found as exactly as it shows itself,
// at the pace of people, and the setting that helps is named.
func TestIdleCutOff(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		silently bool
		ping     time.Duration
		severity Severity
		words    []string
	}{
		"closed, pings too far apart":  {false, 50 * time.Second, Warning, []string{"cuts an idle WebSocket after 27s", "before the next ping", "ping: 10s", "proxy_read_timeout"}},
		"closed, pings near enough":    {false, 5 * time.Second, Note, []string{"cuts an idle WebSocket after 27s", "keep a tunnel alive"}},
		"closed, pings close":          {false, 20 * time.Second, Warning, []string{"after 27s", "but closely"}},
		"dropped, pings too far apart": {true, 50 * time.Second, Warning, []string{"drops an idle WebSocket after 25s to 30s, without a word", "ping: 10s"}},
		"dropped, pings near enough":   {true, 5 * time.Second, Note, []string{"after 25s to 30s", "keep a tunnel alive"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := enginetest.NewNetwork()
				serveOn(t, n.Listen("behind:80"), server.Options{Limits: tunnel.Limits{Ping: k.ping}})
				cuts(t, n, "front:80", "behind:80", 27*time.Second, k.silently)
				var all findings
				o := client(t, "ws://front/register")
				o.Dial, o.Quick, o.Idle, o.pace = n.DialContext, false, 90*time.Second, pace{}
				o.Found = func(f Finding) { all = append(all, f) }
				o.pace.settle()
				w, err := (&clientProbe{o: &o}).newWay(o.Servers[0])
				if err != nil {
					t.Fatal(err)
				}
				probe := w.open(t.Context(), w.u, pieceBuffer)
				defer probe.close()
				if probe.ws == nil {
					t.Fatal(probe.err)
				}
				w.idle(t.Context(), w.selected(probe))
				all.want(t, "idle", k.severity, k.words...)
			})
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
		// What was not let in has not been silent for so long.
		"the longest not let in": {[]silence{lives(10 * s), {wait: 90 * s, err: errors.New("the server answers 503")}}, nil, 20 * s, OK, []string{"for 10s still lives"}},
		// Their difference is more than an int of 32 bits holds.
		"as they came in": {[]silence{lost(25 * s), lives(10 * s), lives(15 * s), lost(20 * s)}, nil, 2 * s, Note, []string{"after 15s to 20s"}},
	} {
		w := &way{c: &clientProbe{o: &ClientOptions{pace: pace{unit: s}}}}
		f := w.judgeIdle(k.all, k.pinged, k.ping, "ping of the server")
		f.Check = "idle"
		t.Run(name, func(t *testing.T) { findings{f}.want(t, "idle", k.severity, k.words...) })
	}
}

// What ends all connections, silent or not, is no cut-off of silence: a server that
// stops, is started anew or is gone, or a bound of a connection's age.
func TestEndsThatAreNoCutOff(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		end      func(ws *websocket.Conn)
		gone     bool
		severity Severity
		words    []string
	}{
		"started anew": {func(ws *websocket.Conn) {
			_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1012, "dial again"), time.Now().Add(time.Second))
		}, false, Note, []string{"stopped or started anew", "1012", "300ms of silence were borne", "try again"}},
		"old":  {func(ws *websocket.Conn) { _ = ws.Close() }, false, Warning, []string{"all connections ended", "not only those that were silent", "how long a connection may last"}},
		"gone": {func(ws *websocket.Conn) { _ = ws.Close() }, true, Failure, []string{"the server was lost in the midst", "refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ln net.Listener
			handler := func(w http.ResponseWriter, r *http.Request) {
				u := websocket.Upgrader{Subprotocols: []string{wire.ProbeSubprotocol}}
				ws, err := u.Upgrade(w, r, nil)
				if err != nil {
					return
				}
				defer ws.Close()
				_ = ws.WriteMessage(websocket.TextMessage, wire.AppendProbe(nil, &wire.Probe{Server: "edge", Time: time.Now(), PingInterval: 20 * time.Second}))
				defer time.AfterFunc(time.Second, func() {
					if k.gone {
						_ = ln.Close()
					}
					k.end(ws)
				}).Stop()
				echoes(ws, same)
			}
			s := httptest.NewServer(http.HandlerFunc(handler))
			ln = s.Listener
			t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
			o := client(t, at("ws", s.Listener.Addr().String()))
			o.Quick, o.Idle = false, 2*time.Second
			o.pace = pace{step: 2 * time.Second, slow: 2 * time.Second, flow: time.Millisecond, unit: 100 * time.Millisecond, ping: 200 * time.Millisecond,
				waits: []time.Duration{300 * time.Millisecond, 2 * time.Second, 3 * time.Second}}
			diagnose(t, o).want(t, "idle", k.severity, k.words...)
		})
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
