package plain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"adit/engine"
	"adit/tui/format"
	"adit/tui/pane"
)

const (
	// asksFor is how long a question stands.
	asksFor = 30 * time.Second

	mostRows = 20 // of a list of requests
)

// A question waits for y: something that can't be undone.
type question struct {
	until time.Time
	do    func(ctx context.Context) error // nil: quit
	done  string                          // what to say then
}

func help(readOnly, requests bool) []string {
	lines := []string{"list               connections"}
	if requests {
		lines = append(lines, "requests [FILTER]  the newest requests, such as: requests status:>=500 dur:>200ms")
	}
	if !readOnly {
		lines = append(lines,
			"kill c-N           end a connection and its requests (asks)",
			"drain c-N|all      let the requests of a connection end, then close it (asks)",
			"ban ID, unban ID   refuse a client from now on (asks), take that back")
	}
	return append(lines, "quit               end the run (asks)", "help               this")
}

// command obeys a line and reports whether the run is to end.
func (p *printer) command(ctx context.Context, text string) (quit bool) {
	text = strings.TrimSpace(text)
	if asked := p.asked; asked != nil {
		p.asked = nil
		switch {
		case time.Now().After(asked.until):
			p.say("too late: nothing was done")
		case text != "y":
			p.say("nothing was done")
			return false
		case asked.do == nil:
			return true
		default:
			p.act(ctx, asked)
		}
		if text == "y" {
			return false
		}
	}
	verb, rest, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(text, ":")), " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "":
	case "help", "?":
		for _, l := range help(p.o.ReadOnly, p.o.Log != nil) {
			p.say("  " + l)
		}
	case "list":
		p.list(ctx)
	case "requests":
		p.requests(ctx, rest)
	case "quit", "q":
		if p.o.Remote {
			return true // nothing ends with it
		}
		p.askQuit(ctx)
	case "kill", "drain", "ban", "unban":
		if p.o.ReadOnly {
			p.say(verb + ": not with --read-only")
			break
		}
		p.askAction(ctx, verb, rest)
	default:
		p.say(fmt.Sprintf("no command %q; help lists them", engine.Bound(verb)))
	}
	return false
}

// act does what was confirmed, beside: an engine that does not answer holds up
// no line.
func (p *printer) act(ctx context.Context, q *question) {
	go func() {
		bounded, cancel := context.WithTimeout(ctx, actionWait)
		defer cancel()
		text := q.done
		if err := q.do(bounded); err != nil {
			text = "not done: " + err.Error()
		}
		select {
		case p.answers <- text:
		case <-ctx.Done():
		}
	}()
}

func (p *printer) ask(text string, q question) {
	q.until = time.Now().Add(asksFor)
	p.asked = &q
	p.say(text + "; y confirms, anything else does not")
}

func (p *printer) askQuit(ctx context.Context) {
	if err := p.o.Engine.Snapshot(ctx, &p.snapshot); err != nil || len(p.snapshot.Connections) == 0 {
		p.ask("this ends the run", question{})
		return
	}
	inFlight := 0
	for i := range p.snapshot.Connections {
		inFlight += p.snapshot.Connections[i].InFlight
	}
	p.ask(fmt.Sprintf("this ends %d connections, after their %d requests in flight", len(p.snapshot.Connections), inFlight), question{})
}

// askAction reads the target of an action and asks before it.
func (p *printer) askAction(ctx context.Context, verb, target string) {
	if err := p.o.Engine.Snapshot(ctx, &p.snapshot); err != nil {
		p.say(verb + ": " + err.Error())
		return
	}
	e, by := p.o.Engine, engine.Operator{Name: p.o.Operator}
	if target == "" {
		p.say(verb + ": what? list shows connections and clients")
		return
	}
	switch {
	case verb == "ban":
		n, inFlight := p.ofClient(target)
		p.ask(fmt.Sprintf("ban %s: closes its %d connections, %d requests will fail with 502, and it is refused from now on", target, n, inFlight),
			question{do: func(ctx context.Context) error { return e.Ban(ctx, target, by) }, done: target + " is banned"})
		return
	case verb == "unban":
		p.act(ctx, &question{do: func(ctx context.Context) error { return named(target, e.Unban(ctx, target, by)) }, done: target + " may come again"})
		return
	case verb == "drain" && target == "all":
		p.ask(fmt.Sprintf("drain all: no new requests on %d connections, then the run ends", len(p.snapshot.Connections)),
			question{do: func(ctx context.Context) error { return e.Drain(ctx, 0, by) }, done: "draining all"})
		return
	}
	id, err := engine.ParseConnectionID(target)
	if err != nil {
		p.say(verb + ": " + err.Error())
		return
	}
	at := p.snapshot.Index(id)
	if at < 0 {
		p.say(fmt.Sprintf("%s: %v is not there; list shows what is", verb, id))
		return
	}
	c := &p.snapshot.Connections[at]
	if verb == "drain" {
		p.ask(fmt.Sprintf("drain %v of %s: %d requests in flight may end, then it closes", id, c.Client, c.InFlight),
			question{do: func(ctx context.Context) error { return named(target, e.Drain(ctx, id, by)) }, done: "draining " + target})
		return
	}
	p.ask(fmt.Sprintf("kill %v of %s: %d requests will fail with 502, the client will reconnect", id, c.Client, c.InFlight),
		question{do: func(ctx context.Context) error {
			return named(target, e.CloseConnection(ctx, id, engine.CloseKilled, by))
		}, done: "killed " + target})
}

// named says what was not found.
func named(target string, err error) error {
	if errors.Is(err, engine.ErrNotFound) {
		return fmt.Errorf("%s is not there any more", target)
	}
	return err
}

func (p *printer) ofClient(id string) (connections, inFlight int) {
	for i := range p.snapshot.Connections {
		if c := &p.snapshot.Connections[i]; c.Client == id {
			connections++
			inFlight += c.InFlight
		}
	}
	return connections, inFlight
}

// list prints the connections.
func (p *printer) list(ctx context.Context) {
	if err := p.o.Engine.Snapshot(ctx, &p.snapshot); err != nil {
		p.say("list: " + err.Error())
		return
	}
	s := &p.snapshot
	for i := range s.Connections {
		c := &s.Connections[i]
		rtt := "rtt unknown"
		if c.RTT > 0 {
			rtt = "rtt " + format.Duration(c.RTT)
		}
		p.say(fmt.Sprintf("  %-8v %-10v %s  in flight %d, requests %s, failed %s, %s, age %s", c.ID, c.State, c.Client,
			c.InFlight, format.Count(c.Exchanges), format.Count(c.Failed), rtt, format.Age(s.Time.Sub(c.Opened))))
	}
	text := fmt.Sprintf("%d connections", len(s.Connections))
	if len(s.Banned) > 0 {
		text += "; banned: " + strings.Join(s.Banned, ", ")
	}
	p.say(text)
}

// requests prints the newest that a filter selects.
func (p *printer) requests(ctx context.Context, filter string) {
	if p.o.Log == nil {
		p.say("requests: none are recorded here")
		return
	}
	var page engine.RequestPage
	if err := p.o.Log.Requests(ctx, engine.RequestQuery{Filter: filter, Count: mostRows}, &page); err != nil {
		p.say("requests: " + err.Error())
		return
	}
	for i := range page.Requests {
		r := &page.Requests[i]
		status, took := "-", "?"
		if r.Status > 0 {
			status = fmt.Sprint(r.Status)
		}
		switch {
		case r.InFlight():
			took = "in flight"
		case r.Outcome != engine.OutcomeNone: // else its end was not seen
			took = format.Duration(r.LastByte)
		}
		p.out = append(p.out, "  "...)
		p.out = format.AppendTime(p.out, r.Arrived, p.o.UTC)
		p.say(fmt.Sprintf(" %-6v %-7s %3s %9s  %s  %s %s", r.ID, r.Method, status, took, r.Client, r.Target, r.Outcome))
	}
	m := pane.Matches{Matched: page.Matched, Of: page.Kept + page.Stored, Least: page.Cut}
	text := string(m.AppendCount(nil)) + " of " + format.Exact(uint64(m.Of)) + " requests match"
	if page.Searching {
		text += " so far: ask again, the history is being searched"
	}
	p.say(text)
}
