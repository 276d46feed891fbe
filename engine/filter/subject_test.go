package filter

import (
	"testing"
	"time"

	"adit/engine"
)

func TestConnectionThatIsWronglySelected(t *testing.T) {
	x := &engine.Connection{
		ID: 17, Client: "edge-fra-1", Peer: "203.0.113.9:40110", Protocol: engine.ProtocolClassic, State: engine.StateBusy,
		Opened: noon().Add(-time.Minute), RTT: 40 * time.Millisecond, InFlight: 2, Exchanges: 100, Failed: 1,
		Traffic:  engine.Traffic{BytesIn: 2 << 20, BytesOut: 512},
		Greeting: &engine.Greeting{PoolSize: 8, Hostname: "rpi4", Version: "0.9.3", OS: "linux", Expose: []engine.Expose{{Host: "shop"}, {TCP: 5432}}, Labels: map[string]string{"region": "fra"}},
	}
	for text, want := range map[string]bool{
		"": true, "edge": true, "203.0": true, "nobody": false, "client:edge-*": true, "conn:c-17": true, "id:c-1": false, "peer:203.": true, "state:busy": true,
		"state:idle,busy": true, "state:!=busy": false, "is:busy": true, "is:classic": true, "is:native": false, "is:marked": false, "is:failed": true,
		"rtt:>100ms": false, "rtt:40ms": true, "age:<5m": true, "age:1m": true, "pool:8": true, "pool:>8": false, "in:>1MiB": true, "out:512": true, "size:>2M": true,
		"inflight:>0": true, "exchanges:>=100": true, "failed:0": false, "hostname:rpi": true, "version:0.9*": true, "os:linux": true, "arch:arm": false,
		"expose:shop": true, "expose:5432": true, "expose:tcp": false, "label.region:fra": true, "f:efr": true, "time:15:03": true, "protocol:wsp": true,
	} {
		f, err := Parse(Connections, text)
		if text == "id:c-1" {
			if err == nil {
				t.Error("a connection has no id: field but conn:")
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.Connection(x, context()); got != want {
			t.Errorf("%s: %v", text, got)
		}
		roundTrip(t, Connections, f)
	}
	for text, want := range map[string]bool{"pool:<8": false, "pool:!=8": false, "rtt:<1s": false, "hostname:*": true, "label.region:fra": true, "expose:*": false} {
		f, err := Parse(Connections, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Connection(&engine.Connection{Client: "edge-fra-1"}, context()); got != want {
			t.Errorf("%s before the greeting: %v", text, got)
		}
	}
}

func TestEventThatIsWronglySelected(t *testing.T) {
	e := &engine.Event{
		Seq: 12, Time: noon().Add(-time.Minute), Kind: engine.KindConnectionClosed, Connection: 17, Client: "edge-fra-1",
		Peer: "203.0.113.9:1", Protocol: engine.ProtocolNative, Reason: "silent", Code: 1006,
	}
	for text, want := range map[string]bool{
		"": true, "kind:connection_closed": true, "kind:dial_failed,closed": true, "kind:ready": false, "client:edge": true, "conn:c-17": true, "conn:c-1": false,
		"id:r-1": false, "peer:203": true, "reason:silent": true, "code:1006": true, "code:1000..1002": false, "time:15:03": true, "age:<2m": true,
		"is:marked": true, "label.region:fra": true, "level:>=debug": true, "level:deb..err": true, "operator:local": false, "action:kill": false,
	} {
		f, err := Parse(Events, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := f.Event(e, context()); got != want {
			t.Errorf("%s: %v", text, got)
		}
		roundTrip(t, Events, f)
	}
	f, err := Parse(Events, "conn:c-17 id:r-3")
	if err != nil {
		t.Fatal(err)
	}
	if !f.Event(&engine.Event{Request: &engine.Request{ID: 3, Connection: 17}}, nil) {
		t.Error("the event of a request is not found by its ids")
	}
}
