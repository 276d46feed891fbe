package exchange_test

import (
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/pane"
)

func frame() *pane.Frame {
	return &pane.Frame{Glyphs: themes.Unicode(), UTC: true}
}

func post() *engine.Request {
	return &engine.Request{ID: 7, Method: "POST", Target: "/api/it's?x=1", Status: 502, RequestBytes: 4 << 20,
		Arrived: time.Date(2026, 11, 22, 15, 4, 11, 204e6, time.UTC), Outcome: engine.OutcomeOriginFailed, Reason: "connection refused",
		Queued: 400 * time.Microsecond, Sent: 1500 * time.Microsecond, Connect: -1, FirstByte: 4999500 * time.Microsecond, LastByte: 5 * time.Second,
		Heads: &engine.Heads{
			Request:  "Host: shop.example.com\nAuthorization: Bearer abc\nX-Api-Key: k1\nContent-Length: 4194304\nReferer: https://u:p@a.example/?token=t1&y=2\nX: it's\n",
			Response: "Set-Cookie: s=1\nContent-Type: text/plain\n"}}
}

func TestPhasesAddUpToWhatItTook(t *testing.T) {
	now := post().Arrived.Add(9 * time.Second)
	cases := map[string]struct {
		change func(*engine.Request)
		names  string
		total  time.Duration
	}{
		"server":         {func(*engine.Request) {}, "queue dispatch wait receive", 5 * time.Second},
		"client":         {func(r *engine.Request) { r.Queued, r.Connect, r.Sent = -1, 2*time.Millisecond, 3*time.Millisecond }, "connect dispatch wait receive", 5 * time.Second},
		"late connect":   {func(r *engine.Request) { r.Connect = 3 * time.Millisecond }, "queue dispatch connect wait receive", 5 * time.Second},
		"reused":         {func(r *engine.Request) { r.Connect = 0 }, "queue dispatch wait receive", 5 * time.Second},
		"refused":        {func(r *engine.Request) { r.Queued, r.Sent, r.FirstByte = -1, -1, -1 }, "end", 5 * time.Second},
		"no first byte":  {func(r *engine.Request) { r.FirstByte = -1 }, "queue dispatch end", 5 * time.Second},
		"out of order":   {func(r *engine.Request) { r.Sent = 100; r.FirstByte = 50 }, "queue receive", 5 * time.Second},
		"beyond the end": {func(r *engine.Request) { r.FirstByte = 6 * time.Second }, "queue dispatch receive", 5 * time.Second},
		"in flight": {func(r *engine.Request) {
			*r = engine.Request{Arrived: r.Arrived, Queued: -1, Sent: -1, Connect: -1, FirstByte: -1, LastByte: -1}
		}, "running", 9 * time.Second},
		"waiting":      {func(r *engine.Request) { r.Outcome, r.Reason, r.FirstByte = 0, "", -1 }, "queue dispatch wait", 9 * time.Second},
		"receiving":    {func(r *engine.Request) { r.Outcome, r.Reason = 0, "" }, "queue dispatch wait receive", 9 * time.Second},
		"end not seen": {func(r *engine.Request) { r.Outcome, r.Reason = 0, "its end was not seen" }, "", 0},
		"unknown end":  {func(r *engine.Request) { r.LastByte = -1 }, "", 0},
		"at once":      {func(r *engine.Request) { r.Queued, r.Sent, r.FirstByte, r.LastByte = 0, 0, 0, 0 }, "receive", 0},
	}
	for name, c := range cases {
		r := post()
		c.change(r)
		phases := exchange.Phases(r, now, nil)
		var names []string
		var at time.Duration
		for _, p := range phases {
			if p.From != at || p.To < p.From {
				t.Errorf("%s: %v to %v does not follow %v", name, p.From, p.To, at)
			}
			names, at = append(names, p.Short), p.To
		}
		if got := strings.Join(names, " "); got != c.names || at != c.total {
			t.Errorf("%s: %q in %v, want %q in %v", name, got, at, c.names, c.total)
		}
	}
}

// What is shown has to add up too: each part is rounded so that the sum is the
// total.
func TestShownTimesAddUp(t *testing.T) {
	r := post()
	for i := range 200 {
		r.Queued = time.Duration(i) * 37 * time.Microsecond
		r.Sent = r.Queued + time.Duration(i*i)*13*time.Microsecond
		r.FirstByte = r.Sent + time.Duration(i)*999*time.Microsecond
		r.LastByte = r.FirstByte + time.Duration(i)*1049*time.Microsecond
		c := canvas.New()
		c.Resize(120, 10)
		n := exchange.DrawTiming(c.Area(), frame(), exchange.Phases(r, r.Arrived, nil))
		sum, total := 0, 0
		for y, line := range strings.Split(c.Plain(), "\n")[:n] {
			digits := ""
			if len([]rune(line)) > 100 {
				for _, d := range string([]rune(line)[104:]) {
					if d >= '0' && d <= '9' {
						digits += string(d)
					}
				}
			}
			value := 0
			for _, d := range digits {
				value = value*10 + int(d-'0')
			}
			if y == n-1 {
				total = value
			} else {
				sum += value
			}
		}
		if sum != total {
			t.Fatalf("%d tenths in parts, %d in all:\n%s", sum, total, c.Plain())
		}
	}
}

func TestDurationOfWhatRunsGrows(t *testing.T) {
	r := engine.Request{Arrived: time.Unix(100, 0), LastByte: -1}
	for now, want := range map[int64]time.Duration{100: 0, 103: 3 * time.Second, 99: 0} {
		if d, known := exchange.Duration(&r, time.Unix(now, 0)); !known || d != want {
			t.Errorf("at %d: %v, %t", now, d, known)
		}
	}
	r.Reason = "its end was not seen"
	if _, known := exchange.Duration(&r, time.Unix(103, 0)); known || r.InFlight() {
		t.Error("an end that was not seen has a duration, or still runs")
	}
}

func TestOutcomeHasWordsForEachOutcome(t *testing.T) {
	seen := map[string]bool{}
	for o := engine.OutcomeNone; o <= engine.OutcomeTruncated; o++ {
		words := exchange.Outcome(&engine.Request{Outcome: o})
		if words == "" || seen[words] || strings.Contains(words, "_") || words == "unknown" {
			t.Errorf("outcome %v: %q", o, words)
		}
		seen[words] = true
	}
}

func TestHeadIsDrawnFromALineOn(t *testing.T) {
	c := canvas.New()
	c.Resize(60, 3)
	if n := exchange.DrawHead(c.Area(), frame(), post().Heads.Request, 1, false); n != 3 {
		t.Errorf("%d lines", n)
	}
	lines := strings.Split(c.Plain(), "\n")
	if !strings.Contains(lines[0], "Authorization   ••••••••••") || strings.Contains(c.Plain(), "abc") || !strings.Contains(lines[2], "4194304") {
		t.Errorf("drawn was\n%s", c.Plain())
	}
	if exchange.Fields("") != 0 || exchange.Fields("a: b") != 1 || exchange.Fields("a: b\nc: d\n") != 2 {
		t.Error("fields are miscounted")
	}
}

func TestTargets(t *testing.T) {
	for target, want := range map[string][2]string{
		"/a?u=http://x": {"", "/a?u=http://x"}, "http://h:1/p": {"h:1", "/p"}, "https://h?q": {"h", "?q"}, "http://h": {"h", "/"},
		"db:5432": {"", "db:5432"}, "tcp:2222": {"", "tcp:2222"}, "": {"", ""},
	} {
		if host, path := exchange.SplitTarget(target); host != want[0] || path != want[1] {
			t.Errorf("%s: %q %q", target, host, path)
		}
	}
}
