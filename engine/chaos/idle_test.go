//go:build chaos

package chaos

import (
	"strconv"
	"testing"
	"time"
)

// mostPool is the largest pool of one client.
const mostPool = 1000

// TestIdle is row 2: many idle connections cost little memory and CPU, and none
// is lost.
func TestIdle(t *testing.T) {
	connections := pick(t, 200, 2000, 10_000)
	watch := time.Duration(pick(t, 6, 60, 600)) * time.Second
	ping := pick(t, 2, 20, 20)
	r := newRig(t, serverFlags("--events", "lifecycle", "--ping", strconv.Itoa(ping)+"s"))
	r.works(t, 5*time.Second)
	before := r.server.usage()
	mark := r.server.mark()
	var clients []*process
	for left := connections; left > 0; left -= mostPool {
		clients = append(clients, r.newClient("idle-"+strconv.Itoa(left), "--pool", strconv.Itoa(min(left, mostPool))))
	}
	r.server.await(mark, "greeting_received", connections, 60*time.Second)
	settled := r.server.mark()

	began := r.server.usage()
	clientBegan := clients[0].usage()
	time.Sleep(watch)
	ended := r.server.usage()
	if lost := r.server.since(settled, "connection_closed"); len(lost) > 0 {
		t.Errorf("%d connections lost while idle, the first: %+v", len(lost), lost[0])
	}
	each := (ended.rss - before.rss) / int64(connections)
	cpu := float64(ended.cpu-began.cpu) / float64(watch)
	t.Logf("%d connections: %d KiB of server memory each, server CPU %.1f %%, the first client's CPU %.1f %%, pings every %d s",
		connections, each>>10, 100*cpu, 100*float64(clients[0].usage().cpu-clientBegan.cpu)/float64(watch), ping)
	if !raceEnabled {
		// Among few connections what the runtime holds in reserve counts.
		if most := int64(pick(t, 80, 40, 40)) << 10; each > most {
			t.Errorf("an idle connection costs %d KiB, bound %d", each>>10, most>>10)
		}
		if cpu > 0.05 {
			t.Errorf("idle connections cost %.1f %% of a core", 100*cpu)
		}
	}
	r.works(t, 2*time.Second)
}
