//go:build chaos

package chaos

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"adit/engine/enginetest"
	"adit/engine/wire"
)

// A forgery is a request that came as data, by HTTP/2 or in a record of adit.v1,
// and that would be something else once it is written as HTTP/1.1.
type forgery struct {
	name, method, authority, path string
	fields                        [][2]string
	content                       string
	trailers                      [][2]string
}

// forgeries returns RFC 9113 §8.2 and §10.3: what must not stand in a head,
// written where it could do harm.
func forgeries() []forgery {
	plain := forgery{method: "POST", authority: "{H}", path: "{A}"}
	all := []forgery{plain}
	add := func(name string, change func(*forgery)) {
		for _, content := range []string{"", "hello", hidden} {
			f := plain
			f.name, f.content = name, content
			change(&f)
			all = append(all, f)
		}
	}
	split := []string{"\r\nX: y", "\nX: y", "\rX: y", "\r\nTransfer-Encoding: chunked", "\r\nContent-Length: 60", "\r\n\r\n" + hidden, "\x00", " x", "\x0b", "\t"}
	for _, s := range split {
		add("method and more", func(f *forgery) { f.method += s })
		add("path and more", func(f *forgery) { f.path += s })
		add("authority and more", func(f *forgery) { f.authority += s })
		add("name and more", func(f *forgery) { f.fields = [][2]string{{"x" + s, "y"}} })
		add("value and more", func(f *forgery) { f.fields = [][2]string{{"x", "y" + s}} })
		add("trailer and more", func(f *forgery) { f.trailers = [][2]string{{"x", "y" + s}} })
	}
	for _, path := range []string{"", "*", "{A} HTTP/1.1\r\nHost: {H}\r\n\r\nGET {S}", "http://evil.test{A}", "//evil.test{A}", "{A}#x", "x{A}", "\\{A}", "{A}?\xff", "?{A}"} {
		add("path", func(f *forgery) { f.path = path })
	}
	for _, method := range []string{"", "CONNECT", "GET {S} HTTP/1.1\r\nHost: {H}\r\n\r\nGET", "PRI", "get", "(POST)"} {
		add("method", func(f *forgery) { f.method = method })
	}
	for _, authority := range []string{"", "evil.test", "user@{H}", "{H},evil.test", "{H}/x", "{H}:0", "{H}:x", "[{H}]"} {
		add("authority", func(f *forgery) { f.authority = authority })
	}
	for _, field := range [][2]string{
		{"transfer-encoding", "chunked"}, {"transfer-encoding", "chunked, identity"}, {"transfer-encoding", "identity"}, {"Transfer-Encoding", "chunked"},
		{"transfer-encoding ", "chunked"}, {"transfer_encoding", "chunked"}, {" transfer-encoding", "chunked"}, {"transfer-encoding:", "chunked"},
		{"content-length", "0"}, {"content-length", "4"}, {"content-length", "60"}, {"content-length", "+5"}, {"content-length", "-1"}, {"content-length", "5, 5"},
		{"content-length", "0x5"}, {"content-length", ""}, {"content-length", "18446744073709551621"}, {"Content-Length", "5"}, {"content-length ", "5"},
		{"connection", "close"}, {"connection", "content-length"}, {"connection", "transfer-encoding, host"}, {"keep-alive", "timeout=5"}, {"proxy-connection", "close"},
		{"upgrade", "h2c"}, {"upgrade", "websocket"}, {"te", "chunked"}, {"te", "trailers, chunked"}, {"host", "evil.test"}, {"Host", "evil.test"}, {"expect", "100-continue"},
		{"expect", "x"}, {"trailer", "content-length"}, {"", "y"}, {":path", "{S}"}, {":method", "DELETE"}, {":authority", "evil.test"}, {":status", "200"}, {"x(y", "z"}, {"x", "\x7f"},
		{"x", strings.Repeat("y", 70_000)},
	} {
		add("field "+field[0], func(f *forgery) { f.fields = [][2]string{field} })
		add("trailer "+field[0], func(f *forgery) { f.trailers = [][2]string{field} })
	}
	add("two lengths", func(f *forgery) { f.fields = [][2]string{{"content-length", "5"}, {"content-length", "29"}} })
	add("length and coding", func(f *forgery) {
		f.fields = [][2]string{{"content-length", "4"}, {"transfer-encoding", "chunked"}}
	})
	return all
}

// TestSmugglingDowngrade is row 18 where heads come as data: callers over HTTP/2
// and a server that forges records. What an origin reads is what was asked for, or
// nothing.
func TestSmugglingDowngrade(t *testing.T) {
	t.Run("HTTP/2 callers", func(t *testing.T) {
		r, origins := forge(t, nil)
		r.server.keepRequests()
		r.works(t, 5*time.Second)
		victims := &http.Transport{MaxIdleConnsPerHost: 8}
		defer victims.CloseIdleConnections()
		var answered atomic.Int64
		var callers sync.WaitGroup
		all := forgeries()
		next := make(chan int)
		for range 24 {
			callers.Go(func() {
				for i := range next {
					f, w := all[i], origins[i%len(origins)]
					id, host := w.name+"-"+strconv.Itoa(i), w.name+"."+domain
					for stream, s := range f.fill(id, host).overHTTP2(r.addr, "/m-"+id, host) {
						if want := map[uint32]string{1: "/a-" + id, 3: "/m-" + id}[stream]; named.MatchString(s) && !strings.HasSuffix(s, want) {
							t.Errorf("%s %s %.80q: stream %d got the answer to %q", w.name, f.name, f.fields, stream, s)
						}
						if stream == 3 && s != "" {
							answered.Add(1)
						}
					}
					if seen, err := honest(victims, r.addr, host, id, false); err != nil || !strings.HasSuffix(seen, "/v-"+id) {
						t.Errorf("%s %s %.80q: after it an honest request got the answer to %q, %v", w.name, f.name, f.fields, seen, err)
					}
				}
			})
		}
		for i := range all {
			next <- i
		}
		close(next)
		callers.Wait()
		t.Logf("%d requests, after %d of them the next one on the connection was answered", len(all), answered.Load())
		if answered.Load() < int64(len(all)/4) {
			t.Errorf("only %d of %d connections went on", answered.Load(), len(all))
		}
		agree(t, origins, r.server.finished)
	})
	t.Run("a server that forges", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		origins := witnesses(t)
		if len(origins) == 0 {
			t.Skip("skipped: neither nginx, apache, node nor haproxy is installed")
		}
		args := []string{"client", "--headless", "--id", "pi", "--pool", "1", "--server", "ws://" + ln.Addr().String() + "/register"}
		for _, w := range origins {
			args = append(args, "--expose", w.name+"=http://"+w.addr)
		}
		client := start(t, "client", nil, args...)
		client.keepRequests()
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		p, _, err := enginetest.AcceptPeer(conn, enginetest.Handshake{Subprotocols: []string{wire.Subprotocol}})
		if err != nil {
			t.Fatal(err)
		}
		p.Timeout = time.Minute
		p.ReadMessage()
		p.WriteMessage(enginetest.OpText, wire.AppendWelcome(nil, &wire.Welcome{Connection: "c-1", PingInterval: 2 * time.Minute, MaxExchanges: 1000, Window: 64 << 10}))
		answers := make(chan struct{}, 10_000)
		go func() {
			defer close(answers)
			for {
				if _, b, err := p.ReadMessage(); err != nil || len(b) == 0 {
					return
				}
				answers <- struct{}{}
			}
		}()
		sent := uint64(0)
		for i, f := range forgeries() {
			at := i % len(origins)
			w := origins[at]
			id, host := w.name+"-"+strconv.Itoa(i), w.name+"."+domain
			if len(f.fill(id, host).fields) == 1 && len(f.fields[0][1]) > wire.MaxHead || len(f.trailers) == 1 && len(f.trailers[0][1]) > wire.MaxHead {
				continue // that is no message: the connection would end
			}
			for _, b := range f.fill(id, host).records(sent+1, uint64(at)+1, "/m-"+id) {
				p.WriteMessage(enginetest.OpBinary, b)
			}
			sent += 2
			if i%16 == 15 {
				select {
				case _, ok := <-answers:
					if !ok {
						t.Fatalf("after %d requests the client ended the connection: %s %q", sent, f.name, f.fields)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("the client answers nothing")
				}
			}
		}
		if !eventually(20*time.Second, func() bool { return len(client.finished()) >= int(sent)/4 }) {
			t.Errorf("of %d requests only %d came to an origin", sent, len(client.finished()))
		}
		t.Logf("%d requests, of which the client served %d", sent, len(client.finished()))
		agree(t, origins, client.finished)
	})
}

func forge(t *testing.T, options []option) (*rig, []*witness) {
	t.Helper()
	origins := witnesses(t)
	if len(origins) == 0 {
		t.Skip("skipped: neither nginx, apache, node nor haproxy is installed")
	}
	for _, w := range origins {
		options = append(options, clientFlags("--expose", w.name+"=http://"+w.addr))
	}
	return newRig(t, append(options, serverFlags("--timeout", "3s"))...), origins
}

// agree waits until every line of every origin stands for a request that was
// parsed, and says which do not.
func agree(t *testing.T, origins []*witness, parsed func() []event) {
	t.Helper()
	var wrong []string
	eventually(10*time.Second, func() bool {
		wrong = wrong[:0]
		for _, w := range origins {
			for _, lines := range w.lines(t) {
				wrong = append(wrong, disagreements(w.name, parsed(), lines)...)
			}
		}
		return len(wrong) == 0
	})
	for i, problem := range wrong {
		if i == 20 {
			t.Errorf("and %d more", len(wrong)-i)
			break
		}
		t.Error(problem)
	}
}

// fill puts names in the place of {A}, {S} and {H}.
func (f forgery) fill(id, host string) forgery {
	r := strings.NewReplacer("{A}", "/a-"+id, "{S}", "/s-"+id, "{H}", host)
	list := func(fields [][2]string) (filled [][2]string) {
		for _, x := range fields {
			filled = append(filled, [2]string{r.Replace(x[0]), r.Replace(x[1])})
		}
		return filled
	}
	f.method, f.authority, f.path, f.content = r.Replace(f.method), r.Replace(f.authority), r.Replace(f.path), r.Replace(f.content)
	f.fields, f.trailers = list(f.fields), list(f.trailers)
	return f
}

// overHTTP2 sends f on stream 1 of a new connection and an honest GET for next on
// stream 3, and returns which request the answer on each stream was for.
func (f forgery) overHTTP2(addr, next, host string) map[uint32]string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil
	}
	defer conn.Close()
	var out, head bytes.Buffer
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, conn)
	fr.AllowIllegalWrites = true
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = fr.WriteSettings()
	enc := hpack.NewEncoder(&head)
	block := func(stream uint32, end bool, fields ...[2]string) {
		head.Reset()
		for _, x := range fields {
			_ = enc.WriteField(hpack.HeaderField{Name: x[0], Value: x[1]})
		}
		b := head.Bytes()
		first := b[:min(len(b), 16<<10)]
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(first) == len(b)})
		for b = b[len(first):]; len(b) > 0; {
			n := min(len(b), 16<<10)
			_ = fr.WriteContinuation(stream, n == len(b), b[:n])
			b = b[n:]
		}
	}
	fields := append([][2]string{{":method", f.method}, {":scheme", "http"}, {":authority", f.authority}, {":path", f.path}}, f.fields...)
	block(1, f.content == "" && f.trailers == nil, fields...)
	if f.content != "" {
		_ = fr.WriteData(1, f.trailers == nil, []byte(f.content))
	}
	if f.trailers != nil {
		block(1, true, f.trailers...)
	}
	block(3, true, [2]string{":method", "GET"}, [2]string{":scheme", "http"}, [2]string{":authority", host}, [2]string{":path", next})
	if _, err := io.Copy(conn, &out); err != nil {
		return nil
	}
	seen := map[uint32]string{}
	for {
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		frame, err := fr.ReadFrame()
		if err != nil {
			return seen
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range frame.Fields {
				if h.Name == "x-seen" {
					seen[frame.StreamID] = h.Value
				}
			}
			if frame.StreamID == 3 && (seen[1] != "" || frame.StreamEnded()) {
				return seen
			}
		case *http2.RSTStreamFrame:
			seen[frame.StreamID] = ""
		case *http2.GoAwayFrame:
			return seen
		}
		if _, done := seen[1]; done && seen[3] != "" {
			return seen
		}
	}
}

// records returns the messages of f as exchange id, and of an honest GET for next
// as the one after it.
func (f forgery) records(id, route uint64, next string) (messages [][]byte) {
	list := func(fields [][2]string) (all []wire.Field) {
		for _, x := range fields {
			all = append(all, wire.Field{Name: x[0], Value: x[1]})
		}
		return all
	}
	record := func(typ wire.Type, end bool, id uint64, payload []byte) {
		messages = append(messages, append(wire.AppendRecordHeader(nil, typ, end, id, len(payload)), payload...))
	}
	record(wire.TypeRequest, f.content == "" && f.trailers == nil, id, wire.AppendRequest(nil,
		&wire.Request{Route: route, Method: f.method, Scheme: "http", Authority: f.authority, Path: f.path, Fields: list(f.fields)}))
	if f.content != "" {
		record(wire.TypeData, f.trailers == nil, id, []byte(f.content))
	}
	if f.trailers != nil {
		record(wire.TypeTrailers, true, id, wire.AppendTrailers(nil, list(f.trailers)))
	}
	record(wire.TypeRequest, true, id+1, wire.AppendRequest(nil,
		&wire.Request{Route: route, Method: "GET", Scheme: "http", Authority: "x." + domain, Path: next}))
	return messages
}
