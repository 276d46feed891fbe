package metrics

import (
	"cmp"
	"context"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"adit/engine"
	"adit/engine/observe"
)

// scrapeWait bounds what a scrape waits for records.
const scrapeWait = 2 * time.Second

// A series is one counter that may go back for a moment.
type series struct {
	family         int
	label, another string
}

// A scrape is the memory of one, used again.
type scrape struct {
	snapshot engine.Snapshot
	requests observe.RequestCounts
}

// An output is where the values of one scrape go.
type output struct {
	s  *Set
	to chan<- prometheus.Metric
}

func (o output) put(family int, value float64, labels ...string) {
	o.to <- prometheus.MustNewConstMetric(o.s.desc[family], table[family].kind.value(), value, labels...)
}

// rise is put for a counter that never goes back, whatever its source does: a
// scraper would take that for a new process.
func (o output) rise(family int, value float64, labels ...string) {
	key := series{family: family, label: labels[0]}
	if len(labels) > 1 {
		key.another = labels[1]
	}
	o.s.mu.Lock()
	value = max(value, o.s.risen[key])
	o.s.risen[key] = value
	o.s.mu.Unlock()
	o.put(family, value, labels...)
}

func (o output) bool(family int, yes bool) {
	value := 0.0
	if yes {
		value = 1
	}
	o.put(family, value)
}

// distribution puts one of those that have anything in them.
func (o output) distribution(family int, d *observe.Distribution, labels ...string) {
	bounds := observe.Bounds()
	below := make(map[float64]uint64, len(bounds))
	var n uint64
	for i, most := range bounds {
		n += d.Buckets[i]
		below[most.Seconds()] = n
	}
	if n += d.Buckets[len(bounds)]; n > 0 {
		o.to <- prometheus.MustNewConstHistogram(o.s.desc[family], n, d.Sum.Seconds(), below, labels...)
	}
}

// Collect implements prometheus.Collector: it is a scrape.
func (s *Set) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWait)
	defer cancel()
	o := output{s, to}
	s.mu.Lock()
	told := s.counts.clone() // before the snapshot: a connection that ends in between is then missing, not counted twice
	s.mu.Unlock()
	memory := s.spare.Get().(*scrape)
	defer s.spare.Put(memory)
	if err := s.o.Engine.Snapshot(ctx, &memory.snapshot); err != nil {
		s.o.Logger.Warn("no metrics of the engine", "err", err)
		return
	}
	o.engine(&memory.snapshot)
	o.connections(&memory.snapshot, told.ended)
	o.events(&told)
	if s.o.Requests != nil {
		s.o.Requests(&memory.requests)
		o.requests(&memory.requests)
	}
	if s.o.Records != nil {
		o.records(s.o.Records())
	}
	if s.o.Expiry != nil {
		o.certificates(s.o.Expiry())
	}
	if s.o.Spans != nil {
		sent, lost := s.o.Spans()
		o.put(spansSent, float64(sent))
		o.put(spansLost, float64(lost))
	}
}

func (o output) engine(snap *engine.Snapshot) {
	o.put(buildInfo, 1, strings.ToValidUTF8(snap.Version, "?"), runtime.Version(), snap.Role.String())
	o.bool(draining, snap.Draining)
	if ask := o.s.o.Ready; ask != nil {
		o.bool(ready, ask() == nil)
	}
	for _, c := range snap.Closes {
		o.put(connectionsClosed, float64(c.Count), strconv.Itoa(int(c.Code)))
	}
	for _, l := range snap.Limits {
		o.put(limitsReached, float64(l.Count), l.Name)
	}
	t := &snap.Totals
	o.rise(websocketBytes, float64(t.BytesIn), "in")
	o.rise(websocketBytes, float64(t.BytesOut), "out")
	o.frames(&t.FramesIn, "in")
	o.frames(&t.FramesOut, "out")
	o.put(captureBytes, float64(snap.Capture.Bytes))
	o.put(captureLimit, float64(snap.Capture.Limit))
	o.put(captureDropped, float64(snap.Capture.Dropped))
	if snap.Role == engine.RoleServer {
		o.put(requestsWaiting, float64(snap.Waiting))
		o.put(clientsBanned, float64(len(snap.Banned)))
		return
	}
	wanted, registered := 0, 0
	for i := range snap.Servers {
		wanted += snap.Servers[i].Wanted
		if snap.Servers[i].Connected > 0 {
			registered++
		}
	}
	o.put(connectionsWanted, float64(wanted))
	o.put(servers, float64(len(snap.Servers)))
	o.put(serversConnected, float64(registered))
}

func (o output) frames(f *engine.Frames, direction string) {
	o.rise(framesTotal, float64(f.Text), direction, "text")
	o.rise(framesTotal, float64(f.Binary), direction, "binary")
	o.rise(framesTotal, float64(f.Continuation), direction, "continuation")
	o.rise(framesTotal, float64(f.Close), direction, "close")
	o.rise(framesTotal, float64(f.Ping), direction, "ping")
	o.rise(framesTotal, float64(f.Pong), direction, "pong")
}

// A crowd is what the connections of one client are together.
type crowd struct {
	connections, inFlight int
	moved                 transfer
}

// connections puts what there is now; ended is what connections of each client
// that are over have moved.
func (o output) connections(snap *engine.Snapshot, ended map[string]transfer) {
	type place struct {
		protocol engine.Protocol
		state    engine.ConnectionState
	}
	places, clients, inFlight := map[place]int{}, map[string]crowd{}, 0
	for p := engine.ProtocolNative; p <= engine.ProtocolClassic; p++ {
		for st := engine.StateGreeting; st <= engine.StateClosing; st++ {
			places[place{p, st}] = 0 // "no idle connection" must be something to ask for
		}
	}
	for at, moved := range ended {
		clients[at] = crowd{moved: moved}
	}
	o.s.mu.Lock()
	for i := range snap.Connections {
		c := &snap.Connections[i]
		places[place{c.Protocol, c.State}]++
		inFlight += c.InFlight
		if c.Client == "" {
			continue
		}
		at := o.s.counts.label(c.Client)
		one := clients[at]
		one.connections++
		one.inFlight += c.InFlight
		one.moved.in += c.BytesIn
		one.moved.out += c.BytesOut
		clients[at] = one
	}
	o.s.mu.Unlock()
	for at, n := range places {
		protocol := ""
		if at.protocol != 0 {
			protocol = at.protocol.String()
		}
		o.put(connections, float64(n), protocol, at.state.String())
	}
	o.put(requestsInFlight, float64(inFlight))
	if snap.Role != engine.RoleServer {
		return
	}
	for at, c := range clients {
		o.put(clientConnections, float64(c.connections), at)
		o.put(clientInFlight, float64(c.inFlight), at)
		o.rise(clientBytes, float64(c.moved.in), at, "in")
		o.rise(clientBytes, float64(c.moved.out), at, "out")
	}
}

func (o output) events(told *counts) {
	for code, n := range told.rejected {
		o.put(greetingsRejected, float64(n), strconv.Itoa(code))
	}
	for status, n := range told.refused {
		o.put(admissionsRefused, float64(n), strconv.Itoa(status))
	}
	for action, n := range told.actions {
		o.put(operatorActions, float64(n), string(action))
	}
	o.put(dialsFailed, float64(told.dials))
	if bus := o.s.o.Bus; bus != nil {
		o.put(eventsTotal, float64(bus.Seq()))
		o.put(eventsDropped, float64(bus.Dropped()))
	}
}

func (o output) requests(n *observe.RequestCounts) {
	for way := range n.Ended {
		name := ""
		if way > 0 {
			name = engine.Way(way).String()
		}
		for class := range n.Ended[way] {
			code := "none"
			if class > 0 {
				code = strconv.Itoa(class) + "xx"
			}
			for outcome, ended := range n.Ended[way][class] {
				if ended > 0 {
					o.put(requestsTotal, float64(ended), name, code, engine.Outcome(outcome).String())
				}
			}
			o.distribution(requestDuration, &n.Duration[way][class], name, code)
			o.distribution(requestFirstByte, &n.FirstByte[way][class], name, code)
		}
		o.distribution(requestQueue, &n.Queued[way], name)
	}
}

// records puts what the log says of itself.
func (o output) records(st engine.LogState) {
	o.put(records, float64(st.Records))
	o.put(recordsMissing, float64(st.Missing))
	if st.History {
		o.put(historyRecords, float64(st.Stored))
		o.put(historyLost, float64(st.Lost))
		o.bool(historyWritable, st.Problem == "")
	}
}

// certificates puts those that end first.
func (o output) certificates(ends map[string]time.Time) {
	names := slices.SortedFunc(maps.Keys(ends), func(a, b string) int {
		return cmp.Or(ends[a].Compare(ends[b]), strings.Compare(a, b))
	})
	for _, name := range names[:min(len(names), maxCertificates)] {
		o.put(certificateExpiry, float64(ends[name].Unix()), strings.ToValidUTF8(name, "?"))
	}
}
