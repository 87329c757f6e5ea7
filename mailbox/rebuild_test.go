package mailbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstead/internal/sqlite"
)

// A snapshot, 100 messages received, back to the snapshot: all 100 are found in
// Recovered, what was deleted since does not come back empty, and no UID or
// object id of the abandoned time line is given again.
func TestBackToASnapshot(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	for i := range 10 {
		p.deliver("INBOX", fmt.Sprint("before ", i), 0)
	}
	p.must(p.blobs.File(ctx))
	snapshot := filepath.Join(t.TempDir(), "snapshot.db")
	p.must(p.db.Backup(ctx, snapshot))
	given := map[string]bool{}
	for i := range 100 {
		text := fmt.Sprintf("Message-ID: <after%d@test>\r\nSubject: after %d\r\n\r\ntext\r\n", i, i)
		if i%10 == 0 {
			text += strings.Repeat("a long line of a large body\r\n", 2000)
		}
		given[EmailID(p.deliverText("INBOX", text, Placing{}).Email)] = true
	}
	p.must(p.Remove(ctx, p.box("INBOX").ID, []uint32{1, 2, 3}))
	p.must(p.blobs.File(ctx))
	p.must(p.db.Close())
	for _, id := range []int64{1, 2, 3} { // what Reap does after ten minutes
		p.must(os.Remove(filepath.Join(p.dir, "messages", "1", "0", fmt.Sprintf("%d.eml", id))))
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(filepath.Join(p.dir, "mailstead.db"+suffix))
	}
	b, err := os.ReadFile(snapshot)
	p.must(err)
	p.must(os.WriteFile(filepath.Join(p.dir, "mailstead.db"), b, 0o600))

	back := openPlace(t, p.dir)
	old := back.box("INBOX").UIDValidity
	back.update(back.RenewUIDValidity)
	n, err := back.Rebuild(ctx, func(f Finding) { t.Log(f.Text) })
	p.must(err)
	if n != 100 || back.snapshot(RecoveredName).Len() != 100 || back.snapshot("INBOX").Len() != 7 {
		t.Errorf("%d recovered, %d in Recovered, %d in INBOX", n, back.snapshot(RecoveredName).Len(), back.snapshot("INBOX").Len())
	}
	if back.box("INBOX").UIDValidity <= old {
		t.Error("INBOX kept its UIDVALIDITY")
	}
	subjects := map[string]bool{}
	var ids []int64
	for _, e := range back.snapshot(RecoveredName).All {
		ids = append(ids, e.Email)
	}
	p.must(back.Emails(ctx, ids, func(e *Email) error {
		subjects[e.Summary.BaseSubject] = true
		if given[e.ObjectID] {
			t.Errorf("EMAILID %s is given again", e.ObjectID)
		}
		return nil
	}))
	if len(subjects) != 100 {
		t.Errorf("%d different messages came back", len(subjects))
	}
	back.readAll(RecoveredName)
	back.readAll("INBOX")
	back.consistent()
	if n, err := back.Rebuild(ctx, func(f Finding) { t.Errorf("second time: %s", f.Text) }); n != 0 || err != nil {
		t.Errorf("a second time recovers %d, %v", n, err)
	}
	p.must(back.blobs.File(ctx))
	back.readAll(RecoveredName)
	back.consistent()
}

// What Check finds and Repair cannot put right, Rebuild can.
func TestRebuildDamage(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	for i := range 5 {
		p.deliver("INBOX", fmt.Sprint(i), 0)
	}
	p.update(func(tx *sqlite.Tx) error {
		for _, damage := range []string{
			`DELETE FROM placement WHERE uid = 2`,
			`DELETE FROM email WHERE id = 3`,
			`UPDATE email SET body = 99 WHERE id = 4`,
			`INSERT INTO expunged VALUES (1, 77, 1)`,
			`INSERT INTO placement VALUES (55, 1, 1, 0, 1, '', 0, 10)`,
		} {
			if _, err := tx.Exec(damage); err != nil {
				return err
			}
		}
		return nil
	})
	n, err := p.Rebuild(ctx, func(f Finding) { t.Log(f.Text) })
	p.must(err)
	if n != 1 || len(p.uids("INBOX")) != 2 || len(p.uids(RecoveredName)) != 1 {
		t.Errorf("%d recovered, INBOX %v, Recovered %v", n, p.uids("INBOX"), p.uids(RecoveredName))
	}
	p.consistent()
}

// A disk that is not mounted does not empty the mailboxes.
func TestRebuildWithoutFiles(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	for i := range 30 {
		p.deliver("INBOX", fmt.Sprint(i), 0)
	}
	p.must(p.blobs.File(ctx))
	away := filepath.Join(t.TempDir(), "away")
	p.must(os.Rename(filepath.Join(p.dir, "messages", "1"), away))
	said := 0
	_, err := p.Rebuild(ctx, func(f Finding) {
		if strings.Contains(f.Text, "mounted?") {
			said++
		}
	})
	p.must(err)
	p.must(os.Rename(away, filepath.Join(p.dir, "messages", "1")))
	if said != 1 || p.snapshot("INBOX").Len() != 30 {
		t.Errorf("said %d times, %d messages are left", said, p.snapshot("INBOX").Len())
	}
	p.readAll("INBOX")
}
