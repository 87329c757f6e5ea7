package mailbox

import (
	"fmt"
	"time"

	"mailstead/internal/sqlite"
)

// nextUIDValidity gives the time in seconds or one more than the last, whatever
// is greater (RFC 9051, 2.3.1.1).
func nextUIDValidity(tx *sqlite.Tx, account int64, now time.Time) (v uint32, err error) {
	err = tx.QueryRow(`INSERT INTO mail_account (account, uidvalidity) VALUES (?, ?)
		ON CONFLICT (account) DO UPDATE SET uidvalidity = CASE
			WHEN mail_account.uidvalidity < excluded.uidvalidity THEN excluded.uidvalidity
			ELSE mail_account.uidvalidity + 1 END
		RETURNING uidvalidity`, account, now.Unix()).Scan(&v)
	return v, err
}

// RenewUIDValidity gives every mailbox a UIDVALIDITY that it never had and makes
// sure that no object id of an abandoned time line is given again. For the start
// after a restore (a new epoch), before the doors open.
func (s *Store) RenewUIDValidity(tx *sqlite.Tx) error {
	// What the abandoned time line gave out since the snapshot is unknown: its
	// counter may have run ahead of the clock by the mailboxes it made at once.
	const margin = 1 << 14
	now := time.Now().Unix()
	_, err := tx.Exec(`UPDATE mail_account SET uidvalidity = ? +
		CASE WHEN uidvalidity < ? THEN ? ELSE uidvalidity END`, margin, now, now)
	if err != nil {
		return fmt.Errorf("renew uidvalidity: %w", err)
	}
	type row struct{ id, account int64 }
	var all []row
	rows, err := tx.Query(`SELECT id, account FROM mailbox ORDER BY id`)
	if err != nil {
		return fmt.Errorf("renew uidvalidity: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.account); err != nil {
			return fmt.Errorf("renew uidvalidity: %w", err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("renew uidvalidity: %w", err)
	}
	rows.Close()
	for _, r := range all {
		v, err := nextUIDValidity(tx, r.account, time.Unix(now, 0))
		if err == nil {
			_, err = tx.Exec(`UPDATE mailbox SET uidvalidity = ? WHERE id = ?`, v, r.id)
		}
		if err != nil {
			return fmt.Errorf("renew uidvalidity: %w", err)
		}
	}
	if err := skipIDs(tx); err != nil {
		return fmt.Errorf("renew object ids: %w", err)
	}
	tx.AfterCommit(s.snapshots.dropAll)
	return nil
}
