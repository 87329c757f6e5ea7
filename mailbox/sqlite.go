package mailbox

import "mailstead/internal/sqlite"

// What only SQLite has stands in this file.

// skipIDs leaves a gap in the ids of emails and mailboxes that no time line can
// have filled since its last hourly snapshot.
func skipIDs(tx *sqlite.Tx) error {
	const gap = 1 << 28
	_, err := tx.Exec(`UPDATE sqlite_sequence SET seq = seq + ? WHERE name IN ('email', 'mailbox')`, gap)
	return err
}
