package control

import (
	"context"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/inspect"
)

// Bounds of questions about what was.
const (
	maxPage   = 1000
	maxMarked = 5000
	anExport  = 1000 // where no limit is given
)

func (s *Server) log() (engine.RequestLog, error) {
	if s.o.Log == nil {
		return nil, fail(http.StatusServiceUnavailable, "this process keeps no log of requests; start it with one")
	}
	return s.o.Log, nil
}

// ids reads a list of requests.
func ids(text string, most int) ([]engine.RequestID, error) {
	var list []engine.RequestID
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		id, err := engine.ParseRequestID(part)
		if err != nil {
			return nil, &failure{http.StatusBadRequest, err}
		}
		if len(list) == most {
			return nil, fail(http.StatusBadRequest, "more than %d requests are named; ask in parts", most)
		}
		list = append(list, id)
	}
	return list, nil
}

// parseQuery reads which records are wanted.
func (x *exchange) parseQuery() (q engine.RequestQuery, err error) {
	if q.Filter, err = x.requestFilter(); err != nil {
		return q, err
	}
	if order := x.query("order"); order != "" {
		if q.Order, err = engine.ParseRequestOrder(order); err != nil {
			return q, &failure{http.StatusBadRequest, err}
		}
	}
	if q.Ascending, err = x.flag("ascending"); err != nil {
		return q, err
	}
	limit, err := x.number("limit", maxPage)
	if err != nil {
		return q, err
	}
	if q.Count = int(limit); x.query("limit") == "" {
		q.Count = 100
	}
	offset, err := x.number("offset", math.MaxInt32)
	if err != nil {
		return q, err
	}
	q.Offset = int(offset)
	for _, p := range []struct {
		name string
		into *engine.RequestID
	}{{"at", &q.At}, {"until", &q.Until}} {
		if text := x.query(p.name); text != "" {
			if *p.into, err = engine.ParseRequestID(text); err != nil {
				return q, &failure{http.StatusBadRequest, err}
			}
		}
	}
	if q.Marked, err = ids(x.query("marked"), maxMarked); err != nil {
		return q, err
	}
	slices.Sort(q.Marked)
	return q, nil
}

func (s *Server) requests(x *exchange) error {
	log, err := s.log()
	if err != nil {
		return err
	}
	q, err := x.parseQuery()
	if err != nil {
		return err
	}
	complete, err := x.flag("complete")
	if err != nil {
		return err
	}
	var page engine.RequestPage
	ctx, cancel := context.WithTimeout(x.r.Context(), queryWait)
	defer cancel()
	if err := waitPage(ctx, log, q, &page, complete); err != nil {
		return err
	}
	var e encoder
	e.page(&page)
	return x.json(e.b)
}

// waitPage asks until the history was searched, if the answer is to be complete.
func waitPage(ctx context.Context, log engine.RequestLog, q engine.RequestQuery, page *engine.RequestPage, complete bool) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		if err := log.Requests(ctx, q, page); err != nil {
			return err
		}
		if !complete || !page.Searching {
			return nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil // as far as it came: the page says that it is still searching
		}
	}
}

func (s *Server) request(x *exchange) error {
	log, err := s.log()
	if err != nil {
		return err
	}
	id, err := x.requestID()
	if err != nil {
		return err
	}
	secrets, err := x.secrets()
	if err != nil {
		return err
	}
	r, err := log.Request(x.r.Context(), id)
	if err != nil {
		return err
	}
	var e encoder
	e.record(&r, secrets)
	return x.json(e.b)
}

// keptContent returns what is kept of a content, to who may see secrets: what
// content says nobody masks.
func (s *Server) keptContent(x *exchange) (*engine.Content, error) {
	log, err := s.log()
	if err != nil {
		return nil, err
	}
	id, err := x.requestID()
	if err != nil {
		return nil, err
	}
	if x.by.readOnly {
		return nil, fail(http.StatusForbidden, "%w: content may hold secrets, which are not shown to %s", engine.ErrReadOnly, x.by.name)
	}
	c := &engine.Content{}
	if err := log.Content(x.r.Context(), id, c); err != nil {
		return nil, err
	}
	return c, nil
}

func (s *Server) content(x *exchange) error {
	c, err := s.keptContent(x)
	if err != nil {
		return err
	}
	var e encoder
	e.content(c)
	return x.json(e.b)
}

func (s *Server) messages(x *exchange) error {
	c, err := s.keptContent(x)
	if err != nil {
		return err
	}
	e := encoder{b: []byte("{")}
	e.messages(c)
	e.raw("}")
	return x.json(e.b)
}

// rawContent answers with what went through the tunnel in one direction.
func (s *Server) rawContent(x *exchange) error {
	side := x.r.PathValue("side")
	if side != "request" && side != "response" {
		return fail(http.StatusNotFound, "content of %s: %w; want request or response", engine.Bound(side), engine.ErrNotFound)
	}
	c, err := s.keptContent(x)
	if err != nil {
		return err
	}
	part, head := &c.Request, ""
	if side == "response" {
		part = &c.Response
	}
	if id, err := x.requestID(); err == nil {
		if r, err := s.o.Log.Request(x.r.Context(), id); err == nil && r.Heads != nil {
			if head = r.Heads.Request; side == "response" {
				head = r.Heads.Response
			}
		}
	}
	h := x.w.Header()
	h.Set("Content-Type", contentType(inspect.Get(head, "content-type")))
	// What is kept was not decoded, and it may be cut: to say that it is coded
	// would make who asks fail at the cut.
	h.Set("Adit-Content-Encoding", clientName(inspect.Get(head, "content-encoding")))
	h.Set("Adit-Content-Size", strconv.FormatInt(part.Size, 10))
	h.Set("Adit-Content-Whole", strconv.FormatBool(part.Whole()))
	h.Set("Content-Length", strconv.Itoa(len(part.Data)))
	h.Set("Content-Disposition", "attachment")
	_, _ = x.w.Write(part.Data)
	return nil
}

// contentType returns a media type that came from the network as it may be said
// again.
func contentType(s string) string {
	kind, params, err := mime.ParseMediaType(s)
	if err != nil {
		return "application/octet-stream"
	}
	if f := mime.FormatMediaType(kind, params); f != "" {
		return f
	}
	return kind
}

func (s *Server) events(x *exchange) error {
	log, err := s.log()
	if err != nil {
		return err
	}
	before, err := x.number("before", math.MaxUint64)
	if err != nil {
		return err
	}
	limit, err := x.number("limit", maxPage)
	if err != nil {
		return err
	}
	q := engine.EventQuery{Filter: x.query("filter"), Before: before, Count: int(limit)}
	if x.query("limit") == "" {
		q.Count = 100
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), queryWait)
	defer cancel()
	var page engine.EventPage
	if err := log.Events(ctx, q, &page); err != nil {
		return err
	}
	var e encoder
	e.past(&page)
	return x.json(e.b)
}

// exportHAR streams records with their content, in order of arrival.
func (s *Server) exportHAR(x *exchange) error {
	log, err := s.log()
	if err != nil {
		return err
	}
	secrets, err := x.secrets()
	if err != nil {
		return err
	}
	limit, err := x.number("limit", inspect.MaxExport)
	if err != nil {
		return err
	}
	if x.query("limit") == "" {
		limit = anExport
	}
	list, err := ids(x.query("ids"), inspect.MaxExport)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		text, err := x.requestFilter()
		if err != nil {
			return err
		}
		if list, err = newestIDs(x.r.Context(), log, text, int(limit)); err != nil {
			return err
		}
	}
	snap, err := s.take(x.r.Context())
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="requests.har"`)
	options := inspect.Options{Secrets: secrets}
	if x.by.readOnly {
		options.Missing = "not shown to those who may only look"
	}
	w := &patientWriter{w: x.w, control: http.NewResponseController(x.w)}
	err = inspect.HAR(w, "adit", snap.Version, func() (inspect.Exchange, error) {
		for len(list) > 0 {
			id := list[0]
			list = list[1:]
			exchange, err := inspect.Fetch(x.r.Context(), log, id)
			if errors.Is(err, engine.ErrNotFound) {
				continue // pushed out meanwhile
			}
			if x.by.readOnly {
				exchange.Content = nil // nobody masks it
			}
			return exchange, err
		}
		return inspect.Exchange{}, io.EOF
	}, options)
	if err != nil && !w.begun {
		return err
	}
	if err != nil {
		panic(http.ErrAbortHandler) // what is cut must not be taken for whole
	}
	return nil
}

// newestIDs returns the newest records that a filter selects, the oldest first.
func newestIDs(ctx context.Context, log engine.RequestLog, text string, most int) ([]engine.RequestID, error) {
	ctx, cancel := context.WithTimeout(ctx, queryWait)
	defer cancel()
	var list []engine.RequestID
	var page engine.RequestPage
	q := engine.RequestQuery{Filter: text, Count: maxPage}
	for len(list) < most {
		if err := waitPage(ctx, log, q, &page, true); err != nil {
			return nil, err
		}
		for i := range page.Requests {
			list = append(list, page.Requests[i].ID)
		}
		if len(page.Requests) < maxPage {
			break
		}
		q.Until, q.Offset = list[len(list)-1]-1, 0
		if q.Until == 0 {
			break
		}
	}
	list = list[:min(len(list), most)]
	slices.Reverse(list)
	return list, nil
}

// A patientWriter gives every write its own deadline.
type patientWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (p *patientWriter) Write(b []byte) (int, error) {
	p.begun = true
	_ = p.control.SetWriteDeadline(time.Now().Add(readWait))
	return p.w.Write(b)
}
