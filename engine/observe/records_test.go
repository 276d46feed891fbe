package observe

import (
	"encoding/json"
	"testing"

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

func TestRecordOfNothingIsJSON(t *testing.T) {
	if got := AppendRequest(nil, new(engine.Request)); !json.Valid(got) {
		t.Errorf("no JSON: %s", got)
	}
}
