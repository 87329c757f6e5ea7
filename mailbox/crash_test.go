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

// cutting is a context that every step of an operation asks for its state, on
// the way into the writer and between chunks; each time the data directory is
// copied as a power cut at that moment would leave it.
type cutting struct {
	context.Context
	cut func()
}

func (c cutting) Err() error {
	c.cut()
	return nil
}

// cuts runs do and hands a store reopened from each copy to check, the one from
// before the first and after the last step included. Each must be consistent.
func (p *place) cuts(do func(ctx context.Context, cut func()), check func(p *place, at string)) {
	p.t.Helper()
	p.chunk = 3
	root := p.t.TempDir()
	var copies []string
	cut := func() {
		dir := filepath.Join(root, fmt.Sprint(len(copies)))
		p.copyTo(dir)
		copies = append(copies, dir)
	}
	cut()
	do(cutting{context.Background(), cut}, cut)
	cut()
	if len(copies) < 4 {
		p.t.Errorf("only %d moments were looked at", len(copies))
	}
	for i, dir := range copies {
		again := openPlace(p.t, dir)
		again.consistent()
		check(again, fmt.Sprintf("cut %d of %d", i+1, len(copies)))
	}
}

// copyTo copies what is on the disk, without the log's index, which a crash
// does not leave.
func (p *place) copyTo(dir string) {
	p.t.Helper()
	err := os.CopyFS(filepath.Join(dir, "messages"), os.DirFS(filepath.Join(p.dir, "messages")))
	for _, name := range []string{"mailstead.db", "mailstead.db-wal"} {
		b, e := os.ReadFile(filepath.Join(p.dir, name))
		if e == nil {
			e = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err == nil {
			err = e
		}
	}
	p.must(err)
}

func TestCrashInAppend(t *testing.T) {
	p := newPlace(t)
	p.deliver("INBOX", "first", 0)
	inbox := p.box("INBOX").ID
	small, large := "Subject: small\r\n\r\nx\r\n", "Subject: large\r\n\r\n"+strings.Repeat("line\r\n", 10_000)
	acknowledged := 0
	known := []int{0} // acknowledged at each cut
	p.cuts(func(_ context.Context, cut func()) {
		step := func() { known = append(known, acknowledged); cut() }
		ctx := cutting{context.Background(), step}
		for _, text := range []string{small, large} {
			in, err := p.Receive(ctx, strings.NewReader(text))
			p.must(err)
			step()
			p.must(in.Draft.Settle(context.Background(), alice))
			step()
			p.update(func(tx *sqlite.Tx) error {
				id, err := in.Draft.Commit(tx)
				p.must(err)
				step()
				for range 2 {
					_, err = p.Append(tx, in, Placing{Mailbox: inbox, Body: id})
					p.must(err)
					step()
				}
				tx.AfterCommit(step)
				return nil
			})
			acknowledged += 2
			in.Close()
			step()
		}
	}, func(p *place, at string) {
		n, want := p.snapshot("INBOX").Len(), 1+acknowledged
		if len(known) > 0 {
			want, known = 1+known[0], known[1:]
		}
		if n != want && n != want+2 { // the commit may have come, its answer not
			t.Errorf("%s: %d messages, of which %d are acknowledged", at, n, want)
		}
		p.readAll("INBOX")
	})
}

// readAll reads every message of a mailbox whole.
func (p *place) readAll(name string) {
	p.t.Helper()
	var ids []int64
	for _, e := range p.snapshot(name).All {
		ids = append(ids, e.Email)
	}
	p.must(p.Emails(context.Background(), ids, func(e *Email) error {
		c, err := p.Content(context.Background(), e)
		if err != nil {
			return err
		}
		defer c.Close()
		if c.Size() != e.Size() {
			p.t.Errorf("email %d has %d bytes, its row says %d", e.ID, c.Size(), e.Size())
		}
		_, err = c.ReadAt(make([]byte, e.Size()), 0)
		return err
	}))
}

// emails counts how often each email lies in a mailbox.
func (p *place) emails(name string) map[int64]int {
	out := map[int64]int{}
	for _, e := range p.snapshot(name).All {
		out[e.Email]++
	}
	return out
}

// seven puts seven messages into INBOX.
func (p *place) seven() (uids []uint32) {
	for i := range 7 {
		uids = append(uids, p.deliver("INBOX", fmt.Sprint(i), Deleted).UID)
	}
	return uids
}

func TestCrashInMove(t *testing.T) {
	p := newPlace(t)
	uids := p.seven()
	from, to := p.box("INBOX").ID, p.box("Trash").ID
	p.cuts(func(ctx context.Context, cut func()) {
		_, err := p.Move(ctx, from, uids, to)
		p.must(err)
	}, func(p *place, at string) {
		here, there := p.emails("INBOX"), p.emails("Trash")
		for e := range there {
			here[e]++
		}
		for e, n := range here {
			if n != 1 {
				t.Errorf("%s: email %d lies in %d mailboxes", at, e, n)
			}
		}
		if len(here) != 7 {
			t.Errorf("%s: %d emails", at, len(here))
		}
		p.readAll("INBOX")
		p.readAll("Trash")
	})
	if n := p.snapshot("Trash").Len(); n != 7 {
		t.Errorf("%d were moved", n)
	}
}

func TestCrashInCopy(t *testing.T) {
	p := newPlace(t)
	uids := p.seven()
	from, to := p.box("INBOX").ID, p.box("Trash").ID
	p.cuts(func(ctx context.Context, cut func()) {
		_, err := p.Copy(ctx, from, uids, to)
		p.must(err)
	}, func(p *place, at string) {
		if n := p.snapshot("Trash").Len(); n != 0 && n != 7 {
			t.Errorf("%s: %d copies are seen, neither none nor all", at, n)
		}
		if n := p.snapshot("INBOX").Len(); n != 7 {
			t.Errorf("%s: %d originals", at, n)
		}
	})
}

func TestCrashInExpunge(t *testing.T) {
	p := newPlace(t)
	uids := p.seven()
	inbox := p.box("INBOX").ID
	p.cuts(func(ctx context.Context, cut func()) {
		_, err := p.Expunge(ctx, inbox, uids)
		p.must(err)
	}, func(p *place, at string) {
		p.readAll("INBOX")
		v := p.snapshot("INBOX")
		gone, known, err := p.Vanished(context.Background(), inbox, 1)
		p.must(err)
		if v.Len()+len(gone) != 7 || !known {
			t.Errorf("%s: %d messages are there and %d logged as gone", at, v.Len(), len(gone))
		}
	})
	if n := p.snapshot("INBOX").Len(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// A mailbox whose deletion was cut short is out of sight, and the housekeeping
// of the next start finishes it.
func TestCrashInDelete(t *testing.T) {
	p := newPlace(t)
	p.create("a", "")
	for i := range 7 {
		p.deliver("a", fmt.Sprint(i), 0)
	}
	p.cuts(func(ctx context.Context, cut func()) {
		p.must(p.Delete(ctx, alice, "a"))
	}, func(p *place, at string) {
		if _, err := p.Mailbox(context.Background(), alice, "a"); err == nil {
			if n := p.snapshot("a").Len(); n != 7 {
				t.Errorf("%s: the mailbox is there with %d messages", at, n)
			}
			return
		}
		_, err := p.Retain(context.Background())
		p.must(err)
		ids, err := p.ids(context.Background(), `SELECT count(*) FROM email`)
		p.must(err)
		if ids[0] != 0 {
			t.Errorf("%s: %d emails of a deleted mailbox stay", at, ids[0])
		}
		p.consistent()
	})
}
