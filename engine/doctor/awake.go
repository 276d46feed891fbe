package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/gorilla/websocket"
)

// awake is never silent: it sends a message each unit of its pace until most is
// over. What ends it is no cut-off of silence, and the silences that end with it
// say nothing about one.
func (w *way) awake(ctx context.Context, most time.Duration) silence {
	s := silence{awake: true}
	o, err := w.quiet(ctx)
	if err != nil {
		s.err = err
		return s
	}
	defer o.close()
	began := time.Now()
	step, unit := w.c.o.pace.step, w.c.o.pace.unit
	_ = o.ws.SetReadDeadline(began.Add(most + step))
	back, read := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		for {
			if _, _, err := o.ws.ReadMessage(); err != nil {
				read <- err
				return
			}
			select {
			case back <- struct{}{}:
			default:
			}
		}
	}()
	last := began // that something came back
	tick := time.NewTicker(unit)
	defer tick.Stop()
	over := time.NewTimer(most)
	defer over.Stop()
	for {
		select {
		case <-back:
			last = time.Now()
		case err := <-read:
			s.ended(time.Since(began), err)
			return s
		case <-ctx.Done():
			_ = o.ws.Close()
			<-read
			return s
		case <-tick.C:
			_ = o.ws.SetWriteDeadline(time.Now().Add(step))
			if o.ws.WriteMessage(websocket.TextMessage, []byte("awake")) != nil {
				_ = o.ws.Close()
			}
		case <-over.C:
			_ = o.ws.Close()
			<-read
			if s.lives = time.Since(last) < step+unit; !s.lives {
				s.cut, s.how = max(last.Sub(began), 1), "nothing comes back any more"
			}
			return s
		}
	}
}

// before leaves out what ended with the one that was awake, or later.
func (s *silence) before(all []silence, unit time.Duration) (kept []silence) {
	for i := range all {
		x := &all[i]
		at := x.cut
		if at == 0 {
			at = x.wait
		}
		if x.err != nil || x.lives || at < s.cut-2*unit {
			kept = append(kept, *x)
		}
	}
	return kept
}

// judgeEnd says what has ended all connections alike, those that are silent and the
// one that is not.
func (w *way) judgeEnd(ctx context.Context, awake *silence, lives time.Duration) Finding {
	after := max(awake.cut.Round(w.c.o.pace.unit), w.c.o.pace.unit)
	open, cancel := context.WithTimeout(ctx, w.c.o.pace.step)
	defer cancel()
	o := w.open(open, w.u, pieceBuffer)
	defer o.close()
	if o.ws == nil {
		return w.gone("idle", fmt.Sprintf("all connections ended after %v (%s)", after, awake.how), o)
	}
	f := Finding{Check: "idle", Severity: Warning,
		Found:  fmt.Sprintf("all connections ended after %v, not only those that were silent: %s", after, awake.how),
		Means:  "the server was started anew, the network was lost for a while, or something on the way bounds how long a connection may last",
		Change: "try again: if they end after the same time, raise what bounds the age of connections on the way; silence is not the cause"}
	if (&Finding{}).over(awake.code, "") {
		f.Severity = Note
		f.Found = fmt.Sprintf("the server stopped or started anew after %v: %s", after, awake.how)
		f.Means = "after how much silence something on the way cuts was not found out"
		if lives > 0 {
			f.Means = fmt.Sprintf("%v of silence were borne until then", lives)
		}
		f.Change = "try again to know more"
	}
	return f
}
