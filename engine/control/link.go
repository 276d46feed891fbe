package control

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"adit/engine"
)

// errAgain ends a stream because another is to carry more.
var errAgain = errors.New("another stream is opened")

// A refusal is an answer that trying again soon will not change.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }

// run keeps a stream open until Close.
func (r *Remote) run() {
	defer r.end()
	pause := firstRetry
	for {
		err := r.attach()
		if r.ctx.Err() != nil {
			return
		}
		if errors.Is(err, errAgain) {
			continue
		}
		if r.live() {
			pause = firstRetry
		}
		wait := time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
		r.lose(err, wait)
		pause = min(2*pause, longestRetry)
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-r.retry:
			t.Stop()
		case <-r.ctx.Done():
			t.Stop()
			return
		}
	}
}

// end closes what others wait for.
func (r *Remote) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link.Lost, r.link.Cause = true, "closed"
	r.tell()
	r.closing.Do(func() { close(r.done) })
}

func (r *Remote) live() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.link.Lost
}

// lose notes that nothing comes any more.
func (r *Remote) lose(err error, wait time.Duration) {
	var refused *refusal
	cause := causeOf(err)
	if r.live() {
		r.o.Logger.Info("the link is lost", "cause", cause)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &r.link
	r.carries, r.interval, r.link.Delay = wish{}, 0, 0
	now := time.Now()
	if !l.Lost {
		l.Lost, l.Since, l.Attempt = true, now, 0
	}
	l.Attempt++
	l.Cause, l.RetryAt = cause, now.Add(wait)
	l.Stuck = errors.As(err, &refused) || l.Attempt >= stuckAfter
	r.tell()
}

// causeOf says in a few words why there is no data.
func causeOf(err error) string {
	var cause string
	var network net.Error
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		cause = "its certificate is not trusted; --ca says whose are: " + certificate.Err.Error()
	case errors.Is(err, fs.ErrNotExist):
		cause = "there is no socket at this path; is it running, and is this its path?"
	case errors.Is(err, syscall.ECONNREFUSED):
		cause = "nobody listens there; is it running?"
	case errors.Is(err, fs.ErrPermission):
		cause = "the socket belongs to another user; become that user or root"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		cause = "the other end has closed the link"
	case errors.As(err, &network) && network.Timeout():
		cause = "no answer within " + silence.String()
	default:
		cause = err.Error()
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			cause = wrapped.Err.Error()
		}
	}
	return engine.Bound(cause)
}

// attach opens a stream and reads it to its end; the error says why it ended.
func (r *Remote) attach() error {
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	r.mu.Lock()
	r.carried = r.wishes()
	r.again = func() { cancel(errAgain) }
	carried := r.carried
	q := url.Values{"kinds": {kindsText(carried.kinds)}}
	if r.o.Dashboard {
		q.Set("dashboard", "true")
	}
	if carried.heads {
		q.Set("heads", "true")
	}
	if r.interval > 0 {
		q.Set("interval", r.interval.String())
	}
	if carried.filter != "" {
		q.Set("filter", carried.filter)
	}
	if r.have {
		q.Set("since", strconv.FormatUint(r.seq, 10))
		q.Set("instance", r.link.Instance)
	}
	r.mu.Unlock()

	dead := time.AfterFunc(3*silence, func() { cancel(errNoAnswer) }) // dialling, TLS, headers
	defer dead.Stop()
	var asked, answered time.Time
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest:         func(httptrace.WroteRequestInfo) { asked = time.Now() },
		GotFirstResponseByte: func() { answered = time.Now() },
	})
	req, err := r.request(traced, http.MethodGet, "/v1/stream?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return why(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusedBy(resp)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/x-ndjson") {
		return &refusal{"what answers there is not adit's control API; check the address"}
	}
	dead.Reset(silence)
	if answered.IsZero() {
		answered = time.Now()
	}
	s := &stream{r: r, asked: asked, answered: answered, base: answered, carried: carried}
	body := io.Reader(&watched{resp.Body, dead})
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			return why(ctx, err)
		}
	}
	slow := time.AfterFunc(oneLine, func() { cancel(errSlowLine) })
	defer slow.Stop()
	scanner := bufio.NewScanner(body)
	scanner.Buffer(make([]byte, 0, 64<<10), maxLine)
	for scanner.Scan() {
		// The time that a line costs this end is not the other's.
		slow.Stop()
		dead.Stop()
		if err := s.line(scanner.Bytes()); err != nil {
			return why(ctx, err) // what the end of ctx has cut is no line either
		}
		slow.Reset(oneLine)
		dead.Reset(silence)
	}
	if err := scanner.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return fmt.Errorf("the other end sent a line of more than %d bytes", maxLine)
		}
		return why(ctx, err)
	}
	return why(ctx, io.EOF)
}

var (
	errNoAnswer = errors.New("no data for " + "5s; the network or the other end is stuck")
	errSlowLine = errors.New("the link is too slow: a line took more than 30s")
)

// why returns the cause for which ctx was ended, if it was.
func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// watched puts off the end of a link while bytes come.
type watched struct {
	r    io.Reader
	dead *time.Timer
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	if n > 0 {
		w.dead.Reset(silence)
	}
	return n, err
}

// request prepares a call.
func (r *Remote) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("User-Agent", "adit")
	if r.o.Client != "" {
		req.Header.Set(clientField, clientName(r.o.Client))
	}
	if r.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+r.o.Token)
	}
	return req, nil
}

// refusedBy says what an answer means that is no stream.
func refusedBy(resp *http.Response) error {
	err := answerError(resp)
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest:
		return &refusal{err.Error()}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return &refusal{"what answers there has no /v1/stream; it is no adit, or one of another major version"}
	}
	return err
}

// A stream is one that is being read.
type stream struct {
	r               *Remote
	asked, answered time.Time
	base            time.Time     // when the stream began at the other end, by this clock
	at              time.Duration // since then: of the snapshot that comes
	late            time.Duration // how much later than the fastest the newest snapshot came
	slowSince       time.Time     // late is more than what a stream may be; zero: it is not
	carried         wish
	greeted         bool
	whole           bool // a full snapshot has begun

	// What has come of a snapshot of several lines; nil while none has begun.
	staged *engine.Snapshot
	size   int // bytes of these lines
}

// line takes one line.
func (s *stream) line(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var w wireLine
	if err := unmarshal(b, &w); err != nil {
		return fmt.Errorf("the other end sent what is no line of a stream: %w", err)
	}
	switch {
	case w.Hello != nil:
		return s.hello(w.Hello)
	case !s.greeted:
		return errors.New("the other end did not say who it is")
	case w.Snapshot != nil:
		return s.delta(w.Snapshot, len(b))
	case w.Events != nil:
		return s.events(*w.Events, w.Dropped)
	case w.End != nil:
		return errors.New(engine.Bound(w.End.Reason))
	case w.Kind == "fell_behind":
		return errors.New("this end was too slow")
	}
	return nil // of a newer version
}

func (s *stream) hello(w *wireHello) error {
	if s.greeted {
		return errors.New("the other end said twice who it is")
	}
	s.greeted = true
	if w.Protocol.Major != protocolMajor {
		return &refusal{fmt.Sprintf("the other end (%s) speaks protocol %d.%d, this one %d.%d; update the older one",
			engine.Bound(w.Version), w.Protocol.Major, w.Protocol.Minor, protocolMajor, protocolMinor)}
	}
	r := s.r
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &r.link
	l.Name, l.ReadOnly, l.Attached = engine.Bound(w.You), w.ReadOnly, max(w.Attached, 0)
	l.Notice = ""
	if w.Protocol.Minor > protocolMinor {
		l.Notice = fmt.Sprintf("the other end is newer (protocol %d.%d, this one %d.%d): what this version does not know is not shown",
			w.Protocol.Major, w.Protocol.Minor, protocolMajor, protocolMinor)
	}
	if !s.asked.IsZero() && s.answered.After(s.asked) {
		l.RoundTrip = s.answered.Sub(s.asked)
		if at := w.clock(); !at.IsZero() {
			l.Skew = at.Sub(s.answered.Add(-l.RoundTrip / 2)).Round(time.Millisecond)
		}
	}
	instance := engine.Bound(w.Instance)
	again := l.Instance != "" && l.Instance != instance
	if again {
		l.Restarts++
		r.seq = 0
	}
	if l.Instance != "" {
		r.miss(w, again)
	}
	l.Instance = instance
	r.seq = max(r.seq, w.Seq)
	r.carries = s.carried
	r.tell()
	return nil
}

// miss tells every subscription what it did not get while there was no stream.
// mu is held.
func (r *Remote) miss(w *wireHello, restarted bool) {
	for sub := range r.subs {
		n := w.MissedLifecycle
		if sub.kinds&^engine.KindsLifecycle != 0 {
			n = w.Missed
		}
		if restarted {
			n = max(n, 1) // how the other process ended nobody has told
		}
		if sub.fresh {
			sub.fresh = false
			continue
		}
		sub.lose(n)
	}
}

// delta keeps what has changed, as soon as it has come whole.
func (s *stream) delta(w *wireDelta, size int) error {
	if s.size += size; s.size > maxSnapshot {
		return fmt.Errorf("the other end sent a snapshot of more than %d bytes", maxSnapshot)
	}
	s.whole = s.whole || w.Full
	if !s.whole {
		return errors.New("the other end sent changes of what it did not tell")
	}
	r := s.r
	if w.Attached != nil {
		r.mu.Lock()
		r.link.Attached = max(*w.Attached, 0)
		r.mu.Unlock()
	}
	if w.Elapsed > 0 {
		s.at = time.Duration(min(w.Elapsed, math.MaxInt64/1000)) * time.Microsecond
	}
	if s.staged == nil && (w.More || w.Full) {
		s.staged = &engine.Snapshot{}
		if !w.Full {
			r.mu.Lock()
			copySnapshot(s.staged, &r.known)
			r.mu.Unlock()
		}
	}
	if s.staged != nil {
		if err := w.patch(s.staged); err != nil {
			return fmt.Errorf("the other end sent a snapshot that can't be read: %w", err)
		}
	}
	if w.More {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.staged != nil {
		r.known, s.staged = *s.staged, nil
	} else if err := w.patch(&r.known); err != nil {
		r.have = false // half of it is no state to show
		return fmt.Errorf("the other end sent a snapshot that can't be read: %w", err)
	}
	s.size = 0
	r.have = true
	now := time.Now()
	again := s.clock(now)
	l := &r.link
	before := l.LastData
	l.LastData, l.Delay = now.Add(-s.late), s.late
	if l.Lost {
		if !before.IsZero() {
			l.Gaps++
		}
		l.Lost, l.Since, l.Cause, l.Attempt, l.Stuck, l.RetryAt = false, now, "", 0, false, time.Time{}
		r.tell()
	}
	if again {
		r.interval = min(max(4*r.interval, 4*soonestDelta), longestAsked)
		return errAgain
	}
	return nil
}

func (s *stream) events(list []wireEvent, dropped uint64) error {
	events := make([]engine.Event, 0, len(list))
	for i := range list {
		e, err := list[i].event()
		if err != nil {
			return fmt.Errorf("the other end sent an event that can't be read: %w", err)
		}
		if e.Kind != 0 {
			events = append(events, e)
		}
	}
	r := s.r
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link.LastData = time.Now().Add(-s.late)
	for sub := range r.subs {
		if dropped > 0 {
			sub.lose(dropped)
		}
	}
	for i := range events {
		r.seq = max(r.seq, events[i].Seq)
		for sub := range r.subs {
			sub.add(&events[i])
		}
	}
	return nil
}
