package wire_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"adit/engine/wire"
)

const fullProbe = `{"type":"probe","server":"edge","version":"1.2.3","time":"2026-11-23T09:00:00.5Z","peer":"192.0.2.7:4711",` +
	`"domain":"tunnels.example.com","credential":"pi","expires":"2027-01-01T00:00:00Z","ping_interval_ms":15000,"tcp_first":20000,"tcp_last":20010,` +
	`"protocols":["adit.v1","wsp"],"ids":["pi-*"],"hosts":["app"],"ports":["20001-20002"],"destinations":["10.0.0.0/8"]}`

// What one writes the other reads, whatever it is; nothing is read as something
// else.
func FuzzProbe(f *testing.F) {
	f.Add([]byte(fullProbe))
	f.Add([]byte(`{"type":"probe","ids":["\ud83d\ude00"],"cut":1,"more":{"a":[1]}}`))
	f.Add([]byte(`{"type":"probe","time":"0001-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p *wire.Probe
		var err error
		bounded(t, text, func() { p, err = wire.ParseProbe(text) })
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatal("accepted what is no json")
		}
		again, err := wire.ParseProbe(wire.AppendProbe(nil, p))
		if err != nil {
			t.Fatalf("%v: %s", err, wire.AppendProbe(nil, p))
		}
		if again.Cut && !p.Cut { // the lists had no room
			return
		}
		normal(p)
		normal(again)
		if !reflect.DeepEqual(again, p) {
			t.Fatalf("got %+v, want %+v", again, p)
		}
	})
}

// normal makes no difference between an empty list and none.
func normal(p *wire.Probe) {
	for _, l := range []*[]string{&p.Protocols, &p.IDs, &p.Hosts, &p.Ports, &p.Destinations} {
		if len(*l) == 0 {
			*l = nil
		}
	}
}

func TestProbe(t *testing.T) {
	p, err := wire.ParseProbe([]byte(fullProbe))
	if err != nil {
		t.Fatal(err)
	}
	want := &wire.Probe{Server: "edge", Version: "1.2.3", Time: time.Date(2026, 11, 23, 9, 0, 0, 5e8, time.UTC), Peer: "192.0.2.7:4711",
		Domain: "tunnels.example.com", Credential: "pi", Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), PingInterval: 15 * time.Second,
		TCPFirst: 20000, TCPLast: 20010, Protocols: []string{"adit.v1", "wsp"}, IDs: []string{"pi-*"}, Hosts: []string{"app"},
		Ports: []string{"20001-20002"}, Destinations: []string{"10.0.0.0/8"}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, want %+v", p, want)
	}
	for _, text := range []string{`{}`, `{"type":"welcome"}`, `{"type":"probe","type":"probe"}`, `{"type":"probe","time":"now"}`, `[]`,
		`{"type":"probe","ids":"x"}`, `{"type":"probe","tcp_first":70000}`, `{"type":"probe","server":"` + strings.Repeat("x", 300) + `"}`,
		`{"type":"probe","ids":["` + strings.Repeat("x", 600) + `"]}`} {
		if _, err := wire.ParseProbe([]byte(text)); err == nil {
			t.Errorf("accepted %.80s", text)
		}
	}
}

// A scope of thousands of items must not make a message that nobody takes.
func TestProbeOfALargeScope(t *testing.T) {
	items := make([]string, 1000)
	for i := range items {
		items[i] = strings.Repeat("x", 500)
	}
	text := wire.AppendProbe(nil, &wire.Probe{IDs: items, Hosts: []string{"app"}})
	p, err := wire.ParseProbe(text)
	if err != nil || !p.Cut || len(p.IDs) != 0 || len(text) > wire.MaxTextMessage {
		t.Errorf("%v, %d bytes", err, len(text))
	}
}
