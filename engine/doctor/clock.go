package doctor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	skewNote    = 5 * time.Second // between two clocks
	skewWarning = time.Minute
	maxHead     = 64 << 10 // bytes of the head of an answer
)

// A reading is what a clock on the way has said.
type reading struct {
	by   string // whose clock
	skew time.Duration
}

// dateOf reads the Date of an answer that was asked for and came at these times. It
// has whole seconds only.
func dateOf(h http.Header, sent, got time.Time) (skew time.Duration, ok bool) {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false
	}
	return at.Add(time.Second / 2).Sub(sent.Add(got.Sub(sent) / 2).Round(0)), true
}

// clock compares the clocks that were read with this machine's.
func (w *way) clock(readings []reading) {
	if len(readings) == 0 {
		return
	}
	worst := readings[0]
	for _, r := range readings[1:] {
		if r.skew.Abs() > worst.skew.Abs()+2*time.Second {
			worst = r
		}
	}
	f := Finding{Check: "clock", Severity: OK, Found: "this machine and " + worst.by + " agree on the time"}
	if worst.skew.Abs() <= skewNote {
		w.found(f)
		return
	}
	f.Severity = Note
	f.Found = fmt.Sprintf("the clock of this machine is %s, compared with %s", skewText(worst.skew), worst.by)
	f.Means = "times in logs do not match"
	if worst.skew.Abs() > skewWarning {
		f.Severity = Warning
		f.Means = "one of the two clocks is wrong: certificates and tokens begin and end at another time than meant, up to being refused"
		f.Change = "set the wrong one: timedatectl set-ntp true"
	}
	w.found(f)
}

// skewText says how far this machine is off, whose clock the other one exceeds by
// skew.
func skewText(skew time.Duration) string {
	word := "behind"
	if skew < 0 {
		word = "ahead"
	}
	skew = skew.Abs()
	switch {
	case skew >= 2*day:
		return fmt.Sprintf("%d days %s", int(skew.Round(day)/day), word)
	case skew >= time.Minute:
		return skew.Round(time.Second).String() + " " + word
	}
	return skew.Round(100*time.Millisecond).String() + " " + word
}

// dateOver asks over a connection, to which nothing is shown, what time it is.
func (w *way) dateOver(ctx context.Context, c net.Conn) (at time.Time, skew time.Duration, ok bool) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	sent := time.Now()
	_ = c.SetDeadline(sent.Add(w.c.o.pace.step))
	if _, err := fmt.Fprintf(c, "GET /status HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: close\r\n\r\n", w.u.Host, w.c.o.UserAgent); err != nil {
		return at, 0, false
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(c, maxHead)), nil)
	if err != nil {
		return at, 0, false
	}
	_ = resp.Body.Close()
	if skew, ok = dateOf(resp.Header, sent, time.Now()); !ok {
		return at, 0, false
	}
	return time.Now().Round(0).Add(skew), skew, true
}
