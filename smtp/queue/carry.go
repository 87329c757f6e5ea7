package queue

import (
	"context"
	"errors"
	"fmt"
	"io"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
)

// Queued is a database with the store of its bodies.
type Queued struct {
	DB    *sqlite.DB
	Blobs *blob.Store
}

// Carry makes an older database wait for the same mail as a newer one, before
// the older takes its place: what has come since is added, what has left since
// goes. Nothing is sent twice and nothing stays behind. No Queue runs on either.
func Carry(ctx context.Context, from, to Queued) (waiting int, err error) {
	newer, err := carried(ctx, from.DB)
	if err != nil {
		return 0, fmt.Errorf("carry the queue: %w", err)
	}
	older, err := carried(ctx, to.DB)
	if err != nil {
		return 0, fmt.Errorf("carry the queue: %w", err)
	}
	// What both know is put in anew as well: its body may have been delivered to
	// somebody of ours in between, who is to find its file as one without a row.
	for qid, m := range older {
		if err := to.drop(ctx, qid, m); err != nil {
			return 0, fmt.Errorf("carry message %d: %w", qid, err)
		}
	}
	for qid, m := range newer {
		if err := to.add(ctx, qid, m, from); err != nil {
			return 0, fmt.Errorf("carry message %d: %w", qid, err)
		}
	}
	return len(newer), nil
}

// parcel is a message's row with its recipients', as they are.
type parcel struct {
	body   blob.ID
	row    []any // of messageColumns but body
	people [][]any
}

const (
	messageColumns   = `mid, account, verified, reverse_path, smtputf8, eightbit, envid, ret, prefix, size, created`
	recipientColumns = `destination, address, original, notify, held, warned, attempts, next, status, reply, host, reason`
)

// carried reads all that waits.
func carried(ctx context.Context, db *sqlite.DB) (all map[int64]*parcel, err error) {
	err = db.View(ctx, func(tx *sqlite.Tx) error {
		all = map[int64]*parcel{}
		rows, err := tx.Query(`SELECT id, body, ` + messageColumns + ` FROM queue_message`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var qid, account, verified, utf8, eightbit, size, created int64
			var mid, reverse, envid, ret string
			var prefix []byte
			m := &parcel{}
			if err := rows.Scan(&qid, &m.body, &mid, &account, &verified, &reverse, &utf8, &eightbit, &envid, &ret, &prefix, &size, &created); err != nil {
				return err
			}
			if prefix == nil {
				prefix = []byte{}
			}
			m.row = []any{mid, account, verified, reverse, utf8, eightbit, envid, ret, prefix, size, created}
			all[qid] = m
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return carriedPeople(tx, all)
	})
	return all, err
}

func carriedPeople(tx *sqlite.Tx, all map[int64]*parcel) error {
	rows, err := tx.Query(`SELECT message, ` + recipientColumns + ` FROM queue_recipient ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var qid, notify, held, warned, attempts, next int64
		var destination, address, original, status, reply, host, reason string
		err := rows.Scan(&qid, &destination, &address, &original, &notify, &held, &warned, &attempts, &next, &status, &reply, &host, &reason)
		if err != nil {
			return err
		}
		if m := all[qid]; m != nil {
			m.people = append(m.people, []any{destination, address, original, notify, held, warned, attempts, next, status, reply, host, reason})
		}
	}
	return rows.Err()
}

// drop takes a message out, and leaves its files alone.
func (q Queued) drop(ctx context.Context, qid int64, m *parcel) error {
	return q.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if _, err := tx.Exec(`DELETE FROM queue_recipient WHERE message = ?`, qid); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM queue_message WHERE id = ?`, qid); err != nil {
			return err
		}
		return q.Blobs.Disown(tx, m.body)
	})
}

func (m *parcel) insertPeople(tx *sqlite.Tx, qid int64) error {
	for _, p := range m.people {
		_, err := tx.Exec(`INSERT INTO queue_recipient (message, `+recipientColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append([]any{qid}, p...)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// add brings a message that came since, with a copy of its bytes: the body's own
// number may have to stay free for the mailboxes that hold it too.
func (q Queued) add(ctx context.Context, qid int64, m *parcel, from Queued) error {
	r, err := from.Blobs.Open(ctx, m.body)
	if errors.Is(err, blob.ErrMissing) || errors.Is(err, blob.ErrNotExist) {
		return nil // it could not be sent either
	}
	if err != nil {
		return err
	}
	defer r.Close()
	d, err := q.Blobs.Put(ctx, io.NewSectionReader(r, 0, r.Size()))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Settle(ctx, blob.Queue); err != nil {
		return err
	}
	return q.DB.Update(ctx, func(tx *sqlite.Tx) error {
		id, err := d.Commit(tx)
		if err != nil {
			return err
		}
		if err := q.Blobs.Ref(tx, id, blob.Queue); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO queue_message (id, body, `+messageColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append([]any{qid, int64(id)}, m.row...)...)
		if err != nil {
			return err
		}
		return m.insertPeople(tx, qid)
	})
}
