package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/message"
)

// ErrNotExist: the queue has no such message.
var ErrNotExist = errors.New("not in the queue")

// State of a recipient that waits.
type State string

const (
	Waiting    State = "queued"
	Attempting State = "attempting"
	Deferred   State = "deferred"
	Held       State = "held"
)

// Entry is a message in the queue, for people.
type Entry struct {
	QID         int64
	MID         string
	Account     int64
	ReversePath message.Address
	Size        int64
	Created     time.Time
	Expires     time.Time
	Recipients  []RecipientEntry // that still wait
}

// RecipientEntry is one recipient that still waits.
type RecipientEntry struct {
	Address  message.Address
	State    State
	Attempts int
	Next     time.Time
	Status   string // of the last attempt, as all below
	Reply    string
	Host     string
	Reason   string
}

// Counts is the queue in numbers.
type Counts struct {
	Messages, Recipients, Deferred, Held int64
	Attempting                           int       // Items
	Oldest                               time.Time // zero when the queue is empty
}

// List gives the messages with a QID above after, at most limit of them (0
// means 1,000), the oldest first.
func (q *Queue) List(ctx context.Context, after int64, limit int) ([]Entry, error) {
	if limit <= 0 {
		limit = 1000
	}
	return q.entries(ctx, `id IN (SELECT id FROM queue_message WHERE id > ?1 ORDER BY id LIMIT ?2)`, after, limit)
}

// Show gives one message. Errors: ErrNotExist.
func (q *Queue) Show(ctx context.Context, qid int64) (Entry, error) {
	all, err := q.entries(ctx, `id = ?1`, qid)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("queue item %d: %w", qid, ErrNotExist)
	}
	if err != nil {
		return Entry{}, err
	}
	return all[0], nil
}

func (q *Queue) entries(ctx context.Context, where string, args ...any) ([]Entry, error) {
	var all []Entry
	err := q.db.View(ctx, func(tx *sqlite.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT m.id, m.mid, m.account, m.reverse_path, m.size, m.created,
				r.destination, r.address, r.held, r.attempts, r.next, r.status, r.reply, r.host, r.reason
			FROM queue_message m JOIN queue_recipient r ON r.message = m.id WHERE m.`+where+` ORDER BY m.id, r.id`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e Entry
			var r RecipientEntry
			var reverse, destination, address string
			var created, next int64
			var isHeld bool
			if err := rows.Scan(&e.QID, &e.MID, &e.Account, &reverse, &e.Size, &created, &destination, &address,
				&isHeld, &r.Attempts, &next, &r.Status, &r.Reply, &r.Host, &r.Reason); err != nil {
				return err
			}
			if len(all) == 0 || all[len(all)-1].QID != e.QID {
				e.Created = time.UnixMilli(created)
				e.Expires = e.Created.Add(q.o.Schedule.Expire)
				if reverse != "" {
					e.ReversePath, _ = message.ParseAddress(reverse) // written by us
				}
				all = append(all, e)
			}
			r.Address, _ = message.ParseAddress(address)
			r.Next = time.UnixMilli(next)
			r.State = q.state(key{e.QID, message.Domain(destination)}, isHeld, r.Attempts)
			last := &all[len(all)-1]
			last.Recipients = append(last.Recipients, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read the queue: %w", err)
	}
	return all, nil
}

func (q *Queue) state(k key, isHeld bool, attempts int) State {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch e := q.s.entries[k]; {
	case isHeld:
		return Held
	case e != nil && e.place == attempting:
		return Attempting
	case attempts > 0:
		return Deferred
	}
	return Waiting
}

// Counts counts.
func (q *Queue) Counts(ctx context.Context) (Counts, error) {
	var c Counts
	var oldest int64
	err := q.db.View(ctx, func(tx *sqlite.Tx) error {
		err := tx.QueryRow(`SELECT count(*), coalesce(min(created), 0) FROM queue_message`).Scan(&c.Messages, &oldest)
		if err != nil {
			return err
		}
		return tx.QueryRow(`SELECT count(*), coalesce(sum(attempts > 0 AND held = 0), 0), coalesce(sum(held), 0)
			FROM queue_recipient`).Scan(&c.Recipients, &c.Deferred, &c.Held)
	})
	if err != nil {
		return c, fmt.Errorf("count the queue: %w", err)
	}
	if oldest != 0 {
		c.Oldest = time.UnixMilli(oldest)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	c.Attempting = q.s.running
	return c, nil
}

// Retry makes a message due now and ends a hold; qid 0 is every message.
// Errors: ErrNotExist.
func (q *Queue) Retry(ctx context.Context, qid int64) error {
	now := time.Now()
	keys, err := q.change(ctx, qid, false, now.UnixMilli())
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.s.ctx == nil {
		return nil
	}
	for _, k := range keys {
		e := q.s.entries[k]
		switch {
		case e == nil:
			q.s.add(k, now, false)
		case e.place == attempting:
			e.again, e.keep = true, false
		case e.place != ready:
			q.s.take(e, q.o.PerDestination)
			q.s.at(e, now)
		}
	}
	q.start()
	return nil
}

// Hold keeps a message back until Retry. A running attempt is not ended.
// Errors: ErrNotExist.
func (q *Queue) Hold(ctx context.Context, qid int64) error {
	keys, err := q.change(ctx, qid, true, time.Now().UnixMilli())
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, k := range keys {
		if e := q.s.entries[k]; e != nil && e.place == attempting {
			e.keep, e.again = true, false
		} else if e != nil {
			q.s.take(e, q.o.PerDestination)
		}
	}
	return nil
}

// Delete takes a message out of the queue without a DSN. An attempt that runs
// may still deliver it. Errors: ErrNotExist.
func (q *Queue) Delete(ctx context.Context, qid int64) error {
	if qid == 0 {
		return ErrNotExist
	}
	var events []maillog.Event
	var keys []key
	err := q.db.Update(ctx, func(tx *sqlite.Tx) (err error) {
		events, keys, err = q.remove(tx, qid)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete queue item %d: %w", qid, err)
	}
	for _, ev := range events {
		q.o.Events.Record(ev)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, k := range keys {
		if e := q.s.entries[k]; e != nil && e.place != attempting {
			q.s.take(e, q.o.PerDestination)
			delete(q.s.entries, k)
		}
	}
	return nil
}

// remove deletes a message's rows with their trace.
func (q *Queue) remove(tx *sqlite.Tx, qid int64) (events []maillog.Event, keys []key, err error) {
	m, err := readMessage(tx, qid)
	if errors.Is(err, sqlite.ErrNoRows) {
		return nil, nil, ErrNotExist
	} else if err != nil {
		return nil, nil, err
	}
	rows, err := tx.Query(`DELETE FROM queue_recipient WHERE message = ? RETURNING destination, address`, qid)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var destination, address string
		if err := rows.Scan(&destination, &address); err != nil {
			return nil, nil, err
		}
		keys = append(keys, key{qid, message.Domain(destination)})
		events = append(events, maillog.Event{
			Time: time.Now(), Kind: maillog.Deleted, MID: m.MID, QID: qid, Account: m.Account,
			ReversePath: pathText(m.Envelope.ReversePath), Rcpt: address, Kept: true,
		})
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	for _, ev := range events {
		if err := trace.Add(tx, ev); err != nil {
			return nil, nil, err
		}
	}
	return events, keys, q.dropIfDone(tx, qid, m.Body)
}

// chunk is how many rows one commit changes, so that doors need not wait long.
const chunk = 1000

// change sets hold and time of the rows of qid, or of all when it is 0, and
// gives the Items that they belong to.
func (q *Queue) change(ctx context.Context, qid int64, hold bool, next int64) ([]key, error) {
	var keys []key
	for last := int64(0); ; {
		part, end, err := q.changeChunk(ctx, qid, last, hold, next)
		if err != nil {
			return nil, fmt.Errorf("change queue item %d: %w", qid, err)
		}
		keys = append(keys, part...)
		if len(part) < chunk {
			break
		}
		last = end
	}
	if len(keys) == 0 && qid != 0 {
		return nil, fmt.Errorf("queue item %d: %w", qid, ErrNotExist)
	}
	return keys, nil
}

func (q *Queue) changeChunk(ctx context.Context, qid, after int64, hold bool, next int64) (keys []key, last int64, err error) {
	const set = `UPDATE queue_recipient SET held = ?3, next = CASE WHEN ?3 THEN next ELSE ?4 END WHERE id IN (
		SELECT id FROM queue_recipient WHERE `
	const rest = ` AND id > ?2 ORDER BY id LIMIT ?5) RETURNING id, message, destination`
	query := set + `message = ?1` + rest
	if qid == 0 {
		query = set + `?1 = 0` + rest
	}
	err = q.db.Update(ctx, func(tx *sqlite.Tx) error {
		keys = nil
		rows, err := tx.Query(query, qid, after, hold, next, chunk)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k key
			var id int64
			if err := rows.Scan(&id, &k.qid, &k.destination); err != nil {
				return err
			}
			keys, last = append(keys, k), max(last, id)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, 0, err
	}
	return keys, last, nil
}
