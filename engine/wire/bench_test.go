package wire_test

import (
	"testing"

	"adit/engine/wire"
)

// A usual request and response of a browser, and a piece of content.
var (
	usualRequest = &wire.Request{
		Method: "GET", Scheme: "https", Authority: "app.tunnels.example.com", Path: "/api/v1/items?page=2&limit=50",
		Fields: []wire.Field{
			{Name: "user-agent", Value: "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"},
			{Name: "accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			{Name: "accept-language", Value: "en-GB,en;q=0.7,de;q=0.3"},
			{Name: "accept-encoding", Value: "gzip, deflate, br, zstd"},
			{Name: "referer", Value: "https://app.tunnels.example.com/api/v1/items?page=1&limit=50"},
			{Name: "cookie", Value: "id=0123456789abcdef0123456789abcdef; theme=dark"},
			{Name: "content-length", Value: "0"},
			{Name: "x-forwarded-for", Value: "203.0.113.7"},
			{Name: "x-forwarded-proto", Value: "https"},
			{Name: "via", Value: "1.1 adit"},
		},
	}
	usualResponse = &wire.Response{
		Status: 200, Connect: 0, FirstByte: 1250,
		Fields: []wire.Field{
			{Name: "content-type", Value: "application/json; charset=utf-8"},
			{Name: "content-length", Value: "5120"},
			{Name: "date", Value: "Sun, 22 Nov 2026 15:55:39 GMT"},
			{Name: "etag", Value: `W/"1400-abcdef"`},
			{Name: "vary", Value: "accept-encoding"},
		},
	}
	usualClassic = &wire.ClassicRequest{
		Method: "GET", URL: "http://127.0.0.1:18090/hello", ContentLength: 0,
		Header: map[string][]string{"Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"curl/7.88.1"},
			"X-Forwarded-For": {"203.0.113.7"}, "X-Proxy-Destination": {"http://127.0.0.1:18090/hello"}},
	}
)

func BenchmarkAppendRequest(b *testing.B) {
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = wire.AppendRequest(buf[:0], usualRequest)
	}
}

func BenchmarkCheckRequest(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := wire.CheckRequest(usualRequest); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	payload := wire.AppendRequest(nil, usualRequest)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.ParseRequest(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendResponse(b *testing.B) {
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = wire.AppendResponse(buf[:0], usualResponse)
	}
}

func BenchmarkParseResponse(b *testing.B) {
	payload := wire.AppendResponse(nil, usualResponse)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.ParseResponse(payload); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNextRecord splits one message of 64 records; ns/op is for one record.
func BenchmarkNextRecord(b *testing.B) {
	message := usualMessage()
	b.ReportAllocs()
	rest := message
	for b.Loop() {
		var err error
		if _, rest, err = wire.NextRecord(rest); err != nil {
			b.Fatal(err)
		}
		if len(rest) == 0 {
			rest = message
		}
	}
}

func usualMessage() []byte {
	var message []byte
	content := make([]byte, 512)
	for exchange := uint64(1000); exchange < 1064; exchange++ {
		message = wire.AppendRecordHeader(message, wire.TypeData, true, exchange, len(content))
		message = append(message, content...)
	}
	return message
}

func BenchmarkAppendRecordHeader(b *testing.B) {
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = wire.AppendRecordHeader(buf[:0], wire.TypeData, true, 123456, 16384)
	}
}

func BenchmarkAppendClassicRequest(b *testing.B) {
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = wire.AppendClassicRequest(buf[:0], usualClassic)
	}
}

func BenchmarkParseClassicRequest(b *testing.B) {
	text := wire.AppendClassicRequest(nil, usualClassic)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.ParseClassicRequest(text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLines is of the head of a small request: one that was seen before, and
// one that always differs.
func BenchmarkLines(b *testing.B) {
	fields := []wire.Field{{"Accept", "*/*"}, {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"}, {"Accept-Encoding", "gzip, br"},
		{"X-Forwarded-Host", "app.t.example"}, {"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-Proto", "http"},
		{"Forwarded", "for=192.0.2.1;host=\"app.t.example\";proto=http"}, {"Via", "1.1 adit-0123456789abcdef"}, {"X-Request-Id", ""}}
	for _, other := range []bool{false, true} {
		b.Run(map[bool]string{false: "same", true: "other"}[other], func(b *testing.B) {
			b.ReportAllocs()
			ids := [2]string{"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331b7ad6b7169203331"}
			for n := 0; b.Loop(); n++ {
				if other {
					fields[8].Value = ids[0][:n%32] + ids[1][n/32%32:]
				}
				wire.Lines("app.t.example", fields, 8<<10)
			}
		})
	}
}
