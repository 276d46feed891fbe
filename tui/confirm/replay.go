package confirm

import (
	"context"
	"strconv"

	"adit/engine"
	"adit/engine/inspect"
	"adit/engine/observe"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// replayed draws what is sent again.
func (d *dialog) replayed(in canvas.Area, row int, r *engine.Replay, f *pane.Frame) {
	x := in.Cut(1, row, 12, r.Of.String(), f.Glyphs.Cut, canvas.Of(themes.Muted))
	style, note := canvas.Of(themes.Fg), ""
	if !inspect.Idempotent(r.Method) {
		style, note = canvas.Of(themes.Warn), "not idempotent"
	}
	room := in.W() - x - 3 - len(note)
	in.Cut(x+1, row, max(room, 8), r.Method+" "+observe.Target(r.Target), f.Glyphs.Cut, style)
	in.Right(in.W()-1-len(note), row, len(note), note, style)
}

func breaksReplay(d *dialog, _ *pane.Frame) string {
	changing := 0
	for i := range d.ask.Replays {
		if !inspect.Idempotent(d.ask.Replays[i].Method) {
			changing++
		}
	}
	text := "It reaches the origin as a request of its own, marked as a replay in the log."
	if len(d.ask.Replays) > 1 {
		text = "They reach the origin as requests of their own, marked as replays in the log."
	}
	switch {
	case changing == 1 && len(d.ask.Replays) == 1:
		text += " " + d.ask.Replays[0].Method + " is not idempotent: what it did, it may do twice."
	case changing > 0:
		text += " " + strconv.Itoa(changing) + " are not idempotent: what they did, they may do twice."
	}
	client := ""
	if len(d.ask.Replays) > 0 {
		client = d.ask.Replays[0].Client
	}
	if client != "" {
		text += " Client: " + client + "."
	} else {
		text += " Any client that can serves it."
	}
	if n := len(d.ask.Refused); n > 0 {
		text += " " + format.Plural(n, "marked request") + " can't be sent again: " + d.ask.Refused[0] + "."
	}
	return text
}

// replay sends what was asked for and shows the answer of one beside what it was,
// of several how many went out.
func replay(ctx context.Context, s pane.Source, ask pane.Ask, by engine.Operator) pane.Effect {
	var t tally
	var newest engine.RequestID
	for _, r := range ask.Replays {
		id, err := s.Engine.Replay(ctx, r, by)
		t.add(r.Of.String(), err, "there is no client that could serve it")
		if err == nil {
			newest = id
		}
	}
	if len(ask.Replays) == 1 && len(ask.Refused) == 0 && t.done == 1 {
		return pane.OpenComparison{Original: ask.Replays[0].Of, Replay: newest}
	}
	for _, why := range ask.Refused {
		if t.failed == 0 {
			t.why = why
		}
		t.failed++
	}
	return t.say(verbOf(keys.Replay))
}
