//go:build !race

package wire_test

import (
	"runtime"
	"strings"
	"testing"

	"adit/engine/wire"
)

func TestAllocationCeilings(t *testing.T) {
	buf := make([]byte, 0, 64<<10)
	request := wire.AppendRequest(nil, usualRequest)
	response := wire.AppendResponse(nil, usualResponse)
	trailers := wire.AppendTrailers(nil, []wire.Field{field("grpc-status", "0"), field("grpc-message", "")})
	window := wire.AppendWindow(nil, 65536)
	message := usualMessage()
	classic := wire.AppendClassicRequest(nil, usualClassic)

	for _, c := range []struct {
		name    string
		ceiling float64
		run     func()
	}{
		{"AppendRecordHeader", 0, func() { wire.AppendRecordHeader(buf, wire.TypeData, true, 1<<40, 16384) }},
		{"NextRecord", 0, func() {
			for rest := message; len(rest) > 0; {
				_, rest, _ = wire.NextRecord(rest)
			}
		}},
		{"AppendRequest", 0, func() { wire.AppendRequest(buf, usualRequest) }},
		{"AppendResponse", 0, func() { wire.AppendResponse(buf, usualResponse) }},
		{"AppendReset", 0, func() { wire.AppendReset(buf, wire.ResetCancelled, "caller went away") }},
		{"AppendWindow", 0, func() { wire.AppendWindow(buf, 65536) }},
		{"CheckRequest", 0, func() { wire.CheckRequest(usualRequest) }},
		{"CheckResponse", 0, func() { wire.CheckResponse(usualResponse) }},
		{"ParseWindow", 0, func() { wire.ParseWindow(window) }},
		{"ParseRequest", 3, func() { wire.ParseRequest(request) }},
		{"ParseResponse", 3, func() { wire.ParseResponse(response) }},
		{"ParseTrailers", 2, func() { wire.ParseTrailers(trailers) }},
		{"Get", 0, func() { wire.Get(usualRequest.Fields, "Content-Length") }},
		{"ContentLength", 0, func() { wire.ContentLength(usualRequest.Fields) }},
		{"AppendClassicRequest", 0, func() { wire.AppendClassicRequest(buf, usualClassic) }},
		{"ParseClassicRequest", 8, func() { wire.ParseClassicRequest(classic) }},
	} {
		if n := testing.AllocsPerRun(100, c.run); n > c.ceiling {
			t.Errorf("%s: %g allocations, ceiling %g", c.name, n, c.ceiling)
		}
	}
}

// A few bytes that promise much must not be believed before they are there.
func TestPromisedSizesAreNotAllocated(t *testing.T) {
	least := "\x03GET\x04http\x01a\x01/"
	classic := func(header string) string {
		return `{"Method":"GET","URL":"http://a/","Header":` + header + `}`
	}
	for name, c := range map[string]struct {
		input string
		parse func([]byte)
	}{
		"fields of a request":  {"\x00" + least + "\xff\xff\xff\xff\x7f", func(p []byte) { wire.ParseRequest(p) }},
		"256 fields":           {"\x00" + least + "\x80\x02", func(p []byte) { wire.ParseRequest(p) }},
		"fields of a response": {"\xc8\x01\x00\x00\xff\xff\x7f", func(p []byte) { wire.ParseResponse(p) }},
		"fields of trailers":   {"\x80\x02\x00", func(p []byte) { wire.ParseTrailers(p) }},
		"method of 2^40 bytes": {"\x00\x80\x80\x80\x80\x80\x20", func(p []byte) { wire.ParseRequest(p) }},
		"record of 1 GiB":      {"\x03\x01\x01\x80\x80\x80\x80\x04", func(p []byte) { wire.NextRecord(p) }},
		"1 MiB of greeting":    {strings.Repeat("a", 1<<20), func(p []byte) { wire.ParseClassicGreeting(p); wire.ParseHello(p) }},
		"1 MiB of head":        {strings.Repeat("a", 1<<20), func(p []byte) { wire.ParseRequest(p); wire.ParseClassicRequest(p) }},
		"values of one field":  {classic(`{"a":[` + strings.Repeat(`"",`, 80000) + `""]}`), func(p []byte) { wire.ParseClassicRequest(p) }},
		"names without values": {classic(`{` + strings.Repeat(`"a":[],`, 30000) + `}`), func(p []byte) { wire.ParseClassicRequest(p) }},
	} {
		input := []byte(c.input)
		c.parse(input) // whatever is allocated once
		// The count is the whole process's: other goroutines only add to it.
		least := ^uint64(0)
		for range 5 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c.parse(input)
			runtime.ReadMemStats(&after)
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		limit := uint64(1024)
		if len(input) <= 256<<10 && len(input) > 1024 {
			limit = uint64(len(input) + 32<<10) // one copy, and what 256 fields take
		}
		if least > limit {
			t.Errorf("%s: %d bytes allocated", name, least)
		}
	}
}

// What is left out takes no memory: who keeps heads counts what it sees of them.
func TestLinesTakeNoMoreThanTheyHold(t *testing.T) {
	fields := []wire.Field{field("cookie", strings.Repeat("x", 9000)), field("a", "b")}
	var kept [1000]string
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range kept {
		kept[i], _ = wire.Lines("h", fields, 8<<10)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 200*uint64(len(kept)) {
		t.Errorf("%d lines of %d bytes took %d", len(kept), len(kept[0]), n)
	}
}
