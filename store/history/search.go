package history

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math"
	"strings"

	"adit/engine"
	"adit/engine/filter"
)

// slice is how many ids are searched at a time. Between two of them others may
// go on, the database's log can be taken into it, and a search can be ended.
const slice = 10_000

// An Entry is a row that a search found, and where it stands in the order.
type Entry struct {
	ID   engine.RequestID
	Key  int64  // of the order, as the ring's
	Text string // of ByClient and ByPath
}

// Search looks at the requests from a certain id on and before another one, the
// newest first, and calls found with those that the filter selects, in batches:
// from down on everything has been looked at. It calls it with an empty batch too,
// so that down moves on at least each 50 ms. It returns when there is no more, ctx
// ends, or found returns false. A batch is found's own until it returns. A nil or
// empty filter selects everything; by arrival that is a matter of ids alone. c is
// used by the calling goroutine only.
func (f *File) Search(ctx context.Context, fl *filter.Filter, c *filter.Context, order engine.RequestOrder, from, before engine.RequestID, found func(batch []Entry, down engine.RequestID) bool) error {
	return f.Read(ctx, func(db *sql.Conn) error {
		return db.Raw(func(raw any) error {
			dc, ok := raw.(driver.Conn)
			if !ok {
				return errors.ErrUnsupported
			}
			s := newSearch(&conn{dc}, fl, c, order)
			s.f, s.inPlace = f, f.inPlace.Load()
			return s.run(ctx, int64(from), int64(min(before, math.MaxInt64)), found)
		})
	})
}

// A search is one way down through the requests.
type search struct {
	f       *File
	inPlace bool // c takes the file as one that nobody writes to
	c       *conn
	filter  *filter.Filter
	context *filter.Context
	order   engine.RequestOrder

	selection *selection
	key       string // expression of the order; "" none
	columns   []string
	candidate engine.Request
	heads     engine.Heads
	texts     map[string]string // those that came already
	batch     []Entry
}

// maxTexts bounds the texts that a search remembers to say the same only once.
const maxTexts = 4096

func newSearch(c *conn, fl *filter.Filter, fc *filter.Context, order engine.RequestOrder) *search {
	s := &search{c: c, filter: fl, context: fc, order: order, selection: compile(fl, fc), texts: map[string]string{}}
	switch order {
	case engine.ByDuration:
		s.key = "ifnull(last_byte_us * 1000, -1)"
	case engine.BySize:
		s.key = "request_bytes + response_bytes"
	case engine.ByStatus:
		s.key = "status"
	case engine.ByClient:
		s.key = "client"
	case engine.ByPath:
		s.key = "target"
	}
	if !s.selection.exact {
		s.columns = s.selection.list()
	}
	return s
}

// list returns the columns that the filter needs, in the order of the table.
func (s *selection) list() []string {
	var list []string
	for _, c := range strings.Split(requestColumns, ", ") {
		if s.columns[c] && c != "id" {
			list = append(list, c)
		}
	}
	return list
}

// query returns the statement that searches one slice.
func (s *search) query() string {
	var b strings.Builder
	b.WriteString("SELECT id, ")
	if s.key == "" {
		b.WriteString("NULL")
	} else {
		b.WriteString(s.key)
	}
	// The third column says that the filter has to be asked.
	x := s.selection
	switch {
	case !x.exact:
		b.WriteString(", 1")
	case len(x.odd) > 0:
		b.WriteString(", " + strings.Join(x.odd, " OR "))
	default:
		b.WriteString(", 0")
	}
	for _, c := range s.columns {
		b.WriteString(", " + c)
	}
	if x.heads {
		b.WriteString(", request_head, response_head FROM requests LEFT JOIN captures USING (id)")
	} else {
		b.WriteString(" FROM requests")
	}
	b.WriteString(" WHERE id BETWEEN ? AND ? AND " + x.condition() + " ORDER BY id DESC")
	return b.String()
}

func (s *search) run(ctx context.Context, from, before int64, found func([]Entry, engine.RequestID) bool) error {
	stmt, err := s.c.Prepare(s.query())
	if err != nil {
		return err
	}
	defer stmt.Close()
	q, ok := stmt.(driver.StmtQueryContext)
	if !ok {
		return errors.ErrUnsupported
	}
	args := named(append([]driver.Value{int64(0), int64(0)}, s.selection.args...))
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.inPlace && s.f.written() {
			return errWritten
		}
		// Ids that nobody has are stepped over.
		newest, err := s.c.number("SELECT max(id) FROM requests WHERE id >= ? AND id < ?", from, before)
		if err != nil {
			return err
		}
		if newest == 0 {
			found(nil, engine.RequestID(from))
			return nil
		}
		down := max(from, newest-slice+1)
		args[0].Value, args[1].Value = down, newest
		s.batch = s.batch[:0]
		// The context is asked between slices: to ask it in between costs a
		// goroutine for each of them.
		rows, err := q.QueryContext(context.Background(), args)
		if err != nil {
			return err
		}
		if err := read(rows, s.row); err != nil {
			return err
		}
		if !found(s.batch, engine.RequestID(down)) || down == from {
			return nil
		}
		before = down
	}
}

// row looks at one row of a slice.
func (s *search) row(row []driver.Value) error {
	id := integer(row[0])
	if integer(row[2]) != 0 {
		if selected, err := s.asked(id, row[3:]); err != nil || !selected {
			return err
		}
	}
	e := Entry{ID: engine.RequestID(id)}
	switch s.order {
	case engine.ByClient:
		e.Text = s.once(words(row[1]))
		e.Key = beginning(e.Text)
	case engine.ByPath:
		e.Text = s.once(filter.Path(words(row[1])))
		e.Key = beginning(e.Text)
	default:
		e.Key = integer(row[1])
	}
	s.batch = append(s.batch, e)
	return nil
}

// asked asks the filter itself.
func (s *search) asked(id int64, row []driver.Value) (bool, error) {
	r := &s.candidate
	if s.selection.exact {
		// One of a few odd ones.
		found := false
		err := s.c.query("SELECT "+requestColumns+" FROM requests WHERE id = ?", func(row []driver.Value) error {
			requestOf(row, r)
			found = s.filter.Request(r, s.context)
			return nil
		}, id)
		return found, err
	}
	*r = engine.Request{ID: engine.RequestID(id)}
	for i, column := range s.columns {
		columnOf(column, row[i], r)
	}
	if rest := row[len(s.columns):]; s.selection.heads && (rest[0] != nil || rest[1] != nil) {
		s.heads = engine.Heads{Request: words(rest[0]), Response: words(rest[1])}
		r.Heads = &s.heads
	}
	return s.filter.Request(r, s.context), nil
}

// once returns a text that came before as it was then.
func (s *search) once(t string) string {
	if known, ok := s.texts[t]; ok {
		return known
	}
	if len(s.texts) < maxTexts {
		t = strings.Clone(t)
		s.texts[t] = t
	}
	return t
}

// beginning returns the first eight bytes of s as a number in the same order, as
// the ring does.
func beginning(s string) int64 {
	var n uint64
	for i := range 8 {
		n <<= 8
		if i < len(s) {
			n |= uint64(s[i])
		}
	}
	return int64(n ^ 1<<63)
}
