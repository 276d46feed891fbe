package plain

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
)

// Without a banner, lines have to say that numbers are old.
func TestLinesSayThatTheLinkIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var linked *enginetest.FakeLinked
		x := open(t, func(o *Options) {
			linked = enginetest.NewFakeLinked(engine.Snapshot{Time: time.Now(), Role: engine.RoleServer, Name: "edge-1"}, time.Now())
			o.Engine = linked
		})
		linked.Lose("EOF", time.Now())
		time.Sleep(17 * time.Second)
		linked.Recover("2", time.Now())
		time.Sleep(time.Second)
		got := x.out.String()
		at := 0
		for _, want := range []string{"LOST /run/adit/server-edge-1.sock: EOF", "no data for 10s: EOF; retry 1", "back: 17s without data", "counters restarted"} {
			i := strings.Index(got[at:], want)
			if i < 0 {
				t.Fatalf("no %q after that in\n%s", want, got)
			}
			at += i
		}
		if n := strings.Count(got, "LOST"); n != 1 {
			t.Errorf("said %d times\n%s", n, got)
		}
		x.close(t)
		linked.End()
	})
}

func TestLinesOfAnEngineThatIsNotThereYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var linked *enginetest.FakeLinked
		x := open(t, func(o *Options) {
			linked = enginetest.NewFakeLinked(engine.Snapshot{}, time.Time{})
			linked.SetLink(func(l *engine.Link) { l.Lost, l.Cause, l.Attempt = true, "nobody listens there", 1 })
			o.Engine = linked
		})
		if got := x.out.String(); !strings.Contains(got, "no data yet from /run/adit/server-.sock: nobody listens there; retry 1") {
			t.Errorf("%s", got)
		}
		linked.Recover("1", time.Now())
		time.Sleep(time.Second)
		if got := x.out.String(); !strings.Contains(got, "link  there") {
			t.Errorf("%s", got)
		}
		x.close(t)
		linked.End()
	})
}
