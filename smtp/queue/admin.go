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
