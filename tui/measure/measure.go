// Package measure drives the whole dashboard, its renderer included, over an
// invented engine and a terminal that is only counted, and says what that cost:
// the figures P1 to P8 of the performance budget.
package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"adit/engine"
	"adit/tui"
)

// Options say how to measure.
type Options struct {
	For     time.Duration                                          // in all; at least 8 s are useful
	OpenLog func(engine.Engine) (engine.RequestLog, func(), error) // as the product's
	CPU     func() time.Duration                                   // user and system time of the process
	Out     io.Writer
}

// A Figure is one thing that was measured, with what it is held to.
type Figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target float64 `json:"target,omitempty"` // at most; 0: none
	Note   string  `json:"note,omitempty"`
}

// Run measures and prints a JSON array of figures.
func Run(ctx context.Context, o Options) error {
	m := &measuring{Options: o, each: max(o.For/8, time.Second)}
	steps := []func(context.Context) error{m.idle, m.live, m.flood, m.large, m.small}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return fmt.Errorf("measure: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if m.smallFrame > 0 {
		m.add(Figure{Name: "P3 frame time, 100k requests against 1k", Value: m.largeFrame / m.smallFrame, Unit: "ratio", Target: 1.2})
	}
	out := json.NewEncoder(o.Out)
	out.SetIndent("", "  ")
	return out.Encode(m.figures)
}

type measuring struct {
	Options
	each                   time.Duration
	figures                []Figure
	largeFrame, smallFrame float64 // median, ms
}

func (m *measuring) add(f Figure) { m.figures = append(m.figures, f) }

// A trial is a dashboard that runs.
type trial struct {
	engine *invented
	screen *screen
	keys   *io.PipeWriter
	frames *frames
	end    func()
}

// A setup is what a trial is made of.
type setup struct{ w, h, connections, requests int }

// begin opens a dashboard over requests that were recorded before.
func (m *measuring) begin(ctx context.Context, s setup) (*trial, error) {
	t := &trial{engine: newInvented(s.connections, s.requests), screen: newScreen(), frames: &frames{}}
	log, done, err := m.OpenLog(t.engine)
	if err != nil {
		return nil, err
	}
	t.engine.feed(ctx, 400_000, s.requests)
	read, write := io.Pipe()
	t.keys = write
	ctx, cancel := context.WithCancel(ctx)
	d, err := tui.Open(ctx, tui.Options{
		Engine: t.engine, Log: log, Operator: "measure", Color: "always", Theme: "midnight", Glyphs: "unicode",
		Width: s.w, Height: s.h, Input: read, Output: t.screen, Environ: []string{"TERM=xterm-256color", "SSH_TTY=none"},
		LookupEnv: func(name string) (string, bool) { return "xterm-256color", name == "TERM" },
		Probe:     t.frames.add,
	})
	if err != nil {
		cancel()
		done()
		return nil, err
	}
	shown := make(chan error, 1)
	go func() {
		_, err := d.Show()
		shown <- err
	}()
	t.end = func() {
		cancel()
		write.Close()
		read.Close()
		<-shown
		done()
		t.engine.bus.Close()
	}
	if !t.screen.await(ctx, 5*time.Second) {
		t.end()
		return nil, fmt.Errorf("nothing was drawn within 5 s")
	}
	return t, wait(ctx, 1500*time.Millisecond)
}

// costs are what a time cost.
type costs struct {
	seconds float64
	cpu     float64 // percent of one core
	bytes   float64 // to the terminal, per second
	writes  int
	allocs  float64 // objects
	frames  []float64
}

// over measures a time.
func (m *measuring) over(ctx context.Context, t *trial, d time.Duration) (costs, error) {
	t.frames.take()
	began, cpu, allocs := time.Now(), m.CPU(), allocated()
	bytes, writes := t.screen.counts()
	err := wait(ctx, d)
	c := costs{seconds: time.Since(began).Seconds(), frames: t.frames.take()}
	c.cpu = 100 * (m.CPU() - cpu).Seconds() / c.seconds
	b, w := t.screen.counts()
	c.bytes, c.writes = float64(b-bytes)/c.seconds, w-writes
	c.allocs = float64(allocated() - allocs)
	return c, err
}

// idle: nothing happens in the engine.
func (m *measuring) idle(ctx context.Context) error {
	t, err := m.begin(ctx, setup{w: 120, h: 36, requests: 1000})
	if err != nil {
		return err
	}
	defer t.end()
	m.add(Figure{Name: "P7 first paint", Value: float64(t.screen.first()) / 1024, Unit: "KiB", Target: 12})
	// Rates come to rest first.
	if err := wait(ctx, 5*time.Second); err != nil {
		return err
	}
	c, err := m.over(ctx, t, m.each)
	if err != nil {
		return err
	}
	m.add(Figure{Name: "P4 CPU idle", Value: c.cpu, Unit: "% of a core", Target: 0.7, Note: "at 30 fps, the clock in the first row moving"})
	m.add(Figure{Name: "P7 bytes idle", Value: c.bytes, Unit: "B/s", Note: "the clock"})
	return m.keysToScreen(ctx, t, "P8 key to screen")
}

// keysToScreen moves between screens and waits for what comes of it.
func (m *measuring) keysToScreen(ctx context.Context, t *trial, name string) error {
	var took []float64
	for i := range 40 {
		if err := wait(ctx, 45*time.Millisecond+time.Duration(i%7)*5*time.Millisecond); err != nil {
			return err
		}
		began := time.Now()
		changed := t.screen.next()
		if _, err := io.WriteString(t.keys, string(rune('2'+i%2))); err != nil {
			return err
		}
		select {
		case <-changed:
			took = append(took, float64(time.Since(began))/1e6)
		case <-time.After(time.Second):
			return fmt.Errorf("a key changed nothing within 1 s")
		}
	}
	m.add(Figure{Name: name + ", median", Value: percentile(took, 50), Unit: "ms", Target: 20})
	m.add(Figure{Name: name + ", 95th percentile", Value: percentile(took, 95), Unit: "ms", Target: 40})
	return nil
}

// live: a thousand requests a second on the screen of requests.
func (m *measuring) live(ctx context.Context) error {
	t, err := m.begin(ctx, setup{w: 120, h: 36, requests: 1000})
	if err != nil {
		return err
	}
	defer t.end()
	t.engine.still.Store(false)
	fed, stop := context.WithCancel(ctx)
	defer stop()
	go t.engine.feed(fed, 1000, 0)
	for _, s := range []struct{ key, name string }{{"3", "requests"}, {"1", "overview"}} {
		io.WriteString(t.keys, s.key)
		if err := wait(ctx, 500*time.Millisecond); err != nil {
			return err
		}
		c, err := m.over(ctx, t, m.each)
		if err != nil {
			return err
		}
		m.add(Figure{Name: "P5 CPU at 1k requests/s, " + s.name, Value: c.cpu, Unit: "% of a core", Target: 4, Note: "the invented engine included"})
		m.add(Figure{Name: "P7 bytes at 1k requests/s, " + s.name, Value: c.bytes / 1024, Unit: "KiB/s", Target: 40})
		m.add(Figure{Name: "P2 allocations a frame, " + s.name, Value: c.allocs / float64(max(len(c.frames), 1)), Unit: "objects", Note: "the renderer, the log and the invented engine included"})
	}
	return nil
}

// flood: 100,000 events a second, of which the dashboard draws what it can, and
// the same without a dashboard.
func (m *measuring) flood(ctx context.Context) error {
	t, err := m.begin(ctx, setup{w: 120, h: 36, requests: 1000})
	if err != nil {
		return err
	}
	fed, stop := context.WithCancel(ctx)
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		t.engine.feed(fed, 100_000, 0)
	}()
	t.engine.still.Store(false)
	with, err := m.over(ctx, t, m.each)
	stop()
	<-joined
	t.end()
	if err != nil {
		return err
	}

	alone := newInvented(0, 1000)
	defer alone.bus.Close()
	_, done, err := m.OpenLog(alone)
	if err != nil {
		return err
	}
	defer done()
	fed, stop = context.WithTimeout(ctx, m.each)
	defer stop()
	began, cpu := time.Now(), m.CPU()
	alone.feed(fed, 100_000, 0)
	without := 100 * (m.CPU() - cpu).Seconds() / time.Since(began).Seconds()
	m.add(Figure{Name: "P6 CPU of the dashboard at 100k events/s", Value: with.cpu - without, Unit: "% of a core", Target: 5,
		Note: fmt.Sprintf("%.1f with a dashboard, %.1f with a log alone", with.cpu, without)})
	return nil
}

// large and small are one size of terminal over much and little data.
func (m *measuring) large(ctx context.Context) (err error) {
	for _, s := range []setup{{120, 36, 10_000, 100_000}, {200, 60, 10_000, 100_000}} {
		target := 4.0
		if s.w > 120 {
			target = 8
		}
		median, p99, err := m.frameTime(ctx, s)
		if err != nil {
			return err
		}
		if s.w == 120 {
			m.largeFrame = median
		}
		m.add(Figure{Name: fmt.Sprintf("P1 frame at %dx%d, median", s.w, s.h), Value: median, Unit: "ms"})
		m.add(Figure{Name: fmt.Sprintf("P1 frame at %dx%d, 99th percentile", s.w, s.h), Value: p99, Unit: "ms", Target: target, Note: "10k connections, 100k requests"})
	}
	return nil
}

func (m *measuring) small(ctx context.Context) (err error) {
	m.smallFrame, _, err = m.frameTime(ctx, setup{120, 36, 10_000, 1000})
	return err
}

func (m *measuring) frameTime(ctx context.Context, s setup) (median, p99 float64, err error) {
	t, err := m.begin(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	defer t.end()
	t.engine.still.Store(false)
	io.WriteString(t.keys, "3")
	c, err := m.over(ctx, t, m.each)
	return percentile(c.frames, 50), percentile(c.frames, 99), err
}

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) error {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-late.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// percentile returns the value that p percent of all are below.
func percentile(all []float64, p int) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

// allocated returns how many objects were allocated since the start.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// frames are the times that frames took, in ms.
type frames struct {
	mu  sync.Mutex
	all []float64
}

func (f *frames) add(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, float64(took)/1e6)
}

func (f *frames) take() []float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.all
	f.all = nil
	return all
}
