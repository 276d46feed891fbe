package capture

import (
	"bytes"
	"testing"

	"adit/engine"
)

// fuzz takes in data in pieces and holds what is true of any stream.
func fuzz(t *testing.T, data []byte, size byte, begin func(k *Keeper) *Tee) {
	whole, parts := begin(keeper(t, Options{})), begin(keeper(t, Options{}))
	whole.Response(data)
	whole.EndResponse()
	for rest := data; len(rest) > 0; {
		n := min(int(size)+1, len(rest))
		parts.Response(rest[:n])
		rest = rest[n:]
	}
	parts.EndResponse()
	a, b := content(t, whole), content(t, parts)
	var inA, inB []byte
	for _, c := range []*engine.Content{a, b} {
		var total int64
		for _, m := range c.Messages {
			total += m.Size
			if int64(len(m.Data)) > m.Size || len(m.Data) > engine.MaxMessage {
				t.Fatalf("%d bytes of a message of %d", len(m.Data), m.Size)
			}
		}
		if total > int64(len(data)) {
			t.Fatalf("messages of %d bytes in %d", total, len(data))
		}
	}
	// Bytes after what is no frame come in other pieces.
	for _, m := range a.Messages {
		inA = append(inA, m.Data...)
	}
	for _, m := range b.Messages {
		inB = append(inB, m.Data...)
	}
	if len(data) <= engine.MaxMessage && a.MessagesLost+b.MessagesLost == 0 && !bytes.Equal(inA, inB) {
		t.Fatalf("in one piece %q, in several %q", inA, inB)
	}
}

func FuzzWebSocket(f *testing.F) {
	for _, test := range webSocketCases() {
		f.Add(test.bytes, byte(3), test.extensions != "")
	}
	f.Add([]byte{0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3}, byte(0), false)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), byte(5), false)
	f.Fuzz(func(t *testing.T, data []byte, size byte, extended bool) {
		fuzz(t, data, size, func(k *Keeper) *Tee {
			x := k.Begin(&engine.Request{}, true)
			x.Head(101, func(name string) string {
				if name == "upgrade" {
					return "websocket"
				}
				return map[bool]string{true: "permessage-deflate"}[extended]
			})
			return x
		})
	})
}

func FuzzEvents(f *testing.F) {
	for _, s := range []string{"id: 1\ndata: a\n\ndata: b\n\n", "data: a\r\n\ndata: b\n\r\n", "\r\r\n\n", "data", ": \r\r\n\rx"} {
		f.Add([]byte(s), byte(0))
		f.Add([]byte(s), byte(2))
	}
	f.Fuzz(func(t *testing.T, data []byte, size byte) {
		fuzz(t, data, size, func(k *Keeper) *Tee {
			x := k.Begin(&engine.Request{}, true)
			x.Head(200, func(name string) string { return map[string]string{"content-type": "text/event-stream"}[name] })
			return x
		})
	})
}
