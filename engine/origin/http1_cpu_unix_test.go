//go:build unix

package origin

import (
	"syscall"
	"testing"
	"time"
)

// cpuPerOp reports what the process, both ends of the benchmark, took of the
// processor.
func cpuPerOp(b *testing.B) func() {
	start := cpu(b)
	return func() {
		b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op")
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
