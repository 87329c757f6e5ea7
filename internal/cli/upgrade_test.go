package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/account"
	"mailstead/admin/backup"
	"mailstead/internal/app"
	"mailstead/internal/control"
	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/message"
	"mailstead/smtp/queue"
)

// TestBackAfterAnUpgrade: of 100 messages received since, 100 are found.
func TestBackAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	h := populated(t)
	h.upgrade()
	h.with100(t)
	want := h.subjects("")
	h.types(findings, "check") // this is the older program
	contains(t, h.types(findings, "check"), "newer version")
	out := h.types(done, "upgrade", "--back")
	contains(t, out, "100 messages came back into the mailboxes Recovered", "of before the upgrade again", "mailstead.db.before-")
	contains(t, h.types(done, "check"), "Everything is in order.")
	got := h.subjects("Recovered")
	if len(got) != 100 {
		t.Errorf("%d of 100 messages are in Recovered", len(got))
	}
	all := h.subjects("")
	for s := range want {
		if !all[s] {
			t.Errorf("%q is lost", s)
		}
	}
	contains(t, h.types(findings, "upgrade", "--back"), "there is no copy of the database from before an upgrade")
	contains(t, h.types(done, "upgrade"), "This version knows schema")
}

// upgrade opens the database as a newer program would.
func (h *house) upgrade() {
	h.t.Helper()
	db, err := sqlite.Open(context.Background(), filepath.Join(h.data, "mailstead.db"), sqlite.Options{
		Migrations: append(app.Migrations(), fstest.MapFS{"0999_test_newer.sql": {Data: []byte("CREATE TABLE newer (x TEXT) STRICT;")}}),
	})
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// with100 receives 100 messages as the newer program: filed ones, large ones,
// and some whose bytes are rows still.
func (h *house) with100(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	cfg := h.config()
	newer, err := sqlite.Open(ctx, filepath.Join(cfg.Data, "mailstead.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o, end := over(t, newer, cfg.Data)
	for i := range 100 {
		text := fmt.Sprintf("Subject: since %d\r\n\r\n%s", i, strings.Repeat("w\r\n", i%10*2000))
		if err := put(ctx, o, int64(1+i%2), "INBOX", text, 0); err != nil {
			t.Fatal(err)
		}
		if i == 60 {
			if err := o.Blobs.File(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	end()
}

// subjects are those of a mailbox of both people; "" is all mailboxes.
func (h *house) subjects(name string) map[string]bool {
	all := map[string]bool{}
	db, err := sqlite.Open(context.Background(), filepath.Join(h.data, "mailstead.db"), sqlite.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	o, end := over(h.t, db, h.data)
	defer end()
	ctx := context.Background()
	for who := int64(1); who <= 2; who++ {
		boxes, err := o.Mail.Mailboxes(ctx, who)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, box := range boxes {
			if name != "" && box.Name != name {
				continue
			}
			v, err := o.Mail.Snapshot(ctx, box.ID)
			for i := 0; err == nil && i < v.Len(); i++ {
				err = o.Mail.Emails(ctx, []int64{v.At(i).Email}, func(x *mailbox.Email) error {
					r, err := o.Mail.Content(ctx, x)
					if err != nil {
						return err
					}
					defer r.Close()
					b := make([]byte, min(r.Size(), 40))
					if _, err := r.ReadAt(b, 0); err != nil {
						return err
					}
					line, _, _ := strings.Cut(string(b), "\r\n")
					all[line] = true
					return nil
				})
			}
			if err != nil {
				h.t.Fatal(err)
			}
		}
	}
	return all
}

// over makes stores over a database that this program would not open.
func over(t *testing.T, db *sqlite.DB, data string) (o *control.Ops, end func()) {
	t.Helper()
	blobs, err := blob.New(context.Background(), db, filepath.Join(data, "messages"), blob.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &control.Ops{DB: db, Blobs: blobs, Mail: mailbox.New(db, blobs, mailbox.Options{})}, func() {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackKeepsTheQueue: what came since still waits, what left since does not go
// again, and what was delivered from the queue since is not lost.
func TestBackKeepsTheQueue(t *testing.T) {
	t.Parallel()
	h := populated(t)
	queued := func(o *control.Ops, subject string, size int) {
		t.Helper()
		ctx := context.Background()
		in, err := o.Mail.Receive(ctx, strings.NewReader("Subject: "+subject+"\r\n\r\n"+strings.Repeat("q\r\n", size)))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := in.Draft.Settle(ctx, blob.Queue); err != nil {
			t.Fatal(err)
		}
		err = o.DB.Update(ctx, func(tx *sqlite.Tx) error {
			id, err := in.Draft.Commit(tx)
			if err != nil {
				return err
			}
			_, err = queue.New(queue.Options{DB: o.DB, Blobs: o.Blobs}).Add(tx, queue.Message{
				MID: subject, Body: id, Size: in.Draft.Size(), Created: time.Now(),
				Envelope: message.Envelope{Recipients: []message.Recipient{{Address: message.Address{Local: "x", Domain: "remote.example"}}}},
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	h.with(func(_ context.Context, o *control.Ops) error {
		queued(o, "stays", 10)
		queued(o, "leaves", 9000)
		return nil
	})
	h.upgrade()
	db, err := sqlite.Open(context.Background(), filepath.Join(h.data, "mailstead.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o, end := over(t, db, h.data)
	queued(o, "came", 10)
	queued(o, "came large", 9000)
	err = queue.New(queue.Options{DB: db, Blobs: o.Blobs, Events: maillog.Sinks{}}).Delete(context.Background(), 2)
	if err != nil {
		t.Fatal(err)
	}
	// The one that stays has reached bob in the meantime, by its own body.
	in, box := int64(0), mailbox.Mailbox{}
	if box, err = o.Mail.Mailbox(context.Background(), 2, "INBOX"); err != nil {
		t.Fatal(err)
	}
	err = db.View(context.Background(), func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT body FROM queue_message WHERE mid = 'stays'`).Scan(&in)
	})
	if err == nil {
		err = handOut(o, blob.ID(in), box.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	end()
	w, err := backup.Back(context.Background(), backup.BackOptions{Data: h.data, Known: 999}) // the newer program
	if err != nil || w.Former != 999 || w.Schema >= 999 || w.Waiting != 3 {
		t.Fatalf("%+v, %v", w, err)
	}
	out := h.types(done, "queue", "list", "--json")
	h.with(func(ctx context.Context, o *control.Ops) error {
		var got []string
		err := o.DB.View(ctx, func(tx *sqlite.Tx) error {
			rows, err := tx.Query(`SELECT mid FROM queue_message ORDER BY id`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var s string
				if err := rows.Scan(&s); err != nil {
					return err
				}
				got = append(got, s)
			}
			return rows.Err()
		})
		if d := cmp.Diff([]string{"stays", "came", "came large"}, got); d != "" {
			t.Errorf("queue (-want +got):\n%s\n%s", d, out)
		}
		return err
	})
	contains(t, h.types(done, "check"), "Everything is in order.")
	if got := h.subjects("Recovered"); !got["Subject: stays"] {
		t.Errorf("what bob received from the queue is lost: %v", got)
	}
}

// handOut delivers a queued body by reference, which is more than smtp/local does.
func handOut(o *control.Ops, body blob.ID, box int64) error {
	ctx := context.Background()
	r, err := o.Blobs.Open(ctx, body)
	if err != nil {
		return err
	}
	defer r.Close()
	in, err := o.Mail.Receive(ctx, io.NewSectionReader(r, 0, r.Size()))
	if err != nil {
		return err
	}
	defer in.Close()
	err = o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		_, err := o.Mail.Append(tx, in, mailbox.Placing{Mailbox: box, Body: body})
		return err
	})
	return errors.Join(err, o.Blobs.File(ctx))
}

// TestBackNamesNewAccounts, and is completed when it was cut short.
func TestBackNamesNewAccounts(t *testing.T) {
	t.Parallel()
	h := populated(t)
	h.upgrade()
	db := filepath.Join(h.data, "mailstead.db")
	newer, err := sqlite.Open(context.Background(), db, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o, end := over(t, newer, h.data)
	people, err := account.Open(context.Background(), newer, account.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = o.DB.Update(context.Background(), func(tx *sqlite.Tx) error {
		who, err := people.Add(tx, account.New{Address: message.Address{Local: "late", Domain: "example.org"}})
		if err != nil {
			return err
		}
		return o.Mail.CreateDefaults(tx, who.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	end()
	contains(t, h.types(findings, "upgrade", "--back"), "accounts were made since then", "late@example.org", "add --yes")
	h.types(findings, "check") // nothing has changed
	if left, _ := filepath.Glob(db + ".part*"); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	h.types(done, "upgrade", "--back", "--yes")
	h.types(done, "check")
	// As if the power had failed before the last step.
	if err := os.Rename(db, db+sqlite.Reverting); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(findings, "account", "list"), "there is no mail server's data")
	contains(t, h.types(done, "upgrade", "--back"), "of before the upgrade again")
	h.types(done, "check")
	if n := len(h.mail()); n == 0 {
		t.Error("no mail")
	}
}
