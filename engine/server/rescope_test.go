package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// A caller's token that is to expire sooner than it was ends what runs by it at the
// new moment: an update that only looked at who has expired already left it for ever.
func TestExpiryThatIsMovedForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newTokenSet(t)
		edge := set.add("edge", policy.TokenClient, policy.Scope{})
		robot := set.add("robot", policy.TokenCaller, policy.Scope{})
		network := enginetest.NewNetwork()
		b := serveOn(t, Options{Live: set.live(true)}, network.Listen("server.example:80"))
		if _, err := b.tryDial(greeting("edge"), echoRaw, shows(edge), func(o *tunnel.DialOptions) {
			o.URL = "ws://server.example/register"
			o.NetDial = func(ctx context.Context, n, addr string) (net.Conn, error) { return network.DialContext(ctx, n, addr) }
		}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		conn, err := network.DialContext(t.Context(), "tcp", "server.example:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\nProxy-Authorization: Bearer "+robot+"\r\n\r\n")
		head := make([]byte, 12)
		if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 200" {
			t.Fatalf("%q, %v", head, err)
		}
		begin := time.Now()
		set.list[1].Expires = begin.Add(2 * time.Minute)
		b.s.Update(set.live(true), operator)
		conn.SetReadDeadline(begin.Add(time.Hour))
		io.Copy(io.Discard, conn)
		if took := time.Since(begin); took < 2*time.Minute || took > 2*time.Minute+time.Second {
			t.Errorf("the stream went on for %v after an update that leaves it 2m", took)
		}
	})
}

// A stream that a client carries whom its caller may not be served by any more ends
// with the update that says so.
func TestUpdateOfTheClientsOfACaller(t *testing.T) {
	set := newTokenSet(t)
	client := set.add("client", policy.TokenClient, policy.Scope{})
	robot := set.add("robot", policy.TokenCaller, policy.Scope{})
	b := serve(t, Options{Live: set.live(true)})
	b.join(client, greeting("edge"), echoRaw)
	c := b.raw("CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\nProxy-Authorization: Bearer " + robot + "\r\n\r\n")
	if resp, err := http.ReadResponse(c.r, &http.Request{Method: "CONNECT"}); err != nil || resp.StatusCode != 200 {
		t.Fatalf("connect: %v, %v", resp, err)
	}
	set.list[1].Scope = policy.Scope{IDs: []string{"edge", "core"}}
	b.s.Update(set.live(true), operator)
	c.Write([]byte("ping"))
	if _, err := io.ReadFull(c.r, make([]byte, 4)); err != nil {
		t.Fatalf("an update that leaves the client in: %v", err)
	}
	set.list[1].Scope = policy.Scope{IDs: []string{"core"}}
	b.s.Update(set.live(true), operator)
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.r.ReadByte(); err == nil || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the stream goes on: %q, %v", n, err)
	}
}

// So does one to a destination that the client may not carry any more.
func TestUpdateOfTheDestinationsOfAClient(t *testing.T) {
	set := newTokenSet(t)
	token := set.add("client", policy.TokenClient, policy.Scope{})
	live := func() Live {
		l := set.live(false)
		l.Callers = &policy.Callers{}
		return l
	}
	b := serve(t, Options{Live: live()})
	b.join(token, greeting("edge"), echoRaw)
	stream := func(to string) *rawCall {
		c := b.raw("CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n")
		if resp, err := http.ReadResponse(c.r, &http.Request{Method: "CONNECT"}); err != nil || resp.StatusCode != 200 {
			t.Fatalf("connect: %v, %v", resp, err)
		}
		return c
	}
	inside, outside := stream("db.internal:1"), stream("db.example:1")
	set.list[0].Scope = policy.Scope{Destinations: []string{"*.internal"}}
	b.s.Update(live(), operator)
	outside.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := outside.r.ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the stream goes on: %q, %v", n, err)
	}
	if rec := b.finished(1); rec.Reason != textClientScope {
		t.Errorf("record %+v", rec)
	}
	inside.Write([]byte("ping"))
	if _, err := io.ReadFull(inside.r, make([]byte, 4)); err != nil {
		t.Errorf("what is inside the scope: %v", err)
	}
}

// An update between the admission of a caller and what he asks for is heeded: it
// found nothing that was asked, and he is not to go by what held before.
func TestUpdateBetweenAdmissionAndRequest(t *testing.T) {
	set := newTokenSet(t)
	robot := set.add("robot", policy.TokenCaller, policy.Scope{})
	b := serve(t, Options{Live: set.live(true)})
	c := b.s.begin(engine.WayProxy, "192.0.2.1:1")
	defer c.release()
	h := http.Header{"Proxy-Authorization": {"Bearer " + robot}}
	if err := b.s.admitCaller(c, &policy.Presented{Header: h}); err != nil {
		t.Fatal(err)
	}
	set.list[0].Scope = policy.Scope{IDs: []string{"core"}, Destinations: []string{"*.internal"}}
	b.s.Update(set.live(true), operator)
	c.ask("GET", &target{way: engine.WayProxy, scheme: "http", authority: "api.example", path: "/"})
	if c.asked.within(c.asked.caller) {
		t.Error("a destination outside the new scope is inside still")
	}
	l := &link{client: "edge"}
	if c.asked.fits(l) {
		t.Error("a client outside the new scope may serve it")
	}
	c.fail(engine.ReasonDenied, "")
	c.end()
}

// Who may not be a client takes none of its places either: else a token for one id
// could keep every other client out.
func TestRefusedClientTakesNoPlace(t *testing.T) {
	set := newTokenSet(t)
	all := set.add("all", policy.TokenClient, policy.Scope{})
	edge := set.add("edge", policy.TokenClient, policy.Scope{IDs: []string{"edge-*"}})
	live := set.live(false)
	live.Caps.ConnectionsPerClient = 1
	b := serve(t, Options{Live: live})
	b.join(all, greeting("core"), hello)
	_, err := b.tryDial(greeting("core"), hello, shows(edge))
	var dial *tunnel.DialError
	if !errors.As(err, &dial) || dial.Code != engine.ClosePolicy {
		t.Errorf("%v; want 1008, the scope, before anything is counted for the client", err)
	}
	for _, e := range b.snapshot().Limits {
		t.Errorf("it ran into %s of a client that it may not be", e.Name)
	}
}
