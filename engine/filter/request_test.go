package filter

import (
	"testing"
	"time"

	"adit/engine"
)

func noon() time.Time { return time.Date(2026, 11, 22, 15, 4, 30, 0, time.Local) }

func sample() *engine.Request {
	return &engine.Request{
		ID: 12, Connection: 17, Client: "edge-fra-1", Credential: "robot", Caller: "192.0.2.7:50123", Way: engine.WayHost,
		Protocol: engine.ProtocolNative, Method: "POST", Target: "https://shop.example.com/api/Orders?page=2&token=***",
		Status: 502, RequestBytes: 31, ResponseBytes: 3 << 20, Arrived: noon().Add(-2 * time.Minute),
		Queued: 3 * time.Millisecond, Sent: 4 * time.Millisecond, FirstByte: 1200 * time.Millisecond, LastByte: 200*time.Millisecond + 400*time.Microsecond,
		Outcome: engine.OutcomeOriginFailed, Reason: "origin failed",
		Heads: &engine.Heads{Request: "X-Request-Id: 0190f0\nAccept: */*\nAccept: text/html\n", Response: "content-type: application/json; charset=utf-8\nX-Empty:\n"},
	}
}

func context() *Context {
	labels := map[string]string{"region": "fra", "Team": "Web Shop"}
	return &Context{
		Now:    noon(),
		Marked: func(id uint64) bool { return id == 12 },
		Labels: func(client string) map[string]string {
			if client == "edge-fra-1" {
				return labels
			}
			return nil
		},
	}
}

func TestRequestThatIsWronglySelected(t *testing.T) {
	r, c := sample(), context()
	for text, want := range map[string]bool{
		"": true, "   ": true, "orders": true, "Orders": true, "ORDERS": false, "example": true, "nothing": false,
		"shop*page": true, "sh?p": true, "sh?x": false, `"api/Orders?page"`: true, `"sh?p"`: false, "/api/orders": true,
		"/ord[ea]rs/": true, "/ORD/": false, "/ORD/i": true, `/\SORDERS/`: false, `/\Sorders/`: true,
		"status:502": true, "status:500": false, "status:>=500": true, "status:>502": false, "status:<=502": true, "status:<502": false,
		"status:5xx": true, "status:5XX": true, "status:4xx": false, "status:!=5xx": false, "status:>4xx": true, "status:>5xx": false,
		"status:401,403": false, "status:401,502": true, "status:!=401,502": false, "status:!=401,403": true,
		"status:500..504": true, "status:..500": false, "status:503..": false, "status:400..404,500..": true, "status:=502": true,
		"method:post": true, "method:POST,PUT": true, "method:=POST": true, "method:=POS": false, "method:!=GET": true, "method:Post": false,
		"path:/api": true, "path:/API": false, "path:page": false, "path:/api/*": true, "path:*Orders": true, "path:api": true,
		"path:*api": false, `path:/^\/api\//`: true, `path:/^api/`: false, `path:"/api/"`: true, "path:=/api/orders": true, "path:!=/api": true,
		"host:*.example.com": true, "host:example": true, "host:api": false, "query:page=2": true, "query:orders": false,
		"dur:>200ms": true, "dur:200ms": true, "dur:201ms": false, "dur:0.2s": true, "dur:>201ms": false, "dur:<=200ms": false, "dur:100ms..300ms": true,
		"dur:!=200ms": false, "dur:>1m30s": false, "dur:200400us": true, "ttfb:>=1s": true, "ttfb:1.2s": true, "wait:3ms": true, "wait:>10ms": false,
		"in:31": true, "in:31B": true, "in:<31": false, "out:>1MiB": true, "out:3M": true, "out:>3MiB": false, "out:>=3MiB": true, "size:3M": true, "size:3145759": true,
		"client:edge-*": true, "client:EDGE": false, "client:*fra": false, "client:fra": true, "caller:192.0.2.": true, "credential:robot": true, "credential:=rob": false, "credential:!=robot": false,
		"conn:c-17": true, "conn:17": true, "conn:c-18": false, "conn:c-1..c-20": true, "id:r-12": true, "id:R-12": true, "id:r-13,r-12": true, "id:<12": false,
		"way:host": true, "way:request,proxy": false, "way:!=tcp": true, "protocol:adit.v1": true, "protocol:wsp": false,
		"outcome:origin_failed": true, "outcome:failed": true, "outcome:completed": false, "reason:origin": true, `reason:"origin failed"`: true, "reason:=origin": false,
		"time:-5m..": true, "time:-1m..": false, "time:15:00..15:04": true, "time:15:02": true, "time:15:03": false, "time:15:02:30": true, "time:..15:02": true,
		"time:>15:02": false, "time:>=15:02": true, "time:<15:02": false, "time:<=15:02": true, "time:-3m..-1m": true, "time:>-1m": false, "time:2026-11-22": true,
		"time:2026-11-22T15:02": true, "time:<2026-11-22": false, "time:15:02:30.000": true, "age:<5m": true, "age:>5m": false, "age:2m": true,
		"is:marked": true, "is:failed": true, "is:inflight": false, "is:ended": true, "is:replay": false, "is:aborted": false, "is:unseen": false, "is:!=marked": false, "is:inflight,marked": true,
		"type:json": true, "type:charset": false, "type:=application/json": true, "header.x-request-id:0190*": true, "header.X-REQUEST-ID:f0": true,
		"header.accept:html": true, "header.none:*": false, "header.x-empty:*": true, "header.accept:!=x": true,
		"label.region:fra": true, "label.region:sin": false, "label.Team:shop": true, "label.team:shop": false, "label.none:*": false, "label.none:!=x": true, "-label.none:x": true,
		"f:apord": true, "f:AOrd": false, "f:ordapi": false, "f:aPo": false, "f:hO": true,
		"-status:502": false, "not status:404": true, "NOT (status:502 AND method:GET)": true, "--status:502": true,
		"status:404 OR status:502": true, "status:404 or orders": true, "status:404 OR nothing method:POST": false, "(status:404 OR orders) method:POST": true,
		"status:502 AND method:POST": true, "status:502 AND method:GET OR client:edge": true, `"or"`: true, `"and"`: false, "http://": false, "https://shop": true,
		"127.0.0.1:80": false, "shop.example.com/api": true,
	} {
		f, err := Parse(Requests, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.Request(r, c); got != want {
			t.Errorf("%s: %v", text, got)
		}
		if f.String() != text {
			t.Errorf("%q became %q", text, f)
		}
		roundTrip(t, Requests, f)
	}
}

// What is not known must not be taken for zero.
func TestUnknownIsNeitherMoreNorLess(t *testing.T) {
	r := &engine.Request{ID: 1, FirstByte: -1, Queued: -1, LastByte: -1, Live: new(engine.Live)}
	for text, want := range map[string]bool{
		"status:<400": false, "status:!=200": false, "-status:200": true, "ttfb:<1s": false, "ttfb:>=0": false, "-ttfb:>1s": true, "wait:..1s": false,
		"dur:<1h": false, "conn:!=c-1": false, "time:..15:04": false, "age:<1h": false, "label.x:*": false, "is:marked": false, "is:inflight": true,
		"type:*": true, "header.x:*": false, "is:unseen": false, "is:ended": false, "out:0": true,
	} {
		f, err := Parse(Requests, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*Context{nil, {}} {
			if got := f.Request(r, c); got != want {
				t.Errorf("%s: %v", text, got)
			}
		}
	}
	r.Arrived = noon().Add(-time.Second)
	if f, _ := Parse(Requests, "dur:>900ms"); !f.Request(r, context()) {
		t.Error("a request in flight has no duration so far")
	}
}

func TestLettersBeyondASCII(t *testing.T) {
	r := &engine.Request{Target: "/Straße/ÉCOLE/\xff\xfe"}
	for text, want := range map[string]bool{
		"straße": true, "école": true, "ÉCOLE": true, "École": false, "*éc?le*": true, "path:=/straße/école/\"": false, "f:sßé": true, `"\\"`: false, "\xff": true,
	} {
		f, err := Parse(Requests, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Request(r, nil); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestNeedsThatAreMissing(t *testing.T) {
	for text, want := range map[string]Needs{
		"status:500 orders": 0, "is:marked": NeedsMarked, "is:inflight": 0, "is:inflight is:marked is:ended": NeedsMarked, "age:<5m": NeedsNow, "time:-5m..": NeedsNow, "time:15:04..": NeedsNow,
		"time:2026-11-22..": 0, "label.a:b": NeedsLabels, "(a OR -header.x:y)": NeedsHeads, "type:json age:>1s": NeedsHeads | NeedsNow,
	} {
		f, err := Parse(Requests, text)
		if err != nil || f.Needs() != want {
			t.Errorf("%s: %v, %v", text, f.Needs(), err)
		}
	}
}

func TestClausesThatNarrow(t *testing.T) {
	f, err := Parse(Requests, "status:5xx (a OR b) -path:/x")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range f.Clauses() {
		got = append(got, n.String())
		if _, err := Parse(Requests, n.String()); err != nil {
			t.Error(err)
		}
	}
	if len(got) != 3 || got[0] != "status:5xx" || got[1] != "a OR b" || got[2] != "-path:/x" {
		t.Errorf("%q", got)
	}
	if n := f.Clauses()[2]; f.String()[n.Column:n.Column+n.Length] != "-path:/x" {
		t.Errorf("%+v", n)
	}
	if Narrowest([]int{9, 2, 2}) != 1 || Narrowest(nil) != -1 {
		t.Error("the narrowest is another")
	}
}
