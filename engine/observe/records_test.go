package observe

import (
	"encoding/json"
	"testing"
	"time"

	"adit/engine"
)

// What reads records and events by the same names would otherwise find some of
// them in one only.
func TestRecordHasTheNamesOfItsEvent(t *testing.T) {
	e := finished()
	var event, record map[string]any
	if err := json.Unmarshal(AppendEvent(nil, &e), &event); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(AppendRequest(nil, e.Request), &record); err != nil {
		t.Fatal(err)
	}
	for name := range event {
		switch name {
		case "time", "seq", "kind", "peer":
			continue
		}
		if record[name] != event[name] {
			t.Errorf("%s is %v in the record, %v in the event", name, record[name], event[name])
		}
	}
}

func TestConnectionInJSON(t *testing.T) {
	c := engine.Connection{
		ID: 17, Client: "edge\x1b[2J", Peer: "192.0.2.1:9", Protocol: engine.ProtocolNative, State: engine.StateBusy,
		Opened: time.Date(2026, 11, 23, 1, 2, 3, 4, time.UTC), InFlight: 2, Exchanges: 40, Failed: 1, RTT: 3 * time.Millisecond,
		Traffic:  engine.Traffic{BytesIn: 7, FramesOut: engine.Frames{Ping: 1}},
		Greeting: &engine.Greeting{ID: "edge", PoolSize: 2, Expose: []engine.Expose{{Host: "app"}}},
	}
	const want = `{"conn":"c-17","client":"edge\u001b[2J","peer":"192.0.2.1:9","protocol":"adit.v1","state":"busy",` +
		`"opened":"2026-11-23T01:02:03.000000004Z","in_flight":2,"exchanges":40,"failed":1,"rtt_us":3000,"bytes_in":7,"bytes_out":0,` +
		`"frames_in":{"text":0,"binary":0,"continuation":0,"close":0,"ping":0,"pong":0},` +
		`"frames_out":{"text":0,"binary":0,"continuation":0,"close":0,"ping":1,"pong":0},` +
		`"greeting":{"id":"edge","pool_size":2,"expose":[{"host":"app"}]}}`
	if got := string(AppendConnection(nil, &c)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, empty := range []string{string(AppendConnection(nil, new(engine.Connection))), string(AppendRequest(nil, new(engine.Request)))} {
		if !json.Valid([]byte(empty)) {
			t.Errorf("no JSON: %s", empty)
		}
	}
	c = engine.Connection{Greeting: new(engine.Greeting)}
	if got := AppendConnection(nil, &c); !json.Valid(got) {
		t.Errorf("no JSON: %s", got)
	}
}
