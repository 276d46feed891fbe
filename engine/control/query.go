package control

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

const (
	// maxCached is how many answers are kept to be asked for again.
	maxCached = 8

	// askedEvery is how often the same question is asked over a network at most: a
	// dashboard asks ten times a second.
	askedEvery = 300 * time.Millisecond
)

// A cache keeps the newest answers: who asks the same again and again is told
// that nothing has changed, and while the link is lost what was known is shown.
type cache struct {
	mu      sync.Mutex
	answers []answer // the newest last
}

type answer struct {
	path, tag string
	body      []byte // of at most maxLine bytes
	asked     time.Time
}

func (c *cache) get(path string) answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.answers {
		if c.answers[i].path == path {
			a := c.answers[i]
			c.answers = append(append(c.answers[:i:i], c.answers[i+1:]...), a)
			return a
		}
	}
	return answer{}
}

func (c *cache) put(a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.answers {
		if c.answers[i].path == a.path {
			c.answers[i] = a
			return
		}
	}
	if len(c.answers) == maxCached {
		c.answers = append(c.answers[:0], c.answers[1:]...)
	}
	c.answers = append(c.answers, a)
}

// get asks and decodes the answer into out. While the link is lost it is the one
// to the same question before, if it is still kept.
func (r *Remote) get(ctx context.Context, path string, out any) error {
	kept := r.cache.get(path)
	link := r.Link()
	if link.Lost {
		if kept.body == nil {
			return r.lost(&link)
		}
		return unmarshal(kept.body, out)
	}
	now := time.Now()
	if !r.local && kept.body != nil && now.Sub(kept.asked) < askedEvery && !kept.asked.Before(r.acted()) {
		return unmarshal(kept.body, out)
	}
	body, tag, err := r.call(ctx, queryWait, http.MethodGet, path, nil, kept.tag)
	if err != nil {
		return err
	}
	if body == nil {
		body, tag = kept.body, kept.tag
	}
	if tag != "" && len(body) <= maxLine {
		r.cache.put(answer{path, tag, body, now})
	}
	if err := unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer of the other end can't be read: %w", err)
	}
	return nil
}

// call makes one call, which takes at most wait. The body is nil where the other end says that it has not
// changed since tag.
func (r *Remote) call(ctx context.Context, wait time.Duration, method, path string, content []byte, tag string) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	stop := context.AfterFunc(r.ctx, cancel)
	defer stop()
	var asked, answered time.Time
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest:         func(httptrace.WroteRequestInfo) { asked = time.Now() },
		GotFirstResponseByte: func() { answered = time.Now() },
	})
	var reader io.Reader
	if content != nil {
		reader = bytes.NewReader(content)
	}
	req, err := r.request(traced, method, path, reader)
	if err != nil {
		return nil, "", err
	}
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	client := r.http
	if wait > queryWait {
		client = r.patient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", r.callFailed(ctx, wait, err)
	}
	defer resp.Body.Close()
	if !asked.IsZero() && answered.After(asked) && wait <= queryWait {
		r.mu.Lock()
		r.link.RoundTrip = answered.Sub(asked)
		r.mu.Unlock()
	}
	switch {
	case resp.StatusCode == http.StatusNotModified && tag != "":
		return nil, tag, nil
	case resp.StatusCode != http.StatusOK:
		return nil, "", answerError(resp)
	}
	body, err := readAnswer(resp, maxAnswer)
	if err != nil {
		return nil, "", r.callFailed(ctx, wait, err)
	}
	return body, resp.Header.Get("ETag"), nil
}

// callFailed says why there is no answer.
func (r *Remote) callFailed(ctx context.Context, wait time.Duration, err error) error {
	switch {
	case r.ctx.Err() != nil:
		return engine.ErrClosed
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v: %w", wait, context.DeadlineExceeded)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &lostError{address: r.Link().Address, cause: causeOf(err)}
}

// readAnswer reads an answer of at most most bytes.
func readAnswer(resp *http.Response, most int64) ([]byte, error) {
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = z
	}
	b, err := io.ReadAll(io.LimitReader(body, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("an answer of more than %d bytes", most)
	}
	return b, err
}

// A remoteError is what the other end says, with the sentinel that it means.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

// answerError reads an answer that is an error.
func answerError(resp *http.Response) error {
	body, _ := readAnswer(resp, maxErrorText)
	var w struct {
		Error  string `json:"error"`
		Code   string `json:"code"`
		Column int    `json:"column"`
		Length int    `json:"length"`
	}
	if json.Unmarshal(body, &w) != nil || w.Error == "" {
		return fmt.Errorf("the other end answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if len(w.Error) > maxNoticeText {
		w.Error = strings.ToValidUTF8(w.Error[:maxNoticeText], "")
	}
	if w.Code == "filter" {
		return &filter.Error{Column: max(w.Column, 0), Length: max(w.Length, 1), Text: w.Error}
	}
	for _, c := range errorCodes {
		if c.code == w.Code {
			return &remoteError{w.Error, c.err}
		}
	}
	return errors.New(w.Error)
}

// secretsAsked returns how heads are asked for: who may see secrets has them, and
// masks them itself until asked.
func (r *Remote) secretsAsked() string {
	if r.Link().ReadOnly {
		return ""
	}
	return "?secrets=shown"
}

// Requests implements [engine.RequestLog].
func (r *Remote) Requests(ctx context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	begun := time.Now()
	v := url.Values{"limit": {strconv.Itoa(min(max(q.Count, 0), maxPage))}}
	if q.Filter != "" {
		v.Set("filter", q.Filter)
	}
	if q.Order != engine.ByArrival {
		v.Set("order", q.Order.String())
	}
	if q.Ascending {
		v.Set("ascending", "true")
	}
	if q.Complete {
		v.Set("complete", "true")
	}
	if q.Offset > 0 {
		v.Set("offset", strconv.Itoa(q.Offset))
	}
	if q.At > 0 {
		v.Set("at", q.At.String())
	}
	if q.Until > 0 {
		v.Set("until", q.Until.String())
	}
	if len(q.Marked) > 0 && strings.Contains(q.Filter, "marked") {
		names := make([]string, 0, len(q.Marked))
		for _, id := range q.Marked[max(0, len(q.Marked)-maxMarked):] {
			names = append(names, id.String())
		}
		v.Set("marked", strings.Join(names, ","))
	}
	var w wirePage
	if err := r.get(ctx, "/v1/requests?"+v.Encode(), &w); err != nil {
		return err
	}
	err := w.page(into)
	into.Took = max(into.Took, time.Since(begun))
	return err
}

// Request implements [engine.RequestLog].
func (r *Remote) Request(ctx context.Context, id engine.RequestID) (engine.Request, error) {
	var w wireRecord
	if id == 0 {
		return engine.Request{}, engine.ErrNotFound
	}
	if err := r.get(ctx, "/v1/requests/"+id.String()+r.secretsAsked(), &w); err != nil {
		return engine.Request{}, err
	}
	return w.request()
}

// Content implements [engine.RequestLog].
func (r *Remote) Content(ctx context.Context, id engine.RequestID, into *engine.Content) error {
	var w wireContent
	if id == 0 {
		return engine.ErrNotFound
	}
	if err := r.get(ctx, "/v1/requests/"+id.String()+"/content", &w); err != nil {
		return err
	}
	return w.content(into)
}

// Events implements [engine.RequestLog].
func (r *Remote) Events(ctx context.Context, q engine.EventQuery, into *engine.EventPage) error {
	v := url.Values{"limit": {strconv.Itoa(min(max(q.Count, 0), maxPage))}}
	if q.Filter != "" {
		v.Set("filter", q.Filter)
	}
	if q.Before > 0 {
		v.Set("before", strconv.FormatUint(q.Before, 10))
	}
	var w wirePast
	if err := r.get(ctx, "/v1/events?"+v.Encode(), &w); err != nil {
		return err
	}
	return w.page(into)
}

// FrameTape implements [engine.Engine].
func (r *Remote) FrameTape(ctx context.Context, id engine.ConnectionID, into []engine.FrameRecord) ([]engine.FrameRecord, error) {
	var w wireTape
	if id == 0 {
		return into, engine.ErrNotFound
	}
	if err := r.get(ctx, "/v1/connections/"+id.String()+"/frames", &w); err != nil {
		return into, err
	}
	return w.frames(into)
}

// About returns what the other end said of itself that is in no snapshot: its
// settings, and lines for a shell that are worth showing.
func (r *Remote) About(ctx context.Context) ([]engine.Setting, []string, error) {
	var w struct {
		Settings []struct {
			Name   string `json:"name"`
			Value  string `json:"value"`
			Source string `json:"source"`
			Help   string `json:"help"`
		} `json:"settings"`
		Commands []string `json:"commands"`
	}
	if err := r.get(ctx, "/v1/settings", &w); err != nil {
		return nil, nil, err
	}
	settings := make([]engine.Setting, 0, min(len(w.Settings), maxExposed))
	for _, s := range w.Settings[:min(len(w.Settings), maxExposed)] {
		settings = append(settings, engine.Setting{Name: engine.Bound(s.Name), Value: engine.Bound(s.Value),
			Source: engine.Bound(s.Source), Help: engine.Bound(s.Help)})
	}
	commands := make([]string, 0, min(len(w.Commands), maxExposed))
	for _, line := range w.Commands[:min(len(w.Commands), maxExposed)] {
		commands = append(commands, line[:min(len(line), 4*engine.MaxText)])
	}
	return settings, commands, nil
}
