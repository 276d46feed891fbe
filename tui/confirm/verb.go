package confirm

import (
	"context"
	"errors"
	"strconv"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/connection"
	"adit/tui/format"
	"adit/tui/pane"
)

// A verb is how one action is spoken of.
type verb struct {
	word, done, button string
	breaks             func(d *dialog, f *pane.Frame) string
}

func verbOf(a keys.Action) verb {
	switch a {
	case keys.Kill:
		return verb{"kill", "killed", "kill now", breaksKill}
	case keys.Drain:
		return verb{"drain", "draining", "drain", breaksDrain}
	case keys.Ban:
		return verb{"ban", "banned", "ban", breaksBan}
	case keys.Unban:
		return verb{"unban", "unbanned", "unban", func(*dialog, *pane.Frame) string {
			return "It may connect again from now on."
		}}
	case keys.DrainAll:
		return verb{"drain", "draining", "drain and end", breaksDrainAll}
	case keys.Cancel:
		return verb{"cancel", "cancelled", "cancel request", breaksCancel}
	case keys.Replay:
		return verb{"replay", "replayed", "send again", breaksReplay}
	}
	return verb{string(a), string(a), string(a), func(*dialog, *pane.Frame) string { return "" }}
}

// title states verb and count.
func (d *dialog) title() string {
	what := ""
	switch {
	case d.ask.Action == keys.DrainAll:
		return "Drain everything and end?"
	case len(d.ask.Connections) > 0:
		what = format.Plural(len(d.ask.Connections), "connection")
	case len(d.ask.Clients) > 0:
		what = format.Plural(len(d.ask.Clients), "client")
	default:
		what = format.Plural(len(d.ask.Requests)+len(d.ask.Replays), "request")
	}
	word := d.verb.word
	return string(word[0]-'a'+'A') + word[1:] + " " + what + "?"
}

// target draws the i-th of what the action is done to, as it is now.
func (d *dialog) target(in canvas.Area, row, i int, f *pane.Frame) {
	cut := f.Glyphs.Cut
	half := in.W() / 2
	switch {
	case i < len(d.ask.Connections):
		id := d.ask.Connections[i]
		at := f.Snapshot.Index(id)
		if at < 0 {
			in.Cut(1, row, half-2, id.String(), cut, canvas.Of(themes.Muted))
			in.Cut(half, row, in.W()-half-1, f.Glyphs.Closed+" closed already", cut, canvas.Of(themes.Muted))
			return
		}
		c := &f.Snapshot.Connections[at]
		who := c.Client
		if f.Snapshot.Role == engine.RoleClient {
			who = c.Server
		}
		// The id is never cut.
		name := id.String()
		end := in.Cut(1, row, max(half-5-canvas.Width(name), 1), who, cut, canvas.Of(themes.Fg))
		in.Text(end, row, " / "+name, canvas.Of(themes.Fg))
		glyph, _ := connection.State(c.State, f.Glyphs)
		end = in.Text(half, row, glyph+" "+c.State.String(), canvas.Of(connection.StateRole(c.State)))
		in.Cut(max(end+1, half+11), row, in.W()-half-11, format.Plural(c.InFlight, "request")+" in flight", cut, canvas.Of(themes.Fg))
	case i < len(d.ask.Connections)+len(d.ask.Clients):
		name := d.ask.Clients[i-len(d.ask.Connections)]
		n, flying := ofClient(f, name)
		in.Cut(1, row, half-2, name, cut, canvas.Of(themes.Fg))
		in.Cut(half, row, in.W()-half-1, format.Plural(n, "connection")+", "+strconv.Itoa(flying)+" in flight", cut, canvas.Of(themes.Fg))
	case len(d.ask.Replays) > 0:
		d.replayed(in, row, &d.ask.Replays[i], f)
	default:
		id := d.ask.Requests[i-len(d.ask.Connections)-len(d.ask.Clients)]
		in.Cut(1, row, in.W()-2, id.String(), cut, canvas.Of(themes.Fg))
	}
}

// ofClient counts the connections of a client and their requests.
func ofClient(f *pane.Frame, client string) (connections, flying int) {
	i := f.Rows.Index(client)
	if i < 0 {
		return 0, 0
	}
	c := &f.Rows.Clients[i]
	return len(c.Connections), c.InFlight
}

// flying counts the requests in flight on the targets.
func (d *dialog) flying(f *pane.Frame) int {
	n := 0
	for _, id := range d.ask.Connections {
		if i := f.Snapshot.Index(id); i >= 0 {
			n += f.Snapshot.Connections[i].InFlight
		}
	}
	for _, client := range d.ask.Clients {
		_, flying := ofClient(f, client)
		n += flying
	}
	return n
}

func fail(n int, f *pane.Frame) string {
	switch {
	case n == 0:
		return "No request is in flight there now."
	case f.Snapshot.Role == engine.RoleClient:
		return format.Plural(n, "request") + " will fail."
	}
	return format.Plural(n, "request") + " will fail with 502."
}

func breaksKill(d *dialog, f *pane.Frame) string {
	again := "The clients will reconnect (pool size is kept)."
	if len(d.ask.Connections) == 1 {
		again = "The client will reconnect (pool size is kept)."
	}
	if f.Snapshot.Role == engine.RoleClient {
		again = "This client will reconnect (pool size is kept)."
	}
	return fail(d.flying(f), f) + " " + again
}

func breaksDrain(d *dialog, f *pane.Frame) string {
	text := "No new request goes there; "
	if n := d.flying(f); n > 0 {
		text += format.Plural(n, "request") + " in flight may finish, then "
	}
	return text + "the connection is closed and replaced by a new one."
}

func breaksBan(d *dialog, f *pane.Frame) string {
	return fail(d.flying(f), f) + " Connections are closed, and new ones refused until unban or the end of this run."
}

func breaksDrainAll(_ *dialog, f *pane.Frame) string {
	n := 0
	for i := range f.Snapshot.Connections {
		n += f.Snapshot.Connections[i].InFlight
	}
	return "No new request is taken; " + format.Plural(n, "request") +
		" in flight may finish. Then all " + format.Plural(len(f.Snapshot.Connections), "connection") +
		" are closed and the run ends."
}

func breaksCancel(_ *dialog, f *pane.Frame) string {
	return "The caller gets an error, or the end of the response if it has begun. The connection stays."
}

// act returns what does ask for a reason and says how it went.
func act(ask pane.Ask, reason string) func(context.Context, pane.Source, string) pane.Effect {
	return func(ctx context.Context, s pane.Source, operator string) pane.Effect {
		by := engine.Operator{Name: operator, Reason: reason}
		var t tally
		for _, id := range ask.Connections {
			if ask.Action == keys.Kill {
				t.add(id.String(), s.Engine.CloseConnection(ctx, id, engine.CloseKilled, by), "already closed")
			} else {
				t.add(id.String(), s.Engine.Drain(ctx, id, by), "already closed")
			}
		}
		for _, client := range ask.Clients {
			if ask.Action == keys.Unban {
				t.add(client, s.Engine.Unban(ctx, client, by), "is not banned")
			} else {
				t.add(client, s.Engine.Ban(ctx, client, by), "no such client")
			}
		}
		for _, id := range ask.Requests {
			t.add(id.String(), s.Engine.CancelExchange(ctx, id, by), "already over")
		}
		if len(ask.Replays) > 0 {
			return replay(ctx, s, ask, by)
		}
		if ask.Action == keys.DrainAll {
			t.add("everything", s.Engine.Drain(ctx, 0, by), "already over")
		}
		return t.say(verbOf(ask.Action))
	}
}

// A tally is what came of an action on several targets.
type tally struct {
	first  string // that it was done to
	done   int
	failed int
	gone   int    // of these, already over when it came to them: what was wanted is so
	why    string // of the first that failed
}

func (t *tally) add(target string, err error, gone string) {
	switch {
	case err == nil:
		if t.done == 0 {
			t.first = target
		}
		t.done++
		return
	case errors.Is(err, engine.ErrNotFound):
		err = errors.New(gone)
		t.gone++
	case errors.Is(err, context.DeadlineExceeded):
		err = errors.New("no answer in time; it may still happen")
	}
	if t.failed == 0 {
		t.why = target + ": " + err.Error()
	}
	t.failed++
}

func (t *tally) say(v verb) pane.Say {
	switch {
	case t.failed == 0 && t.done == 1:
		return pane.Say{Text: v.done + " " + t.first}
	case t.failed == 0:
		return pane.Say{Text: v.done + " " + strconv.Itoa(t.done)}
	case t.failed == 1 && t.done == 0:
		return pane.Say{Text: v.word + " " + t.why, Bad: t.gone == 0}
	}
	return pane.Say{Text: v.done + " " + strconv.Itoa(t.done) + " of " + strconv.Itoa(t.done+t.failed) + "; " + t.why, Bad: t.gone < t.failed}
}
