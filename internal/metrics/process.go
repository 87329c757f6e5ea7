package metrics

import (
	"context"
	"runtime"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

// Process tells of this process: what every program of Prometheus' world calls
// by the same names.
func Process(started time.Time, version string) Source {
	return func(_ context.Context, w *Writer) {
		w.Gauge("mailstead_build_info", "Always 1; the version is a label.", 1, "version", version, "go", runtime.Version())
		w.Time("process_start_time_seconds", "When the process began.", started)
		var use unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err == nil {
			seconds := func(t unix.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
			w.Counter("process_cpu_seconds_total", "CPU time of user and system.", seconds(use.Utime)+seconds(use.Stime))
			w.Gauge("mailstead_memory_peak_bytes", "The greatest resident memory so far.", float64(use.Maxrss)*1024)
		}
		samples := []metrics.Sample{
			{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/sched/goroutines:goroutines"},
		}
		metrics.Read(samples)
		w.Gauge("mailstead_heap_bytes", "Memory of live objects and those not yet collected.", float64(samples[0].Value.Uint64()))
		w.Gauge("mailstead_memory_bytes", "All memory that the Go runtime has mapped.", float64(samples[1].Value.Uint64()))
		w.Gauge("mailstead_goroutines", "Goroutines.", float64(samples[2].Value.Uint64()))
	}
}
