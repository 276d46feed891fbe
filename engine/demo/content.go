package demo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
)

// wares are what the shop has.
var wares = [...]string{"desk lamp", "tea kettle", "wool blanket", "oak shelf", "bread knife", "garden chair",
	"reading lamp", "cast-iron pan", "linen curtain", "folding ladder"}

// answerOf is what the shop says: JSON of about that size.
func answerOf(path string, status, size int) []byte {
	var b bytes.Buffer
	switch {
	case status >= http.StatusBadRequest:
		fmt.Fprintf(&b, `{"error":{"status":%d,"message":%q,"path":%q}}`, status, strings.ToLower(http.StatusText(status)), path)
	case status == http.StatusCreated:
		fmt.Fprintf(&b, `{"order":"o-%d","state":"accepted","links":{"self":%q}}`, 1000+len(path), path)
	case size < 4<<10:
		item(&b, 0)
	default:
		b.WriteString(`{"items":[`)
		for i := 0; b.Len() < size; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			item(&b, i)
		}
		b.WriteString(`],"next":"/api/items?page=2"}`)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func item(b *bytes.Buffer, i int) {
	fmt.Fprintf(b, `{"id":%d,"name":%q,"price":{"amount":%d.%02d,"currency":"EUR"},"stock":%d,"tags":["home","new"],"discount":null,"available":%t}`,
		100+i, wares[i%len(wares)], 9+i*7%80, i*13%100, i*5%40, i%4 != 3)
}

// compressed returns content in the coding gzip.
func compressed(content []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(content)
	z.Close()
	return b.Bytes()
}

// contentOf is what a caller sends to the shop, with its media type.
func contentOf(v visit) (content []byte, mediaType string) {
	switch {
	case v.upload == 0:
		return nil, ""
	case strings.HasSuffix(v.path, "/login"):
		return []byte("user=ann&password=not-a-secret&remember=on"), "application/x-www-form-urlencoded"
	case strings.Contains(v.path, "/photos/"):
		photo := make([]byte, v.upload)
		for i := range photo {
			photo[i] = byte(i * i >> 3)
		}
		copy(photo, "\xff\xd8\xff\xe0\x00\x10JFIF\x00")
		return photo, "image/jpeg"
	}
	var b bytes.Buffer
	b.WriteString(`{"customer":"ann","items":[`)
	for i := 0; i == 0 || b.Len() < v.upload; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"name":%q,"count":%d}`, 100+i, wares[i%len(wares)], 1+i%3)
	}
	b.WriteString(`]}`)
	return b.Bytes(), "application/json"
}

// talk is what a visitor writes in the chat, and what the shop answers.
var talk = [...][2]string{
	{"hello, is the desk lamp in stock?", "yes, four are left"},
	{"does it come in green?", "green and white: https://shop.example/lamps"},
	{"then one in green, please", "it is in your cart"},
}

// said is a message of the chat.
func said(by, text string) []byte { return fmt.Appendf(nil, `{"from":%q,"text":%q}`, by, text) }

// reply is what the shop answers to a message; what is no talk comes back as it was.
func reply(message []byte) []byte {
	for _, t := range talk {
		if bytes.Equal(message, said("visitor", t[0])) {
			return said("shop", t[1])
		}
	}
	return message
}

// price is one event of a stream.
func price(i int) string {
	return fmt.Sprintf("id: %d\nevent: price\ndata: {\"item\":%q,\"price\":%d.%02d}\n\n", i, wares[i%len(wares)], 9+i*7%80, i*31%100)
}
