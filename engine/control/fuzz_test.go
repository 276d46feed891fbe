package control

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
)

// FuzzStream feeds a Remote what a hostile server could send.
func FuzzStream(f *testing.F) {
	const hello = `{"hello":{"protocol":{"major":1,"minor":0},"instance":"i","time":"2026-11-22T18:04:05Z","missed":3}}` + "\n"
	s := scene(2)
	var e encoder
	lines := []byte(hello)
	keep := func(line []byte) error { lines = append(append(lines, line...), '\n'); return nil }
	_ = e.delta(&s, nil, 2, keep)
	next := scene(3)
	next.Connections = next.Connections[1:]
	_ = e.delta(&next, &s, 1, keep)
	finished := record(4)
	e.b = append(e.b[:0], `{"events":[`...)
	e.event(&engine.Event{Seq: 9, Time: started, Kind: engine.KindRequestFinished, Request: &finished}, true, true)
	e.item()
	e.event(&engine.Event{Seq: 10, Time: started, Kind: engine.KindGreetingReceived, Greeting: s.Connections[0].Greeting}, true, true)
	_ = keep(append(e.b, `],"dropped":7}`...))
	f.Add(lines)
	f.Add([]byte(hello + `{"snapshot":{"full":true,"more":true,"connections":[{"conn":"c-2"},{"conn":"c-1"},{"conn":"c-2","state":"busy"}]}}` + "\n" +
		`{"snapshot":{"removed":["c-1"],"rtt_us":9223372036854775807}}` + "\n"))
	f.Add([]byte(hello + `{"end":{"reason":"over"}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		r := &Remote{subs: map[*subscription]struct{}{}, changed: make(chan struct{}), o: DialOptions{}}
		sub := &subscription{wish: wish{kinds: engine.KindsAll}, slots: 4, wake: make(chan struct{}, 1)}
		r.subs[sub] = struct{}{}
		st := &stream{r: r}
		for line := range bytes.Lines(data) {
			if st.line(bytes.TrimSuffix(line, []byte("\n"))) != nil {
				break
			}
		}
		if sub.count > sub.slots {
			t.Errorf("%d events wait in %d slots", sub.count, sub.slots)
		}
		for i := 1; i < len(r.known.Connections); i++ {
			if r.have && r.known.Connections[i-1].ID >= r.known.Connections[i].ID {
				t.Errorf("connections are not in order: %v before %v", r.known.Connections[i-1].ID, r.known.Connections[i].ID)
			}
		}
		for _, c := range r.known.Connections {
			if len(c.Client) > engine.MaxText || c.InFlight < 0 || c.RTT < 0 {
				t.Errorf("not bounded: %+v", c)
			}
		}
		var into engine.Snapshot
		_ = r.Snapshot(context.Background(), &into)
	})
}

// FuzzCall asks a Server what somebody could ask.
func FuzzCall(f *testing.F) {
	for _, line := range []string{
		"GET /v1/", "GET /v1/snapshot", "GET /v1/requests?filter=status:200&order=size&limit=3&offset=1&at=r-2&until=r-3&marked=r-1,r-2&complete=1",
		"GET /v1/events?before=1&limit=2&filter=kind:ready", "GET /v1/tail?subject=requests&filter=path:/&heads=1", "GET /v1/stream?interval=1ms&kinds=ready,stopped&since=1",
		"GET /v1/requests/r-2/content/response", "GET /v1/export.har?ids=r-1,r-2&secrets=shown", "GET /v1/connections/c-1/frames",
		`PUT /v1/bans/%2e%2e {"reason":"x"}`, `POST /v1/replay {"method":"GET","target":"http://a/","content":"AAA=","fields":[{"name":"a","value":"b"}],"of":"r-1","way":"host"}`,
		`POST /v1/requests/r-2/replay {"set":[{"name":"a","value":"b"}],"remove":["c"],"content":null}`, `PUT /v1/capture {"mode":"content","content":["x"]}`,
		`POST /v1/connections/c-1/close {"code":1005}`,
	} {
		method, rest, _ := strings.Cut(line, " ")
		target, body, _ := strings.Cut(rest, " ")
		f.Add(method, target, []byte(body))
	}
	e := enginetest.NewFake(scene(2))
	panicked := false
	s := NewServer(Options{Engine: e, Log: newLog(), OnPanic: func(any) { panicked = true }})
	f.Cleanup(func() { _ = s.Close(); e.End() })
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(target, "/") || len(target) > 4096 {
			return
		}
		ctx, cancel := context.WithCancel(context.WithValue(context.Background(), peerKey{}, &peer{unix: true, name: "root@unix"}))
		if endless(u.Path) {
			cancel()
		}
		defer cancel()
		r := (&http.Request{Method: method, URL: u, Host: "adit", Header: http.Header{"Content-Type": {"application/json"}},
			Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
		if len(body) > 0 {
			r.Body = readCloser{bytes.NewReader(body)}
		}
		w := httptest.NewRecorder()
		before := len(e.Actions())
		begun := time.Now()
		s.http.Handler.ServeHTTP(w, r)
		if panicked || w.Code == http.StatusInternalServerError {
			t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body.String())
			panicked = false
		}
		if time.Since(begun) > 4*queryWait { // it ends itself after one, if it gets a processor
			t.Errorf("%s %s took %v", method, target, time.Since(begun))
		}
		if method == http.MethodGet && len(e.Actions()) != before {
			t.Errorf("GET %s does something", target)
		}
		if w.Code >= 400 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: an error that is no JSON: %s", method, target, w.Body.String())
		}
	})
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
