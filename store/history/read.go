package history

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// scan calls found with each row that a query returns, until ctx ends. A row is
// found's own until it returns.
func scan(ctx context.Context, db *sql.Conn, query string, found func(row []driver.Value) error, args ...driver.Value) error {
	return db.Raw(func(raw any) error {
		c, ok := raw.(driver.Conn)
		if !ok {
			return errors.ErrUnsupported
		}
		n := 0
		return (&conn{c}).query(query, func(row []driver.Value) error {
			if n++; n%256 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			return found(row)
		}, args...)
	})
}

// requestOf fills r with a row of requestColumns.
func requestOf(row []driver.Value, r *engine.Request) {
	*r = engine.Request{}
	i := 0
	for column := range strings.SplitSeq(requestColumns, ", ") {
		columnOf(column, row[i], r)
		i++
	}
}

// columnOf puts one column into r.
func columnOf(column string, v driver.Value, r *engine.Request) {
	switch column {
	case "id":
		r.ID = engine.RequestID(integer(v))
	case "arrived":
		if at := integer(v); at != 0 {
			r.Arrived = time.Unix(0, at)
		}
	case "status":
		r.Status = int(integer(v))
	case "outcome":
		r.Outcome = engine.Outcome(numberOf(words(v), engine.OutcomeTruncated))
	case "way":
		r.Way = engine.Way(numberOf(words(v), engine.WayTCP))
	case "protocol":
		r.Protocol = engine.Protocol(numberOf(words(v), engine.ProtocolClassic))
	case "conn":
		r.Connection = engine.ConnectionID(integer(v))
	case "method":
		r.Method = words(v)
	case "target":
		r.Target = words(v)
	case "client":
		r.Client = words(v)
	case "caller":
		r.Caller = words(v)
	case "credential":
		r.Credential = words(v)
	case "reason":
		r.Reason = words(v)
	case "request_bytes":
		r.RequestBytes = integer(v)
	case "response_bytes":
		r.ResponseBytes = integer(v)
	case "queued_us":
		r.Queued = durationOf(v)
	case "sent_us":
		r.Sent = durationOf(v)
	case "connect_us":
		r.Connect = durationOf(v)
	case "first_byte_us":
		r.FirstByte = durationOf(v)
	case "last_byte_us":
		r.LastByte = durationOf(v)
	case "upgraded":
		r.Upgraded = integer(v) != 0
	case "replay":
		r.Replay = integer(v) != 0
	}
}

// durationOf returns a duration, negative where it is not known.
func durationOf(v driver.Value) time.Duration {
	us, known := v.(int64)
	if !known {
		return -1
	}
	return time.Duration(us) * time.Microsecond
}

// maxParameters is how many ids one query asks for.
const maxParameters = 250

// Requests appends those of ids, which are in ascending order, that are there, in
// that order.
func (f *File) Requests(ctx context.Context, ids []engine.RequestID, into []engine.Request) ([]engine.Request, error) {
	err := f.Read(ctx, func(db *sql.Conn) error {
		for len(ids) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(len(ids), maxParameters)
			args := make([]driver.Value, n)
			for i, id := range ids[:n] {
				args[i] = int64(id)
			}
			ids = ids[n:]
			query := "SELECT " + requestColumns + " FROM " + f.requests() + " WHERE id IN (?" + strings.Repeat(", ?", n-1) + ") ORDER BY id"
			err := scan(ctx, db, query, func(row []driver.Value) error {
				into = append(into, engine.Request{})
				requestOf(row, &into[len(into)-1])
				return nil
			}, args...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return into, err
}

// Request returns one with its heads, if they were written. engine.ErrNotFound.
func (f *File) Request(ctx context.Context, id engine.RequestID) (engine.Request, error) {
	found, err := f.Requests(ctx, []engine.RequestID{id}, nil)
	if err != nil {
		return engine.Request{}, err
	}
	if len(found) == 0 {
		return engine.Request{}, fmt.Errorf("record %v: %w", id, engine.ErrNotFound)
	}
	r := found[0]
	err = f.Read(ctx, func(db *sql.Conn) error {
		return scan(ctx, db, "SELECT request_head, response_head, heads_cut FROM captures WHERE id = ? AND request_head IS NOT NULL", func(row []driver.Value) error {
			r.Heads = &engine.Heads{Request: words(row[0]), Response: words(row[1]), Cut: integer(row[2]) != 0}
			return nil
		}, int64(id))
	})
	return r, err
}

const (
	maxEvents  = 1000 // bounds EventQuery.Count
	eventSlice = 2000 // events that are looked at in one reading
)

// Events is engine.RequestLog's.
func (f *File) Events(ctx context.Context, q engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	fl, err := filter.Parse(filter.Events, q.Filter)
	if err != nil {
		return err
	}
	count := min(max(q.Count, 0), maxEvents)
	c := &filter.Context{Now: q.Now}
	if q.Now.IsZero() {
		c.Now = time.Now()
	}
	before := int64(q.Before)
	if before <= 0 {
		before = 1<<63 - 1
	}
	return f.Read(ctx, func(db *sql.Conn) error {
		for {
			// A slice at a time, as in a search.
			looked := 0
			err := scan(ctx, db, "SELECT "+eventColumns+" FROM events WHERE id < ? ORDER BY id DESC LIMIT ?", func(row []driver.Value) error {
				looked++
				var e engine.Event
				eventOf(row, &e)
				before = integer(row[0])
				if !fl.Event(&e, c) {
					return nil
				}
				if into.More = len(into.Events) == count; into.More {
					return io.EOF // enough
				}
				into.Events = append(into.Events, e)
				into.Keys = append(into.Keys, uint64(before))
				return nil
			}, before, int64(eventSlice))
			if err != nil || looked < eventSlice || into.More {
				return err
			}
		}
	})
}

// eventOf fills e with a row of eventColumns.
func eventOf(row []driver.Value, e *engine.Event) {
	*e = engine.Event{
		Time: time.Unix(0, integer(row[2])), Seq: uint64(integer(row[3])), Kind: engine.Kind(numberOf(words(row[4]), engine.KindStopped)),
		Connection: engine.ConnectionID(integer(row[5])), Client: words(row[6]), Peer: words(row[7]),
		Protocol: engine.Protocol(numberOf(words(row[8]), engine.ProtocolClassic)), Way: engine.Way(numberOf(words(row[9]), engine.WayTCP)),
		Reason: words(row[10]), Code: uint16(integer(row[11])), Duration: time.Duration(integer(row[12])) * time.Microsecond,
		Server: words(row[13]), Listen: words(row[14]), Action: engine.Action(words(row[15])), Operator: words(row[16]), Target: words(row[17]),
		Count: int(integer(row[18])),
	}
	if data := words(row[19]); data != "" {
		var m more
		// What a later version writes and this one can't read is left out.
		if json.Unmarshal([]byte(data), &m) == nil {
			e.Greeting, e.Closed, e.Totals = m.Greeting, m.Closed, m.Totals
		}
	}
}
