package wire_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"adit/engine/wire"
)

func get(fields ...wire.Field) *wire.Request {
	return &wire.Request{Method: "GET", Scheme: "http", Authority: "app.example.com", Path: "/", Fields: fields}
}

func field(name, value string) wire.Field { return wire.Field{Name: name, Value: value} }

func manyFields(n int) []wire.Field {
	fields := make([]wire.Field, n)
	for i := range fields {
		fields[i] = field("x", "")
	}
	return fields
}

func TestRequestRules(t *testing.T) {
	with := func(change func(r *wire.Request)) *wire.Request {
		r := get()
		change(r)
		return r
	}
	method := func(m string) *wire.Request { return with(func(r *wire.Request) { r.Method = m }) }
	authority := func(a string) *wire.Request { return with(func(r *wire.Request) { r.Authority = a }) }
	path := func(p string) *wire.Request { return with(func(r *wire.Request) { r.Path = p }) }

	for name, c := range map[string]struct {
		request *wire.Request
		err     error
	}{
		"plain":                     {get(), nil},
		"route":                     {with(func(r *wire.Request) { r.Route = 1<<63 - 1 }), nil},
		"any method":                {method("M-SEARCH"), nil},
		"lower-case method":         {method("get"), nil},
		"no method":                 {method(""), wire.ErrHTTP},
		"method with space":         {method("GET /"), wire.ErrHTTP},
		"CONNECT":                   {method("CONNECT"), wire.ErrHTTP},
		"https":                     {with(func(r *wire.Request) { r.Scheme = "https" }), nil},
		"scheme ftp":                {with(func(r *wire.Request) { r.Scheme = "ftp" }), wire.ErrHTTP},
		"scheme in capitals":        {with(func(r *wire.Request) { r.Scheme = "HTTP" }), wire.ErrHTTP},
		"authority with port":       {authority("a:8080"), nil},
		"authority IPv6":            {authority("[::1]:8080"), nil},
		"authority IPv6, no port":   {authority("[::1]"), nil},
		"authority percent-encoded": {authority("a%2Eb"), nil},
		"authority underscore":      {authority("my_app"), nil},
		"no authority":              {authority(""), wire.ErrHTTP},
		"port alone":                {authority(":80"), wire.ErrHTTP},
		"empty port":                {authority("a:"), wire.ErrHTTP},
		"port of letters":           {authority("a:http"), wire.ErrHTTP},
		"port too high":             {authority("a:65536"), wire.ErrHTTP},
		"userinfo":                  {authority("user:pw@a"), wire.ErrHTTP},
		"path in authority":         {authority("a/b"), wire.ErrHTTP},
		"space in authority":        {authority("a b"), wire.ErrHTTP},
		"line end in authority":     {authority("a\r\nx: y"), wire.ErrHTTP},
		"bare IPv6":                 {authority("::1"), wire.ErrHTTP},
		"open bracket":              {authority("[::1"), wire.ErrHTTP},
		"empty brackets":            {authority("[]"), wire.ErrHTTP},
		"bracketed name":            {authority("[app]"), wire.ErrHTTP},
		"text after bracket":        {authority("[::1]x"), wire.ErrHTTP},
		"port after no colon":       {authority("[::1]x80"), wire.ErrHTTP},
		"query":                     {path("/a?b=c&d=%20"), nil},
		"star of OPTIONS":           {with(func(r *wire.Request) { r.Method, r.Path = "OPTIONS", "*" }), nil},
		"star of GET":               {path("*"), wire.ErrHTTP},
		"no path":                   {path(""), wire.ErrHTTP},
		"absolute-form":             {path("http://a/"), wire.ErrHTTP},
		"path with space":           {path("/a b"), wire.ErrHTTP},
		"path with tab":             {path("/a\tb"), wire.ErrHTTP},
		"path with DEL":             {path("/a\x7f"), wire.ErrHTTP},
		"path with line end":        {path("/a\r\nHost: b"), wire.ErrHTTP},
		"path beyond ASCII":         {path("/é"), wire.ErrHTTP},
		"fragment":                  {path("/a#b"), wire.ErrHTTP},

		"any case, tab, obs-text": {get(field("Accept", "a\tb \xff")), nil},
		"empty value":             {get(field("x-empty", "")), nil},
		"no name":                 {get(field("", "v")), wire.ErrHTTP},
		"pseudo name":             {get(field(":path", "/")), wire.ErrHTTP},
		"name with space":         {get(field("x y", "v")), wire.ErrHTTP},
		"name with colon":         {get(field("x:", "v")), wire.ErrHTTP},
		"name beyond ASCII":       {get(field("é", "v")), wire.ErrHTTP},
		"CR in value":             {get(field("x", "12345678\r")), wire.ErrHTTP},
		"LF in value":             {get(field("x", "a\nb: c")), wire.ErrHTTP},
		"NUL in value":            {get(field("x", "\x00")), wire.ErrHTTP},
		"DEL in value":            {get(field("x", "1234\x7f6789")), wire.ErrHTTP},
		"host":                    {get(field("Host", "a")), wire.ErrHTTP},
		"connection":              {get(field("connection", "close")), wire.ErrHTTP},
		"keep-alive":              {get(field("Keep-Alive", "5")), wire.ErrHTTP},
		"proxy-connection":        {get(field("Proxy-Connection", "close")), wire.ErrHTTP},
		"transfer-encoding":       {get(field("Transfer-Encoding", "chunked")), wire.ErrHTTP},
		"te trailers":             {get(field("TE", "trailers")), nil},
		"te gzip":                 {get(field("te", "gzip")), wire.ErrHTTP},
		"te of the same length":   {get(field("te", "trailerz")), wire.ErrHTTP},
		"te empty":                {get(field("te", "")), wire.ErrHTTP},
		"te list":                 {get(field("te", "trailers, gzip")), wire.ErrHTTP},
		"upgrade":                 {get(field("Upgrade", "websocket")), nil},
		"upgrade to either":       {get(field("Upgrade", "echo/1, websocket")), nil},
		"upgrade to requests":     {get(field("Upgrade", "h2c")), wire.ErrHTTP}, // which no rule would see
		"upgrade to some of them": {get(field("upgrade", "websocket,\tH2C")), wire.ErrHTTP},
		"upgrade to HTTP":         {get(field("upgrade", "HTTP/2.0")), wire.ErrHTTP},
		"upgrade to TLS":          {get(field("upgrade", "TLS/1.2, HTTP/1.1")), wire.ErrHTTP},
		"second upgrade":          {get(field("upgrade", "websocket"), field("upgrade", "h2c")), wire.ErrHTTP},
		"upgrade to nothing":      {get(field("upgrade", "")), wire.ErrHTTP},
		"content-length":          {get(field("Content-Length", "9223372036854775807")), nil},
		"content-length 2^63":     {get(field("Content-Length", "9223372036854775808")), wire.ErrHTTP},
		"content-length 2^64":     {get(field("Content-Length", "18446744073709551616")), wire.ErrHTTP},
		"content-length signed":   {get(field("Content-Length", "+5")), wire.ErrHTTP},
		"content-length negative": {get(field("Content-Length", "-5")), wire.ErrHTTP},
		"content-length hex":      {get(field("Content-Length", "0x5")), wire.ErrHTTP},
		"content-length padded":   {get(field("Content-Length", " 5")), wire.ErrHTTP},
		"content-length empty":    {get(field("Content-Length", "")), wire.ErrHTTP},
		"content-length list":     {get(field("Content-Length", "5, 5")), wire.ErrHTTP},
		"content-length twice":    {get(field("Content-Length", "5"), field("content-length", "5")), wire.ErrHTTP},
		"trailer passes":          {get(field("Trailer", "Digest"), field("Expect", "100-continue")), nil},

		"256 fields":   {get(manyFields(256)...), nil},
		"257 fields":   {get(manyFields(257)...), wire.ErrTooBig},
		"10k fields":   {get(manyFields(10000)...), wire.ErrTooBig},
		"above 64 KiB": {get(field("x", strings.Repeat("y", wire.MaxHead))), wire.ErrTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			if err := wire.CheckRequest(c.request); !errors.Is(err, c.err) {
				t.Errorf("check: got %v, want %v", err, c.err)
			}
			got, err := wire.ParseRequest(wire.AppendRequest(nil, c.request))
			if !errors.Is(err, c.err) {
				t.Errorf("parse: got %v, want %v", err, c.err)
			}
			if err == nil && !reflect.DeepEqual(got, c.request) {
				t.Errorf("got %+v, want %+v", got, c.request)
			}
		})
	}
}

func TestHeadOfExactlyTheLimitPasses(t *testing.T) {
	r := get(field("x", ""))
	r.Fields[0].Value = strings.Repeat("y", wire.MaxHead-len(wire.AppendRequest(nil, r))-2)
	payload := wire.AppendRequest(nil, r)
	if len(payload) != wire.MaxHead {
		t.Fatalf("payload of %d bytes", len(payload))
	}
	if _, err := wire.ParseRequest(payload); err != nil {
		t.Error(err)
	}
	if err := wire.CheckRequest(r); err != nil {
		t.Error(err)
	}
	r.Fields[0].Value += "y"
	if _, err := wire.ParseRequest(wire.AppendRequest(nil, r)); !errors.Is(err, wire.ErrTooBig) {
		t.Errorf("parse: got %v, want too big", err)
	}
	if err := wire.CheckRequest(r); !errors.Is(err, wire.ErrTooBig) {
		t.Errorf("check: got %v, want too big", err)
	}
}

func TestResponseRules(t *testing.T) {
	status := func(n int, fields ...wire.Field) *wire.Response { return &wire.Response{Status: n, Fields: fields} }
	for name, c := range map[string]struct {
		response *wire.Response
		err      error
	}{
		"200":                  {&wire.Response{Status: 200, Connect: 1, FirstByte: 1<<63 - 1}, nil},
		"100":                  {status(100), nil},
		"103 with link":        {status(103, field("link", "</a>; rel=preload")), nil},
		"600":                  {status(600), nil},
		"999":                  {status(999), nil},
		"negative":             {status(-1), wire.ErrHTTP},
		"0":                    {status(0), wire.ErrHTTP},
		"99":                   {status(99), wire.ErrHTTP},
		"1000":                 {status(1000), wire.ErrHTTP},
		"beyond 32 bits":       {status(int(min(1<<32+200, int64(math.MaxInt)))), wire.ErrHTTP},
		"101":                  {status(101, field("Upgrade", "websocket")), nil},
		"101 without upgrade":  {status(101), wire.ErrHTTP},
		"200 with upgrade":     {status(200, field("upgrade", "h2c")), wire.ErrHTTP},
		"426 with upgrade":     {status(426, field("upgrade", "h2c")), wire.ErrHTTP},
		"connection":           {status(200, field("Connection", "close")), wire.ErrHTTP},
		"content-length":       {status(200, field("content-length", "0")), nil},
		"content-length twice": {status(200, field("content-length", "0"), field("content-length", "0")), wire.ErrHTTP},
		"set-cookie twice":     {status(200, field("Set-Cookie", "a=b"), field("Set-Cookie", "c=d")), nil},
		"LF in value":          {status(200, field("x", "\n")), wire.ErrHTTP},
		"257 fields":           {status(200, manyFields(257)...), wire.ErrTooBig},
		"above 64 KiB":         {status(200, field("x", strings.Repeat("y", wire.MaxHead))), wire.ErrTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			if err := wire.CheckResponse(c.response); !errors.Is(err, c.err) {
				t.Errorf("check: got %v, want %v", err, c.err)
			}
			if c.response.Status < 0 {
				return // has no encoding
			}
			got, err := wire.ParseResponse(wire.AppendResponse(nil, c.response))
			if !errors.Is(err, c.err) {
				t.Errorf("parse: got %v, want %v", err, c.err)
			}
			if err == nil && !reflect.DeepEqual(got, c.response) {
				t.Errorf("got %+v, want %+v", got, c.response)
			}
		})
	}
}

func TestTrailerRules(t *testing.T) {
	for name, c := range map[string]struct {
		fields []wire.Field
		err    error
	}{
		"none":               {nil, nil},
		"grpc":               {[]wire.Field{field("grpc-status", "0"), field("Grpc-Message", "")}, nil},
		"digest":             {[]wire.Field{field("Digest", "sha-256=x")}, nil},
		"content-length":     {[]wire.Field{field("Content-Length", "5")}, wire.ErrHTTP},
		"transfer-encoding":  {[]wire.Field{field("Transfer-Encoding", "chunked")}, wire.ErrHTTP},
		"te":                 {[]wire.Field{field("te", "trailers")}, wire.ErrHTTP},
		"upgrade":            {[]wire.Field{field("upgrade", "h2c")}, wire.ErrHTTP},
		"if-match":           {[]wire.Field{field("If-Match", "*")}, wire.ErrHTTP},
		"authorization":      {[]wire.Field{field("authorization", "x")}, wire.ErrHTTP},
		"no name":            {[]wire.Field{field("", "x")}, wire.ErrHTTP},
		"line end":           {[]wire.Field{field("x", "\r\n")}, wire.ErrHTTP},
		"257 fields":         {manyFields(257), wire.ErrTooBig},
		"above 64 KiB":       {[]wire.Field{field("x", strings.Repeat("y", wire.MaxHead))}, wire.ErrTooBig},
		"255 beside one bad": {append(manyFields(255), field("Host", "")), wire.ErrHTTP},
	} {
		t.Run(name, func(t *testing.T) {
			if err := wire.CheckTrailers(c.fields); !errors.Is(err, c.err) {
				t.Errorf("check: got %v, want %v", err, c.err)
			}
			got, err := wire.ParseTrailers(wire.AppendTrailers(nil, c.fields))
			if !errors.Is(err, c.err) {
				t.Errorf("parse: got %v, want %v", err, c.err)
			}
			if err == nil && !reflect.DeepEqual(got, c.fields) {
				t.Errorf("got %+v, want %+v", got, c.fields)
			}
		})
	}
}

// A head cut anywhere, or with a byte over, must close the connection and never
// be taken for a shorter head.
func TestCutHeadIsFraming(t *testing.T) {
	request := wire.AppendRequest(nil, get(field("a", "b"), field("content-length", "5")))
	response := wire.AppendResponse(nil, &wire.Response{Status: 200, Connect: 300, Fields: manyFields(3)})
	trailers := wire.AppendTrailers(nil, manyFields(2))
	for name, c := range map[string]struct {
		payload []byte
		parse   func([]byte) error
	}{
		"REQUEST":  {request, func(p []byte) error { _, err := wire.ParseRequest(p); return err }},
		"RESPONSE": {response, func(p []byte) error { _, err := wire.ParseResponse(p); return err }},
		"TRAILERS": {trailers, func(p []byte) error { _, err := wire.ParseTrailers(p); return err }},
	} {
		for n := range c.payload {
			if err := c.parse(c.payload[:n]); !errors.Is(err, wire.ErrFraming) {
				t.Errorf("%s cut at %d: got %v, want broken framing", name, n, err)
			}
		}
		if err := c.parse(append(c.payload, 0)); !errors.Is(err, wire.ErrFraming) {
			t.Errorf("%s with a byte over: got %v, want broken framing", name, err)
		}
	}
}

// Broken framing counts before invalid HTTP: the first costs the connection.
func TestBrokenFramingHidesInvalidHTTP(t *testing.T) {
	r := get(field("Host", "a"))
	r.Method = ""
	payload := wire.AppendRequest(nil, r)
	if _, err := wire.ParseRequest(payload[:len(payload)-1]); !errors.Is(err, wire.ErrFraming) {
		t.Errorf("got %v, want broken framing", err)
	}
}

func TestErrorQuotesNothingOfTheMessage(t *testing.T) {
	r := get(field("X-Secret-Key", "hunter2\n"))
	_, err := wire.ParseRequest(wire.AppendRequest(nil, r))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
}

func TestParsedHeadOutlivesItsPayload(t *testing.T) {
	want := get(field("name", "value"))
	payload := wire.AppendRequest(nil, want)
	got, err := wire.ParseRequest(payload)
	if err != nil {
		t.Fatal(err)
	}
	for i := range payload {
		payload[i] = 'X'
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// What one end lets out the other lets in, and the other way about.
func TestCheckAndParseAgree(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		return rapid.OneOf(
			rapid.SampledFrom([]string{"GET", "OPTIONS", "CONNECT", "http", "https", "a:80", "[::1]", "/", "/a?b", "*", "",
				"host", "Connection", "te", "Trailers", "upgrade", "content-length", "5", "if-range", "x"}),
			rapid.StringN(0, 6, 12),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }),
		).Draw(t, "text")
	})
	fields := rapid.Custom(func(t *rapid.T) wire.Field { return field(text.Draw(t, "name"), text.Draw(t, "value")) })
	same := func(t *rapid.T, check, parse error) {
		for _, kind := range []error{wire.ErrFraming, wire.ErrTooBig, wire.ErrHTTP} {
			if errors.Is(check, kind) != errors.Is(parse, kind) {
				t.Fatalf("check says %v, parse says %v", check, parse)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		q := &wire.Request{
			Method:    rapid.SampledFrom([]string{"GET", "OPTIONS", text.Draw(t, "method")}).Draw(t, "method"),
			Scheme:    rapid.SampledFrom([]string{"http", text.Draw(t, "scheme")}).Draw(t, "scheme"),
			Authority: rapid.SampledFrom([]string{"a", text.Draw(t, "authority")}).Draw(t, "authority"),
			Path:      rapid.SampledFrom([]string{"/", text.Draw(t, "path")}).Draw(t, "path"),
			Fields:    rapid.SliceOfN(fields, 0, 3).Draw(t, "fields"),
		}
		gotQ, err := wire.ParseRequest(wire.AppendRequest(nil, q))
		same(t, wire.CheckRequest(q), err)
		if err == nil && (len(q.Fields) > 0 && !reflect.DeepEqual(gotQ, q) || gotQ.Path != q.Path) {
			t.Fatalf("got %+v, want %+v", gotQ, q)
		}

		s := &wire.Response{Status: rapid.SampledFrom([]int{101, 200, 99, 1000, 999, 304}).Draw(t, "status"), Fields: q.Fields}
		gotS, err := wire.ParseResponse(wire.AppendResponse(nil, s))
		same(t, wire.CheckResponse(s), err)
		if err == nil && (len(s.Fields) > 0 && !reflect.DeepEqual(gotS, s) || gotS.Status != s.Status) {
			t.Fatalf("got %+v, want %+v", gotS, s)
		}

		_, err = wire.ParseTrailers(wire.AppendTrailers(nil, q.Fields))
		same(t, wire.CheckTrailers(q.Fields), err)
	})
}
