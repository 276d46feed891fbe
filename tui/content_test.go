package tui

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/tui/comparison"
	"adit/tui/inspector"
	"adit/tui/scene"
)

// hostileContent is a log that keeps whatever of every request.
type hostileContent struct {
	*steady
	mu sync.Mutex
	k  *walk // only for what it invents

	asked int
}

func (l *hostileContent) Content(_ context.Context, _ engine.RequestID, into *engine.Content) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.k
	l.asked++
	part := func() engine.Part {
		data := []byte(strings.Repeat(k.one("", "{", `{"token":["a",{"b":1}],"x":"`, "[[[[[[[[", "data: ", "\r\n\r\n", "\x1f\x8b\x08", "a=b&password=", "\x00\x00\x00\x00\x05hello", "x")+k.hostile(), 1+k.IntN(40)))
		data = data[:min(len(data), engine.MaxContent)]
		return engine.Part{Data: data, Size: int64(len(data)) + k.pick(0, 1, -5, 1<<40), Over: k.IntN(2) == 0}
	}
	*into = engine.Content{Request: part(), Response: part(), MessagesLost: k.number() % 1000 * uint64(k.IntN(2))}
	for range k.IntN(3) * k.IntN(60) {
		p := part()
		into.Messages = append(into.Messages, engine.Message{Time: k.when(), FromCaller: k.IntN(2) == 0, Kind: engine.MessageKind(k.IntN(9)),
			Data: p.Data[:min(len(p.Data), engine.MaxMessage)], Size: p.Size, Compressed: k.IntN(4) == 0})
	}
	if k.IntN(6) == 0 {
		return engine.ErrNotFound
	}
	return nil
}

func (l *hostileContent) Request(_ context.Context, id engine.RequestID) (engine.Request, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.k.IntN(9) == 0 {
		return engine.Request{}, engine.ErrNotFound
	}
	r := l.k.request()
	r.ID = id
	if r.Heads != nil {
		r.Heads.Request += "Content-Type: " + l.k.one("application/json", "text/event-stream", "image/png", "application/grpc", "application/x-www-form-urlencoded", "text/html; charset=utf-16") + "\n"
		r.Heads.Response += "\nContent-Encoding: " + l.k.one("gzip", "br, zstd", "deflate", "gzip,gzip,gzip,gzip,gzip", l.k.hostile()) + "\n"
	}
	return *r, nil
}

func (k *walk) pick(of ...int64) int64 { return of[k.IntN(len(of))] }

func TestWhateverIsPressedInFrontOfWhateverContent(t *testing.T) {
	for seed, o := range []Options{{}, {Glyphs: "ascii", Color: "never", KeySet: "basic"}} {
		sc := scene.New(scene.Options{})
		s := pictured(t, o, sc, 300)
		invents := &walk{still: &still{clock: scene.Clock()}, Rand: rand.New(rand.NewPCG(uint64(seed), 8))}
		log := &hostileContent{steady: s.log, k: invents}
		s.feed.source.Log = log
		s.walks(uint64(seed), sc, 600, func(k *walk) {
			switch k.IntN(4) {
			case 0:
				s.open(level{inspector.New(engine.RequestID(k.IntN(300)), nil), levelRequest})
			case 1:
				s.open(level{comparison.New(engine.RequestID(k.IntN(300)), engine.RequestID(k.IntN(300))), levelComparison})
			}
			for _, c := range k.one("\t\r", "apH", "\r", "pV", "nN", "") {
				s.update(tea.KeyPressMsg{Code: c, Text: strings.TrimSpace(string(c))})
			}
		})
		log.mu.Lock()
		if log.asked < 20 {
			t.Errorf("content was asked for %d times", log.asked)
		}
		log.mu.Unlock()
	}
}
