package mailbox

import (
	"sync"
	"time"

	"mailstead/internal/sqlite"
)

// Rows of emails that lie nowhere any more stay in memory for as long as their
// bodies stay on the disk, because a session that has not been told of the
// expunge may still name them (RFC 2180, 4.1.2; RFC 9051, 7.5.1). No session
// outlives the process, so nothing of it is in the database. Where more goes at
// once than the bound holds, the oldest are answered with NO [EXPUNGEISSUED].
const (
	departedTime  = 10 * time.Minute // as mailbox/blob keeps the bytes
	departedBytes = 2 << 20
)

// departed keeps those rows, oldest first.
type departed struct {
	mu    sync.Mutex
	rows  map[int64]emailRow
	order []leaving
	used  int
}

// leaving is an email and when it went.
type leaving struct {
	id int64
	at time.Time
}

// weight is what a row takes, with its places in map and order.
func (r *emailRow) weight() int { return len(r.facts) + len(r.prefix) + 250 }

// keep takes rows in, once their expunge is committed.
func (d *departed) keep(rows []emailRow, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rows == nil {
		d.rows = make(map[int64]emailRow)
	}
	for _, r := range rows {
		if _, ok := d.rows[r.id]; ok {
			continue
		}
		d.rows[r.id] = r
		d.order = append(d.order, leaving{r.id, now})
		d.used += r.weight()
	}
	d.forget(now)
}

// forget drops what is too old or too much.
func (d *departed) forget(now time.Time) {
	n := 0
	for ; n < len(d.order) && (d.used > departedBytes || now.Sub(d.order[n].at) > departedTime); n++ {
		id := d.order[n].id
		r := d.rows[id]
		d.used -= r.weight()
		delete(d.rows, id)
	}
	if d.order = d.order[n:]; len(d.order) == 0 {
		d.rows, d.order = nil, nil
	}
}

func (d *departed) find(id int64, now time.Time) (emailRow, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(now)
	r, ok := d.rows[id]
	return r, ok
}

// Departed gives the row of an email that was expunged a short while ago and
// that Emails does not find any more. Errors: ErrExpunged.
func (s *Store) Departed(id int64) (*Email, error) {
	row, ok := s.departed.find(id, time.Now())
	if !ok {
		return nil, ErrExpunged
	}
	e := new(Email)
	if err := row.unpack(e); err != nil {
		return nil, err
	}
	return e, nil
}

// rememberDeparted keeps rows for sessions once tx is committed.
func (s *Store) rememberDeparted(tx *sqlite.Tx, rows []emailRow) {
	if len(rows) == 0 {
		return
	}
	tx.AfterCommit(func() { s.departed.keep(rows, time.Now()) })
}
