package mailbox

import "mailstead/internal/sqlite"

// What only SQLite has stands in this file.

// skipIDs leaves a gap in the ids of emails and mailboxes that no time line can
// have filled since its last hourly snapshot.
func skipIDs(tx *sqlite.Tx) error {
	const gap = 1 << 28
	for _, table := range [...]string{"email", "mailbox"} {
		_, err := tx.Exec(`INSERT INTO sqlite_sequence (name, seq) SELECT ?1, 0
			WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)`, table)
		if err == nil {
			_, err = tx.Exec(`UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ?`, gap, table)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
