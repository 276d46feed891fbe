package tui

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"adit/engine"
	"adit/tui/scene"
)

// A walk is an operator who presses and clicks whatever, in front of an engine
// that tells whatever, on a terminal of any size.
type walk struct {
	*still
	*rand.Rand
	scene *scene.Scene
	since time.Duration
	next  engine.RequestID
	w, h  int
	did   []string // the last of it

	colours *regexp.Regexp
	also    func(k *walk) // when the engine goes on; may be nil
}

func (k *walk) one(of ...string) string { return of[k.IntN(len(of))] }

// text is what a peer may have sent.
func (k *walk) hostile() string {
	return k.one("", "edge-1", "\x1b[2J\x1b]52;c;aGk=\x07", "\u202egnp.exe", "名前の長い客", "e\u0301\u0301\u0301", "👩‍👩‍👧", "\xff\xfe\x00",
		strings.Repeat("長", 300), strings.Repeat("x", engine.MaxText), "a\nb\r\tc", "%s%d\x9b31m", "ws://\u200b/register", "tcp:0", "c-1")
}

func (k *walk) number() uint64 {
	return [...]uint64{0, 1, 999, 1023, 1 << 20, math.MaxInt64, math.MaxUint64}[k.IntN(7)]
}

func (k *walk) duration() time.Duration {
	return [...]time.Duration{-1, 0, 1, time.Millisecond, time.Second, 240 * time.Hour, math.MaxInt64, math.MinInt64}[k.IntN(8)]
}

func (k *walk) when() time.Time {
	return [...]time.Time{{}, k.clock, k.clock.Add(-time.Minute), k.clock.Add(time.Hour), time.Unix(1<<40, 0)}[k.IntN(5)]
}

func (k *walk) request() *engine.Request {
	k.next++
	r := &engine.Request{ID: k.next, Connection: engine.ConnectionID(k.IntN(400)), Client: k.hostile(), Caller: k.hostile(), Method: k.hostile(),
		Target: k.one("http://", "", "/", "tcp:") + k.hostile(), Status: k.one2(0, 200, 404, 503, -1, math.MaxInt32), Reason: k.hostile(),
		Arrived: k.when(), Queued: k.duration(), Connect: k.duration(), Sent: k.duration(), FirstByte: k.duration(), LastByte: k.duration(),
		RequestBytes: int64(k.number()), ResponseBytes: int64(k.number()), Outcome: engine.Outcome(k.IntN(10)), Way: engine.Way(k.IntN(7))}
	if k.IntN(2) == 0 {
		r.Heads = &engine.Heads{Request: "Host: " + k.hostile() + "\n" + k.hostile(), Response: k.hostile() + ":\n\n:", Cut: true}
	}
	return r
}

func (k *walk) one2(of ...int) int { return of[k.IntN(len(of))] }

// goesOn has the engine tell something.
func (k *walk) goesOn() string {
	k.since += k.one3(framesEvery, time.Second, time.Minute, -time.Second)
	k.clock = scene.Clock().Add(k.since)
	few := k.IntN(3)
	k.fake.Update(func(s *engine.Snapshot) {
		k.scene.At(max(k.since, 0), s)
		switch few {
		case 0:
			s.Connections = s.Connections[:k.IntN(min(len(s.Connections), 4)+1)]
		case 1:
			s.Connections = s.Connections[k.IntN(len(s.Connections)+1):]
		}
		for i := range s.Connections {
			if c := &s.Connections[i]; k.IntN(4) == 0 {
				c.Client, c.Peer, c.Credential, c.Opened, c.RTT = k.hostile(), k.hostile(), k.hostile(), k.when(), k.duration()
				c.State, c.InFlight, c.BytesIn, c.Exchanges = engine.ConnectionState(k.IntN(9)), k.one2(0, 3, math.MaxInt32), k.number(), k.number()
				c.FramesIn.Ping, c.FramesOut.Ping, c.ShapeIn.LastOpcode, c.ShapeIn.LastLength = k.number(), k.number(), uint8(k.IntN(256)), k.number()
				c.Greeting = &engine.Greeting{Raw: k.one("", "{", `{"token":["a",{"b":1}],"x":"`) + k.hostile(), Version: k.hostile(), OS: k.hostile(),
					PoolSize: k.one2(0, 8, math.MaxInt32), Labels: map[string]string{k.hostile(): k.hostile()}}
			}
		}
		s.Name, s.Waiting, s.Totals.BytesOut, s.Totals.Failed = k.hostile(), int(int32(k.number())), k.number(), k.number()
		if k.IntN(8) == 0 {
			s.Role = engine.RoleClient
			s.Servers = []engine.Server{{URL: k.hostile(), Wanted: k.one2(0, 8, -1), RetryAt: k.when(), LastError: k.hostile()}}
		}
		s.Draining, s.Banned = k.IntN(9) == 0, []string{k.hostile()}
	})
	events := make([]engine.Event, k.IntN(4))
	for i := range events {
		e := &events[i]
		*e = engine.Event{Kind: engine.Kind(k.IntN(20)), Time: k.when(), Connection: engine.ConnectionID(k.IntN(400)), Client: k.hostile(),
			Peer: k.hostile(), Reason: k.hostile(), Code: uint16(k.number()), Duration: k.duration(), Operator: k.hostile(), Target: k.hostile(),
			Action: engine.Action(k.hostile())}
		if k.IntN(2) == 0 {
			e.Kind, e.Request = engine.KindRequestFinished, k.request()
		}
	}
	k.fake.Publish(events...)
	if k.also != nil {
		k.also(k)
	}
	return "the engine goes on"
}

func (k *walk) one3(of ...time.Duration) time.Duration { return of[k.IntN(len(of))] }

func (k *walk) message() tea.Msg {
	at := tea.Mouse{X: k.IntN(k.w+4) - 2, Y: k.IntN(k.h+4) - 2, Button: tea.MouseLeft}
	switch n := k.IntN(20); {
	case n < 4:
		special := [...]tea.Key{{Code: tea.KeyEnter}, {Code: tea.KeyEscape}, {Code: tea.KeyTab}, {Code: tea.KeyTab, Mod: tea.ModShift}, {Code: tea.KeyUp},
			{Code: tea.KeyDown}, {Code: tea.KeyLeft}, {Code: tea.KeyRight}, {Code: tea.KeyPgUp}, {Code: tea.KeyPgDown}, {Code: tea.KeyHome}, {Code: tea.KeyEnd},
			{Code: tea.KeySpace, Text: " "}, {Code: tea.KeyBackspace}, {Code: 'd', Mod: tea.ModCtrl}, {Code: 'u', Mod: tea.ModCtrl}, {Code: 'r', Mod: tea.ModCtrl}}
		return tea.KeyPressMsg(special[k.IntN(len(special))])
	case n < 12:
		c := rune('!' + k.IntN('~'-'!'+1))
		return tea.KeyPressMsg{Code: c, Text: string(c)}
	case n == 12:
		return tea.PasteMsg{Content: k.hostile()}
	case n == 13:
		return tea.MouseWheelMsg{X: at.X, Y: at.Y, Button: [...]tea.MouseButton{tea.MouseWheelUp, tea.MouseWheelDown}[k.IntN(2)]}
	case n == 14:
		return tea.MouseMotionMsg(at)
	case n == 15:
		return tea.MouseReleaseMsg(at)
	case n == 16:
		return tea.MouseClickMsg(at)
	case n == 17:
		w, h := k.one2(0, 1, 2, 40, 60, 80, 100, 120, 160, 200, k.IntN(250)), k.one2(0, 1, 2, 9, 15, 24, 30, 36, 48, 60, k.IntN(80))
		if w > 0 && h > 0 {
			k.w, k.h = w, h
		}
		return tea.WindowSizeMsg{Width: w, Height: h}
	}
	return nil // the engine goes on
}

// dangerous: C0, DEL, C1, zero-width, and what changes direction.
func dangerous(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff
}

// fits reports what of a frame is not as wide or tall as the terminal.
func (k *walk) fits() error {
	if w, h := k.canvas.Size(); w != k.w || h != k.h {
		return fmt.Errorf("drawn on %dx%d cells, the terminal has %dx%d", w, h, k.w, k.h)
	}
	rows := strings.Split(k.view.Content, "\n")
	if len(rows) != k.h {
		return fmt.Errorf("%d rows on a terminal of %d", len(rows), k.h)
	}
	for y, row := range rows {
		if n := ansi.StringWidth(row); n != k.w {
			return fmt.Errorf("row %d takes %d cells of %d: %q", y, n, k.w, row)
		}
		// Taking out colours only: whatever else begins with ESC came from a peer.
		if plain := k.colours.ReplaceAllString(row, ""); strings.ContainsFunc(plain, dangerous) {
			return fmt.Errorf("row %d has a character that does more than show itself: %q", y, row)
		}
	}
	if strings.ContainsFunc(k.view.WindowTitle, dangerous) {
		return fmt.Errorf("title of the window %q", k.view.WindowTitle)
	}
	return nil
}

func (k *walk) step() {
	msg := k.message()
	what := fmt.Sprintf("%T %v", msg, msg)
	if msg == nil {
		what = k.goesOn()
	}
	if k.did = append(k.did, what); len(k.did) > 40 {
		k.did = k.did[1:]
	}
	defer func() {
		if r := recover(); r != nil {
			k.t.Fatalf("panic at %dx%d after %s:\n%v\n%s", k.w, k.h, strings.Join(k.did, "\n"), r, debug.Stack())
		}
	}()
	if msg != nil {
		if msg = filter(k.model, msg); msg != nil {
			k.update(msg) // commands are not run: nothing is written or done
		}
	}
	k.still.next()
	k.draw()
	if k.end != 0 {
		k.end, k.err, k.overlays = 0, nil, nil
	}
	if err := k.fits(); err != nil {
		k.t.Fatalf("%v\nafter %s", err, strings.Join(k.did, "\n"))
	}
}

func (s *still) walks(seed uint64, sc *scene.Scene, steps int, also func(*walk)) {
	k := &walk{still: s, Rand: rand.New(rand.NewPCG(seed, 7)), scene: sc, next: 1000, w: 120, h: 36,
		colours: regexp.MustCompile(`\x1b\[[0-9;:]*m`), also: also}
	k.at(k.w, k.h)
	for range steps {
		k.step()
	}
}

func TestWhateverIsPressedInFrontOfWhateverEngine(t *testing.T) {
	for seed, o := range []Options{{}, {Glyphs: "ascii", Color: "never", ReadOnly: true}, {Glyphs: "block", KeySet: "emacs"}} {
		sc := scene.New(scene.Options{})
		pictured(t, o, sc, 300).walks(uint64(seed), sc, 700, nil)
	}
}

func TestWhateverIsPressedWhileALinkFlaps(t *testing.T) {
	for seed, o := range []Options{{}, {Glyphs: "ascii", Color: "never", KeySet: "basic"}} {
		a := attach(t, o, nil)
		a.walks(uint64(seed), a.scene, 500, func(k *walk) {
			switch k.IntN(6) {
			case 0:
				a.linked.Lose(k.hostile(), k.clock)
			case 1:
				a.linked.Recover(k.one("1", "2", "3"), k.clock)
			case 2:
				a.linked.SetLink(func(l *engine.Link) {
					l.Address, l.Name, l.Notice, l.Cause = k.hostile(), k.hostile(), k.hostile(), k.hostile()
					l.Attached, l.Attempt, l.Skew = k.one2(0, 1, 2, math.MaxInt32, -1), k.one2(0, 3, math.MaxInt32), k.duration()
					l.Since, l.LastData, l.RetryAt = k.when(), k.when(), k.when()
					l.ReadOnly, l.Stuck, l.Lost = k.IntN(2) == 0, k.IntN(2) == 0, k.IntN(2) == 0
					l.Restarts, l.RoundTrip = k.IntN(3), k.duration()
				})
			}
		})
	}
}

func TestWhateverIsPressedInFrontOfARecording(t *testing.T) {
	for seed, o := range []Options{{}, {Glyphs: "ascii", Color: "never"}} {
		p := play(t, o)
		p.walks(uint64(seed), scene.New(scene.Options{}), 500, func(k *walk) {
			p.player.Passes(k.one3(0, time.Second, time.Minute))
			if k.IntN(8) == 0 {
				p.player.Seek(k.when())
			}
		})
	}
}
