package mailbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
)

// Copied pairs source and destination UIDs (COPYUID).
type Copied struct {
	UIDValidity uint32
	From, To    []uint32
}

// Copy puts messages into another mailbox of the same account: new placements of
// the same emails, with flags and INTERNALDATE, saved now. It is one commit, so
// that a reader sees all or nothing of it; usage does not grow in bytes.
// Errors: ErrNotExist for either mailbox.
func (s *Store) Copy(ctx context.Context, from int64, uids []uint32, to int64) (Copied, error) {
	var out Copied
	spans, err := s.spans(ctx, from, uids)
	if err == nil {
		out, err = update(ctx, s.db, func(tx *sqlite.Tx) (Copied, error) { return s.copy(tx, from, spans, to) })
	}
	if err != nil {
		return Copied{}, fmt.Errorf("copy: %w", err)
	}
	return out, nil
}

// Move puts messages into another mailbox of the same account under new UIDs,
// in chunks of 1,000, each its own commit: a message is always in one of the
// two. Emails, keywords and INTERNALDATE stay; the saved date is now. After an
// error what was moved is returned too.
// Errors: ErrNotExist for either mailbox.
func (s *Store) Move(ctx context.Context, from int64, uids []uint32, to int64) (Copied, error) {
	var out Copied
	chunks, err := s.chunks(ctx, from, uids, s.chunk)
	if err == nil && len(chunks) == 0 { // nothing to move: only look where it would go
		err = s.db.View(ctx, func(tx *sqlite.Tx) error {
			m, err := byID(tx, to)
			out.UIDValidity = m.UIDValidity
			return err
		})
	}
	for i := 0; err == nil && i < len(chunks); i++ {
		var part Copied
		part, err = update(ctx, s.db, func(tx *sqlite.Tx) (Copied, error) { return s.move(tx, from, chunks[i], to) })
		if err == nil {
			out.UIDValidity = part.UIDValidity
			out.From, out.To = append(out.From, part.From...), append(out.To, part.To...)
			err = ctx.Err()
		}
	}
	if err != nil {
		return out, fmt.Errorf("move: %w", err)
	}
	return out, nil
}

// tally is what messages add to the counters of a mailbox.
type tally struct {
	account                         int64
	uids                            []uint32
	messages, unseen, deleted, size int64
}

func (t *tally) add(uid uint32, f Flags, size int64) {
	t.uids = append(t.uids, uid)
	t.messages++
	t.unseen += 1 - f.count(Seen)
	t.deleted += f.count(Deleted)
	t.size += size
}

// count reads what the spans hold now.
func count(tx *sqlite.Tx, mailbox int64, spans []span) (t tally, err error) {
	for _, sp := range spans {
		rows, err := tx.Query(`SELECT uid, flags, size FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?`, mailbox, sp.first, sp.last)
		if err != nil {
			return t, err
		}
		for rows.Next() {
			var uid uint32
			var flags, size int64
			if err := rows.Scan(&uid, &flags, &size); err != nil {
				return t, err
			}
			t.add(uid, Flags(flags), size)
		}
		if err := rows.Err(); err != nil {
			return t, err
		}
	}
	return t, nil
}

// place adds placements in mailbox to for what the spans hold.
func (s *Store) place(tx *sqlite.Tx, from int64, spans []span, to int64) (t tally, out Copied, err error) {
	source, err := byID(tx, from)
	if err != nil {
		return t, out, err
	}
	dest, err := byID(tx, to)
	if err == nil && dest.Account != source.Account {
		err = ErrNotExist
	}
	if err != nil {
		return t, out, err
	}
	out.UIDValidity = dest.UIDValidity
	if t, err = count(tx, from, spans); err != nil || t.messages == 0 {
		return t, out, err
	}
	var modseq, uid int64
	err = tx.QueryRow(`UPDATE mailbox SET uidnext = uidnext + ?1, modseq = modseq + 1, messages = messages + ?1,
			unseen = unseen + ?2, deleted = deleted + ?3, size = size + ?4 WHERE id = ?5
		RETURNING uidnext - ?1, modseq`, t.messages, t.unseen, t.deleted, t.size, to).Scan(&uid, &modseq)
	if err != nil {
		return t, out, err
	}
	now := time.Now().Unix()
	for range t.uids {
		out.To = append(out.To, uint32(uid)+uint32(len(out.To)))
	}
	out.From = t.uids
	for _, sp := range spans {
		r, err := tx.Exec(`INSERT INTO placement (mailbox, uid, email, flags, modseq, keywords, saved, size)
			SELECT ?, ? + row_number() OVER (ORDER BY uid), email, flags, ?, keywords, ?, size
			FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?`,
			to, uid-1, modseq, now, from, sp.first, sp.last)
		if err != nil {
			return t, out, err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return t, out, err
		}
		uid += n
	}
	s.announce(tx, dest.Account, to, uint64(modseq))
	t.account = dest.Account
	return t, out, nil
}

func (s *Store) copy(tx *sqlite.Tx, from int64, spans []span, to int64) (Copied, error) {
	t, out, err := s.place(tx, from, spans, to)
	if err != nil {
		return out, err
	}
	return out, s.discharge(tx, t.account, 0, -t.messages)
}

func (s *Store) move(tx *sqlite.Tx, from int64, spans []span, to int64) (Copied, error) {
	t, out, err := s.place(tx, from, spans, to)
	if err != nil || t.messages == 0 {
		return out, err
	}
	_, err = s.unplace(tx, from, spans, t)
	return out, err
}

// unplace takes the placements of the spans out of a mailbox and logs them.
func (s *Store) unplace(tx *sqlite.Tx, mailbox int64, spans []span, t tally) (account int64, err error) {
	var modseq int64
	err = tx.QueryRow(`UPDATE mailbox SET modseq = modseq + 1, messages = messages - ?,
			unseen = unseen - ?, deleted = deleted - ?, size = size - ? WHERE id = ?
		RETURNING account, modseq`, t.messages, t.unseen, t.deleted, t.size, mailbox).Scan(&account, &modseq)
	if errors.Is(err, sqlite.ErrNoRows) {
		return 0, ErrNotExist
	}
	if err != nil {
		return 0, err
	}
	for _, sp := range spans {
		_, err := tx.Exec(`INSERT INTO expunged (mailbox, modseq, uid) SELECT mailbox, ?, uid FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?`,
			modseq, mailbox, sp.first, sp.last)
		if err == nil {
			_, err = tx.Exec(`DELETE FROM placement WHERE mailbox = ? AND uid BETWEEN ? AND ?`, mailbox, sp.first, sp.last)
		}
		if err != nil {
			return 0, err
		}
	}
	s.announce(tx, account, mailbox, uint64(modseq))
	return account, nil
}
