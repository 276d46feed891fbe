package scene

import (
	"fmt"
	"time"

	"adit/engine"
)

// newest returns the id of the newest request so long after the moment of the
// pictures.
func (s *Scene) newest(t time.Duration) engine.RequestID {
	return engine.RequestID(max(0, float64(s.o.Requests)+t.Seconds()*s.o.Rate))
}

// Upload is the request that the picture of the inspector shows.
func (s *Scene) Upload() engine.RequestID {
	return engine.RequestID(max(1, s.o.Requests-int(uploadSince.Seconds()*s.o.Rate)))
}

const (
	uploadSince = 5557 * time.Millisecond // before the newest
	newestSince = 239 * time.Millisecond  // before the moment of the pictures
)

// Request returns a request; it has its heads if asked for. Everything of it
// follows from its id.
func (s *Scene) Request(id engine.RequestID, heads bool) engine.Request {
	n := func(kind uint64) float64 { return noise(uint64(id), 16+kind) }
	c := s.carrier(n(0))
	behind := float64(s.o.Requests) - float64(id)
	r := engine.Request{
		ID: id, Connection: c.id, Client: c.client.name, Caller: fmt.Sprintf("198.51.100.%d:%d", 1+uint64(id)%200, 30000+uint64(id)%30000),
		Way: engine.WayHost, Protocol: c.client.protocol,
		Arrived: s.o.Origin.Add(-time.Duration(behind/s.o.Rate*1e9) - newestSince).Truncate(time.Microsecond),
		Method:  [...]string{"GET", "GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE", "GET"}[int(n(2)*10)],
		Target: "http://shop.example.com" + [...]string{"/static/app.js", "/api/login", "/api/search?q=tun", "/api/orders", "/api/orders/8812",
			"/ws/notify", "/healthz", "/api/cart", "/graphql", "/api/upload?part=2"}[int(n(3)*10)],
		RequestBytes:  0,
		ResponseBytes: [...]int64{0, 512, 1229, 18 << 10, 240 << 10, 4_299_162, 512, 1229, 1229, 18 << 10}[int(n(4)*10)],
		Status:        [...]int{200, 200, 200, 200, 201, 304, 301, 404, 401, 200}[int(n(5)*10)],
		Outcome:       engine.OutcomeCompleted,
	}
	took := [...]time.Duration{3, 8, 14, 22, 31, 45, 66, 120, 240, 900}[int(n(6)*10)]*time.Millisecond + time.Duration(n(7)*900)*time.Microsecond
	if r.Method != "GET" && r.Method != "DELETE" {
		r.RequestBytes = [...]int64{31, 212, 512, 4096}[int(n(8)*4)]
	}
	if id == s.Upload() {
		c = s.first("edge-sin-01")
		r.Connection, r.Client, r.Protocol = c.id, c.client.name, c.client.protocol
		r.Method, r.Target = "POST", "http://shop.example.com/api/upload"
		r.RequestBytes, r.ResponseBytes, r.Status, took = 4<<20, 31, 502, 5*time.Second
		r.Outcome, r.Reason = engine.OutcomeTimedOut, "origin did not answer in 5s"
	} else if fate := n(9); fate < c.client.failed {
		at := int(n(10) * 3)
		r.Status = [...]int{500, 502, 504}[at]
		r.Outcome = [...]engine.Outcome{engine.OutcomeCompleted, engine.OutcomeOriginFailed, engine.OutcomeTimedOut}[at]
		r.Reason = [...]string{"", "connection refused", "origin did not answer in 30s"}[at]
		took = [...]time.Duration{212 * time.Millisecond, 2 * time.Second, 30 * time.Second}[at]
		r.ResponseBytes = 512
	} else if fate > 1-c.client.callerGone {
		r.Status, r.Outcome, r.Reason = 499, engine.OutcomeCallerGone, "caller closed its connection"
	}
	r.Queued, r.Sent = 400*time.Microsecond, 1500*time.Microsecond
	r.Connect, r.FirstByte, r.LastByte = 0, took*9/10, took
	if took < 10*time.Millisecond {
		r.Queued, r.Sent = 30*time.Microsecond, 90*time.Microsecond
	}
	s.special(&r)
	if heads {
		if r.Heads = s.specialHeads(&r); r.Heads == nil {
			r.Heads = headsOf(&r)
		}
	}
	return r
}

func headsOf(r *engine.Request) *engine.Heads {
	h := &engine.Heads{Request: "Host: shop.example.com\nAccept: */*\nAuthorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x\n" +
		"User-Agent: okhttp/4.12\nX-Request-Id: 0190f0c2-7e1a-7c2e\nX-Forwarded-For: 198.51.100.7\n"}
	if r.RequestBytes > 0 {
		h.Request += fmt.Sprintf("Content-Type: application/json\nContent-Length: %d\n", r.RequestBytes)
	}
	if r.Outcome == engine.OutcomeCompleted || r.ResponseBytes > 0 {
		h.Response = fmt.Sprintf("Content-Type: text/plain\nContent-Length: %d\nDate: %s\n", r.ResponseBytes, r.Arrived.UTC().Format(time.RFC1123))
	}
	return h
}

// carrier returns the connection that carries a part n of all requests.
func (s *Scene) carrier(n float64) *connection {
	all := s.clients
	sum := 0.0
	for i := range all {
		sum += all[i].requests
	}
	n *= sum
	for i := range all {
		if n -= all[i].requests; n < 0 {
			return s.nth(all[i].name, int(-n*7919))
		}
	}
	return &s.conns[0]
}

func (s *Scene) first(client string) *connection { return s.nth(client, 0) }

// nth returns one of the connections of a client, or the first of all if it has
// none.
func (s *Scene) nth(client string, n int) *connection {
	if own := s.own[client]; len(own) > 0 {
		return &s.conns[own[n%len(own)]]
	}
	return &s.conns[0]
}

// Requests returns the newest n requests at the moment of the pictures, oldest
// first.
func (s *Scene) Requests(n int) []engine.Request {
	newest := s.newest(0)
	all := make([]engine.Request, 0, n)
	for id := newest - min(newest, engine.RequestID(n)) + 1; id <= newest; id++ {
		all = append(all, s.Request(id, false))
	}
	return all
}
