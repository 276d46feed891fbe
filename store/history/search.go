package history

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math"
	"runtime"
	"slices"
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
// empty filter selects everything; by arrival that is a matter of ids alone. What c
// calls is called by two goroutines at a time.
func (f *File) Search(ctx context.Context, fl *filter.Filter, c *filter.Context, order engine.RequestOrder, from, before engine.RequestID, found func(batch []Entry, down engine.RequestID) bool) error {
	return f.Read(ctx, func(db *sql.Conn) error {
		return db.Raw(func(raw any) error {
			dc, ok := raw.(driver.Conn)
			if !ok {
				return errors.ErrUnsupported
			}
			s := newSearch(f, fl, c, order)
			return s.run(ctx, &conn{dc}, int64(from), int64(min(before, math.MaxInt64)), found)
		})
	})
}

// A search is one way down through the requests.
type search struct {
	f       *File
	inPlace bool // the file is taken as one that nobody writes to
	filter  *filter.Filter
	context *filter.Context
	order   engine.RequestOrder

	selection *selection
	key       string // expression of the order; "" none
	keyAt     int    // of a row's columns
	columns   []string
}

// maxTexts bounds the texts that a search remembers to say the same only once.
const maxTexts = 4096

func newSearch(f *File, fl *filter.Filter, c *filter.Context, order engine.RequestOrder) *search {
	s := &search{f: f, inPlace: f.inPlace.Load(), filter: fl, context: c, order: order, selection: compile(fl, c)}
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
	if s.keyAt = 1 + len(s.columns); !s.asksFirst() {
		s.keyAt++
	}
	return s
}

// list returns the columns that the filter needs.
func (s *selection) list() []string {
	var list []string
	for _, c := range strings.Split(requestColumns, ", ") {
		if s.columns[c] && c != "id" {
			list = append(list, c)
		}
	}
	// What is never NULL first.
	if i := slices.IndexFunc(list, neverNull); i > 0 {
		list[0], list[i] = list[i], list[0]
	}
	return list
}

// query returns the statement that searches one slice, and its arguments but for
// the two that say which. It has few columns: each of them costs as much as finding
// the row. The second one says what the filter has to be asked of: NULL nothing, else
// the first of columns or 1.
func (s *search) query() (string, []driver.Value) {
	x := s.selection
	var args []driver.Value
	unsure := slices.Clone(x.odd)
	ask, rest := "1", s.columns
	if !x.exact {
		unsure = append(unsure, "("+x.sure+") IS NOT TRUE")
		args = append(args, x.sureArgs...)
		if s.asksFirst() {
			ask, rest = rest[0], rest[1:]
		}
	}
	var b strings.Builder
	switch {
	case !x.exact && x.sure == "0":
		args = nil
	case len(unsure) > 0:
		ask = "CASE WHEN " + strings.Join(unsure, " OR ") + " THEN " + ask + " END"
	default:
		ask = "NULL"
	}
	b.WriteString("SELECT id, " + ask)
	for _, c := range rest {
		b.WriteString(", " + c)
	}
	if s.key != "" {
		b.WriteString(", " + s.key)
	}
	if x.heads {
		b.WriteString(", request_head, response_head FROM " + s.f.requests() + " LEFT JOIN captures USING (id)")
	} else {
		b.WriteString(" FROM " + s.f.requests())
	}
	b.WriteString(" WHERE id BETWEEN ? AND ? AND " + x.condition() + " ORDER BY id DESC")
	return b.String(), args
}

// asksFirst reports whether the first of columns is never NULL.
func (s *search) asksFirst() bool {
	return len(s.columns) > 0 && neverNull(s.columns[0])
}

func neverNull(column string) bool {
	return column == "target" || column == "method" || column == "client" || column == "caller"
}

// A looker looks at slices, on one goroutine and with one connection.
type looker struct {
	*search
	c         *conn
	stmt      driver.StmtQueryContext
	args      []driver.NamedValue
	bounds    int // where those of the slice stand in args
	context   *filter.Context
	candidate engine.Request
	heads     engine.Heads
	texts     map[string]string // those that came already
	batch     []Entry
}

func (s *search) looker(c *conn) (*looker, error) {
	query, args := s.query()
	stmt, err := c.Prepare(query)
	if err != nil {
		return nil, err
	}
	q, ok := stmt.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.Join(errors.ErrUnsupported, stmt.Close())
	}
	k := &looker{search: s, c: c, stmt: q, bounds: len(args), texts: map[string]string{}}
	k.args = named(append(append(args, int64(0), int64(0)), s.selection.args...))
	if s.context != nil {
		own := *s.context
		k.context = &own
	}
	return k, nil
}

func (k *looker) close() {
	if stmt, ok := k.stmt.(driver.Stmt); ok {
		_ = stmt.Close() // frees memory only
	}
}

// look fills batch with what a slice has.
func (k *looker) look(down, newest int64) error {
	k.args[k.bounds].Value, k.args[k.bounds+1].Value = down, newest
	k.batch = k.batch[:0]
	// The context is asked between slices: to ask it in between costs a goroutine
	// for each of them.
	rows, err := k.stmt.QueryContext(context.Background(), k.args)
	if err != nil {
		return err
	}
	return read(rows, k.row)
}

// run looks at slice after slice. Where the filter has to be asked a second goroutine
// looks at every other one.
func (s *search) run(ctx context.Context, c *conn, from, before int64, found func([]Entry, engine.RequestID) bool) error {
	first, err := s.looker(c)
	if err != nil {
		return err
	}
	defer first.close()
	second := s.second(ctx, before-from)
	defer second.end()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.inPlace && s.f.written() {
			return errWritten
		}
		// Ids that nobody has are stepped over.
		down, newest, err := sliceOf(c, from, before)
		if err != nil {
			return err
		}
		if newest == 0 {
			found(nil, engine.RequestID(from))
			return nil
		}
		lower, next := down, int64(0)
		if second != nil && down > from {
			if lower, next, err = sliceOf(c, from, down); err != nil {
				return err
			}
		}
		if next > 0 {
			second.todo <- [2]int64{lower, next}
		}
		err = first.look(down, newest)
		var failure error
		if next > 0 {
			failure = <-second.done
		}
		if err != nil || !found(first.batch, engine.RequestID(down)) || down == from {
			return err
		}
		if next > 0 && (failure != nil || !found(second.batch, engine.RequestID(lower)) || lower == from) {
			return failure
		}
		before = lower
	}
}

// sliceOf returns the newest id of a range, 0 where there is none, and the first of
// the slice that ends with it.
func sliceOf(c *conn, from, before int64) (down, newest int64, err error) {
	newest, err = c.number("SELECT max(id) FROM requests WHERE id >= ? AND id < ?", from, before)
	return max(from, newest-slice+1), newest, err
}

// A secondLooker looks on a goroutine and with a connection of its own.
type secondLooker struct {
	*looker
	f    *File
	todo chan [2]int64 // the first and the last id of a slice
	done chan error    // for each of them; closed when nothing runs any more
}

// second returns a second looker, nil where one is as good. end ends it.
func (s *search) second(ctx context.Context, ids int64) *secondLooker {
	if s.selection.exact || ids <= slice || runtime.GOMAXPROCS(0) == 1 {
		return nil
	}
	// One at a time: the tunnel needs processors too.
	if !s.f.beside.CompareAndSwap(false, true) {
		return nil
	}
	k := &secondLooker{f: s.f, todo: make(chan [2]int64), done: make(chan error)}
	go func() {
		defer close(k.done)
		// Why it can't read is what the first one says, if it can't either.
		_ = k.f.Read(ctx, func(db *sql.Conn) error {
			return db.Raw(func(raw any) error {
				dc, ok := raw.(driver.Conn)
				if !ok {
					return errors.ErrUnsupported
				}
				var err error
				if k.looker, err = s.looker(&conn{dc}); err != nil {
					return err
				}
				defer k.close()
				k.done <- nil
				for x := range k.todo {
					k.done <- k.look(x[0], x[1])
				}
				return nil
			})
		})
	}()
	if _, ready := <-k.done; !ready {
		k.f.beside.Store(false)
		return nil
	}
	return k
}

func (k *secondLooker) end() {
	if k != nil {
		close(k.todo)
		<-k.done
		k.f.beside.Store(false)
	}
}

// row looks at one row of a slice.
func (k *looker) row(row []driver.Value) error {
	id := integer(row[0])
	if row[1] != nil {
		if selected, err := k.asked(id, row[1:]); err != nil || !selected {
			return err
		}
	}
	e := Entry{ID: engine.RequestID(id)}
	switch k.order {
	case engine.ByArrival:
	case engine.ByClient:
		e.Text = k.once(words(row[k.keyAt]))
		e.Key = beginning(e.Text)
	case engine.ByPath:
		e.Text = k.once(filter.Path(words(row[k.keyAt])))
		e.Key = beginning(e.Text)
	default:
		e.Key = integer(row[k.keyAt])
	}
	k.batch = append(k.batch, e)
	return nil
}

// asked asks the filter itself.
func (k *looker) asked(id int64, row []driver.Value) (bool, error) {
	r := &k.candidate
	if k.selection.exact {
		// One of a few odd ones.
		found := false
		err := k.c.query("SELECT "+requestColumns+" FROM "+k.f.requests()+" WHERE id = ?", func(row []driver.Value) error {
			requestOf(row, r)
			found = k.filter.Request(r, k.context)
			return nil
		}, id)
		return found, err
	}
	*r = engine.Request{ID: engine.RequestID(id)}
	if !k.asksFirst() {
		row = row[1:]
	}
	for i, column := range k.columns {
		columnOf(column, row[i], r)
	}
	if k.selection.heads {
		if rest := row[len(row)-2:]; rest[0] != nil || rest[1] != nil {
			k.heads = engine.Heads{Request: words(rest[0]), Response: words(rest[1])}
			r.Heads = &k.heads
		}
	}
	return k.filter.Request(r, k.context), nil
}

// once returns a text that came before as it was then.
func (k *looker) once(t string) string {
	if known, ok := k.texts[t]; ok {
		return known
	}
	if len(k.texts) < maxTexts {
		t = strings.Clone(t)
		k.texts[t] = t
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
