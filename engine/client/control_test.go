package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"adit/engine"
)

func TestOperatorCancelsAnExchange(t *testing.T) {
	arrived := make(chan struct{}, 1)
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	x := g.open(t, t.Context(), request("GET", addr, "/"), true)
	<-arrived
	if err := g.client.CancelExchange(t.Context(), 1, engine.Operator{Name: "local"}); err != nil {
		t.Fatal(err)
	}
	if _, err := x.ReadResponse(); engine.ReasonOf(err).Status() != 502 {
		t.Errorf("the caller gets %v", err)
	}
	if err := g.client.CancelExchange(t.Context(), 99, engine.Operator{}); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("cancel of nothing: %v", err)
	}
	if rec := g.records()[0]; rec.Outcome != engine.OutcomeTunnelFailed || rec.Reason != "ended by an operator" {
		t.Errorf("record %+v", rec)
	}
}

func TestSnapshotTellsHowRoutesAreReached(t *testing.T) {
	addr := listen(t, func(*net.TCPConn) {})
	g := newRig(t, Options{Live: Live{Secret: "hush"}, Expose: []Expose{{Host: "app", Origin: "http://" + addr}, {TCP: 5432, Origin: addr}}})
	var snap engine.Snapshot
	for len(snap.Connections) == 0 || snap.Servers[0].Connected == 0 {
		if err := g.client.Snapshot(t.Context(), &snap); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	want := []engine.Expose{{Host: "app", URL: "http://app0.example"}, {TCP: 5432, URL: "http://5432.example"}}
	if !slices.Equal(snap.Expose, want) {
		t.Errorf("expose %+v", snap.Expose)
	}
	c := snap.Connections[0]
	if c.ID != 1 || c.Client != "edge-3" || c.Protocol != engine.ProtocolNative || c.Server == "" || c.Peer == "" ||
		c.State != engine.StateIdle || c.BytesIn == 0 || snap.Totals.BytesIn == 0 || snap.Servers[0].Name != "edge" {
		t.Errorf("connection %+v", c)
	}
	if err := g.client.CloseConnection(t.Context(), 99, engine.CloseKilled, engine.Operator{}); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("close of nothing: %v", err)
	}
	if err := g.client.CloseConnection(t.Context(), 1, engine.CloseKilled, engine.Operator{Name: "local", Reason: "test"}); err != nil {
		t.Errorf("close: %v", err)
	}
	<-g.conn.Done()
	if code, reason := g.conn.Ended(); code != engine.CloseKilled || reason != "test" {
		t.Errorf("the server saw %d %q", code, reason)
	}
}

func TestDrainLetsExchangesFinish(t *testing.T) {
	arrived, proceed := make(chan struct{}, 1), make(chan struct{})
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-proceed
		io.WriteString(w, "done")
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	x := g.open(t, t.Context(), request("GET", addr, "/"), true)
	<-arrived
	if err := g.client.Drain(t.Context(), 0, engine.Operator{Name: "local"}); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	resp, err := x.ReadResponse()
	if err != nil || resp.Status != 200 {
		t.Fatalf("got %v, %v", resp, err)
	}
	if content, err := io.ReadAll(x); string(content) != "done" || err != nil {
		t.Errorf("content %q, %v", content, err)
	}
	x.Close()
	select {
	case <-g.client.Done():
	case <-time.After(5 * time.Second):
		t.Error("the client did not end")
	}
}
