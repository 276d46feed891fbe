package wire_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"adit/engine/wire"
)

func TestClassicGreetingRules(t *testing.T) {
	long := strings.Repeat("x", 128)
	for name, c := range map[string]struct {
		text, id string
		pool     int
		err      error
	}{
		"real client":                {"b0e740da-5d1e-4a10-6d32-c14f8c4e2b82_1", "b0e740da-5d1e-4a10-6d32-c14f8c4e2b82", 1, nil},
		"split at the last":          {"a_b_c_3", "a_b_c", 3, nil},
		"underscore as id":           {"__7", "_", 7, nil},
		"pool 0":                     {"a_0", "a", 0, nil},
		"pool 100000":                {"a_100000", "a", 100000, nil},
		"leading zeros":              {"a_007", "a", 7, nil},
		"pool 100001":                {"a_100001", "", 0, wire.ErrFraming},
		"x":                          {"x", "", 0, wire.ErrFraming},
		"empty":                      {"", "", 0, wire.ErrFraming},
		"underscore":                 {"_", "", 0, wire.ErrFraming},
		"no id":                      {"_1", "", 0, wire.ErrFraming},
		"no pool":                    {"a_", "", 0, wire.ErrFraming},
		"a_-1":                       {"a_-1", "", 0, wire.ErrFraming},
		"a_+1":                       {"a_+1", "", 0, wire.ErrFraming},
		"a_9e9":                      {"a_9e9", "", 0, wire.ErrFraming},
		"a_1 with space":             {"a_1 ", "", 0, wire.ErrFraming},
		"a_1 with line end":          {"a_1\n", "", 0, wire.ErrFraming},
		"hexadecimal":                {"a_0x1", "", 0, wire.ErrFraming},
		"digits of elsewhere":        {"a_١", "", 0, wire.ErrFraming},
		"beyond 64 bits":             {"a_99999999999999999999999", "", 0, wire.ErrFraming},
		"id of 128":                  {long + "_1", long, 1, nil},
		"id of 129":                  {long + "x_1", "", 0, wire.ErrFraming},
		"id with space":              {"a b_1", "", 0, wire.ErrFraming},
		"id with escape":             {"a\x1b_1", "", 0, wire.ErrFraming},
		"id with DEL":                {"a\x7f_1", "", 0, wire.ErrFraming},
		"id beyond ASCII":            {"é_1", "", 0, wire.ErrFraming},
		"id not UTF-8":               {"\xff_1", "", 0, wire.ErrFraming},
		"4 KiB":                      {"a_" + strings.Repeat("0", 4094), "a", 0, nil},
		"above 4 KiB":                {"a_" + strings.Repeat("0", 4095), "", 0, wire.ErrTooBig},
		"1 MiB":                      {strings.Repeat("a", 1<<20), "", 0, wire.ErrTooBig},
		"a native one, taken as wsp": {fullHello, "", 0, wire.ErrFraming},
	} {
		t.Run(name, func(t *testing.T) {
			id, pool, err := wire.ParseClassicGreeting([]byte(c.text))
			if id != c.id || pool != c.pool || !errors.Is(err, c.err) {
				t.Errorf("got %q %d, %v", id, pool, err)
			}
		})
	}
}

// Real servers split at the first underscore and convert the rest.
func TestRealServerReadsOurClassicGreeting(t *testing.T) {
	text := string(wire.AppendClassicGreeting(nil, "my_app_3", 10))
	parts := strings.Split(text, "_")
	if pool, err := strconv.Atoi(parts[1]); err != nil || parts[0] != "my-app-3" || pool != 10 {
		t.Fatalf("%q reads as %q, %v", text, parts, err)
	}
	if id, pool, err := wire.ParseClassicGreeting([]byte(text)); err != nil || id != "my-app-3" || pool != 10 {
		t.Fatalf("got %q %d, %v", id, pool, err)
	}
}

// Every text that the two real programs sent reads, and writes itself again.
func TestRecordedTextsRoundTrip(t *testing.T) {
	files, err := filepath.Glob("../../testdata/wsp/*.jsonl")
	if err != nil || len(files) != 2 {
		t.Fatalf("recordings: %v, %v", files, err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		seen := map[string]int{}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			var frame struct {
				Kind, Text string
				Opcode     int
			}
			if err := json.Unmarshal(lines.Bytes(), &frame); err != nil {
				t.Fatal(err)
			}
			if frame.Kind != "frame" || frame.Opcode != 1 {
				continue
			}
			kind, again, err := readClassic(frame.Text)
			if err != nil || again != frame.Text {
				t.Errorf("%s: %s\nread as %s, %v\nwritten %s", name, frame.Text, kind, err, again)
			}
			seen[kind]++
		}
		if seen["greeting"] == 0 || seen["request"] == 0 || seen["response"] == 0 {
			t.Errorf("%s: only %v", name, seen)
		}
	}
}

func readClassic(text string) (kind, again string, err error) {
	switch {
	case strings.HasPrefix(text, `{"Method"`):
		r, err := wire.ParseClassicRequest([]byte(text))
		if err != nil {
			return "request", "", err
		}
		return "request", string(wire.AppendClassicRequest(nil, r)), nil
	case strings.HasPrefix(text, `{`):
		r, err := wire.ParseClassicResponse([]byte(text))
		if err != nil {
			return "response", "", err
		}
		return "response", string(wire.AppendClassicResponse(nil, r)), nil
	}
	id, pool, err := wire.ParseClassicGreeting([]byte(text))
	return "greeting", string(wire.AppendClassicGreeting(nil, id, pool)), err
}

func TestClassicRequestRules(t *testing.T) {
	request := func(method, url, header, length string) string {
		return `{"Method":"` + method + `","URL":"` + url + `","Header":` + header + `,"ContentLength":` + length + `}`
	}
	url := func(u string) string { return request("GET", u, "null", "0") }
	header := func(h string) string { return request("GET", "http://a/", h, "0") }
	values := func(n int) string {
		return `{"x":[` + strings.TrimSuffix(strings.Repeat(`"",`, n), ",") + `]}`
	}
	names := func(n int, list string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"x%d":%s`, i, list)
		}
		return "{" + b.String()[1:] + "}"
	}
	for name, c := range map[string]struct {
		text string
		err  error
	}{
		"least":                    {url("http://a"), nil},
		"query":                    {url("http://a?b=c"), nil},
		"https with port":          {url("https://[::1]:8443/a"), nil},
		"fragment behind the host": {url("http://a#b"), nil},
		"fragment":                 {url("http://a/#b"), nil},
		"escaped as Go does":       {url(`http://a/?b\u0026c=\u003cd\u003e`), nil},
		"missing members":          {`{"Method":"GET","URL":"http://a/"}`, nil},
		"unknown members":          {`{"Method":"GET","URL":"http://a/","More":{"Method":1}}`, nil},
		"hop-by-hop fields":        {header(`{"Connection":["close"],"Te":["gzip"],"Upgrade":["h2c"]}`), nil},
		"list null":                {header(`{"X":null}`), nil},
		"list empty":               {header(`{"X":[]}`), nil},
		"unknown length":           {request("GET", "http://a/", "{}", "-1"), nil},
		"length -2":                {request("GET", "http://a/", "{}", "-2"), wire.ErrHTTP},
		"length 1.5":               {request("GET", "http://a/", "{}", "1.5"), wire.ErrFraming},
		"length 2^63":              {request("GET", "http://a/", "{}", "9223372036854775808"), wire.ErrFraming},
		"length a string":          {request("GET", "http://a/", "{}", `"0"`), wire.ErrFraming},
		"length null":              {request("GET", "http://a/", "{}", `null`), wire.ErrFraming},
		"no method":                {request("", "http://a/", "{}", "0"), wire.ErrHTTP},
		"method with space":        {request("GET /", "http://a/", "{}", "0"), wire.ErrHTTP},
		"CONNECT":                  {request("CONNECT", "http://a/", "{}", "0"), wire.ErrHTTP},
		"method a number":          {`{"Method":1,"URL":"http://a/"}`, wire.ErrFraming},
		"method twice":             {`{"Method":"GET","URL":"http://a/","Method":"PUT"}`, wire.ErrFraming},
		"method in small letters":  {`{"method":"GET","URL":"http://a/"}`, wire.ErrHTTP},
		"no url":                   {url(""), wire.ErrHTTP},
		"relative url":             {url("/a"), wire.ErrHTTP},
		"no scheme":                {url("//a/"), wire.ErrHTTP},
		"ftp":                      {url("ftp://a/"), wire.ErrHTTP},
		"file":                     {url("file:///etc/passwd"), wire.ErrHTTP},
		"no host":                  {url("http:///a"), wire.ErrHTTP},
		"port alone":               {url("http://:80/"), wire.ErrHTTP},
		"userinfo":                 {url("http://u:p@a/"), wire.ErrHTTP},
		"userinfo behind slash":    {url("http://a/u@b"), nil},
		"backslash":                {url(`http://a\\@b/`), wire.ErrHTTP},
		"opaque":                   {url("http:a"), wire.ErrHTTP},
		"space in url":             {url("http://a/b c"), wire.ErrHTTP},
		"line end in url":          {url(`http://a/\r\nX: y`), wire.ErrHTTP},
		"url beyond ASCII":         {url("http://a/é"), wire.ErrHTTP},
		"header an array":          {header(`[]`), wire.ErrFraming},
		"header of strings":        {header(`{"X":"y"}`), wire.ErrFraming},
		"value null":               {header(`{"X":[null]}`), wire.ErrFraming},
		"name twice":               {header(`{"X":["a"],"X":["b"]}`), wire.ErrFraming},
		"name twice, other case":   {header(`{"X":["a"],"x":["b"]}`), nil},
		"empty name":               {header(`{"":["a"]}`), wire.ErrHTTP},
		"name with colon":          {header(`{"X:":["a"]}`), wire.ErrHTTP},
		"line end in value":        {header(`{"X":["a\r\nY: b"]}`), wire.ErrHTTP},
		"NUL in value":             {header(`{"X":["\u0000"]}`), wire.ErrHTTP},
		"value beyond ASCII":       {header(`{"X":["é\ufffd"]}`), nil},
		"content-length":           {header(`{"Content-Length":["5"]}`), nil},
		"content-length twice":     {header(`{"Content-Length":["5","5"]}`), wire.ErrHTTP},
		"content-length in two":    {header(`{"Content-Length":["5"],"content-length":["6"]}`), wire.ErrHTTP},
		"content-length a word":    {header(`{"Content-Length":["five"]}`), wire.ErrHTTP},
		"256 values":               {header(values(256)), nil},
		"257 values":               {header(values(257)), wire.ErrTooBig},
		"256 names":                {header(names(256, `[""]`)), nil},
		"257 names":                {header(names(257, `[""]`)), wire.ErrTooBig},
		"257 names, no values":     {header(names(257, `null`)), wire.ErrTooBig},
		"null":                     {`null`, wire.ErrFraming},
		"empty":                    {``, wire.ErrFraming},
		"content, out of order":    {"\x00\x01binary", wire.ErrFraming},
		"cut":                      {`{"Method":"GET","URL":"http://a/`, wire.ErrFraming},
		"two values":               {url("http://a/") + url("http://a/"), wire.ErrFraming},
		"not UTF-8":                {url("http://a/\xff"), wire.ErrFraming},
		"256 KiB":                  {url("http://a/" + strings.Repeat("x", 256<<10-len(url("http://a/")))), nil},
		"above 256 KiB":            {url("http://a/" + strings.Repeat("x", 256<<10-len(url("http://a/"))+1)), wire.ErrTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := wire.ParseClassicRequest([]byte(c.text))
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			var want wire.ClassicRequest
			if err := json.Unmarshal([]byte(c.text), &want); err != nil {
				t.Fatal(err)
			}
			if !sameHeader(r.Header, want.Header) || r.Method != want.Method || r.URL != want.URL || r.ContentLength != want.ContentLength {
				t.Errorf("got %.200v\nencoding/json reads %.200v", *r, want)
			}
		})
	}
}

// The lists share one array: who adds a value must not change the next field.
func TestAddedValueStaysInItsField(t *testing.T) {
	r, err := wire.ParseClassicResponse([]byte(`{"StatusCode":200,"Header":{"A":["1"],"B":["2"],"C":[],"D":["3"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name := range r.Header {
		_ = append(r.Header[name], "added")
	}
	want := map[string][]string{"A": {"1"}, "B": {"2"}, "C": {}, "D": {"3"}}
	if !reflect.DeepEqual(r.Header, want) {
		t.Fatalf("got %q, want %q", r.Header, want)
	}
}

// sameHeader takes an empty list for a null one.
func sameHeader(a, b map[string][]string) bool {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return false
	}
	for name, values := range a {
		other, ok := b[name]
		if !ok || len(values) != len(other) || len(values) > 0 && !reflect.DeepEqual(values, other) {
			return false
		}
	}
	return true
}

func TestClassicResponseRules(t *testing.T) {
	status := func(s string) string { return `{"StatusCode":` + s + `,"Header":{},"ContentLength":0}` }
	for name, c := range map[string]struct {
		text string
		err  error
	}{
		"200":                {status("200"), nil},
		"304":                {`{"StatusCode":304,"Header":{"Content-Length":["9"]},"ContentLength":0}`, nil},
		"526":                {status("526"), nil},
		"527":                {status("527"), nil},
		"600":                {status("600"), nil},
		"999":                {status("999"), nil},
		"1000":               {status("1000"), wire.ErrHTTP},
		"99":                 {status("99"), wire.ErrHTTP},
		"100":                {status("100"), wire.ErrHTTP},
		"101":                {status("101"), wire.ErrHTTP},
		"199":                {status("199"), wire.ErrHTTP},
		"0":                  {status("0"), wire.ErrHTTP},
		"-200":               {status("-200"), wire.ErrHTTP},
		"2^32+200":           {status("4294967496"), wire.ErrHTTP},
		"2^64+200":           {status("18446744073709551816"), wire.ErrFraming},
		"a string":           {status(`"200"`), wire.ErrFraming},
		"no status":          {`{"Header":{},"ContentLength":0}`, wire.ErrHTTP},
		"status twice":       {`{"StatusCode":200,"StatusCode":500}`, wire.ErrFraming},
		"header null":        {`{"StatusCode":200,"Header":null,"ContentLength":-1}`, nil},
		"length -2":          {`{"StatusCode":200,"ContentLength":-2}`, wire.ErrHTTP},
		"LF in value":        {`{"StatusCode":200,"Header":{"X":["\n"]}}`, wire.ErrHTTP},
		"a request":          {`{"Method":"GET","URL":"http://a/","Header":null,"ContentLength":0}`, wire.ErrHTTP},
		"garbage after":      {status("200") + "]", wire.ErrFraming},
		"above 256 KiB":      {status("200") + strings.Repeat(" ", 256<<10), wire.ErrTooBig},
		"a greeting":         {"a_1", wire.ErrFraming},
		"deep unknown value": {`{"StatusCode":200,"x":` + strings.Repeat(`{"a":`, 40000), wire.ErrFraming},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := wire.ParseClassicResponse([]byte(c.text)); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
		})
	}
}

// encoding/json is what the real programs read with.
func TestRealProgramsReadOurClassicHeads(t *testing.T) {
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"", "<&>", "\u2028\u2029", `"\`, "\x00\x1f\x7f", "é\U0001F600", "\xff\xc0\xaf", "\xed\xa0\x80"}),
		rapid.String(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }),
	)
	headers := rapid.MapOfN(text, rapid.SliceOfN(text, 0, 3), -1, 5)
	valid := func(s string) string { return string([]rune(s)) } // each bad byte becomes U+FFFD
	rapid.Check(t, func(t *rapid.T) {
		sent := wire.ClassicRequest{Method: text.Draw(t, "method"), URL: text.Draw(t, "url"),
			ContentLength: rapid.Int64().Draw(t, "length")}
		if rapid.Bool().Draw(t, "header") {
			sent.Header = headers.Draw(t, "headers")
		}
		encoded := wire.AppendClassicRequest(nil, &sent)
		if !utf8.Valid(encoded) {
			t.Fatalf("not UTF-8: %q", encoded)
		}
		var got wire.ClassicRequest
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatalf("%s: %v", encoded, err)
		}
		want := wire.ClassicRequest{Method: valid(sent.Method), URL: valid(sent.URL), ContentLength: sent.ContentLength}
		if sent.Header != nil {
			want.Header = map[string][]string{}
			for name, list := range sent.Header {
				if _, clash := want.Header[valid(name)]; clash {
					t.Skip("two names become one")
				}
				values := make([]string, len(list))
				for i := range list {
					values[i] = valid(list[i])
				}
				want.Header[valid(name)] = values
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}

		answer := wire.ClassicResponse{StatusCode: rapid.Int().Draw(t, "status"), Header: sent.Header, ContentLength: sent.ContentLength}
		var read wire.ClassicResponse
		if err := json.Unmarshal(wire.AppendClassicResponse(nil, &answer), &read); err != nil {
			t.Fatal(err)
		}
		if read.StatusCode != answer.StatusCode || !reflect.DeepEqual(read.Header, want.Header) {
			t.Fatalf("got %+v\nwant %+v", read, answer)
		}
	})
}
