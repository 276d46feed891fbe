package control

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// The version of the protocol. Within a major version members and calls are
// added, never taken away and never given another meaning.
const (
	protocolMajor = 1
	protocolMinor = 0
)

// A call is one way of asking.
type call struct {
	pattern string
	changes bool // needs a content of application/json and a credential that may do more than look
	full    bool // needs such a credential
	open    bool // needs none
	body    int64
	answer  func(s *Server, c *exchange) error
}

// calls is the whole API; doc.go explains it.
func calls() []call {
	return append([]call{
		{pattern: "GET /v1/{$}", answer: (*Server).about},
		{pattern: "GET /v1/snapshot", answer: (*Server).snapshot},
		{pattern: "GET /v1/connections", answer: (*Server).connections},
		{pattern: "GET /v1/connections/{conn}", answer: (*Server).connection},
		{pattern: "GET /v1/connections/{conn}/frames", answer: (*Server).frames},
		{pattern: "GET /v1/requests", answer: (*Server).requests},
		{pattern: "GET /v1/requests/{request}", answer: (*Server).request},
		{pattern: "GET /v1/requests/{request}/content", answer: (*Server).content},
		{pattern: "GET /v1/requests/{request}/content/{side}", answer: (*Server).rawContent},
		{pattern: "GET /v1/requests/{request}/messages", answer: (*Server).messages},
		{pattern: "GET /v1/events", answer: (*Server).events},
		{pattern: "GET /v1/tail", answer: (*Server).tail},
		{pattern: "GET /v1/stream", answer: (*Server).stream},
		{pattern: "GET /v1/settings", answer: (*Server).settings},
		{pattern: "GET /v1/bans", answer: (*Server).bans},
		{pattern: "GET /v1/capture", answer: (*Server).getCapture},
		{pattern: "GET /v1/export.har", answer: (*Server).exportHAR},
		{pattern: "POST /v1/connections/{conn}/close", changes: true, answer: (*Server).closeConnection},
		{pattern: "POST /v1/connections/{conn}/drain", changes: true, answer: (*Server).drainConnection},
		{pattern: "POST /v1/drain", changes: true, answer: (*Server).drain},
		{pattern: "PUT /v1/bans/{client}", changes: true, answer: (*Server).ban},
		{pattern: "DELETE /v1/bans/{client}", changes: true, answer: (*Server).unban},
		{pattern: "POST /v1/requests/{request}/cancel", changes: true, answer: (*Server).cancelRequest},
		{pattern: "POST /v1/requests/{request}/replay", changes: true, body: maxReplayBody, answer: (*Server).replayEdited},
		{pattern: "POST /v1/replay", changes: true, body: maxReplayBody, answer: (*Server).replay},
		{pattern: "POST /v1/reload", changes: true, answer: (*Server).reload},
		{pattern: "POST /v1/restart", changes: true, answer: (*Server).restart},
		{pattern: "PUT /v1/capture", changes: true, answer: (*Server).setCapture},
	}, watching()...)
}

// An exchange is one call that is being answered.
type exchange struct {
	w  http.ResponseWriter
	r  *http.Request
	by operator
}

func (x *exchange) query(name string) string { return x.r.URL.Query().Get(name) }

// A failure is an answer that is not what was asked for.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(status int, format string, args ...any) error {
	return &failure{status, fmt.Errorf(format, args...)}
}

func (s *Server) handler() http.Handler {
	mux, open := http.NewServeMux(), map[string]bool{}
	for _, c := range calls() {
		open[c.pattern] = c.open
		mux.HandleFunc(c.pattern, func(w http.ResponseWriter, r *http.Request) {
			s.serve(&exchange{w: w, r: r}, &c)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		closed := s.closed
		if !closed {
			s.wg.Add(1)
		}
		s.mu.Unlock()
		if closed {
			writeError(w, http.StatusServiceUnavailable, errors.New("this process is stopping"))
			return
		}
		defer s.wg.Done()
		defer s.contain(w, r)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(readWait))
		_ = control.SetWriteDeadline(time.Now().Add(readWait))
		_, pattern := mux.Handler(r)
		if open[pattern] {
			mux.ServeHTTP(w, r)
			return
		}
		by, status, err := s.admit(r)
		if err != nil {
			if status == http.StatusUnauthorized {
				h.Set("WWW-Authenticate", "Bearer")
			}
			writeError(w, status, err)
			return
		}
		if pattern == "" {
			s.noSuchCall(mux, w, r)
			return
		}
		ctx := context.WithValue(r.Context(), operatorKey{}, by)
		if by.hold != nil {
			held, cancel := context.WithCancel(ctx)
			defer by.hold(cancel)()
			defer cancel()
			ctx = held
		}
		mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

type operatorKey struct{}

// contain, deferred, keeps a panic from the rest of the process.
func (s *Server) contain(w http.ResponseWriter, r *http.Request) {
	v := recover()
	switch v {
	case nil:
		return
	case http.ErrAbortHandler:
		panic(v) // net/http's word for: end it so that nobody takes it for whole
	}
	s.o.Logger.Error("the control API failed at a call", "call", engine.Bound(r.Method+" "+r.URL.Path), "panic", v, "stack", string(debug.Stack()))
	if s.o.OnPanic != nil {
		s.o.OnPanic(v)
	}
	writeError(w, http.StatusInternalServerError, errors.New("internal error; the log says more"))
}

// noSuchCall says what is wrong with a call that is not there.
func (s *Server) noSuchCall(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := mux.Handler(probe); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeError(w, http.StatusMethodNotAllowed, fmt.Errorf("%s is not for this; use %s", engine.Bound(r.Method), strings.Join(allowed, " or ")))
		return
	}
	writeError(w, http.StatusNotFound, errors.New("there is no such call; GET /v1/ lists them"))
}

// serve answers one call, or says why not.
func (s *Server) serve(x *exchange, c *call) {
	x.by, _ = x.r.Context().Value(operatorKey{}).(operator)
	err := s.check(x, c)
	if err == nil {
		err = c.answer(s, x)
	}
	if err != nil {
		writeError(x.w, statusOf(err), err)
	}
}

// check is what every call that changes something has to pass.
func (s *Server) check(x *exchange, c *call) error {
	limit := max(c.body, maxBody)
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, limit)
	if c.full && x.by.readOnly {
		return fail(http.StatusForbidden, "%w: %s may only look at what is no part of the process itself", engine.ErrReadOnly, x.by.name)
	}
	if !c.changes {
		return nil
	}
	// A page in a browser can send a form to anywhere, but not this type.
	if kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return fail(http.StatusUnsupportedMediaType, `what changes something needs Content-Type: application/json, and {"reason":"..."}`)
	}
	if x.by.readOnly {
		return fail(http.StatusForbidden, "%w: %s may only look", engine.ErrReadOnly, x.by.name)
	}
	return nil
}

// errorCodes are the sentinels that the other end has to know again.
var errorCodes = [...]struct {
	code   string
	err    error
	status int
}{
	{"not_found", engine.ErrNotFound, http.StatusNotFound},
	{"read_only", engine.ErrReadOnly, http.StatusForbidden},
	{"recorded", engine.ErrRecorded, http.StatusConflict},
	{"draining", engine.ErrDraining, http.StatusConflict},
	{"too_much", engine.ErrTooMuch, http.StatusRequestEntityTooLarge},
	{"closed", engine.ErrClosed, http.StatusServiceUnavailable},
	{"not_running", engine.ErrNotRunning, http.StatusServiceUnavailable},
	{"lost", engine.ErrLost, http.StatusServiceUnavailable},
}

func statusOf(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.status
	}
	var syntax *filter.Error
	if errors.As(err, &syntax) {
		return http.StatusBadRequest
	}
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return http.StatusRequestEntityTooLarge
	}
	for _, c := range errorCodes {
		if errors.Is(err, c.err) {
			return c.status
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return http.StatusGatewayTimeout
	}
	if errors.Is(err, context.Canceled) {
		return http.StatusServiceUnavailable // who asked has left, or this process is stopping
	}
	return http.StatusInternalServerError
}

// writeError answers {"error":"…"} and what lets a program tell errors apart.
func writeError(w http.ResponseWriter, status int, err error) {
	e := encoder{b: []byte("{")}
	e.text("error", err.Error(), "")
	var syntax *filter.Error
	if errors.As(err, &syntax) {
		e.text("code", "filter", "")
		e.int("column", int64(syntax.Column), 0)
		e.int("length", int64(syntax.Length), 0)
	} else {
		for _, c := range errorCodes {
			if errors.Is(err, c.err) {
				e.text("code", c.code, "")
				break
			}
		}
	}
	e.raw("}\n")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Del("Content-Encoding")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(e.b)
}

// zippers are free memory.
var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return z
}}

func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.ReplaceAll(weight, " ", "") != "q=0"
		}
	}
	return false
}

// json answers with one JSON text: compressed where that is worth it, and not at
// all where the other end has it already.
func (x *exchange) json(b []byte) error {
	b = append(b, '\n')
	hash := fnv.New64a()
	_, _ = hash.Write(b)
	tag := `"` + strconv.FormatUint(hash.Sum64(), 36) + `"`
	h := x.w.Header()
	h.Set("ETag", tag)
	h.Set("Content-Type", "application/json")
	if x.r.Header.Get("If-None-Match") == tag {
		x.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if len(b) < 1024 || !takesGzip(x.r) {
		h.Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = x.w.Write(b)
		return nil
	}
	h.Set("Content-Encoding", "gzip")
	h.Add("Vary", "Accept-Encoding")
	z := zippers.Get().(*gzip.Writer)
	z.Reset(x.w)
	_, _ = z.Write(b)
	_ = z.Close()
	zippers.Put(z)
	return nil
}

// done answers that something was done.
func (x *exchange) done() error { return x.json([]byte("{}")) }

// body reads the content of a call strictly: a member that is not known would
// otherwise be taken for obeyed.
func (x *exchange) body(into any) error {
	d := json.NewDecoder(x.r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) {
			return err
		}
		return fail(http.StatusBadRequest, `the content is not what this call takes: %w; send {"reason":"..."}`, err)
	}
	if d.More() {
		return fail(http.StatusBadRequest, "something follows the JSON text; send one object")
	}
	return nil
}

// number reads a parameter, 0 where it is not there.
func (x *exchange) number(name string, most uint64) (uint64, error) {
	text := x.query(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > most {
		return 0, fail(http.StatusBadRequest, "%s=%s: want a number up to %d", name, engine.Bound(text), most)
	}
	return n, nil
}

// flag reads a parameter that is 1 or true, 0 or false, or not there.
func (x *exchange) flag(name string) (bool, error) {
	text := x.query(name)
	if text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, fail(http.StatusBadRequest, "%s=%s: want true or false", name, engine.Bound(text))
	}
	return v, nil
}

// secrets reports whether the secrets of the traffic are wanted as they are.
func (x *exchange) secrets() (bool, error) {
	switch x.query("secrets") {
	case "":
		return false, nil
	case "shown":
		if x.by.readOnly {
			return false, fail(http.StatusForbidden, "%w: secrets are not shown to %s, which may only look", engine.ErrReadOnly, x.by.name)
		}
		return true, nil
	}
	return false, fail(http.StatusBadRequest, "secrets: want shown, or leave it out")
}

func (x *exchange) connectionID() (engine.ConnectionID, error) {
	id, err := engine.ParseConnectionID(x.r.PathValue("conn"))
	if err != nil {
		return 0, &failure{http.StatusBadRequest, err}
	}
	return id, nil
}

func (x *exchange) requestID() (engine.RequestID, error) {
	id, err := engine.ParseRequestID(x.r.PathValue("request"))
	if err != nil {
		return 0, &failure{http.StatusBadRequest, err}
	}
	return id, nil
}
