package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestShedPages: the program goes on with what it had.
func TestShedPages(t *testing.T) {
	before := Migrations()
	for range 3 {
		if err := shedFile(); err != nil {
			t.Fatal(err)
		}
	}
	if len(Migrations()) != len(before) || (&HostnameError{}).Hint() == "" {
		t.Error("the program's constants are gone")
	}
}

func TestShedPagesEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		new(App).shedPages(ctx)
	})
}
