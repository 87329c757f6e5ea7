package limit

import (
	"testing"
	"time"
)

func TestTake(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := &Table[string]{Burst: 3, Rate: 60}
	for _, tt := range []struct {
		after time.Duration
		key   string
		n     int
		want  bool
	}{
		{0, "a", 2, true}, {0, "a", 2, false}, {0, "a", 1, true}, {0, "a", 1, false},
		{0, "b", 3, true},
		{time.Minute, "a", 1, true}, {0, "a", 1, false},
		{time.Hour, "a", 4, false}, {0, "a", 3, true},
	} {
		now = now.Add(tt.after)
		if got := l.Take(tt.key, tt.n, now); got != tt.want {
			t.Errorf("%s takes %d at %v: %v", tt.key, tt.n, now, got)
		}
	}
	if !new(Table[int]).Take(1, 1000, now) {
		t.Error("a table without a burst limits")
	}
}

func TestTableStaysSmall(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := &Table[int]{Burst: 2, Rate: 3600}
	for i := range 200_000 {
		l.Take(i, 1, now)
	}
	if n := len(l.buckets); n > MaxKeys {
		t.Errorf("%d buckets at once", n)
	}
	now = now.Add(time.Minute)
	for i := range MaxKeys {
		l.Take(-1-i, 1, now.Add(time.Duration(i)*time.Second))
	}
	if n := len(l.buckets); n > 4096 {
		t.Errorf("%d buckets although most are full", n)
	}
}
