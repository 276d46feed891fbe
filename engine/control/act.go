package control

import (
	"net/http"

	"adit/engine"
	"adit/engine/inspect"
)

// A cause is what every call that changes something says.
type cause struct {
	Reason string `json:"reason"`
}

// maxReason bounds what an operator says, in bytes: events hold no more.
const maxReason = engine.MaxText

func (x *exchange) operator(c *cause) (engine.Operator, error) {
	if len(c.Reason) > maxReason {
		return engine.Operator{}, fail(http.StatusBadRequest, "a reason of %d bytes; want at most %d", len(c.Reason), maxReason)
	}
	return engine.Operator{Name: engine.Bound(x.by.name), Reason: c.Reason}, nil
}

// because reads a content that has nothing but a reason.
func (x *exchange) because() (engine.Operator, error) {
	var c cause
	if err := x.body(&c); err != nil {
		return engine.Operator{}, err
	}
	return x.operator(&c)
}

func (s *Server) closeConnection(x *exchange) error {
	id, err := x.connectionID()
	if err != nil {
		return err
	}
	var c struct {
		cause
		Code engine.CloseCode `json:"code"`
	}
	if err := x.body(&c); err != nil {
		return err
	}
	by, err := x.operator(&c.cause)
	if err != nil {
		return err
	}
	switch code := c.Code; {
	case code == 0:
		c.Code = engine.CloseKilled
	case code >= 3000 && code <= 4999, code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
	default:
		// RFC 6455 §7.4.1: others are never sent.
		return fail(http.StatusBadRequest, "close code %d is not one to send; leave it out for 4000", code)
	}
	if err := s.o.Engine.CloseConnection(x.r.Context(), id, c.Code, by); err != nil {
		return err
	}
	return x.done()
}

func (s *Server) drainConnection(x *exchange) error {
	id, err := x.connectionID()
	if err != nil {
		return err
	}
	by, err := x.because()
	if err != nil {
		return err
	}
	if err := s.o.Engine.Drain(x.r.Context(), id, by); err != nil {
		return err
	}
	return x.done()
}

func (s *Server) drain(x *exchange) error {
	by, err := x.because()
	if err != nil {
		return err
	}
	if err := s.o.Engine.Drain(x.r.Context(), 0, by); err != nil {
		return err
	}
	return x.done()
}

func (s *Server) ban(x *exchange) error {
	by, err := x.because()
	if err != nil {
		return err
	}
	client := x.r.PathValue("client")
	if client == "" || len(client) > 128 {
		return fail(http.StatusBadRequest, "client id of %d bytes; want 1 to 128", len(client))
	}
	if err := s.o.Engine.Ban(x.r.Context(), client, by); err != nil {
		return err
	}
	return x.done()
}

func (s *Server) unban(x *exchange) error {
	by, err := x.because()
	if err != nil {
		return err
	}
	if err := s.o.Engine.Unban(x.r.Context(), x.r.PathValue("client"), by); err != nil {
		return err
	}
	return x.done()
}

func (s *Server) cancelRequest(x *exchange) error {
	id, err := x.requestID()
	if err != nil {
		return err
	}
	by, err := x.because()
	if err != nil {
		return err
	}
	if err := s.o.Engine.CancelExchange(x.r.Context(), id, by); err != nil {
		return err
	}
	return x.done()
}

// A fieldLine is a header field line.
type fieldLine struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func fieldLines(fields []engine.Field) []fieldLine {
	lines := make([]fieldLine, len(fields))
	for i, f := range fields {
		lines[i] = fieldLine(f)
	}
	return lines
}

func fieldsOf(lines []fieldLine) []engine.Field {
	if lines == nil {
		return nil
	}
	fields := make([]engine.Field, len(lines))
	for i, l := range lines {
		fields[i] = engine.Field(l)
	}
	return fields
}

// A replayCall is an engine.Replay.
type replayCall struct {
	cause
	Of      string      `json:"of,omitempty"`
	Client  string      `json:"client,omitempty"`
	Way     string      `json:"way,omitempty"`
	Method  string      `json:"method"`
	Target  string      `json:"target"`
	Fields  []fieldLine `json:"fields,omitempty"`
	Content []byte      `json:"content,omitempty"` // base64
}

func (s *Server) replay(x *exchange) error {
	var c replayCall
	if err := x.body(&c); err != nil {
		return err
	}
	by, err := x.operator(&c.cause)
	if err != nil {
		return err
	}
	r := engine.Replay{Client: c.Client, Method: c.Method, Target: c.Target, Fields: fieldsOf(c.Fields), Content: c.Content}
	if c.Of != "" {
		if r.Of, err = engine.ParseRequestID(c.Of); err != nil {
			return &failure{http.StatusBadRequest, err}
		}
	}
	if c.Way != "" {
		if r.Way = wayNamed(c.Way); r.Way == 0 {
			return fail(http.StatusBadRequest, "way %q: want request, proxy or host", engine.Bound(c.Way))
		}
	}
	return s.send(x, r, by)
}

// An editsCall is inspect.Edits.
type editsCall struct {
	cause
	Client  string      `json:"client,omitempty"`
	Method  string      `json:"method,omitempty"`
	Target  string      `json:"target,omitempty"`
	Set     []fieldLine `json:"set,omitempty"`
	Remove  []string    `json:"remove,omitempty"`
	Content *[]byte     `json:"content,omitempty"` // base64; null as it was
}

// replayEdited sends again what this end has kept: the other end need not have
// seen it.
func (s *Server) replayEdited(x *exchange) error {
	log, err := s.log()
	if err != nil {
		return err
	}
	id, err := x.requestID()
	if err != nil {
		return err
	}
	var c editsCall
	if err := x.body(&c); err != nil {
		return err
	}
	by, err := x.operator(&c.cause)
	if err != nil {
		return err
	}
	kept, err := inspect.Fetch(x.r.Context(), log, id)
	if err != nil {
		return err
	}
	edits := inspect.Edits{Client: c.Client, Method: c.Method, Target: c.Target, Set: fieldsOf(c.Set), Remove: c.Remove}
	if c.Content != nil {
		if edits.Content = *c.Content; edits.Content == nil {
			edits.Content = []byte{}
		}
	}
	again, err := inspect.Prepare(&kept, &edits)
	if err != nil {
		return fail(http.StatusConflict, "%v can't be sent again: %w", id, err)
	}
	return s.send(x, again, by)
}

func (s *Server) send(x *exchange, r engine.Replay, by engine.Operator) error {
	id, err := s.o.Engine.Replay(x.r.Context(), r, by)
	if err != nil {
		return err
	}
	return x.json([]byte(`{"id":"` + id.String() + `"}`))
}

// A captureCall is an engine.Capture.
type captureCall struct {
	cause
	Mode    string   `json:"mode"`
	Content []string `json:"content"`
}

func (s *Server) setCapture(x *exchange) error {
	var c captureCall
	if err := x.body(&c); err != nil {
		return err
	}
	by, err := x.operator(&c.cause)
	if err != nil {
		return err
	}
	mode := modeNamed(c.Mode)
	if mode == 0 {
		return fail(http.StatusBadRequest, "mode %q: want off, heads or content", engine.Bound(c.Mode))
	}
	if len(c.Content) > engine.MaxCaptureFilters {
		return fail(http.StatusBadRequest, "%d filters; want at most %d", len(c.Content), engine.MaxCaptureFilters)
	}
	if err := s.o.Engine.SetCapture(x.r.Context(), engine.Capture{Mode: mode, Content: c.Content}, by); err != nil {
		return err
	}
	return x.done()
}
