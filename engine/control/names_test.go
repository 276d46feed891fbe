package control

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
)

// TestNamesThatPeopleRelyOn holds the JSON of the API to files: who changes a
// name breaks scripts. UPDATE_GOLDEN=1 takes it.
func TestNamesThatPeopleRelyOn(t *testing.T) {
	update := os.Getenv("UPDATE_GOLDEN") != ""
	s := scene(1)
	s.Time = started
	s.Servers = []engine.Server{{URL: "wss://edge.example.com/register", Name: "edge", Through: "http://proxy:3128", Connected: 2, Wanted: 3, RetryAt: started, LastError: "no route"}}
	s.Expose = []engine.Expose{{Host: "app", URL: "https://app.example.com"}, {TCP: 5432}}
	s.Connections[0].Credential = "edge-token"
	s.Connections[0].PingNext = started.Add(time.Minute)
	running := record(5)
	running.Outcome, running.Heads, running.LastByte, running.Live = engine.OutcomeNone, nil, -1, &engine.Live{}
	replayed := record(6)
	replayed.Replay, replayed.Upgraded = true, true
	for name, write := range map[string]func(e *encoder){
		"snapshot": func(e *encoder) { e.b = AppendSnapshot(e.b, &s) },
		"requests": func(e *encoder) {
			e.page(&engine.RequestPage{Requests: []engine.Request{running, record(4)}, Matched: 9, Offset: 1, Kept: 5, Oldest: 1, Newest: 5, After: 2,
				Stored: 4, Searching: true, Cut: true, Problem: "the disk is full; make room", Lost: 3, Capacity: 100_000})
		},
		"request": func(e *encoder) { e.record(&replayed, false) },
		"content": func(e *encoder) { e.content(newLog().contents[2]) },
		"frames": func(e *encoder) {
			e.tape([]engine.FrameRecord{{Time: started, Out: true, Opcode: 2, Fin: true, Length: 17, Note: "DATA x17"}})
		},
		"events": func(e *encoder) {
			e.past(&engine.EventPage{Events: newLog().events, Keys: []uint64{7, 8}, More: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var e encoder
			write(&e)
			var got bytes.Buffer
			if err := json.Indent(&got, e.b, "", "\t"); err != nil {
				t.Fatalf("%v: %s", err, e.b)
			}
			got.WriteByte('\n')
			file := filepath.Join("testdata", name+".json")
			if update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s differs:\n%s", file, got.String())
			}
		})
	}
}
