package tui

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"adit/engine/control"
	"adit/engine/enginetest"
	"adit/store"
	"adit/tui/scene"
)

// A far engine is one behind a control socket and a relay.
type far struct {
	engine *scene.Engine
	relay  *enginetest.Relay
	remote *control.Remote
}

func dialled(t *testing.T, perSecond float64) *far {
	t.Helper()
	e := scene.NewEngine(scene.Options{})
	t.Cleanup(e.End)
	log, err := store.Open(e, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	dir := t.TempDir()
	listen := func(name string) (net.Listener, string) {
		path := filepath.Join(dir, name)
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return ln, path
	}
	ln, behind := listen("b")
	server := control.NewServer(control.Options{Engine: e, Log: log})
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	front, path := listen("f")
	relay := enginetest.NewRelay(front, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", behind)
	}, 1)
	t.Cleanup(func() { _ = relay.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		e.Feed(ctx, perSecond)
	}()
	t.Cleanup(func() {
		cancel()
		<-fed
	})
	remote, err := control.Dial(context.Background(), path, control.DialOptions{Client: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remote.Close)
	return &far{e, relay, remote}
}

// What an attached dashboard costs the link, and how it comes back: P12 of the
// budget.
func TestAttachedDashboard(t *testing.T) {
	a := dialled(t, 1000)
	a.relay.Set(enginetest.Toxics{Latency: 50 * time.Millisecond})
	s := start(t, Options{Engine: a.remote, Log: a.remote}, 120, 36)
	s.shows("LIVE")
	s.shows("edge-iad-01")
	s.shows("/api/")

	before, began := a.relay.Traffic(), time.Now()
	time.Sleep(4 * time.Second)
	after := a.relay.Traffic()
	took := time.Since(began).Seconds()
	rate := float64(after.BytesDown-before.BytesDown+after.BytesUp-before.BytesUp) / took / 1024
	t.Logf("%.1f KiB a second at overview, 42 connections, 1,000 requests a second", rate)
	if rate > 25 { // more than the noise of a machine that others use
		t.Errorf("%.1f KiB a second, the budget is 20", rate)
	}

	cut := time.Now()
	a.relay.ResetAll()
	s.shows("LOST edge-1")
	s.hides("LOST edge-1")
	t.Logf("cut, tried again and back after %v, with a round trip of 100ms", time.Since(cut))

	// A link that carries nothing any more, and keys that still work.
	a.relay.Set(enginetest.Toxics{Blackhole: true})
	s.shows("LOST edge-1")
	for _, key := range []string{"3", "5"} {
		pressed := time.Now()
		s.typed(key)
		s.shows(map[string]string{"3": "everything (status", "5": "Keys, look"}[key])
		if d := time.Since(pressed); d > time.Second {
			t.Errorf("%s took %v while the link was dead", key, d)
		}
	}
	s.typed("d")
	s.shows("last data")
	s.typed("\x1b")
	a.relay.Set(enginetest.Toxics{})
	a.relay.ResetAll()
	s.shows("LIVE")
	s.typed("q")
	s.ends()
}
