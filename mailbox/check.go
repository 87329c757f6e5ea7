package mailbox

import (
	"context"
	"fmt"

	"mailstead/internal/sqlite"
)

// Finding is one thing that Check found wrong, as a plain sentence.
type Finding struct {
	Account, Mailbox, Email int64 // what is known of where
	Counter                 bool  // Repair puts it right without loss
	Text                    string
}

// Check compares the index with itself and with the table of bodies, in one
// read transaction: counters with what they count, placements with emails,
// UIDs and mod-sequences with what the mailbox has allotted. mailbox/blob
// compares bodies with files.
func (s *Store) Check(ctx context.Context, report func(Finding)) error {
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		for _, check := range [...]func(*sqlite.Tx, func(Finding)) error{
			checkMailboxes, checkUsage, checkPlacements, checkEmails, checkLog,
		} {
			if err := check(tx, report); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("check mail: %w", err)
	}
	return nil
}

// each runs a query and hands every row's columns to fn.
func each(tx *sqlite.Tx, query string, dest []any, fn func()) error {
	rows, err := tx.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		fn()
	}
	return rows.Err()
}

func checkMailboxes(tx *sqlite.Tx, report func(Finding)) error {
	var id, account, state, uidnext, modseq, topUID, topSeq int64
	var name string
	var have, want [4]int64
	kept := [...]string{"messages", "unseen messages", "deleted messages", "bytes"}
	return each(tx, `SELECT m.id, m.account, m.name, m.state, m.uidnext, m.modseq, m.messages, m.unseen, m.deleted, m.size,
			count(p.uid), coalesce(sum(p.flags & 1 = 0), 0), coalesce(sum(p.flags & 8 <> 0), 0), coalesce(sum(p.size), 0),
			coalesce(max(p.uid), 0), coalesce(max(p.modseq), 0)
		FROM mailbox m LEFT JOIN placement p ON p.mailbox = m.id GROUP BY m.id`,
		[]any{&id, &account, &name, &state, &uidnext, &modseq, &have[0], &have[1], &have[2], &have[3],
			&want[0], &want[1], &want[2], &want[3], &topUID, &topSeq},
		func() {
			f := Finding{Account: account, Mailbox: id, Counter: true}
			for i := range kept {
				if have[i] != want[i] {
					f.Text = fmt.Sprintf("mailbox %q of account %d counts %d %s, but holds %d", name, account, have[i], kept[i], want[i])
					report(f)
				}
			}
			if topUID >= uidnext {
				f.Text = fmt.Sprintf("mailbox %q of account %d would give UID %d again: it holds UID %d", name, account, uidnext, topUID)
				report(f)
			}
			if topSeq > modseq {
				f.Text = fmt.Sprintf("mailbox %q of account %d is at mod-sequence %d, but a message is at %d", name, account, modseq, topSeq)
				report(f)
			}
			if state == stateNoSelect && want[0] > 0 {
				f.Counter = false
				f.Text = fmt.Sprintf("%q of account %d is a name only, but holds %d messages", name, account, want[0])
				report(f)
			}
		})
}

func checkUsage(tx *sqlite.Tx, report func(Finding)) error {
	var account, haveBytes, haveMessages, bytes, messages int64
	return each(tx, `SELECT account, bytes, messages,
			(SELECT coalesce(sum(size), 0) FROM email e WHERE e.account = a.account),
			(SELECT coalesce(sum(messages), 0) FROM mailbox m WHERE m.account = a.account)
		FROM mail_account a`,
		[]any{&account, &haveBytes, &haveMessages, &bytes, &messages},
		func() {
			f := Finding{Account: account, Counter: true}
			if haveBytes != bytes {
				f.Text = fmt.Sprintf("the usage of account %d is noted as %d bytes, but its mail has %d", account, haveBytes, bytes)
				report(f)
			}
			if haveMessages != messages {
				f.Text = fmt.Sprintf("the usage of account %d is noted as %d messages, but its mailboxes hold %d", account, haveMessages, messages)
				report(f)
			}
		})
}

func checkPlacements(tx *sqlite.Tx, report func(Finding)) error {
	var mailbox, uid, email, account, owner, size, want int64
	err := each(tx, `SELECT p.mailbox, p.uid, p.email, coalesce(m.account, 0), coalesce(e.account, 0), p.size, coalesce(e.size, -1)
		FROM placement p LEFT JOIN mailbox m ON m.id = p.mailbox LEFT JOIN email e ON e.id = p.email
		WHERE m.id IS NULL OR e.id IS NULL OR m.account <> e.account OR p.size <> e.size`,
		[]any{&mailbox, &uid, &email, &account, &owner, &size, &want},
		func() {
			f := Finding{Account: account, Mailbox: mailbox, Email: email}
			where := fmt.Sprintf("UID %d of mailbox %d", uid, mailbox)
			switch {
			case account == 0:
				f.Text = where + " lies in a mailbox that is not there"
			case want < 0:
				f.Text = fmt.Sprintf("%s is email %d, which is not there", where, email)
			case account != owner:
				f.Text = fmt.Sprintf("%s belongs to account %d, its email %d to account %d", where, account, email, owner)
			default:
				f.Counter = true
				f.Text = fmt.Sprintf("%s is noted with %d bytes, its email %d has %d", where, size, email, want)
			}
			report(f)
		})
	return err
}

func checkEmails(tx *sqlite.Tx, report func(Finding)) error {
	var id, account, body, size, have int64
	err := each(tx, `SELECT id, account FROM email e WHERE NOT EXISTS (SELECT 1 FROM placement p WHERE p.email = e.id)`,
		[]any{&id, &account},
		func() {
			report(Finding{Account: account, Email: id, Text: fmt.Sprintf("email %d of account %d lies in no mailbox", id, account)})
		})
	if err != nil {
		return err
	}
	// The table body is mailbox/blob's; only its keys and sizes are looked at.
	return each(tx, `SELECT e.id, e.account, e.body, e.size - e.head, coalesce(b.size, -1)
		FROM email e LEFT JOIN body b ON b.id = e.body
		WHERE b.id IS NULL OR b.gone IS NOT NULL OR b.size <> e.size - e.head`,
		[]any{&id, &account, &body, &size, &have},
		func() {
			f := Finding{Account: account, Email: id}
			switch {
			case have < 0:
				f.Text = fmt.Sprintf("email %d of account %d needs body %d, which is not there", id, account, body)
			case have != size:
				f.Text = fmt.Sprintf("email %d of account %d expects %d bytes of body %d, which has %d", id, account, size, body, have)
			default:
				f.Text = fmt.Sprintf("email %d of account %d needs body %d, which is given up for deletion", id, account, body)
			}
			report(f)
		})
}

func checkLog(tx *sqlite.Tx, report func(Finding)) error {
	var mailbox, modseq, uid int64
	return each(tx, `SELECT x.mailbox, x.modseq, x.uid FROM expunged x JOIN mailbox m ON m.id = x.mailbox
		LEFT JOIN placement p ON p.mailbox = x.mailbox AND p.uid = x.uid
		WHERE x.modseq > m.modseq OR x.uid >= m.uidnext OR p.uid IS NOT NULL`,
		[]any{&mailbox, &modseq, &uid},
		func() {
			report(Finding{Mailbox: mailbox, Text: fmt.Sprintf(
				"the log of mailbox %d says that UID %d went at mod-sequence %d, which cannot be", mailbox, uid, modseq)})
		})
}

// Repair counts anew what Check calls a counter, a mailbox at a time. What it
// cannot put right without a decision it leaves.
func (s *Store) Repair(ctx context.Context) error {
	boxes, err := s.ids(ctx, `SELECT id FROM mailbox`)
	for i := 0; err == nil && i < len(boxes); i++ {
		err = s.db.Update(ctx, func(tx *sqlite.Tx) error { return s.recount(tx, boxes[i]) })
	}
	if err == nil {
		err = s.db.Update(ctx, func(tx *sqlite.Tx) error {
			_, err := tx.Exec(`UPDATE mail_account SET
				bytes = (SELECT coalesce(sum(size), 0) FROM email e WHERE e.account = mail_account.account),
				messages = (SELECT coalesce(sum(messages), 0) FROM mailbox m WHERE m.account = mail_account.account)`)
			tx.AfterCommit(func() {
				s.snapshots.dropAll()
				s.usage.forgetAll()
			})
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("repair counters: %w", err)
	}
	return nil
}

func (s *Store) recount(tx *sqlite.Tx, mailbox int64) error {
	_, err := tx.Exec(`UPDATE placement SET size = (SELECT size FROM email e WHERE e.id = placement.email)
		WHERE mailbox = ? AND size <> (SELECT size FROM email e WHERE e.id = placement.email)`, mailbox)
	if err != nil {
		return err
	}
	var messages, unseen, deleted, size, topUID, topSeq int64
	err = tx.QueryRow(`SELECT count(*), coalesce(sum(flags & 1 = 0), 0), coalesce(sum(flags & 8 <> 0), 0),
		coalesce(sum(size), 0), coalesce(max(uid), 0), coalesce(max(modseq), 0) FROM placement WHERE mailbox = ?`, mailbox).
		Scan(&messages, &unseen, &deleted, &size, &topUID, &topSeq)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE mailbox SET messages = ?1, unseen = ?2, deleted = ?3, size = ?4,
			uidnext = CASE WHEN uidnext > ?5 THEN uidnext ELSE ?5 + 1 END,
			modseq = CASE WHEN modseq >= ?6 THEN modseq ELSE ?6 END
		WHERE id = ?7`, messages, unseen, deleted, size, topUID, topSeq, mailbox)
	return err
}
