//go:build unix

package history

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"adit/engine"
)

// cpu returns what this process has used of processors.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAdd is what a request costs the goroutine that adds it.
func BenchmarkAdd(b *testing.B) {
	f := &File{writer: newWriter(nil), queue: newQueue()}
	events := make([]*engine.Event, 1024)
	for i := range events {
		events[i] = finished(i + 1)
	}
	var spare []item
	b.ReportAllocs()
	for i := range b.N {
		if f.Add(events[i%len(events)]) == 0 {
			b.Fatal("no room")
		}
		if i%maxBatch == maxBatch-1 {
			b.StopTimer()
			spare = f.queue.take(spare)
			f.queue.done(spare)
			b.StartTimer()
		}
	}
}

// BenchmarkWrite is what a row costs from Add to the file, in time and in CPU, at
// 20,000 a second and as fast as it goes.
func BenchmarkWrite(b *testing.B) {
	for _, rate := range []int{0, 20_000} {
		b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) {
			f := open(b, filepath.Join(b.TempDir(), "h.db"), Options{})
			events := make([]engine.Event, b.N)
			records := make([]engine.Request, b.N)
			for i := range events {
				e := finished(i + 1)
				records[i] = *e.Request
				events[i] = *e
				events[i].Request = &records[i]
			}
			before := cpu(b)
			b.ResetTimer()
			start := time.Now()
			var last uint64
			lost := 0
			for i := range events {
				if rate > 0 && i%200 == 0 {
					time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				}
				key := f.Add(&events[i])
				for key == 0 && rate == 0 {
					time.Sleep(time.Millisecond)
					key = f.Add(&events[i])
				}
				if key == 0 {
					lost++
				}
				last = max(last, key)
			}
			settle(b, f, last)
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/row")
			b.ReportMetric(float64(lost), "lost")
		})
	}
}
