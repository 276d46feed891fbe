package control

import (
	"runtime"
	"strings"
	"testing"
)

// 16 KiB over the wire, 16 MiB decompressed, were 2 GiB of records.
func TestAnswerThatTakesAHundredTimesItsSize(t *testing.T) {
	for _, c := range []struct {
		name, begin, unit, end string
		into                   any
	}{
		{"records", `{"requests":[`, `{},`, `{}]}`, new(wirePage)},
		{"what are no records", `{"requests":[`, `0,`, `0]}`, new(wirePage)},
		{"events", `{"events":[`, `{},`, `{}]}`, new(wireLine)},
		{"connections", `{"snapshot":{"connections":[`, "\"\\\"\",", `0]}}`, new(wireLine)},
		{"depth", `{"x":`, `[`, `1`, new(wirePage)},
	} {
		text := []byte(c.begin + strings.Repeat(c.unit, maxAnswer/len(c.unit)) + c.end)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := unmarshal(text, c.into)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 1<<20 {
			t.Errorf("%s: %d MiB; %v", c.name, took>>20, err)
		}
	}
	// As many as there may be, in strings that look like more.
	text := `{"events":[` + strings.Repeat(`{"kind":"x,\",[{"},`, maxElements/2-1) + `{"kind":"x"}]}`
	var w wireLine
	if err := unmarshal([]byte(text), &w); err != nil || w.Events == nil || len(*w.Events) != maxElements/2 {
		t.Errorf("%v", err)
	}
}
