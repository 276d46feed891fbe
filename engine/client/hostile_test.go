package client

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// Row 16: whatever a server does costs that connection, leaves an event with
// the reason, and is dialled again.
func TestHostilePeerCostsItsConnection(t *testing.T) {
	welcome := wire.AppendWelcome(nil, &wire.Welcome{Connection: "c-1", PingInterval: time.Minute, MaxExchanges: 10, Window: 64 << 10})
	greeted := func(then func(*enginetest.Peer)) func(*enginetest.Peer) {
		return func(p *enginetest.Peer) {
			p.ReadMessage()
			p.WriteMessage(enginetest.OpText, welcome)
			then(p)
		}
	}
	binary := func(payload []byte) func(*enginetest.Peer) {
		return greeted(func(p *enginetest.Peer) { p.WriteMessage(enginetest.OpBinary, payload) })
	}
	record := func(typ wire.Type, end bool, id uint64, payload []byte) []byte {
		return append(wire.AppendRecordHeader(nil, typ, end, id, len(payload)), payload...)
	}
	cases := map[string]struct {
		subprotocol string
		attack      func(*enginetest.Peer)
	}{
		"subprotocol of somebody else": {"chat", func(*enginetest.Peer) {}},
		"welcome that is binary":       {wire.Subprotocol, func(p *enginetest.Peer) { p.WriteMessage(enginetest.OpBinary, welcome) }},
		"welcome that is no JSON":      {wire.Subprotocol, func(p *enginetest.Peer) { p.WriteMessage(enginetest.OpText, []byte("{")) }},
		"welcome of 1 MiB": {wire.Subprotocol, func(p *enginetest.Peer) {
			p.WriteMessage(enginetest.OpText, []byte(`{"type":"welcome","server":"`+strings.Repeat("a", 1<<20)+`"}`))
		}},
		"end instead of a welcome":    {wire.Subprotocol, func(p *enginetest.Peer) { p.ReadMessage() }},
		"silence":                     {wire.Subprotocol, func(p *enginetest.Peer) { p.ReadMessage(); p.ReadMessage() }},
		"garbage":                     {wire.Subprotocol, greeted(func(p *enginetest.Peer) { p.WriteRaw([]byte("\xff\xff\xff\xff\xff\xff\xff\xff")) })},
		"empty binary message":        {wire.Subprotocol, binary(nil)},
		"half a record":               {wire.Subprotocol, binary([]byte{1, 0, 1})},
		"response to a client":        {wire.Subprotocol, binary(record(wire.TypeResponse, true, 1, wire.AppendResponse(nil, &wire.Response{Status: 200})))},
		"content of no exchange":      {wire.Subprotocol, binary(record(wire.TypeData, false, 7, []byte("x")))},
		"credit beyond measure":       {wire.Subprotocol, binary(record(wire.TypeWindow, false, 7, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}))},
		"head that is no head":        {wire.Subprotocol, binary(record(wire.TypeRequest, true, 1, []byte("GET / HTTP/1.1\r\n\r\n")))},
		"second message that is text": {wire.Subprotocol, greeted(func(p *enginetest.Peer) { p.WriteMessage(enginetest.OpText, []byte("hello")) })},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := enginetest.NewNetwork()
				evil, good := network.Listen("evil.example:80"), network.Listen("good.example:80")
				attacks := make(chan struct{}, 100)
				go accept(evil, func(c net.Conn) {
					if p, _, err := enginetest.AcceptPeer(c, enginetest.Handshake{Subprotocols: []string{tt.subprotocol}}); err == nil {
						attacks <- struct{}{}
						tt.attack(p)
						p.ReadClose()
					}
				})
				go accept(good, func(c net.Conn) {
					p, _, err := enginetest.AcceptPeer(c, enginetest.Handshake{Subprotocols: []string{wire.Subprotocol}})
					if err != nil {
						t.Errorf("good server: %v", err)
						return
					}
					p.Timeout = time.Hour
					greeted(func(p *enginetest.Peer) { p.ReadClose() })(p)
				})
				r := startWith(t, tunnel.Dial, 0.5, Options{Pool: 1, Servers: []string{"ws://evil.example/register", "ws://good.example/register"},
					Limits: tunnel.Limits{Welcome: time.Second, Ping: 100 * time.Hour}, NetDial: network.DialContext})
				for range 3 {
					<-attacks
				}
				var snap engine.Snapshot
				if err := r.Snapshot(t.Context(), &snap); err != nil {
					t.Fatal(err)
				}
				if snap.Servers[1].Connected != 1 {
					t.Errorf("servers %+v", snap.Servers)
				}
				evil.Close()
				events := r.stop(t)
				good.Close()
				reasons := 0
				for _, e := range events {
					if e.Server == "ws://evil.example/register" && e.Reason != "" &&
						(e.Kind == engine.KindDialFailed || e.Kind == engine.KindConnectionClosed) {
						reasons++
					}
				}
				if reasons < 2 {
					t.Errorf("%d events with a reason", reasons)
				}
			})
		})
	}
}

func accept(ln net.Listener, serve func(net.Conn)) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}
