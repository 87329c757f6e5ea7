package demo

import (
	"testing"
)

// TestWalk is the demo itself: every step, on loopback.
func TestWalk(t *testing.T) {
	d, err := Start(t.Context(), Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range Steps() {
		told, took, err := d.Walk(t.Context(), s)
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		t.Logf("%-8s %6.1f ms  %s", s.Name, took.Seconds()*1e3, told)
	}
}
