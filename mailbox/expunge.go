package mailbox

import (
	"context"
	"errors"
	"fmt"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
)

// Expunge removes those of uids that carry Deleted (all that carry it when
// uids is nil) and returns them. After an error what went is returned too.
func (s *Store) Expunge(ctx context.Context, mailbox int64, uids []uint32) ([]uint32, error) {
	if uids == nil {
		v, err := s.Snapshot(ctx, mailbox)
		if err != nil {
			return nil, fmt.Errorf("expunge: %w", err)
		}
		for _, e := range v.All {
			if e.Flags&Deleted != 0 {
				uids = append(uids, e.UID)
			}
		}
	}
	gone, err := s.remove(ctx, mailbox, uids, Deleted)
	if err != nil {
		return gone, fmt.Errorf("expunge: %w", err)
	}
	return gone, nil
}

// Remove removes messages regardless of the flag.
func (s *Store) Remove(ctx context.Context, mailbox int64, uids []uint32) error {
	if _, err := s.remove(ctx, mailbox, uids, 0); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	return nil
}

// remove takes messages that carry all of must out, in chunks.
func (s *Store) remove(ctx context.Context, mailbox int64, uids []uint32, must Flags) (gone []uint32, err error) {
	chunks, err := s.chunks(ctx, mailbox, uids, s.chunk)
	for i := 0; err == nil && i < len(chunks); i++ {
		var part []uint32
		part, err = update(ctx, s.db, func(tx *sqlite.Tx) ([]uint32, error) { return s.removeSpans(tx, mailbox, chunks[i], must) })
		if err == nil {
			gone = append(gone, part...)
			err = ctx.Err()
		}
	}
	return gone, err
}

func (s *Store) removeSpans(tx *sqlite.Tx, mailbox int64, spans []span, must Flags) ([]uint32, error) {
	var p picked
	for _, sp := range spans {
		err := p.read(tx, must, `SELECT uid, flags, size, email FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?`, mailbox, sp.first, sp.last)
		if err != nil {
			return nil, err
		}
	}
	return p.uids, s.removePicked(tx, mailbox, p)
}

// removeFirst takes a chunk out of a mailbox from its beginning.
func (s *Store) removeFirst(tx *sqlite.Tx, mailbox int64) (n int, err error) {
	var p picked
	if err := p.read(tx, 0, `SELECT uid, flags, size, email FROM placement WHERE mailbox = ? ORDER BY uid LIMIT ?`, mailbox, s.chunk); err != nil {
		return 0, err
	}
	return len(p.uids), s.removePicked(tx, mailbox, p)
}

// picked is messages that will be removed.
type picked struct {
	tally
	emails []int64
	spans  []span
}

// read adds the rows of a SELECT uid, flags, size, email in the order of UIDs,
// which leaves no message of its range out.
func (p *picked) read(tx *sqlite.Tx, must Flags, query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	joins := false // the row before belongs to the last span
	for rows.Next() {
		var uid uint32
		var flags, size, email int64
		if err := rows.Scan(&uid, &flags, &size, &email); err != nil {
			return err
		}
		if Flags(flags)&must != must {
			joins = false
			continue
		}
		if joins {
			p.spans[len(p.spans)-1].last = uid
		} else {
			p.spans = append(p.spans, span{first: uid, last: uid})
		}
		joins = true
		p.add(uid, Flags(flags), size)
		p.emails = append(p.emails, email)
	}
	return rows.Err()
}

// removePicked deletes placements, and the emails that have no other.
func (s *Store) removePicked(tx *sqlite.Tx, mailbox int64, p picked) error {
	if len(p.uids) == 0 {
		return nil
	}
	account, err := s.unplace(tx, mailbox, p.spans, p.tally)
	if err != nil {
		return err
	}
	var bytes int64
	var rows []emailRow
	for _, id := range p.emails {
		row, err := s.dropEmail(tx, account, id)
		if err != nil {
			return err
		}
		if row.id != 0 {
			bytes += row.size
			rows = append(rows, row)
		}
	}
	s.rememberDeparted(tx, rows)
	return s.discharge(tx, account, bytes, p.messages)
}

// dropEmail deletes an email that lies nowhere any more and lets go of its body.
// Its row is empty where the email lies elsewhere too.
func (s *Store) dropEmail(tx *sqlite.Tx, account, id int64) (row emailRow, err error) {
	err = row.scan(tx.QueryRow(`DELETE FROM email WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM placement WHERE email = ?1)
		RETURNING `+emailColumns, id))
	if errors.Is(err, sqlite.ErrNoRows) {
		return emailRow{}, nil
	}
	if err != nil {
		return emailRow{}, err
	}
	return row, s.blobs.Unref(tx, blob.ID(row.body), account)
}

// Vanished gives the UIDs that went after mod-sequence since, ascending (RFC
// 7162, 3.2.10.2). known is false when the log does not reach back so far: then
// every UID that is not in the mailbox must be taken as gone.
func (s *Store) Vanished(ctx context.Context, mailbox int64, since uint64) (uids []uint32, known bool, err error) {
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		var floor int64
		err := tx.QueryRow(`SELECT floor FROM mailbox WHERE id = ? AND state = 0`, mailbox).Scan(&floor)
		if errors.Is(err, sqlite.ErrNoRows) {
			return ErrNotExist
		}
		if known = err == nil && since >= uint64(floor); !known {
			return err
		}
		uids, err = expungedSince(tx, mailbox, since)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("vanished: %w", err)
	}
	return uids, known, nil
}
