package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
)

// RecoveredName is the mailbox that holds what Rebuild found.
const RecoveredName = "Recovered"

// Rebuild brings the index and the message files together again, after a
// restore or damage, before the doors open. It loses no message: files that the
// database does not know, and emails that lie in no mailbox, come into Recovered
// of the account they belong to, unread. Rows that lead nowhere go: placements
// without an email, and emails whose bytes are gone (after a restore: what was
// deleted since the snapshot), unless that would be most of an account's. A file
// of the wrong length comes as it is into Recovered, in the place of the message
// that it was. report
// gets a sentence for each thing done and for each file that is left alone.
func (s *Store) Rebuild(ctx context.Context, report func(Finding)) (recovered int, err error) {
	r := rebuilder{s: s, report: report}
	for _, step := range [...]func(context.Context) error{r.dropLoose, r.dropMissing, r.abandonTorn, r.adoptEmails, r.adoptFiles, s.Repair} {
		if err := step(ctx); err != nil {
			return r.recovered, fmt.Errorf("rebuild: %w", err)
		}
	}
	return r.recovered, nil
}

// tooMany missing files, when they are also most of an account's, are taken for
// a folder that is not mounted rather than for mail that was deleted.
const tooMany = 20

type rebuilder struct {
	s         *Store
	report    func(Finding)
	recovered int
}

func (r *rebuilder) say(account int64, format string, args ...any) {
	r.report(Finding{Account: account, Text: fmt.Sprintf(format, args...)})
}

// dropLoose deletes placements whose email or mailbox is not there, and what the
// logs of expunges cannot know.
func (r *rebuilder) dropLoose(ctx context.Context) error {
	var placements, log int64
	err := r.s.db.Update(ctx, func(tx *sqlite.Tx) error {
		a, err := tx.Exec(`DELETE FROM placement WHERE NOT EXISTS (SELECT 1 FROM email e WHERE e.id = placement.email)
			OR NOT EXISTS (SELECT 1 FROM mailbox m WHERE m.id = placement.mailbox)`)
		if err != nil {
			return err
		}
		b, err := tx.Exec(`DELETE FROM expunged WHERE
			EXISTS (SELECT 1 FROM placement p WHERE p.mailbox = expunged.mailbox AND p.uid = expunged.uid)
			OR NOT EXISTS (SELECT 1 FROM mailbox m WHERE m.id = expunged.mailbox AND m.modseq >= expunged.modseq AND m.uidnext > expunged.uid)`)
		if err != nil {
			return err
		}
		placements, _ = a.RowsAffected()
		log, _ = b.RowsAffected()
		return nil
	})
	if err == nil && placements+log > 0 {
		r.say(0, "%d entries of mailboxes and %d of logs led nowhere and were removed", placements, log)
	}
	return err
}

// dropMissing deletes emails whose bytes are gone.
func (r *rebuilder) dropMissing(ctx context.Context) error {
	accounts, err := r.s.ids(ctx, `SELECT DISTINCT account FROM email`)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		missing, err := r.s.blobs.Missing(ctx, a)
		if err != nil {
			return err
		}
		total, err := r.s.ids(ctx, `SELECT count(DISTINCT body) FROM email WHERE account = ?`, a)
		if err != nil {
			return err
		}
		if len(missing) > tooMany && 2*len(missing) > int(total[0]) {
			r.say(a, "the bytes of %d of %d messages of account %d are not there: is the disk with the message files mounted? Nothing was removed",
				len(missing), total[0], a)
			continue
		}
		for part := range slices.Chunk(missing, r.s.chunk) {
			if err := r.s.db.Update(ctx, func(tx *sqlite.Tx) error { return r.s.dropBodies(tx, part) }); err != nil {
				return err
			}
		}
		if len(missing) > 0 {
			r.say(a, "the bytes of %d messages of account %d are gone; their entries were removed", len(missing), a)
		}
	}
	return r.dropBodiless(ctx)
}

// abandonTorn lets go of files that have another length than was received, so
// that adoptFiles finds what is left of them.
func (r *rebuilder) abandonTorn(ctx context.Context) error {
	torn, err := r.s.blobs.Torn(ctx)
	if err != nil || len(torn) == 0 {
		return err
	}
	total, err := r.s.ids(ctx, `SELECT count(DISTINCT body) FROM email`)
	if err != nil {
		return err
	}
	if len(torn) > tooMany && 2*len(torn) > int(total[0]) {
		r.say(0, "the files of %d of %d messages have another length than was received: is this the right disk? Nothing was changed", len(torn), total[0])
		return nil
	}
	for part := range slices.Chunk(torn, r.s.chunk) {
		err := r.s.db.Update(ctx, func(tx *sqlite.Tx) error {
			for _, body := range part {
				if err := r.s.forgetEmails(tx, body, false); err != nil {
					return err
				}
				if err := r.s.blobs.Abandon(tx, body); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	r.say(0, "the files of %d messages have another length than was received; what is left of them comes into %s", len(torn), RecoveredName)
	return nil
}

// dropBodiless deletes emails whose body has no row.
func (r *rebuilder) dropBodiless(ctx context.Context) error {
	emails, err := r.s.ids(ctx, `SELECT id FROM email e WHERE NOT EXISTS (SELECT 1 FROM body b WHERE b.id = e.body AND b.gone IS NULL)`)
	if err != nil {
		return err
	}
	for _, id := range emails {
		if err := r.s.db.Update(ctx, func(tx *sqlite.Tx) error { return r.s.dropRow(tx, id, 0, 0) }); err != nil {
			return err
		}
	}
	if len(emails) > 0 {
		r.say(0, "%d entries had no body and were removed", len(emails))
	}
	return nil
}

// dropBodies removes every email of some bodies wherever it lies.
func (s *Store) dropBodies(tx *sqlite.Tx, bodies []blob.ID) error {
	for _, body := range bodies {
		if err := s.forgetEmails(tx, body, true); err != nil {
			return err
		}
	}
	return nil
}

// forgetEmails removes every email of a body, which loses those holders where
// release is set.
func (s *Store) forgetEmails(tx *sqlite.Tx, body blob.ID, release bool) error {
	type row struct{ id, account int64 }
	var emails []row
	rows, err := tx.Query(`SELECT id, account FROM email WHERE body = ?`, int64(body))
	if err != nil {
		return err
	}
	for rows.Next() {
		var e row
		if err := rows.Scan(&e.id, &e.account); err != nil {
			return err
		}
		emails = append(emails, e)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	holds := body
	if !release {
		holds = 0
	}
	for _, e := range emails {
		if err := s.dropRow(tx, e.id, e.account, holds); err != nil {
			return err
		}
	}
	return nil
}

// dropRow removes an email's row with its placements; counters are counted anew
// at the end. body 0: there is none to let go of.
func (s *Store) dropRow(tx *sqlite.Tx, id, account int64, body blob.ID) error {
	if _, err := tx.Exec(`DELETE FROM placement WHERE email = ?`, id); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM email WHERE id = ?`, id); err != nil {
		return err
	}
	if body == 0 {
		return nil
	}
	return s.blobs.Unref(tx, body, account)
}

// adoptEmails puts emails that lie nowhere into Recovered.
func (r *rebuilder) adoptEmails(ctx context.Context) error {
	emails, err := r.s.ids(ctx, `SELECT id FROM email e WHERE NOT EXISTS (SELECT 1 FROM placement p WHERE p.email = e.id)`)
	for i := 0; err == nil && i < len(emails); i++ {
		err = r.s.db.Update(ctx, func(tx *sqlite.Tx) error {
			var account, size int64
			if err := tx.QueryRow(`SELECT account, size FROM email WHERE id = ?`, emails[i]).Scan(&account, &size); err != nil {
				return err
			}
			m, err := r.s.recoveredBox(tx, account)
			if err != nil {
				return err
			}
			_, err = r.s.addPlacement(tx, m.ID, placement{email: emails[i], size: size})
			return err
		})
		if err == nil {
			r.recovered++
		}
	}
	if len(emails) > 0 {
		r.say(0, "%d messages that lay in no mailbox were put into %s", len(emails), RecoveredName)
	}
	return err
}

// recoveredBox finds or makes the mailbox.
func (s *Store) recoveredBox(tx *sqlite.Tx, account int64) (Mailbox, error) {
	m, err := s.byName(tx, account, RecoveredName)
	if errors.Is(err, ErrNotExist) || m.NoSelect {
		m, err = s.create(tx, account, RecoveredName, "")
		if err == nil {
			err = subscribe(tx, account, RecoveredName)
		}
	}
	return m, err
}

// adoptFiles puts files that the database does not know into Recovered.
func (r *rebuilder) adoptFiles(ctx context.Context) error {
	files, err := r.s.blobs.Unknown(ctx)
	if err != nil {
		return err
	}
	found := map[int64]int{}
	for _, f := range files {
		owners, err := r.s.known(ctx, f.Owners)
		if err != nil {
			return err
		}
		if len(owners) == 0 {
			r.say(f.Owners[0], "file %d lies in the folder of %d, which is no account with mail; it is left there", f.ID, f.Owners[0])
			continue
		}
		if err := r.s.adoptFile(ctx, f, owners); err != nil {
			return fmt.Errorf("file %d: %w", f.ID, err)
		}
		for _, a := range owners {
			found[a]++
			r.recovered++
		}
	}
	for a, n := range found {
		r.say(a, "%d files of account %d were put into %s", n, a, RecoveredName)
	}
	return nil
}

// known gives those owners that are accounts with mail; the queue is none.
func (s *Store) known(ctx context.Context, owners []int64) (out []int64, err error) {
	for _, a := range owners {
		n, err := s.ids(ctx, `SELECT count(*) FROM mail_account WHERE account = ?`, a)
		if err != nil {
			return nil, err
		}
		if n[0] > 0 && a != blob.Queue {
			out = append(out, a)
		}
	}
	return out, nil
}

func (s *Store) adoptFile(ctx context.Context, f blob.Found, owners []int64) error {
	d, err := f.Open(ctx)
	if err != nil {
		return err
	}
	in, err := scan(d)
	if err != nil {
		d.Close()
		return err
	}
	in.Draft = d
	defer in.Close()
	return s.db.Update(ctx, func(tx *sqlite.Tx) error {
		id, err := d.Commit(tx)
		if err != nil {
			return err
		}
		for _, account := range owners {
			m, err := s.recoveredBox(tx, account)
			if err != nil {
				return err
			}
			if _, err := s.append(tx, in, Placing{Mailbox: m.ID, Body: id, Received: f.Time}, noLimit); err != nil {
				return err
			}
		}
		return nil
	})
}
