package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/control"
	"adit/engine/filter"
	"adit/engine/observe"
)

// maxWindow is the most that one query of an [engine.RequestLog] returns.
const maxWindow = 1000

func newLs(p *Process) *cobra.Command {
	var number int
	var order string
	cmd := &cobra.Command{
		Use:   "ls [WHAT]",
		Short: "List connections, clients, requests or events",
		Long: "List what a running server or client has: connections (without a word), clients, requests or past " +
			"events, those of its history among them. The newest requests and events stand last.",
		Example: `adit ls
adit ls clients --json
adit ls connections --filter 'client:edge-* state:busy'
adit ls requests --filter 'status:>=500 time:-1h..' -n 20
adit ls requests --order duration -n 10
adit ls events --filter 'kind:operator_action'`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"connections", "clients", "requests", "events"},
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, "list only what this selects,", "client:edge-* -client:edge-3")
	cmd.Flags().IntVarP(&number, "number", "n", 100, "requests or events at most; 0 all [N]")
	cmd.Flags().StringVar(&order, "order", "arrival", "order of requests [arrival|duration|size|status|client|path]")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		what := cmp.Or(first(args), "connections")
		by, err := engine.ParseRequestOrder(order)
		if err != nil {
			err = &exit{codeUsage, fmt.Errorf("--%w", err)}
		}
		if err == nil && number < 0 {
			err = &exit{codeUsage, errors.New("-n is less than 0; 0 is all")}
		}
		if err == nil {
			_, err = parseFilter(subjectOf(what), f.filter)
		}
		if err != nil {
			return p.verb(func(context.Context) error { return err })(cmd, args)
		}
		return p.over(f, func(ctx context.Context, s *session, _ []string) error {
			switch what {
			case "requests":
				return s.listRequests(ctx, by, number)
			case "events":
				return s.listEvents(ctx, number)
			}
			return s.listConnections(ctx, what == "clients")
		})(cmd, args)
	}
	return cmd
}

// subjectOf returns what a filter of a listing selects from.
func subjectOf(what string) filter.Subject {
	switch what {
	case "requests":
		return filter.Requests
	case "events":
		return filter.Events
	}
	return filter.Connections
}

func (s *session) listConnections(ctx context.Context, clients bool) error {
	f, err := parseFilter(filter.Connections, s.flags.filter)
	if err != nil {
		return err
	}
	snap, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	found := selectConnections(snap, f)
	if clients {
		return s.write(s.appendClients(nil, groupClients(snap, found, f.Empty()), snap.Time))
	}
	return s.write(s.appendConnections(nil, found, snap.Time))
}

// selectConnections returns the connections of snap that f selects.
func selectConnections(snap *engine.Snapshot, f *filter.Filter) []*engine.Connection {
	var found []*engine.Connection
	fc := labelsOf(snap)
	for i := range snap.Connections {
		if c := &snap.Connections[i]; f.Connection(c, fc) {
			found = append(found, c)
		}
	}
	return found
}

func (s *session) appendConnections(b []byte, list []*engine.Connection, now time.Time) []byte {
	if s.flags.json {
		for _, c := range list {
			b = append(control.AppendConnection(b, c), '\n')
		}
		return b
	}
	g := grid{titles: []string{"CONN", "CLIENT", "STATE", ">AGE", ">RTT MS", ">IN", ">OUT", ">IN FLIGHT", ">REQUESTS", ">FAILED", "PROTOCOL", "PEER"}}
	for _, c := range list {
		g.add(c.ID.String(), c.Client, c.State.String(), ageText(c.Opened, now), millisText(c.RTT),
			sizeText(c.BytesIn), sizeText(c.BytesOut), strconv.Itoa(c.InFlight), countText(c.Exchanges), countText(c.Failed),
			c.Protocol.String(), cmp.Or(c.Peer, c.Server))
	}
	return g.lines(b)
}

// clientRow is what the connections of one client come to.
type clientRow struct {
	id                 string
	connections        int
	inFlight           int
	exchanges, failed  uint64
	in, out            uint64
	since              time.Time // of the oldest connection
	greeting           *engine.Greeting
	banned             bool
	exposes, addresses []string
}

// groupClients adds up connections by client. Banned clients without one are
// there too where everything is asked for.
func groupClients(snap *engine.Snapshot, list []*engine.Connection, everything bool) []*clientRow {
	var rows []*clientRow
	row := func(id string) *clientRow {
		i, ok := slices.BinarySearchFunc(rows, id, func(r *clientRow, id string) int { return strings.Compare(r.id, id) })
		if !ok {
			rows = slices.Insert(rows, i, &clientRow{id: id})
		}
		return rows[i]
	}
	for _, c := range list {
		r := row(c.Client)
		r.connections++
		r.inFlight += c.InFlight
		r.exchanges += c.Exchanges
		r.failed += c.Failed
		r.in += c.BytesIn
		r.out += c.BytesOut
		if r.since.IsZero() || c.Opened.Before(r.since) {
			r.since = c.Opened
		}
		if c.Greeting != nil {
			r.greeting = c.Greeting
		}
		if c.Peer != "" && !slices.Contains(r.addresses, c.Peer) {
			r.addresses = append(r.addresses, c.Peer)
		}
	}
	for _, id := range snap.Banned {
		if everything || slices.ContainsFunc(rows, func(r *clientRow) bool { return r.id == id }) {
			row(id).banned = true
		}
	}
	for _, r := range rows {
		if r.greeting == nil {
			continue
		}
		for _, x := range r.greeting.Expose {
			r.exposes = append(r.exposes, exposeText(x))
		}
	}
	return rows
}

// exposeText names a route as callers reach it.
func exposeText(x engine.Expose) string {
	switch {
	case x.URL != "":
		return x.URL
	case x.TCP != 0:
		return "tcp:" + strconv.Itoa(int(x.TCP))
	}
	return x.Host
}

func (s *session) appendClients(b []byte, rows []*clientRow, now time.Time) []byte {
	if s.flags.json {
		for _, r := range rows {
			b = append(r.appendJSON(b), '\n')
		}
		return b
	}
	g := grid{titles: []string{"CLIENT", "STATE", ">CONNS", ">AGE", ">IN", ">OUT", ">IN FLIGHT", ">REQUESTS", ">FAILED", "VERSION", "EXPOSES"}}
	for _, r := range rows {
		state, version := "connected", ""
		switch {
		case r.banned:
			state = "banned"
		case r.inFlight > 0:
			state = "busy"
		}
		if r.greeting != nil {
			version = r.greeting.Version
		}
		g.add(r.id, state, strconv.Itoa(r.connections), ageText(r.since, now), sizeText(r.in), sizeText(r.out),
			strconv.Itoa(r.inFlight), countText(r.exchanges), countText(r.failed), version, strings.Join(r.exposes, " "))
	}
	return g.lines(b)
}

func (r *clientRow) appendJSON(b []byte) []byte {
	b = appendMember(append(b, '{'), "client", r.id)
	b = appendNumber(b, "connections", int64(r.connections))
	b = appendNumber(b, "in_flight", int64(r.inFlight))
	b = appendNumber(b, "exchanges", int64(r.exchanges))
	b = appendNumber(b, "failed", int64(r.failed))
	b = appendNumber(b, "bytes_in", int64(r.in))
	b = appendNumber(b, "bytes_out", int64(r.out))
	if g := r.greeting; g != nil {
		b = appendMember(b, "version", g.Version)
		b = appendMember(b, "hostname", g.Hostname)
	}
	if len(r.exposes) > 0 {
		b = appendTexts(appendName(b, "exposes"), r.exposes)
	}
	b = appendTexts(appendName(b, "peers"), r.addresses)
	return append(appendFlag(b, "banned", r.banned), '}')
}

// listRequests prints the first number requests in an order, the newest last
// where that is the order of time.
func (s *session) listRequests(ctx context.Context, order engine.RequestOrder, number int) error {
	q := engine.RequestQuery{Filter: s.flags.filter, Order: order}
	now, titled := time.Now(), s.flags.json
	print := func(list []engine.Request) error {
		var b []byte
		if !titled {
			b, titled = appendRequestTitles(b), true
		}
		for i := range list {
			b = s.appendRequest(b, &list[i], now)
		}
		return s.write(b)
	}
	if order != engine.ByArrival || number == 0 {
		q.Ascending = order == engine.ByArrival
		return s.eachRequest(ctx, q, number, print)
	}
	var newest []engine.Request
	err := s.eachRequest(ctx, q, number, func(list []engine.Request) error {
		newest = append(newest, list...)
		return nil
	})
	if err != nil || len(newest) == 0 {
		return err
	}
	slices.Reverse(newest)
	return print(newest)
}

// eachRequest calls do with the first number records that q selects, all of them
// for 0, in windows.
func (s *session) eachRequest(ctx context.Context, q engine.RequestQuery, number int, do func([]engine.Request) error) error {
	var page engine.RequestPage
	for seen := 0; number == 0 || seen < number; {
		q.Offset, q.Count, q.Complete = seen, maxWindow, true
		if number > 0 {
			q.Count = min(maxWindow, number-seen)
		}
		if err := s.remote.Requests(ctx, q, &page); err != nil {
			return err
		}
		if page.Searching { // a search that takes longer than one question may
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		}
		if len(page.Requests) == 0 {
			if page.Cut {
				s.say("the history has more that match: these are the newest %s", countText(uint64(seen)))
			}
			return nil
		}
		if q.Until == 0 {
			q.Until = page.Newest // what comes meanwhile must not move the windows
		}
		if err := do(page.Requests); err != nil {
			return err
		}
		seen += len(page.Requests)
	}
	return nil
}

// requestTitles are the columns of a line that tells of a request. Lines come
// one by one, so the widths stand before what is in them.
func appendRequestTitles(b []byte) []byte {
	return appendRequestCells(b, "TIME", "REQUEST", "METHOD", "STATUS", "TOOK", "SIZE", "CLIENT", "TARGET")
}

func appendRequestCells(b []byte, at, id, method, status, took, size, client, rest string) []byte {
	for i, cell := range []string{at, id, method, status, took, size, client} {
		width := [...]int{12, 10, 7, 6, 6, 5, 14}[i]
		b = append(appendCell(b, cell, width, i >= 3 && i <= 5), "  "...)
	}
	return append(append(b, rest...), '\n')
}

// appendRequest appends the line of a request.
func (s *session) appendRequest(b []byte, r *engine.Request, now time.Time) []byte {
	if s.flags.json {
		return append(observe.AppendRequest(b, r), '\n')
	}
	rest := printable(r.Target)
	if v := verdict(r); v != "" {
		rest += "  (" + printable(v) + ")"
	}
	if r.Replay {
		rest += "  (replay)"
	}
	return appendRequestCells(b, r.Arrived.Local().Format(clock), r.ID.String(), printable(r.Method), statusText(r.Status),
		durationText(lasted(r, now)), sizeText(uint64(max(r.RequestBytes, 0)+max(r.ResponseBytes, 0))), printable(r.Client), rest)
}

// listEvents prints the newest number events.
func (s *session) listEvents(ctx context.Context, number int) error {
	events, err := s.pastEvents(ctx, number)
	if err != nil {
		return err
	}
	var b []byte
	for i := range events {
		b = s.appendEvent(b, &events[i])
	}
	return s.write(b)
}

// pastEvents returns the newest number events that --filter selects, all of them
// for 0, in order of time.
func (s *session) pastEvents(ctx context.Context, number int) ([]engine.Event, error) {
	var all []engine.Event
	var page engine.EventPage
	q := engine.EventQuery{Filter: s.flags.filter}
	for number == 0 || len(all) < number {
		q.Count = maxWindow
		if number > 0 {
			q.Count = min(maxWindow, number-len(all))
		}
		if err := s.remote.Events(ctx, q, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Events...)
		if !page.More || len(page.Keys) == 0 {
			break
		}
		q.Before = page.Keys[len(page.Keys)-1]
	}
	slices.Reverse(all)
	return all, nil
}

// appendEvent appends the line of an event.
func (s *session) appendEvent(b []byte, e *engine.Event) []byte {
	if s.flags.json {
		return append(observe.AppendEvent(b, e), '\n')
	}
	b = e.Time.Local().AppendFormat(b, clock)
	b = append(b, ' ')
	b = appendCell(b, observe.LevelOf(e).String(), 5, false)
	b = append(b, ' ')
	b = appendCell(b, printable(string(observe.AppendSource(nil, e))), 20, false)
	b = append(b, "  "...)
	b = append(b, printable(string(observe.AppendMessage(nil, e)))...)
	return append(b, '\n')
}
