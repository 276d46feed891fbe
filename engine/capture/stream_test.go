package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"adit/engine"
)

// upgraded makes a tee that was told of a WebSocket.
func upgraded(t *testing.T, extensions string) *Tee {
	x := keeper(t, Options{}).Begin(&engine.Request{}, false)
	x.Head(101, func(name string) string {
		return map[string]string{"upgrade": "WebSocket", "sec-websocket-extensions": extensions}[name]
	})
	return x
}

func eventStream(t *testing.T) *Tee {
	x := keeper(t, Options{}).Begin(&engine.Request{}, false)
	x.Head(200, func(name string) string {
		return map[string]string{"content-type": "Text/Event-Stream; charset=utf-8"}[name]
	})
	return x
}

// wsFrame makes a frame; from a caller it is masked.
func wsFrame(first byte, payload string, masked bool) []byte {
	b := []byte{first, 0}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if !masked {
		return append(b, payload...)
	}
	b[1] |= 0x80
	mask := [4]byte{0x12, 0xF4, 0x56, 0x78}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i&3])
	}
	return b
}

// reads returns messages as lines.
func reads(c *engine.Content) []string {
	var lines []string
	for _, m := range c.Messages {
		from := "server"
		if m.FromCaller {
			from = "caller"
		}
		line := fmt.Sprintf("%s %v", from, m.Kind)
		if m.Compressed {
			line += " compressed"
		}
		line += fmt.Sprintf(" %q", m.Data)
		if m.Size != int64(len(m.Data)) {
			line += fmt.Sprintf(" of %d", m.Size)
		}
		lines = append(lines, line)
	}
	return lines
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

func webSocketCases() map[string]struct {
	extensions string
	bytes      []byte
	want       []string
} {
	type test = struct {
		extensions string
		bytes      []byte
		want       []string
	}
	long := strings.Repeat("0123456789abcdef", 5000)
	return map[string]test{
		"text and binary": {"", join(wsFrame(0x81, "hello", true), wsFrame(0x82, "\x00\x01", true)),
			[]string{`caller text "hello"`, `caller binary "\x00\x01"`}},
		"empty": {"", wsFrame(0x81, "", true), []string{`caller text ""`}},
		"fragments with a ping between": {"", join(wsFrame(0x01, "one ", true), wsFrame(0x89, "?", true), wsFrame(0x00, "two ", true),
			wsFrame(0x8A, "", true), wsFrame(0x80, "three", true)),
			[]string{`caller ping "?"`, `caller pong ""`, `caller text "one two three"`}},
		"close":       {"", wsFrame(0x88, "\x03\xe8bye", true), []string{`caller close "\x03\xe8bye"`}},
		"not masked":  {"", wsFrame(0x81, "from a server", false), []string{`caller text "from a server"`}},
		"16 bits":     {"", wsFrame(0x81, long[:300], true), []string{fmt.Sprintf("caller text %q", long[:300])}},
		"64 bits cut": {"", wsFrame(0x82, long, true), []string{fmt.Sprintf("caller binary %q of 80000", long[:engine.MaxMessage])}},
		"compressed": {"permessage-deflate", join(wsFrame(0xC1, "zipped", true), wsFrame(0x81, "plain", true), wsFrame(0x41, "z1", true), wsFrame(0x80, "z2", true)),
			[]string{`caller text compressed "zipped"`, `caller text "plain"`, `caller text compressed "z1z2"`}},
		"cut in a payload": {"", wsFrame(0x81, "abcdef", true)[:9], []string{`caller bytes "abc"`}},
		"cut in a head":    {"", wsFrame(0x81, "abcdef", true)[:3], []string{`caller bytes "\x81\x86\x12"`}},
	}
}

// Whatever pieces a WebSocket comes in, its messages are the same.
func TestWebSocketMessageThatIsNotFound(t *testing.T) {
	for name, test := range webSocketCases() {
		for _, size := range []int{1, 2, 3, 7, 4096, len(test.bytes)} {
			x := upgraded(t, test.extensions)
			for p := range slices.Chunk(test.bytes, max(size, 1)) {
				x.Request(p)
			}
			x.EndRequest()
			c := content(t, x)
			if got := reads(c); !slices.Equal(got, test.want) {
				t.Errorf("%s in pieces of %d:\n%.200q\nwant\n%.200q", name, size, got, test.want)
			}
			if len(c.Request.Data) > 0 || c.Request.Size != int64(len(test.bytes)) || !c.Request.Over {
				t.Errorf("%s: %d bytes of frames are kept as content, %d passed", name, len(c.Request.Data), c.Request.Size)
			}
		}
	}
}

// What is no frame ends the reading: the rest is bytes, and never an end of the
// direction or a lot of memory.
func TestFrameThatIsNone(t *testing.T) {
	good := wsFrame(0x81, "good", true)
	for name, bad := range map[string][]byte{
		"a reserved opcode":         {0x83, 0x01, 'x'},
		"a reserved control opcode": {0x8B, 0x00},
		"a long control frame":      {0x89, 0x7E, 0x00, 0x7E},
		"a control frame in parts":  {0x09, 0x00},
		"a reserved bit":            {0xA1, 0x01, 'x'},
		"a compressed frame":        {0xC1, 0x01, 'x'},
		"a continuation of nothing": {0x80, 0x01, 'x'},
		"a length above 2^63":       {0x82, 0x7F, 0xFF, 0, 0, 0, 0, 0, 0, 0},
		"http":                      []byte("HTTP/1.1 400 Bad Request\r\n"),
	} {
		x := upgraded(t, "")
		x.Request(good)
		x.Request(bad)
		x.Request([]byte("and on"))
		x.Response(wsFrame(0x81, "the other direction", false))
		got := reads(content(t, x))
		if len(got) < 3 || got[0] != `caller text "good"` || !slices.Contains(got, `caller bytes "and on"`) || got[len(got)-1] != `server text "the other direction"` {
			t.Errorf("%s: %q", name, got)
		}
		kept := ""
		for _, m := range content(t, x).Messages {
			if m.Kind == engine.MessageBytes {
				kept += string(m.Data)
			}
		}
		if kept != string(bad)+"and on" {
			t.Errorf("%s: the bytes are %q", name, kept)
		}
	}
	x := upgraded(t, "")
	x.Request(wsFrame(0x01, "begun", true))
	x.Request(wsFrame(0x81, "", true)) // while another message is open
	if got := reads(content(t, x)); len(got) == 0 || got[0] != `caller bytes "begun"` {
		t.Errorf("a message within another: %q", got)
	}
}

// A frame may say that it is longer than anything: only what comes is kept.
func TestFrameWithAHostileLength(t *testing.T) {
	k := keeper(t, Options{})
	x := k.Begin(&engine.Request{}, false)
	x.Head(101, func(string) string { return "websocket" })
	x.Response([]byte{0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	piece := make([]byte, 32<<10)
	for range 100 {
		x.Response(piece)
	}
	if s := state(k); s.Bytes > 2*engine.MaxMessage {
		t.Errorf("%d bytes are kept", s.Bytes)
	}
	x.EndResponse()
	c := content(t, x)
	if len(c.Messages) != 1 || c.Messages[0].Kind != engine.MessageBytes || c.Messages[0].Size != 100*32<<10 {
		t.Errorf("messages %.200q", reads(c))
	}
}

func TestNewestMessagesAreKept(t *testing.T) {
	k := keeper(t, Options{})
	x := k.Begin(&engine.Request{}, false)
	x.Head(101, func(string) string { return "websocket" })
	for i := range 3000 {
		x.Request(wsFrame(0x81, fmt.Sprint(i), true))
	}
	c := content(t, x)
	if n := len(c.Messages); n != maxMessages || string(c.Messages[n-1].Data) != "2999" || c.MessagesLost != 2000 {
		t.Errorf("%d small messages are kept, %d lost", n, c.MessagesLost)
	}
	big := strings.Repeat("x", engine.MaxMessage)
	for range 10 {
		x.Response(wsFrame(0x82, big, false))
	}
	c = content(t, x)
	if n := len(c.Messages); n != maxMessages+4 || c.MessagesLost != 2006 {
		t.Errorf("with big ones %d are kept, %d lost", n, c.MessagesLost)
	}
	if s := state(k); s.Bytes > engine.MaxContent+1000*messageCost+3*engine.MaxMessage+teeCost {
		t.Errorf("%d bytes are kept", s.Bytes)
	}
	if c = content(t, x); !slices.IsSortedFunc(c.Messages, func(a, b engine.Message) int { return a.Time.Compare(b.Time) }) {
		t.Error("messages are not in order of time")
	}
}

func TestEventThatIsNotFound(t *testing.T) {
	for name, test := range map[string]struct {
		bytes string
		want  []string
	}{
		"LF":             {"id: 1\ndata: a\n\ndata: b\n\n", []string{`server event "id: 1\ndata: a"`, `server event "data: b"`}},
		"CR":             {"id: 1\rdata: a\r\rdata: b\r\r", []string{`server event "id: 1\rdata: a"`, `server event "data: b"`}},
		"CRLF":           {"id: 1\r\ndata: a\r\n\r\ndata: b\r\n\r\n", []string{`server event "id: 1\r\ndata: a"`, `server event "data: b"`}},
		"mixed":          {"data: a\r\n\ndata: b\n\r\n", []string{`server event "data: a"`, `server event "data: b"`}},
		"blank lines":    {"\n\n\r\n\r\rdata: a\n\n\n\n", []string{`server event "data: a"`}},
		"a comment":      {": still here\n\n", []string{`server event ": still here"`}},
		"cut":            {"data: a\n\ndata: b", []string{`server event "data: a"`, `server event "data: b"`}},
		"cut after line": {"data: a\n\ndata: b\n", []string{`server event "data: a"`, `server event "data: b"`}},
		"nothing":        {"\n\n", nil},
	} {
		for _, size := range []int{1, 2, 3, 1000} {
			x := eventStream(t)
			for p := range slices.Chunk([]byte(test.bytes), size) {
				x.Response(p)
			}
			x.EndResponse()
			c := content(t, x)
			if got := reads(c); !slices.Equal(got, test.want) {
				t.Errorf("%s in pieces of %d:\n%q\nwant\n%q", name, size, got, test.want)
			}
			if string(c.Response.Data) != test.bytes || !c.Response.Whole() {
				t.Errorf("%s: content %q", name, c.Response.Data)
			}
		}
	}
}

// An event is there as soon as its end has passed, not with the next one.
func TestEventIsThereAtOnce(t *testing.T) {
	x := eventStream(t)
	for i := range 5 {
		x.Response(fmt.Appendf(nil, "data: %d\r\n\r\n", i))
		if n := len(content(t, x).Messages); n != i+1 {
			t.Fatalf("after %d events there are %d", i+1, n)
		}
	}
}

func TestEventsWithinTheirBound(t *testing.T) {
	x := eventStream(t)
	for range 200 {
		x.Response([]byte("data: " + strings.Repeat("x", 40_000) + "\n\n"))
	}
	c := content(t, x)
	if len(c.Messages) != 2 || len(c.Messages[0].Data) != engine.MaxMessage || c.Messages[0].Size != 40_006 || c.MessagesLost != 198 {
		t.Errorf("%d events are kept, %d lost", len(c.Messages), c.MessagesLost)
	}
	if len(c.Response.Data) != halfContent {
		t.Errorf("%d bytes of the beginning are kept", len(c.Response.Data))
	}
}

// Coded events can't be told apart as they come: that is content.
func TestCodedEventStreamHasNoMessages(t *testing.T) {
	x := keeper(t, Options{}).Begin(&engine.Request{}, false)
	x.Head(200, func(name string) string {
		return map[string]string{"content-type": "text/event-stream", "content-encoding": "gzip"}[name]
	})
	x.Response([]byte("\x1f\x8b\n\n"))
	if c := content(t, x); len(c.Messages) > 0 || len(c.Response.Data) != 4 {
		t.Errorf("messages %q", reads(c))
	}
}

// A stream outlives what is kept: dropped to make room, it is followed on.
func TestStreamThatWasDroppedIsFollowedOn(t *testing.T) {
	for name, head := range map[string]func(string) string{
		"websocket":    func(string) string { return "websocket" },
		"event stream": func(name string) string { return map[string]string{"content-type": "text/event-stream"}[name] },
		"bytes":        func(string) string { return "" },
	} {
		k := keeper(t, Options{Limit: 1 << 20})
		x := k.Begin(&engine.Request{}, true)
		one, half := []byte("data: 1\n\n"), []byte("data: 1")
		status := 101
		switch name {
		case "websocket":
			one = wsFrame(0x81, "one", false)
			half = one[:3]
		case "event stream":
			status = 200
		}
		x.Head(status, head)
		makeRoom := func() {
			for range 40 {
				k.Begin(&engine.Request{}, true).Response(make([]byte, 60<<10))
			}
		}
		x.Response(one)
		x.Response(half) // a message that comes
		var c engine.Content
		for i := range 3 {
			makeRoom()
			if x.Content(&c) || len(c.Messages) > 0 || len(c.Response.Data) > 0 {
				t.Fatalf("%s: still kept: %q", name, reads(&c))
			}
			x.Response(one[len(half):]) // its end: the beginning was given up
			x.Response(one)
			if !x.Content(&c) || len(c.Messages) != 2 || len(c.Response.Data) > 0 || c.MessagesLost < uint64(i+1) {
				t.Fatalf("%s: after that %q, %d lost, beginning %q", name, reads(&c), c.MessagesLost, c.Response.Data)
			}
			if m := c.Messages[0]; name != "bytes" && (len(m.Data) > 0 || m.Size == 0) {
				t.Fatalf("%s: of a message of %d bytes whose beginning was given up %q is kept", name, m.Size, m.Data)
			}
			x.Response(half)
		}
		makeRoom()
		x.Response(one[len(half):])
		var sum int64
		for y := k.oldest; y != nil; y = y.next {
			sum += y.charged
		}
		if got := k.bytes.Load(); got != sum || got > k.limit {
			t.Errorf("%s: %d bytes in the books, %d kept", name, got, sum)
		}
	}
}

// What was dropped before its first byte has no beginning either once something
// is kept again: what comes second is not it.
func TestSecondMessageIsNoBeginning(t *testing.T) {
	for name, status := range map[string]int{"event stream": 200, "bytes": 101} {
		k := keeper(t, Options{Limit: 1 << 20})
		x := k.Begin(&engine.Request{}, true)
		for range 40 {
			k.Begin(&engine.Request{}, true).Response(make([]byte, 60<<10))
		}
		x.Head(status, func(name string) string { return map[string]string{"content-type": "text/event-stream"}[name] })
		x.Response([]byte("data: 1\n\n"))
		x.Response([]byte("data: 2\n\n"))
		x.EndResponse()
		if c := content(t, x); len(c.Messages) != 2 || len(c.Response.Data) > 0 || c.Response.Whole() || c.Response.Size != 18 {
			t.Errorf("%s: %d messages, beginning %q of %d", name, len(c.Messages), c.Response.Data, c.Response.Size)
		}
	}
}

func TestByteStreamIsPieces(t *testing.T) {
	for name, x := range map[string]*Tee{
		"tcp":             keeper(t, Options{}).Begin(&engine.Request{Way: engine.WayTCP}, false),
		"connect":         keeper(t, Options{}).Begin(&engine.Request{Way: engine.WayConnect, Method: "CONNECT"}, false),
		"another upgrade": keeper(t, Options{}).Begin(&engine.Request{Method: "GET"}, false),
	} {
		if name == "another upgrade" {
			x.Head(101, func(string) string { return "irc" })
		}
		x.Request([]byte("HELO\r\n"))
		x.Response([]byte("250 ok\r\n"))
		x.Request([]byte("QUIT\r\n"))
		x.EndRequest()
		x.EndResponse()
		c := content(t, x)
		want := []string{`caller bytes "HELO\r\n"`, `server bytes "250 ok\r\n"`, `caller bytes "QUIT\r\n"`}
		if got := reads(c); !slices.Equal(got, want) || string(c.Request.Data) != "HELO\r\nQUIT\r\n" {
			t.Errorf("%s: %q, content %q", name, got, c.Request.Data)
		}
	}
}
