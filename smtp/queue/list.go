package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
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
