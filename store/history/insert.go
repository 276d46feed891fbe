package history

import (
	"cmp"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/observe"
)

// many is how many requests one statement writes: more don't make it faster.
const many = 32

// plainColumns are those that every request has, rareColumns what few have: to
// give a value to a column is most of what a row costs, NULL included. namedColumns
// are those that a request has where callers need a credential.
const (
	plainColumns   = "id, arrived, status, outcome, way, protocol, conn, method, target, client, caller, request_bytes, response_bytes, queued_us, sent_us, connect_us, first_byte_us, last_byte_us"
	namedColumns   = plainColumns + ", credential"
	rareColumns    = "credential, reason, upgraded, replay"
	requestColumns = plainColumns + ", " + rareColumns
)

const eventColumns = "id, run, time, seq, kind, conn, client, peer, protocol, way, reason, code, duration_us, server, listen, action, operator, target, exchanges, more, line"

const frameColumns = "frames_in_text, frames_in_binary, frames_in_continuation, frames_in_close, frames_in_ping, frames_in_pong, " +
	"frames_out_text, frames_out_binary, frames_out_continuation, frames_out_close, frames_out_ping, frames_out_pong"

// into returns the statement that inserts rows with columns, those of named by
// number: a number costs a third of what a text does on its way into SQLite.
func into(table, columns string, rows int) string {
	list := strings.Split(columns, ", ")
	for i, c := range list {
		list[i] = "?"
		if table == "requests" {
			list[i] = numbered(c)
		}
	}
	row := "(" + strings.Join(list, ", ") + ")"
	return "INTO " + table + " (" + columns + ") VALUES " + row + strings.Repeat(", "+row, rows-1)
}

// numbered returns what stands for the value of a column of requests: the name of
// the constant whose number it is given, where it is such a one.
func numbered(column string) string {
	switch column {
	case "outcome":
		return names[engine.Outcome]()
	case "way":
		return names[engine.Way]()
	case "protocol":
		return names[engine.Protocol]()
	}
	return "?"
}

// names returns an expression for the name of a constant by its number; NULL for
// one that has none.
func names[T interface {
	~uint8
	String() string
}]() string {
	b := "CASE ?"
	for v := T(1); v.String() != T(math.MaxUint8).String(); v++ {
		b += fmt.Sprintf(" WHEN %d THEN '%s'", v, v)
	}
	return b + " END"
}

// excluded returns the assignments of an upsert.
func excluded(columns string) string {
	var b strings.Builder
	for i, c := range strings.Split(columns, ", ") {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c + " = excluded." + c)
	}
	return b.String()
}

// inserts are the statements of the writer, and its scratch.
type inserts struct {
	request, plain, named, event       *statement
	opened, greeted, rejected, closed  *statement
	gap, sample, total, head, message_ *statement
	all                                []*statement

	sorted []*engine.Request
	line   []byte
	kept   engine.Content
}

func (in *inserts) prepare(c *conn) error {
	const id = "id, client, peer, protocol"
	const closed = id + ", closed, duration_us, code, reason, bytes_in, bytes_out, " + frameColumns
	upsert := func(columns string) string {
		_, rest, _ := strings.Cut(columns, ", ")
		return "INSERT " + into("connections", columns, 1) + " ON CONFLICT (id) DO UPDATE SET " + excluded(rest)
	}
	for _, p := range []struct {
		s     **statement
		query string
	}{
		{&in.request, "INSERT OR IGNORE " + into("requests", requestColumns, 1)},
		{&in.plain, "INSERT OR IGNORE " + into("requests", plainColumns, many)},
		{&in.named, "INSERT OR IGNORE " + into("requests", namedColumns, many)},
		{&in.event, "INSERT " + into("events", eventColumns, 1)},
		{&in.opened, upsert(id + ", opened")},
		{&in.greeted, upsert(id + ", greeted, greeting")},
		{&in.rejected, upsert(id + ", greeting")},
		{&in.closed, upsert(closed)},
		{&in.gap, "INSERT " + into("gaps", "run, from_time, to_time, from_seq, to_seq, count, events, why", 1)},
		{&in.sample, "INSERT OR REPLACE " + into("samples", "time, conn, state, in_flight, exchanges, failed, rtt_us, bytes_in, bytes_out, "+frameColumns, 1)},
		{&in.total, "INSERT OR REPLACE " + into("totals", "time, requests, failed, bytes_in, bytes_out, waiting, state", 1)},
		{&in.head, "INSERT OR REPLACE " + into("captures", captureColumns, 1)},
		{&in.message_, "INSERT OR REPLACE " + into("messages", messageColumns, 1)},
	} {
		s, err := c.prepare(p.query)
		if err != nil {
			in.close()
			return err
		}
		*p.s = s
		in.all = append(in.all, s)
	}
	return nil
}

func (in *inserts) close() {
	for _, s := range in.all {
		_ = s.Close() // frees memory only
	}
	in.all = nil
}

// rows writes a batch and returns how many requests it has added, and the lowest
// of their ids.
func (in *inserts) rows(w *writer, batch []item) (added int64, lowest engine.RequestID, err error) {
	in.sorted = in.sorted[:0]
	for i := range batch {
		switch it := &batch[i]; {
		case it.request != nil:
			in.sorted = append(in.sorted, it.request)
		case it.event != nil:
			err = in.occurred(w.key+1+uint64(i), w.run, it.event)
		case it.sample != nil:
			err = in.sampled(it.sample)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	defer func() { clear(in.sorted) }()
	if len(in.sorted) == 0 {
		return 0, 0, nil
	}
	// Exchanges end in another order than that in which they began: neighbours are
	// put into their places one after the other.
	slices.SortFunc(in.sorted, func(a, b *engine.Request) int { return cmp.Compare(a.ID, b.ID) })
	if added, err = in.requests(); err != nil {
		return 0, 0, err
	}
	if missing := len(in.sorted) - int(added); missing > 0 {
		err = in.gaps(w.run, []gap{{requests: uint64(missing), why: whyKnown}})
	}
	if err == nil && w.f.o.Captures {
		err = in.captures(in.sorted)
	}
	return added, in.sorted[0].ID, err
}

// requests writes those that are sorted and returns how many were not there yet.
func (in *inserts) requests() (added int64, err error) {
	run := func(s *statement) error {
		n, err := s.run()
		added += n
		return err
	}
	rest, all := 0, in.plain // of the plain ones that wait
	if slices.ContainsFunc(in.sorted, func(r *engine.Request) bool { return r.Credential != "" }) {
		all = in.named
	}
	for _, r := range in.sorted {
		if !plain(r) {
			in.request.request(r)
			if err := run(in.request); err != nil {
				return 0, err
			}
			continue
		}
		all.common(r)
		if all == in.named {
			all.puts(textOrNull(r.Credential))
		}
		if rest++; rest == many {
			rest = 0
			if err := run(all); err != nil {
				return 0, err
			}
		}
	}
	if rest == 0 {
		return added, nil
	}
	all.clear()
	for _, r := range slices.Backward(in.sorted) {
		if !plain(r) {
			continue
		}
		in.request.request(r)
		if err := run(in.request); err != nil {
			return 0, err
		}
		if rest--; rest == 0 {
			break
		}
	}
	return added, nil
}

// plain reports whether r has nothing in rareColumns, but for a credential.
func plain(r *engine.Request) bool { return r.Reason == "" && !r.Upgraded && !r.Replay }

func nanoseconds(t time.Time) driver.Value {
	if t.IsZero() {
		return nil
	}
	return t.UnixNano()
}

// microseconds returns a duration, NULL for one that is not known.
func microseconds(d time.Duration) driver.Value {
	if d < 0 {
		return nil
	}
	return d.Microseconds()
}

// name returns how a constant is called; NULL for 0.
func name[T interface {
	~uint8
	String() string
}](v T) driver.Value {
	if v == 0 {
		return nil
	}
	return v.String()
}

// common puts plainColumns.
func (s *statement) common(r *engine.Request) {
	var arrived int64
	if !r.Arrived.IsZero() {
		arrived = r.Arrived.UnixNano()
	}
	s.puts(int64(r.ID), arrived, int64(r.Status), int64(r.Outcome), int64(r.Way), int64(r.Protocol), numberOrNull(r.Connection),
		text(r.Method), text(r.Target), text(r.Client), text(r.Caller), r.RequestBytes, r.ResponseBytes,
		microseconds(r.Queued), microseconds(r.Sent), microseconds(r.Connect), microseconds(r.FirstByte), microseconds(r.LastByte))
}

// request puts requestColumns.
func (s *statement) request(r *engine.Request) {
	s.common(r)
	s.puts(textOrNull(r.Credential), textOrNull(r.Reason), flag(r.Upgraded), flag(r.Replay))
}

// more is what events rarely have.
type more struct {
	Greeting *engine.Greeting `json:"greeting,omitempty"`
	Closed   *engine.Traffic  `json:"closed,omitempty"`
	Totals   *engine.Totals   `json:"totals,omitempty"`
}

// occurred writes an event, and what it says of a connection.
func (in *inserts) occurred(key uint64, run int64, e *engine.Event) error {
	in.line = observe.AppendEvent(in.line[:0], e)
	var rest driver.Value
	if e.Greeting != nil || e.Closed != nil || e.Totals != nil {
		data, err := json.Marshal(more{e.Greeting, e.Closed, e.Totals})
		if err != nil {
			return err
		}
		rest = string(data)
	}
	var duration driver.Value
	if e.Duration != 0 {
		duration = e.Duration.Microseconds()
	}
	s := in.event
	s.puts(int64(key), run, e.Time.UnixNano(), int64(e.Seq), e.Kind.String(), numberOrNull(e.Connection), textOrNull(e.Client), textOrNull(e.Peer),
		name(e.Protocol), name(e.Way), textOrNull(e.Reason), numberOrNull(e.Code), duration, textOrNull(e.Server), textOrNull(e.Listen),
		textOrNull(string(e.Action)), textOrNull(e.Operator), textOrNull(e.Target), numberOrNull(e.Count), rest, string(in.line))
	if _, err := s.run(); err != nil || e.Connection == 0 {
		return err
	}
	var greeting driver.Value
	if e.Greeting != nil {
		data, err := json.Marshal(e.Greeting)
		if err != nil {
			return err
		}
		greeting = string(data)
	}
	switch e.Kind {
	case engine.KindConnectionOpened:
		s = in.opened
		s.connection(e)
		s.puts(e.Time.UnixNano())
	case engine.KindGreetingReceived:
		s = in.greeted
		s.connection(e)
		s.puts(e.Time.UnixNano(), greeting)
	case engine.KindGreetingRejected:
		s = in.rejected
		s.connection(e)
		s.put(greeting)
	case engine.KindConnectionClosed:
		s = in.closed
		s.connection(e)
		s.puts(e.Time.UnixNano(), microseconds(e.Duration), int64(e.Code), textOrNull(e.Reason))
		if t := e.Closed; t != nil {
			s.traffic(t)
		} else {
			s.puts(make([]driver.Value, 14)...)
		}
	default:
		return nil
	}
	_, err := s.run()
	return err
}

func (s *statement) connection(e *engine.Event) {
	s.puts(int64(e.Connection), text(e.Client), text(e.Peer), name(e.Protocol))
}

func (s *statement) traffic(t *engine.Traffic) {
	s.puts(int64(t.BytesIn), int64(t.BytesOut))
	for _, f := range [...]*engine.Frames{&t.FramesIn, &t.FramesOut} {
		s.puts(int64(f.Text), int64(f.Binary), int64(f.Continuation), int64(f.Close), int64(f.Ping), int64(f.Pong))
	}
}

// gaps writes what is missing.
func (in *inserts) gaps(run int64, gaps []gap) error {
	for i := range gaps {
		g := &gaps[i]
		var count, events driver.Value = int64(g.requests), int64(g.events)
		if g.unknown {
			count = nil
		}
		s := in.gap
		s.puts(run, nanoseconds(g.from), nanoseconds(g.to), numberOrNull(g.fromSeq), numberOrNull(g.toSeq), count, events, g.why)
		if _, err := s.run(); err != nil {
			return err
		}
	}
	return nil
}
