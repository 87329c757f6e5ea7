package mailbox

import (
	"errors"
	"testing"
	"time"
)

func TestDeparted(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	row := func(id int64, size int) emailRow { return emailRow{id: id, facts: make([]byte, size)} }
	var d departed
	there := func(at time.Duration, want ...int64) {
		t.Helper()
		for id := range int64(5) {
			_, ok := d.find(id, now.Add(at))
			found := false
			for _, w := range want {
				found = found || w == id
			}
			if ok != found {
				t.Errorf("email %d after %v: %v", id, at, ok)
			}
		}
	}
	d.keep([]emailRow{row(1, 10), row(2, 10)}, now)
	d.keep([]emailRow{row(3, 10)}, now.Add(5*time.Minute))
	there(10*time.Minute, 1, 2, 3)
	there(11*time.Minute, 3)
	there(16 * time.Minute)
	if d.used != 0 || d.rows != nil {
		t.Errorf("%d bytes, %d rows are left", d.used, len(d.rows))
	}
	// Too much at once: the oldest go first.
	d.keep([]emailRow{row(1, departedBytes/2), row(2, departedBytes/3), row(3, departedBytes/3)}, now)
	there(0, 2, 3)
	d.keep([]emailRow{row(4, 2*departedBytes)}, now)
	there(0)

	p := newPlace(t)
	if _, err := p.Departed(77); !errors.Is(err, ErrExpunged) {
		t.Error(err)
	}
}
