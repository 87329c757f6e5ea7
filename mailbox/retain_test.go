package mailbox

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Trash goes 30 days after a message was put there, however old it is, and not
// at all where the account says so.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		p := newPlace(t)
		p.deliver("INBOX", "a", 0)
		p.deliver("Junk", "b", 0)
		time.Sleep(20 * 24 * time.Hour)
		_, err := p.Move(ctx, p.box("INBOX").ID, []uint32{1}, p.box("Trash").ID)
		p.must(err)
		counts := func(want ...int) {
			t.Helper()
			n, err := p.Retain(ctx)
			p.must(err)
			got := []int{n, p.snapshot("Trash").Len(), p.snapshot("Junk").Len()}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("removed, left in Trash, in Junk (-want +got):\n%s", diff)
			}
		}
		counts(0, 1, 1)
		time.Sleep(11 * 24 * time.Hour)
		counts(1, 1, 0)
		p.update(func(tx *sqlite.Tx) error { return p.SetRetention(tx, alice, Retention{Trash: 0, Junk: 7}) })
		time.Sleep(300 * 24 * time.Hour)
		counts(0, 1, 0)
		p.update(func(tx *sqlite.Tx) error { return p.SetRetention(tx, alice, Retention{Trash: 3, Junk: 7}) })
		counts(1, 0, 0)
		p.consistent()
	})
}

// A shortened log loses no truth: who asks below its floor is told to compare,
// and a snapshot from below it is loaded anew.
func TestLogOfExpungesIsShortened(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	p.chunk, p.keptLog = 2, 3
	p.deliver("INBOX", "kept", 0)
	old := p.snapshot("INBOX")
	start := p.box("INBOX").ModSeq
	inbox := p.box("INBOX").ID
	for i := range 12 {
		uid := p.deliver("INBOX", fmt.Sprint(i), 0).UID
		p.must(p.Remove(ctx, inbox, []uint32{uid}))
	}
	if _, known, err := p.Vanished(ctx, inbox, start); err != nil || !known {
		t.Fatalf("before: known %v, %v", known, err)
	}
	_, err := p.Retain(ctx)
	p.must(err)
	if _, known, err := p.Vanished(ctx, inbox, start); err != nil || known {
		t.Errorf("below the floor: known %v, %v", known, err)
	}
	now := p.box("INBOX").ModSeq
	gone, known, err := p.Vanished(ctx, inbox, now-4)
	if err != nil || !known || len(gone) != 2 {
		t.Errorf("above the floor: %v, known %v, %v", gone, known, err)
	}
	v, err := p.load(ctx, old, inbox)
	p.must(err)
	if diff := compare(entries(p.fresh(inbox)), entries(v)); diff != "" {
		t.Errorf("from below the floor (-want +got):\n%s", diff)
	}
	p.consistent()
}

// The notice comes once at 90%, and again only after usage was under 80%.
func TestQuotaNotice(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	const limit = 10_000
	p.update(func(tx *sqlite.Tx) error { return p.SetQuota(tx, alice, limit) })
	who := func(context.Context, int64) (Correspondents, error) {
		return Correspondents{
			From: message.Address{Local: "postmaster", Domain: "example.org"},
			To:   message.Address{Local: "alice", Domain: "example.org"},
		}, nil
	}
	warned := func(step string, want int) {
		t.Helper()
		n, err := p.WarnQuota(ctx, who)
		p.must(err)
		if n != want {
			t.Errorf("%s: %d notices, want %d", step, n, want)
		}
	}
	fill := func(size int) {
		p.deliverText("Archive", "\r\n"+strings.Repeat("x", size-2), Placing{})
	}
	fill(8900)
	warned("at 89%", 0)
	fill(100)
	warned("at 90%", 1)
	warned("once more", 0)
	v := p.snapshot("INBOX")
	if v.Len() != 1 {
		t.Fatalf("INBOX holds %d messages", v.Len())
	}
	p.readAll("INBOX")
	p.must(p.Remove(ctx, p.box("Archive").ID, []uint32{2}))
	fill(100)
	warned("down to 89% and up again", 0)
	p.must(p.Remove(ctx, p.box("Archive").ID, []uint32{1}))
	p.must(p.Remove(ctx, p.box("INBOX").ID, []uint32{1}))
	fill(8900)
	warned("down to 1% and up again", 1)
	p.consistent()
}

// A notice finds its way into a mailbox that is full.
func TestQuotaNoticeWhenFull(t *testing.T) {
	p := newPlace(t)
	p.deliverText("INBOX", "\r\n"+strings.Repeat("x", 998), Placing{})
	p.update(func(tx *sqlite.Tx) error { return p.SetQuota(tx, alice, 1000) })
	n, err := p.WarnQuota(context.Background(), func(context.Context, int64) (Correspondents, error) {
		return Correspondents{From: message.Address{Local: "postmaster", Domain: "a"}, To: message.Address{Local: "b", Domain: "a"}}, nil
	})
	p.must(err)
	if n != 1 || p.snapshot("INBOX").Len() != 2 {
		t.Errorf("%d notices, %d messages", n, p.snapshot("INBOX").Len())
	}
}

// Findings name what is wrong, and Repair puts counters right.
func TestCheckAndRepair(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	for i := range 4 {
		p.deliver("INBOX", fmt.Sprint(i), 0)
	}
	p.update(func(tx *sqlite.Tx) error {
		for _, damage := range []string{
			`UPDATE mailbox SET messages = 9, unseen = 8, deleted = 7, size = 6, uidnext = 2, modseq = 1 WHERE name = 'INBOX'`,
			`UPDATE mail_account SET bytes = 5, messages = 4`,
			`UPDATE placement SET size = 1 WHERE uid = 1`,
			`DELETE FROM placement WHERE uid = 2`,
			`DELETE FROM email WHERE id = 3`,
			`UPDATE email SET body = 99 WHERE id = 4`,
			`INSERT INTO expunged VALUES (1, 77, 1)`,
		} {
			if _, err := tx.Exec(damage); err != nil {
				return err
			}
		}
		return nil
	})
	findings := func() (counters, others int) {
		p.must(p.Check(ctx, func(f Finding) {
			if f.Counter {
				counters++
			} else {
				others++
			}
			t.Log(f.Text)
		}))
		return
	}
	if c, o := findings(); c != 9 || o != 4 {
		t.Errorf("%d counters and %d other findings", c, o)
	}
	p.must(p.Repair(ctx))
	if c, o := findings(); c != 0 || o != 4 {
		t.Errorf("after repair %d counters and %d other findings", c, o)
	}
}
