package observe

import (
	"strings"
	"testing"
	"time"

	"adit/engine"
)

func TestEventsInWords(t *testing.T) {
	client := func(e engine.Event) engine.Event {
		e.Connection, e.Client, e.Peer = 12, "edge-1", "203.0.113.9:40110"
		return e
	}
	greeting := &engine.Greeting{ID: "edge-1", PoolSize: 2, Version: "0.9.3", Size: 312}
	failed := &engine.Request{ID: 4711, Client: "edge-1", Connection: 12, Method: "POST", Target: "http://a/b", Status: 504,
		Outcome: engine.OutcomeTimedOut, Reason: "timed out", LastByte: 5004 * time.Millisecond}
	for _, tt := range []struct {
		e                      engine.Event
		level, source, message string
	}{
		{engine.Event{Kind: engine.KindReady, Listen: "127.0.0.1:8080"}, "info", "server", "ready, listening on 127.0.0.1:8080"},
		{engine.Event{Kind: engine.KindReady, Client: "edge-1", Connection: 3, Server: "ws://t/register", Protocol: engine.ProtocolNative},
			"info", "client", "connected to ws://t/register, adit.v1"},
		{engine.Event{Kind: engine.KindConnectionOpened, Connection: 12, Peer: "203.0.113.9:40110"}, "info", "c-12", "websocket open 203.0.113.9:40110"},
		{client(engine.Event{Kind: engine.KindGreetingReceived, Greeting: greeting}), "info", "edge-1/c-12", "greeting ok pool=2 version=0.9.3 (312 B)"},
		{client(engine.Event{Kind: engine.KindGreetingReceived}), "info", "edge-1/c-12", "greeting ok"},
		{client(engine.Event{Kind: engine.KindGreetingRejected, Code: 4002, Reason: "held by another", Greeting: &engine.Greeting{PoolSize: 1, Expose: make([]engine.Expose, 3)}}),
			"error", "edge-1/c-12", "greeting refused pool=1 exposes=3: held by another (4002)"},
		{engine.Event{Kind: engine.KindGreetingRejected, Connection: 12, Code: 4001, Reason: "banned"}, "warn", "c-12", "greeting refused: banned (4001)"},
		{engine.Event{Kind: engine.KindGreetingRejected, Connection: 12, Code: 1006, Reason: "EOF"}, "warn", "c-12", "greeting refused: EOF (1006)"},
		{client(engine.Event{Kind: engine.KindConnectionClosed, Code: 1001}), "info", "edge-1/c-12", "closed 1001 going away"},
		{client(engine.Event{Kind: engine.KindConnectionClosed, Code: 4000, Reason: "stuck upload"}), "info", "edge-1/c-12", "closed 4000 killed: stuck upload"},
		{client(engine.Event{Kind: engine.KindConnectionClosed, Code: 1006, Reason: "connection lost: EOF"}), "warn", "edge-1/c-12", "closed 1006 no close frame: connection lost: EOF"},
		{client(engine.Event{Kind: engine.KindConnectionClosed, Code: 1002, Reason: "broken framing"}), "error", "edge-1/c-12", "closed 1002 protocol error: broken framing"},
		{client(engine.Event{Kind: engine.KindConnectionClosed, Code: 3999}), "error", "edge-1/c-12", "closed 3999"},
		{engine.Event{Kind: engine.KindRequestStarted, Request: &engine.Request{ID: 1, Caller: "[2001:db8::1]:9", Method: "GET", Target: "http://a/b"}},
			"debug", "2001:db8::1", "r-1 GET http://a/b began"},
		{engine.Event{Kind: engine.KindRequestFinished, Request: failed}, "warn", "edge-1/c-12", "r-4711 POST http://a/b 504 timed_out after 5s: timed out"},
		{engine.Event{Kind: engine.KindRequestFinished, Request: &engine.Request{ID: 2, Client: "x", Target: "tcp:5432", Outcome: engine.OutcomeCompleted, LastByte: 1234 * time.Microsecond}},
			"debug", "x", "r-2 tcp:5432 completed after 1ms"},
		{engine.Event{Kind: engine.KindDialFailed, Client: "edge-1", Server: "ws://t/register", Reason: "connection refused", Duration: 1234 * time.Millisecond},
			"warn", "t", "dial failed: connection refused; next try in 1.23s"},
		{engine.Event{Kind: engine.KindDialFailed, Client: "edge-1", Server: "ws://t/register", Reason: "refused"}, "error", "t", "dial failed: refused"},
		{engine.Event{Kind: engine.KindAdmissionRefused, Peer: "203.0.113.200:1", Code: 401, Reason: "credential missing or wrong"},
			"error", "203.0.113.200", "handshake refused: credential missing or wrong (401)"},
		{engine.Event{Kind: engine.KindAdmissionRefused, Peer: "203.0.113.200:1", Way: engine.WayProxy, Code: 407, Reason: "credential missing or wrong"},
			"error", "203.0.113.200", "caller refused by way of proxy: credential missing or wrong (407)"},
		{engine.Event{Kind: engine.KindAdmissionRefused, Peer: "203.0.113.200:1", Code: 401, Reason: "credential wrong", Count: 120, Duration: 990 * time.Millisecond},
			"error", "203.0.113.200", "handshake refused, 120 times within 990ms: credential wrong (401)"},
		{engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Target: "c-12", Operator: "local", Reason: "stuck upload"},
			"info", "local", `KILL c-12 by local: "stuck upload"`},
		{engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionDrain, Operator: "signal"}, "info", "signal", "DRAIN everything by signal"},
		{engine.Event{Kind: engine.KindDraining, Count: 3}, "info", "server", "draining, exchanges in flight: 3"},
		{engine.Event{Kind: engine.KindNotice, Reason: "no credential is set"}, "warn", "engine", "no credential is set"},
		{engine.Event{Kind: engine.KindLimitReached, Target: "max-waiting", Client: "edge-1", Count: 7, Reason: "1000 callers wait for it"},
			"warn", "edge-1", "limit reached: max-waiting, 7 times: 1000 callers wait for it"},
		{engine.Event{Kind: engine.KindLimitReached, Target: "handshake-rate", Peer: "192.0.2.9", Count: 1}, "warn", "192.0.2.9", "limit reached: handshake-rate"},
		{engine.Event{Kind: engine.KindLimitReached, Target: "memory", Count: 2}, "warn", "server", "limit reached: memory, 2 times"},
		{engine.Event{Kind: engine.KindStopped, Client: "edge-1", Duration: 90 * time.Minute, Totals: &engine.Totals{Requests: 10, Failed: 1}},
			"info", "client", "stopped after 1h30m0s, requests: 10, of these not completed: 1"},
	} {
		if got := LevelOf(&tt.e).String(); got != tt.level {
			t.Errorf("%v (%d): level %s, want %s", tt.e.Kind, tt.e.Code, got, tt.level)
		}
		if got := string(AppendSource([]byte("> "), &tt.e)); got != "> "+tt.source {
			t.Errorf("%v: source %q, want %q", tt.e.Kind, got, tt.source)
		}
		if got := string(AppendMessage([]byte("> "), &tt.e)); got != "> "+tt.message {
			t.Errorf("%v: message\n%q, want\n%q", tt.e.Kind, got, tt.message)
		}
	}
}

// TestEveryKindHasWords: a kind that is new must not be told by its name alone,
// nor must an event with nothing in it break anything.
func TestEveryKindHasWords(t *testing.T) {
	for k := engine.Kind(1); k.String() != "unknown"; k++ {
		e := engine.Event{Kind: k}
		message, source := string(AppendMessage(nil, &e)), string(AppendSource(nil, &e))
		if message == "" || source == "" || strings.ContainsAny(message+source, "\n") {
			t.Errorf("%v: %q from %q", k, message, source)
		}
		e = engine.Event{Kind: k, Listen: "here", Reason: "why", Request: &engine.Request{ID: 1, Target: "/"}}
		if message := string(AppendMessage(nil, &e)); message == k.String() {
			t.Errorf("%v is told by its name alone", k)
		}
	}
}

// Two servers of a client had one name in the list of events, cut before what
// tells them apart; and nobody could say who sent a greeting that was refused.
func TestSourceTellsWho(t *testing.T) {
	for _, test := range []struct {
		event engine.Event
		want  string
	}{
		{engine.Event{Kind: engine.KindDialFailed, Server: "wss://edge-1.example.com:8443/register"}, "edge-1.example.com:8443"},
		{engine.Event{Kind: engine.KindDialFailed, Server: "wss://edge-1.example.com/a/register"}, "edge-1.example.com/a"},
		{engine.Event{Kind: engine.KindGreetingRejected, Connection: 7, Peer: "203.0.113.200:40110"}, "203.0.113.200/c-7"},
		{engine.Event{Kind: engine.KindGreetingRejected, Connection: 7, Client: "edge-1", Peer: "203.0.113.200:40110"}, "edge-1/c-7"},
	} {
		if got := string(AppendSource(nil, &test.event)); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// A request of less than a millisecond took "0s".
func TestShortDurationsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0us", 280*time.Microsecond + 400: "280us", 1234 * time.Microsecond: "1ms", 1234 * time.Millisecond: "1.23s"} {
		if got := rounded(d); got != want {
			t.Errorf("%d ns: %q, want %q", d, got, want)
		}
	}
}
