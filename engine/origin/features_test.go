package origin

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/wire"
)

// A flavour is an origin of one protocol.
type flavour struct {
	name   string
	scheme string
	proto  string
	start  func(*httptest.Server)
}

var flavours = []flavour{
	{"http1", "http", "HTTP/1.1", (*httptest.Server).Start},
	{"https1", "https", "HTTP/1.1", (*httptest.Server).StartTLS},
	{"https2", "https", "HTTP/2.0", func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() }},
	{"h2c", "h2c", "HTTP/2.0", func(s *httptest.Server) {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}},
}

// everywhere runs f against the same handler in every flavour. request returns
// one to it.
func everywhere(t *testing.T, h http.HandlerFunc, f func(t *testing.T, tr *Transport, request func() *Request)) {
	for _, fl := range flavours {
		t.Run(fl.name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Proto != fl.proto {
					t.Errorf("arrived as %s", r.Proto)
				}
				h(w, r)
			}))
			s.Config.ErrorLog = nil
			fl.start(s)
			t.Cleanup(s.Close)
			tr := newTransport(t, Options{TLS: &tls.Config{InsecureSkipVerify: true}})
			f(t, tr, func() *Request {
				r := get(s.Listener.Addr().String(), "/path?query")
				r.Scheme = fl.scheme
				return r
			})
		})
	}
}

func TestContentKeepsItsLength(t *testing.T) {
	type seen struct {
		method string
		length int64
		body   string
	}
	var got seen
	h := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = seen{r.Method, r.ContentLength, string(b)}
		if te := r.TransferEncoding; len(te) > 0 && r.ContentLength >= 0 {
			t.Errorf("%s: transfer encoding %q with a length", r.Method, te)
		}
	}
	everywhere(t, h, func(t *testing.T, tr *Transport, request func() *Request) {
		for _, tt := range []struct {
			method  string
			content io.Reader
			length  int64
			want    int64
		}{
			{"GET", nil, 0, 0},
			{"HEAD", nil, 0, 0},
			{"POST", nil, 0, 0},
			{"DELETE", nil, 0, 0},
			{"REPORT", nil, 0, 0},
			{"POST", strings.NewReader("hello"), 5, 5},
			{"POST", strings.NewReader("hello"), -1, -1},
			{"GET", strings.NewReader("hello"), 5, 5},
			{"GET", strings.NewReader("hello"), -1, -1},
			{"POST", strings.NewReader(""), 0, 0},
			{"PUT", strings.NewReader(strings.Repeat("x", 300<<10)), 300 << 10, 300 << 10},
		} {
			r := request()
			r.Method, r.Content, r.Length = tt.method, tt.content, tt.length
			exchange(t, tr, r)
			want := tt.want
			if want == 0 && got.length == -1 && got.body == "" {
				want = -1 // an empty content of unknown length, the first time HTTP/2 is met
			}
			if got.method != tt.method || got.length != want {
				t.Errorf("%s of length %d arrived as %s with %d", tt.method, tt.length, got.method, got.length)
			}
			if tt.content != nil && tt.length != 0 && !strings.HasPrefix(got.body, "hello") && len(got.body) != 300<<10 {
				t.Errorf("%s: content %q", tt.method, got.body)
			}
		}
	})
}

// No byte of framing is invented for a request without content.
func TestHeadOnTheWire(t *testing.T) {
	var mu sync.Mutex
	var got string
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		for {
			h, err := head(r)
			if err != nil {
				return
			}
			mu.Lock()
			got = h
			mu.Unlock()
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	tr := newTransport(t, Options{})
	for _, tt := range []struct {
		request *Request
		want    string
	}{
		{get(s.addr, "/a"), "GET /a HTTP/1.1\r\nHost: public.example\r\n\r\n"},
		{get(s.addr, "*"), "GET * HTTP/1.1\r\nHost: public.example\r\n\r\n"},
		{get(s.addr, "//a|b"), "GET //a|b HTTP/1.1\r\nHost: public.example\r\n\r\n"},
		{get(s.addr, "//a//b"), "GET //a//b HTTP/1.1\r\nHost: public.example\r\n\r\n"},
		{get(s.addr, "/", wire.Field{Name: "te", Value: "trailers"}),
			"GET / HTTP/1.1\r\nHost: public.example\r\nTe: trailers\r\n\r\n"},
		{get(s.addr, "/", wire.Field{Name: "Cookie", Value: "a=1"}, wire.Field{Name: "Cookie", Value: "b=\t2"}),
			"GET / HTTP/1.1\r\nHost: public.example\r\nCookie: a=1\r\nCookie: b=\t2\r\n\r\n"},
		{get(s.addr, "/", wire.Field{Name: "user-agent", Value: "curl"}),
			"GET / HTTP/1.1\r\nHost: public.example\r\nUser-Agent: curl\r\n\r\n"},
	} {
		exchange(t, tr, tt.request)
		mu.Lock()
		if got != tt.want {
			t.Errorf("sent %q\nwant %q", got, tt.want)
		}
		mu.Unlock()
	}
}

func TestResponsesWithoutContent(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Want") {
		case "204":
			w.WriteHeader(204)
		case "304":
			w.Header().Set("Content-Length", "7")
			w.WriteHeader(304)
		case "head":
			w.Header().Set("Content-Length", "7")
		case "empty":
			w.Header().Set("Content-Length", "0")
		}
	}
	everywhere(t, h, func(t *testing.T, tr *Transport, request func() *Request) {
		for _, want := range []string{"204", "304", "head", "empty"} {
			r := request()
			r.Fields = []wire.Field{{Name: "X-Want", Value: want}}
			if want == "head" {
				r.Method = "HEAD"
			}
			resp, content := exchange(t, tr, r)
			if resp.Length != 0 || content != "" {
				t.Errorf("%s: length %d, content %q", want, resp.Length, content)
			}
			if length := wire.Get(resp.Fields, "content-length"); want == "head" && length != "7" {
				t.Errorf("HEAD: content-length %q", length)
			}
		}
	})
}

func TestRedirectIsPassedOn(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }
	everywhere(t, h, func(t *testing.T, tr *Transport, request func() *Request) {
		resp, content := exchange(t, tr, request())
		if resp.Status != 302 || wire.Get(resp.Fields, "location") != "/elsewhere" || !strings.Contains(content, "Found") {
			t.Errorf("got %d %v %q", resp.Status, resp.Fields, content)
		}
	})
}

func TestTrailersBothWays(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Proto", r.Proto)
		w.Header().Set("Trailer", "X-Announced")
		io.WriteString(w, "content")
		w.Header().Set("X-Announced", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
		for name, values := range r.Trailer {
			w.Header()[http.TrailerPrefix+"X-Echo-"+name] = values
		}
	}
	everywhere(t, h, func(t *testing.T, tr *Transport, request func() *Request) {
		r := request()
		r.Method = "POST"
		r.Content, r.Length = strings.NewReader("hello"), -1
		r.Fields = []wire.Field{{Name: "trailer", Value: "x-sum, Content-Length"}}
		r.Trailers = func() []wire.Field {
			return []wire.Field{{Name: "x-sum", Value: "a"}, {Name: "X-Unannounced", Value: "b"}, {Name: "Host", Value: "evil"}}
		}
		resp, content := exchange(t, tr, r)
		if wire.Get(resp.Fields, "trailer") != "X-Announced" || content != "content" {
			t.Errorf("announced %v, content %q", resp.Fields, content)
		}
		var got []string
		for _, f := range resp.Trailers() {
			got = append(got, f.Name+"="+f.Value)
		}
		slices.Sort(got)
		want := []string{"X-Announced=1", "X-Echo-X-Sum=a", "X-Echo-X-Unannounced=b", "X-Late=2"}
		if wire.Get(resp.Fields, "x-proto") == "HTTP/2.0" {
			want = slices.Delete(want, 2, 3) // Go's HTTP/2 server drops what was not announced
		}
		if !slices.Equal(got, want) {
			t.Errorf("trailers %q, want %q", got, want)
		}
	})
}

func TestInformationalResponsesArePassedOn(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.Header().Del("Link")
		io.WriteString(w, "done")
	}
	everywhere(t, h, func(t *testing.T, tr *Transport, request func() *Request) {
		var got []string
		r := request()
		r.Informational = func(status int, fields []wire.Field) error {
			got = append(got, fmt.Sprint(status, wire.Get(fields, "link")))
			return nil
		}
		exchange(t, tr, r)
		if want := []string{"103</style.css>", "102</style.css>"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		// Whoever has enough of them ends the exchange.
		r = request()
		r.Informational = func(int, []wire.Field) error { return engine.Fail("inform", engine.ReasonTunnelFailed, nil) }
		if _, err := tr.Send(t.Context(), r); engine.ReasonOf(err) != engine.ReasonTunnelFailed {
			t.Errorf("refused: %v", err)
		}
	})
}

func TestContinueIsTheOrigins(t *testing.T) {
	accept := true
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 && r.Header.Get("Expect") != "100-continue" { // Go's HTTP/2 server keeps it to itself
			t.Errorf("expect %q", r.Header["Expect"])
		}
		if !accept {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		io.Copy(w, r.Body)
	}
	everywhere(t, h, func(t *testing.T, tr *Transport, request func() *Request) {
		for _, accept = range []bool{true, false} {
			var informed []int
			content := &countingReader{Reader: strings.NewReader("hello")}
			r := request()
			r.Method, r.Content, r.Length = "POST", content, 5
			r.Fields = []wire.Field{{Name: "expect", Value: "100-continue"}}
			r.Informational = func(status int, _ []wire.Field) error {
				informed = append(informed, status)
				return nil
			}
			resp, got := exchange(t, tr, r)
			switch {
			case accept && (resp.Status != 200 || got != "hello" || !slices.Equal(informed, []int{100})):
				t.Errorf("accepted: %d %q, informed %v", resp.Status, got, informed)
			case !accept && (resp.Status != 417 || content.reads > 0 || len(informed) > 0):
				t.Errorf("refused: %d, %d reads, informed %v", resp.Status, content.reads, informed)
			}
		}
	})
}

type countingReader struct {
	io.Reader
	reads int
}

func (c *countingReader) Read(p []byte) (int, error) {
	c.reads++
	return c.Reader.Read(p)
}

// gRPC needs the head while the request is open, and then both directions.
func TestBothDirectionsFlowTogether(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.ProtoMajor == 1 {
			control.EnableFullDuplex()
		}
		w.WriteHeader(200)
		control.Flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintf(w, "echo %s\n", lines.Text())
			control.Flush()
		}
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}
	everywhere(t, h, func(t *testing.T, tr *Transport, request func() *Request) {
		content, caller := io.Pipe()
		r := request()
		r.Method, r.Content, r.Length = "POST", content, -1
		r.Trailers = func() []wire.Field { return nil }
		resp, err := tr.Send(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(resp.Content)
		for i := range 100 {
			fmt.Fprintf(caller, "message %d\n", i)
			line, err := lines.ReadString('\n')
			if want := fmt.Sprintf("echo message %d\n", i); line != want {
				t.Fatalf("got %q, %v", line, err)
			}
		}
		caller.Close()
		if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
			t.Errorf("rest %q, %v", rest, err)
		}
		if got := resp.Trailers(); len(got) != 1 || got[0].Value != "0" {
			t.Errorf("trailers %v", got)
		}
		resp.Content.Close()
	})
}

func TestCancelReachesTheOrigin(t *testing.T) {
	gone := make(chan struct{}, 1)
	h := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}
	everywhere(t, h, func(t *testing.T, tr *Transport, request func() *Request) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resp, err := tr.Send(ctx, request())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		cancel()
		<-gone
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if _, err := io.ReadAll(resp.Content); engine.ReasonOf(err) != engine.ReasonCallerGone {
			t.Errorf("content: %v", err)
		}
		resp.Content.Close()
	})
}

// R3: an origin that dies within its answer must not look done.
func TestAbortedContentIsAnError(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "part")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	everywhere(t, h, func(t *testing.T, tr *Transport, request func() *Request) {
		resp, err := tr.Send(t.Context(), request())
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(resp.Content)
		if string(content) != "part" || engine.ReasonOf(err) != engine.ReasonOriginFailed {
			t.Errorf("content %q, %v", content, err)
		}
		resp.Content.Close()
	})
}

func TestHopByHopFieldsStay(t *testing.T) {
	s := newScript(t, answers("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private\r\nConnection: x-other\r\n"+
		"Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nX-Private: 1\r\nX-Other: 1\r\nUpgrade: h2c\r\nTE: trailers\r\n"+
		"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok"))
	tr := newTransport(t, Options{})
	resp, _ := exchange(t, tr, get(s.addr, "/"))
	var got []string
	for _, f := range resp.Fields {
		got = append(got, f.Name+": "+f.Value)
	}
	slices.Sort(got)
	want := []string{"Content-Length: 2", "Set-Cookie: a=1", "Set-Cookie: b=2"}
	if !slices.Equal(got, want) {
		t.Errorf("fields %q, want %q", got, want)
	}
}

// R1: a connection whose response was not read to its end carries nothing else.
func TestUnfinishedConnectionIsNotReused(t *testing.T) {
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		for i := 0; ; i++ {
			if _, err := head(r); err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n%0100000d", i)
		}
	})
	tr := newTransport(t, Options{})
	for range 10 {
		resp, err := tr.Send(t.Context(), get(s.addr, "/"))
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(resp.Content, make([]byte, 10))
		resp.Content.Close()
	}
	if s.conns.Load() != 10 {
		t.Errorf("%d connections for 10 unfinished answers", s.conns.Load())
	}
}

// A connection that one permit opened serves no request of another.
func TestClassesShareNoConnection(t *testing.T) {
	addr := serve(t, func(http.ResponseWriter, *http.Request) {})
	type permit struct{ rules *int }
	classes := []Class{nil, permit{new(int)}, permit{new(int)}, 3}
	dialled := map[Class]int{}
	tr := newTransport(t, Options{Dial: func(ctx context.Context, class Class, addr string) (net.Conn, error) {
		dialled[class]++
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}})
	for range 3 {
		for _, class := range classes {
			r := get(addr, "/")
			r.Class = class
			exchange(t, tr, r)
		}
	}
	for _, class := range classes {
		if dialled[class] != 1 {
			t.Errorf("dialled %d times under %v, want once", dialled[class], class)
		}
	}
}

// Rules that are read again and again leave nothing behind.
func TestClassesAreBounded(t *testing.T) {
	tr := newTransport(t, Options{})
	first := tr.class(0)
	for i := range 10 * maxClasses {
		if c := tr.class(i); c != tr.class(i) {
			t.Fatalf("class %d is made twice", i)
		}
	}
	if n := len(tr.classes.of); n != maxClasses || len(tr.classes.order) != n {
		t.Errorf("%d classes in order of %d, want %d", n, len(tr.classes.order), maxClasses)
	}
	if tr.class(0) == first {
		t.Error("the oldest class is still there")
	}
}
