package wire_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"

	"adit/engine/wire"
)

// byteStrings calls f with every string of one byte and with random ones, of
// which most have a single odd byte.
func byteStrings(f func(s string)) {
	for c := range 256 {
		f(string([]byte{byte(c)}))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		b := make([]byte, 1+rnd.IntN(24))
		for i := range b {
			b[i] = byte('a' + rnd.IntN(26))
		}
		for range rnd.IntN(3) {
			b[rnd.IntN(len(b))] = byte(rnd.IntN(256))
		}
		f(string(b))
	}
}

func TestFieldsAreThoseOfHTTPGuts(t *testing.T) {
	byteStrings(func(s string) {
		// The names are made unknown, so that only their bytes matter.
		name := "x" + s
		if got, want := wire.CheckRequest(get(field(name, ""))) == nil, httpguts.ValidHeaderFieldName(name); got != want {
			t.Errorf("name %q: got %t, want %t", name, got, want)
		}
		if got, want := wire.CheckRequest(get(field("x", s))) == nil, httpguts.ValidHeaderFieldValue(s); got != want {
			t.Errorf("value %q: got %t, want %t", s, got, want)
		}
	})
}

func TestTrailersAreThoseOfHTTPGuts(t *testing.T) {
	names := strings.Fields(`authorization cache-control connection content-encoding content-length content-range
		content-type expect host keep-alive max-forwards pragma proxy-authenticate proxy-authorization
		proxy-connection range realm te trailer transfer-encoding www-authenticate
		if if- if-x if-none-match iffy i x date etag via grpc-status set-cookie content-md5 content-digest
		trailers ranges proxy-authenticated content-encodings server-timing`)
	for _, name := range names {
		for _, name := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			got := wire.CheckTrailers([]wire.Field{field(name, "v")}) == nil
			if want := httpguts.ValidTrailerHeader(name); got != want {
				t.Errorf("%s: got %t, want %t", name, got, want)
			}
		}
	}
}

// httpguts lets more hosts pass than we do, never fewer.
func TestAuthorityIsNeverMoreThanHTTPGutsAllows(t *testing.T) {
	byteStrings(func(s string) {
		r := get()
		r.Authority = s
		if wire.CheckRequest(r) == nil && !httpguts.ValidHostHeader(s) {
			t.Errorf("%q passed", s)
		}
	})
}

func TestCarried(t *testing.T) {
	for _, name := range strings.Fields("Host CONNECTION keep-alive Keep-Alive proxy-connection transfer-Encoding") {
		if wire.Carried(name) {
			t.Errorf("%s is carried", name)
		}
	}
	for _, name := range append(strings.Fields("te upgrade content-length hosts hast trailer expect x-forwarded-for "+
		"connectioN2 keep\xadalive transfer-encodin9"), "") {
		if !wire.Carried(name) {
			t.Errorf("%s is not carried", name)
		}
	}
}

func TestGetTakesTheFirstInAnyCase(t *testing.T) {
	fields := []wire.Field{field("a", "1"), field("Content-Type", "x"), field("content-type", "y"), field("@b", "2")}
	for name, want := range map[string]string{"A": "1", "CONTENT-type": "x", "missing": "", "": "", "`b": "", "@B": "2"} {
		if got := wire.Get(fields, name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestContentLength(t *testing.T) {
	for value, want := range map[string]int64{"0": 0, "007": 7, "9223372036854775807": 1<<63 - 1,
		"9223372036854775808": -1, "": -1, "-1": -1, "1 ": -1} {
		if got := wire.ContentLength([]wire.Field{field("x", "9"), field("CONTENT-length", value)}); got != want {
			t.Errorf("%q: got %d, want %d", value, got, want)
		}
	}
	if got := wire.ContentLength(nil); got != -1 {
		t.Errorf("none: got %d, want -1", got)
	}
}
