package scene

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"time"

	"adit/engine"
)

// Requests whose content is kept, beside [Scene.Upload].
const (
	callBefore   = 101 // requests before the upload
	chatBefore   = 102
	streamBefore = 103
)

// Call is a request of an API with an answer in gzip, Chat a WebSocket that is
// still open, Stream server-sent events. 0: the scene has too few requests.
func (s *Scene) Call() engine.RequestID   { return s.before(callBefore) }
func (s *Scene) Chat() engine.RequestID   { return s.before(chatBefore) }
func (s *Scene) Stream() engine.RequestID { return s.before(streamBefore) }

func (s *Scene) before(n engine.RequestID) engine.RequestID {
	if s.Upload() <= streamBefore {
		return 0
	}
	return s.Upload() - n
}

// special makes r one of the requests whose content is kept, if it is one.
func (s *Scene) special(r *engine.Request) {
	const host = "http://shop.example.com"
	switch r.ID {
	case s.Call():
		c := s.contentOf(r.ID)
		r.Method, r.Target, r.Status, r.Outcome, r.Reason = "POST", host+"/api/search?q=tun&session_token=***", 200, engine.OutcomeCompleted, ""
		r.RequestBytes, r.ResponseBytes = c.Request.Size, c.Response.Size
	case s.Chat():
		r.Method, r.Target, r.Status, r.Outcome, r.Reason = "GET", host+"/ws/chat", 101, engine.OutcomeNone, ""
		r.Upgraded, r.RequestBytes, r.ResponseBytes, r.LastByte = true, 1_903, 12_448, -1
		r.FirstByte = 31 * time.Millisecond
	case s.Stream():
		r.Method, r.Target, r.Status, r.Outcome, r.Reason = "GET", host+"/events/orders", 200, engine.OutcomeCompleted, ""
		r.RequestBytes, r.ResponseBytes, r.FirstByte, r.LastByte = 0, 1_822, 12*time.Millisecond, 4*time.Second
	}
}

// specialHeads returns the heads of such a request, nil of any other.
func (s *Scene) specialHeads(r *engine.Request) *engine.Heads {
	const base = "Host: shop.example.com\nAccept: */*\nUser-Agent: Mozilla/5.0\n"
	switch r.ID {
	case s.Call():
		return &engine.Heads{
			Request: base + "Accept-Encoding: gzip, br\nAuthorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x\nContent-Type: application/json\n" +
				fmt.Sprintf("Content-Length: %d\n", r.RequestBytes),
			Response: "Content-Type: application/json; charset=utf-8\nContent-Encoding: gzip\nVary: Accept-Encoding\nSet-Cookie: sid=31337; Path=/; HttpOnly\n" +
				fmt.Sprintf("Content-Length: %d\n", r.ResponseBytes)}
	case s.Chat():
		return &engine.Heads{
			Request:  base + "Upgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n",
			Response: "Upgrade: websocket\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"}
	case s.Stream():
		return &engine.Heads{Request: base + "Last-Event-Id: 40\n", Response: "Content-Type: text/event-stream\nCache-Control: no-store\n"}
	}
	return nil
}

func whole(data []byte) engine.Part {
	return engine.Part{Data: data, Size: int64(len(data)), Over: true}
}

// contentOf returns what is kept of the content of a request, nil where nothing
// is.
func (s *Scene) contentOf(id engine.RequestID) *engine.Content {
	arrived := s.o.Origin.Add(-uploadSince)
	message := func(after time.Duration, caller bool, kind engine.MessageKind, text string) engine.Message {
		return engine.Message{Time: arrived.Add(after), FromCaller: caller, Kind: kind, Data: []byte(text), Size: int64(len(text))}
	}
	switch id {
	case s.Upload():
		order := `{"order":8812,"customer":{"name":"Jürgen Möller","email":"j@example.com","password":"hunter2"},"items":[{"sku":"A-1","qty":2},{"sku":"B-7","qty":1}],"note":"ring bell","photos":["` +
			strings.Repeat("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", 1500)
		return &engine.Content{
			Request:  engine.Part{Data: []byte(order)[:engine.MaxContent], Size: 4 << 20, Over: true},
			Response: whole([]byte("upstream did not answer in 5s.\n"))}
	case s.Call():
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		fmt.Fprint(z, `{"took":3,"total":2,"hits":[{"id":"A-1","title":"tunnel boring machine","price":4199000.00,"tags":["large","slow"]},{"id":"B-7","title":"tuning fork","price":7.50,"tags":[]}],"next":null,"api_key":"k-31337"}`)
		_ = z.Close() // a buffer takes everything
		return &engine.Content{Request: whole([]byte(`{"q":"tun","page":1,"filters":{"in_stock":true}}`)), Response: whole(b.Bytes())}
	case s.Chat():
		return &engine.Content{MessagesLost: 12, Messages: []engine.Message{
			message(0, true, engine.MessageText, `{"type":"join","room":"ops","token":"t-31337"}`),
			message(14*time.Millisecond, false, engine.MessageText, `{"type":"joined","room":"ops","members":["ana","ben","cy"]}`),
			message(1204*time.Millisecond, true, engine.MessageText, `{"type":"say","text":"is the deploy through?"}`),
			message(2610*time.Millisecond, false, engine.MessageText, `{"type":"said","by":"ben","text":"yes, since 15:03 – all green"}`),
			message(3*time.Second, false, engine.MessagePing, ""),
			message(3004*time.Millisecond, true, engine.MessagePong, ""),
			message(4402*time.Millisecond, true, engine.MessageBinary, "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
			message(5001*time.Millisecond, false, engine.MessageText, `{"type":"said","by":"cy","text":"👍"}`),
		}}
	case s.Stream():
		c := &engine.Content{}
		text := ""
		for i := range 6 {
			event := fmt.Sprintf("id: %d\nevent: order\ndata: {\"order\":%d,\"state\":\"%s\"}\n\n", 41+i, 8812+i, [...]string{"new", "paid", "packed"}[i%3])
			c.Messages = append(c.Messages, message(time.Duration(i)*660*time.Millisecond, false, engine.MessageEvent, event))
			text += event
		}
		c.Response = whole([]byte(text))
		return c
	}
	return nil
}
