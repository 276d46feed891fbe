package history

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"modernc.org/sqlite"
)

// A conn is one connection to a database, of one goroutine at a time. It goes
// round database/sql, which costs more than SQLite where rows are many.
type conn struct{ driver.Conn }

// sourceName returns what the driver opens path by, with parameters of the
// driver and of SQLite.
func sourceName(path string, parameters ...string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: strings.Join(parameters, "&")}
	return u.String(), nil
}

func dial(path string, parameters ...string) (*conn, error) {
	name, err := sourceName(path, parameters...)
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	return &conn{c}, nil
}

// named returns args as the driver takes them.
func named(args []driver.Value) []driver.NamedValue {
	all := make([]driver.NamedValue, len(args))
	for i, a := range args {
		all[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return all
}

// exec runs statements that return nothing.
func (c *conn) exec(query string, args ...driver.Value) error {
	e, ok := c.Conn.(driver.ExecerContext)
	if !ok {
		return errors.ErrUnsupported
	}
	_, err := e.ExecContext(context.Background(), query, named(args))
	return err
}

// query calls found with each row of a statement: what it gets is its own until
// it returns.
func (c *conn) query(query string, found func(row []driver.Value) error, args ...driver.Value) error {
	q, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return errors.ErrUnsupported
	}
	rows, err := q.QueryContext(context.Background(), query, named(args))
	if err != nil {
		return err
	}
	return read(rows, found)
}

// read calls found with each of rows and closes them.
func read(rows driver.Rows, found func(row []driver.Value) error) error {
	row := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(row)
		if err == nil {
			err = found(row)
		}
		if err == io.EOF {
			return rows.Close()
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
	}
}

// number returns the first column of the first row, 0 where there is none.
func (c *conn) number(query string, args ...driver.Value) (int64, error) {
	var n int64
	err := c.query(query, func(row []driver.Value) error {
		n = integer(row[0])
		return io.EOF
	}, args...)
	return n, err
}

// prepare returns a statement to be run many times.
func (c *conn) prepare(query string) (*statement, error) {
	s, err := c.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare %.40q: %w", query, err)
	}
	x, ok := s.(driver.StmtExecContext)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return &statement{s, x, make([]driver.NamedValue, 0, strings.Count(query, "?"))}, nil
}

// A statement is run again and again; args is scratch.
type statement struct {
	driver.Stmt
	runner driver.StmtExecContext
	args   []driver.NamedValue
}

// put appends a value for the next run.
func (s *statement) put(v driver.Value) {
	s.args = append(s.args, driver.NamedValue{Ordinal: len(s.args) + 1, Value: v})
}

func (s *statement) puts(values ...driver.Value) {
	for _, v := range values {
		s.put(v)
	}
}

// run runs it with what was put, and returns how many rows it has changed.
func (s *statement) run() (int64, error) {
	defer s.clear()
	r, err := s.runner.ExecContext(context.Background(), s.args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// clear forgets what was put.
func (s *statement) clear() {
	clear(s.args)
	s.args = s.args[:0]
}

// text returns s as it is stored: one that other tools would not take, or cut, as
// a BLOB.
func text(s string) driver.Value {
	if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		return []byte(s)
	}
	return s
}

// textOrNull is text, but NULL where s is empty.
func textOrNull(s string) driver.Value {
	if s == "" {
		return nil
	}
	return text(s)
}

// numberOrNull returns n, NULL for 0.
func numberOrNull[N ~int | ~uint64 | ~uint16](n N) driver.Value {
	if n == 0 {
		return nil
	}
	return int64(n)
}

func flag(b bool) driver.Value {
	if b {
		return int64(1)
	}
	return nil
}

// words returns a text as it was before it was stored.
func words(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func integer(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func content(v driver.Value) []byte {
	b, _ := v.([]byte)
	return b
}
