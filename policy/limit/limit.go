// Package limit counts how often somebody does something: token buckets by key.
// It knows neither what is counted nor what happens to those over a limit, and
// it forgets everything when the process ends.
//
// A bucket holds Burst tokens and gets Rate more an hour. Full buckets are
// forgotten, so the table is as large as the number of those who were busy
// lately; at MaxKeys the fullest go first, for they say the least.
package limit

import (
	"sync"
	"time"
)

// MaxKeys bounds a table.
const MaxKeys = 50_000

// Table is a set of buckets. Burst and Rate are set before the first Take.
type Table[K comparable] struct {
	Burst float64 // tokens of a full bucket; 0 means no limit at all
	Rate  float64 // tokens an hour

	mu      sync.Mutex
	buckets map[K]bucket
	sweep   int // size at which full buckets are looked for
}

type bucket struct {
	tokens float64
	at     time.Time
}

// Take takes n tokens of key's bucket, or none and tells false.
func (t *Table[K]) Take(key K, n int, now time.Time) bool {
	if t.Burst == 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b, ok := t.buckets[key]
	if !ok {
		t.room(now)
		b = bucket{t.Burst, now}
	}
	b = t.filled(b, now)
	taken := b.tokens >= float64(n)
	if taken {
		b.tokens -= float64(n)
	}
	t.buckets[key] = b
	return taken
}

func (t *Table[K]) filled(b bucket, now time.Time) bucket {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(t.Burst, b.tokens+d.Hours()*t.Rate)
		b.at = now
	}
	return b
}

// room forgets full buckets when the table has grown, and the fuller half of
// the others where that does not help.
func (t *Table[K]) room(now time.Time) {
	if t.buckets == nil {
		t.buckets, t.sweep = make(map[K]bucket), 1024
	}
	if len(t.buckets) < t.sweep {
		return
	}
	sum := 0.0
	for k, b := range t.buckets {
		if b = t.filled(b, now); b.tokens >= t.Burst {
			delete(t.buckets, k)
		} else {
			sum += b.tokens
		}
	}
	if n := len(t.buckets); n >= MaxKeys {
		mean := sum / float64(n)
		for k, b := range t.buckets {
			if t.filled(b, now).tokens >= mean {
				delete(t.buckets, k)
			}
		}
	}
	t.sweep = max(1024, 2*len(t.buckets))
	t.sweep = min(t.sweep, max(MaxKeys, len(t.buckets)+1))
}
