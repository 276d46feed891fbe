package history

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"adit/engine"
	"adit/engine/inspect"
)

const captureColumns = "id, request_head, response_head, heads_cut, request_content, request_size, request_over, response_content, response_size, response_over, messages_lost"

const messageColumns = "request, n, time, from_caller, kind, compressed, size, data"

// captures writes what was kept of exchanges, credentials masked.
func (in *inserts) captures(requests []*engine.Request) error {
	for _, r := range requests {
		kept := r.Captured != nil && r.Captured.Content(&in.kept)
		if !kept && r.Heads == nil {
			continue
		}
		s := in.head
		s.put(int64(r.ID))
		if h := r.Heads; h != nil {
			s.puts(text(inspect.MaskHead(h.Request)), text(inspect.MaskHead(h.Response)), flag(h.Cut))
		} else {
			s.puts(nil, nil, nil)
		}
		if kept {
			var h engine.Heads
			if r.Heads != nil {
				h = *r.Heads
			}
			s.part(&in.kept.Request, h.Request)
			s.part(&in.kept.Response, h.Response)
			s.put(int64(in.kept.MessagesLost))
		} else {
			s.puts(make([]driver.Value, 7)...)
		}
		if _, err := s.run(); err != nil {
			return err
		}
		if !kept {
			continue
		}
		for n := range in.kept.Messages {
			m := &in.kept.Messages[n]
			s := in.message_
			from := int64(0)
			if m.FromCaller {
				from = 1
			}
			s.puts(int64(r.ID), int64(n), m.Time.UnixNano(), from, m.Kind.String(), flag(m.Compressed), m.Size, maskMessage(m))
			if _, err := s.run(); err != nil {
				return err
			}
		}
	}
	return nil
}

// part puts the content of one direction. What is masked in it is never whole: it
// must not be taken for what went through, and sent again.
func (s *statement) part(p *engine.Part, head string) {
	data, masked := maskContent(p.Data, head)
	s.puts(data, p.Size, flag(p.Over && !masked))
}

// maskContent masks what says by its name that it is secret.
func maskContent(data []byte, head string) (_ []byte, masked bool) {
	if len(data) == 0 {
		return data, false
	}
	return inspect.MaskContent(head, data)
}

func maskMessage(m *engine.Message) []byte {
	if m.Compressed || m.Kind != engine.MessageText && m.Kind != engine.MessageEvent {
		return m.Data
	}
	return inspect.MaskText(inspect.KindText, m.Data)
}

// Content is engine.RequestLog's.
func (f *File) Content(ctx context.Context, id engine.RequestID, into *engine.Content) error {
	*into = engine.Content{Messages: into.Messages[:0]}
	return f.Read(ctx, func(db *sql.Conn) error {
		var request, response, lost sql.NullInt64
		var requestOver, responseOver sql.NullInt64
		err := db.QueryRowContext(ctx, "SELECT request_content, request_size, request_over, response_content, response_size, response_over, messages_lost FROM captures WHERE id = ?", int64(id)).
			Scan(&into.Request.Data, &request, &requestOver, &into.Response.Data, &response, &responseOver, &lost)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !request.Valid {
			return fmt.Errorf("content of %v: %w", id, engine.ErrNotFound)
		}
		if err != nil {
			return err
		}
		into.Request.Size, into.Request.Over = request.Int64, requestOver.Int64 != 0
		into.Response.Size, into.Response.Over = response.Int64, responseOver.Int64 != 0
		into.MessagesLost = uint64(lost.Int64)
		return scan(ctx, db, "SELECT time, from_caller, kind, compressed, size, data FROM messages WHERE request = ? ORDER BY n", func(row []driver.Value) error {
			into.Messages = append(into.Messages, engine.Message{
				Time: time.Unix(0, integer(row[0])), FromCaller: integer(row[1]) != 0,
				Kind: engine.MessageKind(numberOf(words(row[2]), engine.MessageBytes)), Compressed: integer(row[3]) != 0,
				Size: integer(row[4]), Data: content(row[5]),
			})
			return nil
		}, int64(id))
	})
}

// numberOf returns which of the constants from 1 to last is called name; 0 none.
func numberOf[T interface {
	~uint8
	String() string
}](name string, last T) uint8 {
	if name == "" {
		return 0
	}
	for n := T(1); n <= last; n++ {
		if n.String() == name {
			return uint8(n)
		}
	}
	return 0
}
