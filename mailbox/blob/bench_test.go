package blob

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cpu is what this process has used.
func cpu() time.Duration {
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// BenchmarkFile makes files of 4 KiB bodies that were accepted inline.
func BenchmarkFile(b *testing.B) {
	p := newPlace(b)
	body := letter(4000)
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := g; i < b.N; i += 32 {
				p.accept(body, 1)
			}
		})
	}
	wg.Wait()
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	p.file()
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N)/1e3, "cpu-µs/op")
}

// BenchmarkAccept is the way to the reply for bodies of several sizes.
func BenchmarkAccept(b *testing.B) {
	for _, size := range []int{4000, 8000, 16_000, 16_400, 32_000, 64_000, 1 << 20} {
		for _, callers := range []int{1, 8} {
			b.Run(fmt.Sprintf("%d/%d", size, callers), func(b *testing.B) {
				p := newPlace(b)
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error)
				go func() { done <- p.s.Run(ctx) }()
				body := letter(size)
				b.SetBytes(int64(size))
				b.ResetTimer()
				before := cpu()
				var wg sync.WaitGroup
				for g := range callers {
					wg.Go(func() {
						for i := g; i < b.N; i += callers {
							p.accept(body, 1)
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				p.file()
				b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N)/1e3, "cpu-µs/op")
				cancel()
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
