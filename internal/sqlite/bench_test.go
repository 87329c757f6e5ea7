package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

func cpu() time.Duration {
	var ru syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// BenchmarkUpdate is a durable commit with a 4 KiB row: synchronous=FULL. Syncs
// are those that SQLite asked its files for, those of checkpoints included.
func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 8, 32} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			db, err := Open(context.Background(), filepath.Join(b.TempDir(), "x.db"), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			err = db.Update(context.Background(), func(tx *Tx) error {
				_, err := tx.Exec("CREATE TABLE letter (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			body := make([]byte, 4096)
			before, was := db.Stats(), cpu()
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for g := range callers {
				wg.Go(func() {
					for i := g; i < b.N; i += callers {
						err := db.Update(context.Background(), func(tx *Tx) error {
							_, err := tx.Exec("INSERT INTO letter (bytes) VALUES (?)", body)
							return err
						})
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			s := db.Stats()
			n := float64(b.N)
			b.ReportMetric(n/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(s.Syncs-before.Syncs)/n, "syncs/op")
			b.ReportMetric(float64((cpu()-was).Microseconds())/n, "cpu-µs/op")
		})
	}
}
