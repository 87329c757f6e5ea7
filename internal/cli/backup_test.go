package cli

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"mailstead/admin/backup"
	"mailstead/internal/app"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
)

// populated is a house of two people with mail of all kinds: small, large, one
// message of both, flags, keywords, a mailbox inside another.
func populated(t *testing.T) *house {
	h := newHouse(t)
	pw := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(pw, []byte("a long enough password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.types(done, "account", "add", "bob@example.org", "--password-file", pw)
	h.deliver(12)
	h.with(func(ctx context.Context, o *control.Ops) error {
		if _, err := o.Mail.Create(ctx, 2, "Archive/2026", ""); err != nil {
			return err
		}
		for i, name := range []string{"INBOX", "INBOX", "Archive/2026", "Archive/2026"} {
			if err := put(ctx, o, 2, name, fmt.Sprintf("Subject: bob %d\r\n\r\n%s", i, strings.Repeat("x\r\n", i*9000)), mailbox.Seen|mailbox.Flagged, "$Work"); err != nil {
				return err
			}
		}
		if err := both(ctx, o); err != nil {
			return err
		}
		if err := o.Blobs.File(ctx); err != nil {
			return err
		}
		return put(ctx, o, 1, "Sent", "Subject: still a row\r\n\r\nx\r\n", mailbox.Answered) // is made a file by the backup
	})
	return h
}

// put delivers one message.
func put(ctx context.Context, o *control.Ops, who int64, name, text string, f mailbox.Flags, words ...string) error {
	box, err := o.Mail.Mailbox(ctx, who, name)
	if err != nil {
		return err
	}
	in, err := o.Mail.Receive(ctx, strings.NewReader(text))
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = o.Mail.Deliver(ctx, in, who, mailbox.Placing{Mailbox: box.ID, Flags: f, Keywords: words,
		Received: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 7200))})
	return err
}

// both delivers one message to two people: one body.
func both(ctx context.Context, o *control.Ops) error {
	in, err := o.Mail.Receive(ctx, strings.NewReader("Subject: to both\r\n\r\n"+strings.Repeat("large\r\n", 5000)))
	if err != nil {
		return err
	}
	defer in.Close()
	if err := in.Draft.Settle(ctx, 1, 2); err != nil {
		return err
	}
	var boxes []int64
	for who := int64(1); who <= 2; who++ {
		box, err := o.Mail.Mailbox(ctx, who, "INBOX")
		if err != nil {
			return err
		}
		boxes = append(boxes, box.ID)
	}
	return o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		id, err := in.Draft.Commit(tx)
		for _, box := range boxes {
			if err == nil {
				_, err = o.Mail.Append(tx, in, mailbox.Placing{Mailbox: box, Body: id, Prefix: []byte("Delivered-To: x\r\n")})
			}
		}
		return err
	})
}

// mail is everything that a mail program could see of all accounts, but
// UIDVALIDITY.
func (h *house) mail() map[string]string {
	all := map[string]string{}
	h.with(func(ctx context.Context, o *control.Ops) error {
		people, err := o.Accounts.Accounts(ctx)
		if err != nil {
			return err
		}
		for _, who := range people {
			boxes, err := o.Mail.Mailboxes(ctx, who.ID)
			if err != nil {
				return err
			}
			for _, box := range boxes {
				if err := seen(ctx, o, who.Address.String()+" "+box.Name, box.ID, all); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return all
}

func seen(ctx context.Context, o *control.Ops, where string, box int64, all map[string]string) error {
	v, err := o.Mail.Snapshot(ctx, box)
	if err != nil {
		return err
	}
	all[where] = fmt.Sprint(v.Len())
	for i := range v.Len() {
		e := v.At(i)
		err := o.Mail.Emails(ctx, []int64{e.Email}, func(x *mailbox.Email) error {
			r, err := o.Mail.Content(ctx, x)
			if err != nil {
				return err
			}
			defer r.Close()
			h := sha256.New()
			_, err = io.Copy(h, io.NewSectionReader(r, 0, r.Size()))
			all[fmt.Sprintf("%s %d", where, e.UID)] = fmt.Sprintf("%x %v %v %v %s", h.Sum(nil), e.Flags, e.Keywords, x.Received, x.ObjectID)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// TestBackupUnderLoad: mail comes, goes and is unlinked meanwhile; what is
// restored is whole.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	h := populated(t)
	h.deliver(100)
	vault := filepath.Join(t.TempDir(), "vault")
	h.with(func(ctx context.Context, o *control.Ops) error {
		ctx, stop := context.WithCancel(ctx)
		var goes sync.WaitGroup
		goes.Go(func() { load(ctx, t, o) })
		defer goes.Wait()
		defer stop()
		for range 5 {
			got, err := backup.Take(ctx, o, backup.Options{Dir: vault})
			if err != nil || len(got.Problems) > 0 {
				return fmt.Errorf("%v %w", got.Problems, err)
			}
			r, err := backup.Rehearse(ctx, backup.RestoreOptions{Dir: vault, From: got.Name, To: t.TempDir(), Migrations: app.Migrations()})
			if err != nil {
				return err
			}
			if len(r.Findings) > 0 || r.Messages == 0 {
				t.Errorf("%s: %d messages, %q", got.Name, r.Messages, r.Findings)
			}
		}
		return nil
	})
	h.types(done, "check")
}

// TestBackupHoldsWhatIsDeleted: what the copy of the database names is not
// unlinked before it is copied, however often somebody tries; afterwards it is.
func TestBackupHoldsWhatIsDeleted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.deliver(30)
	vault := filepath.Join(t.TempDir(), "vault")
	h.with(func(ctx context.Context, o *control.Ops) error {
		box, err := o.Mail.Mailbox(ctx, 1, "INBOX")
		if err != nil {
			return err
		}
		var gone error
		drop := sync.OnceFunc(func() {
			for uid := uint32(1); uid <= 30 && gone == nil; uid++ {
				gone = expunge(ctx, o, box.ID, uid)
			}
			gone = errors.Join(gone, reap(ctx, o))
		})
		got, err := backup.Take(ctx, o, backup.Options{Dir: vault, Progress: func(p backup.Progress) {
			if p.Total > 0 {
				drop()
			}
		}})
		if err = errors.Join(err, gone); err != nil {
			return err
		}
		if len(got.Problems) > 0 || got.Messages != 30 {
			t.Errorf("%d messages, %q", got.Messages, got.Problems)
		}
		if len(h.files()) != 30 {
			t.Errorf("%d files are left", len(h.files()))
		}
		if err := reap(ctx, o); err != nil {
			return err
		}
		if left, _ := filepath.Glob(filepath.Join(h.data, "messages", "1", "*", "*.eml")); len(left) > 0 {
			t.Errorf("never unlinked: %q", left)
		}
		return nil
	})
	contains(t, h.types(done, "backup", "verify", vault), "30 messages")
	// Neither the backup nor a process that died in the middle leaves its copy.
	held := filepath.Join(h.data, "snapshots", "backup-*")
	if left, _ := filepath.Glob(held); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	if err := os.Mkdir(filepath.Join(h.data, "snapshots", "backup-123"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.types(done, "account", "list")
	if left, _ := filepath.Glob(held); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

// reap unlinks what is gone without its ten minutes of grace.
func reap(ctx context.Context, o *control.Ops) error {
	err := o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`UPDATE body SET gone = 1 WHERE gone IS NOT NULL`)
		return err
	})
	return errors.Join(err, o.Blobs.File(ctx), o.Blobs.Reap(ctx))
}

// load delivers and deletes, and lets nothing wait for its ten minutes of grace.
func load(ctx context.Context, t *testing.T, o *control.Ops) {
	box, err := o.Mail.Mailbox(ctx, 1, "INBOX")
	for i := 0; err == nil && ctx.Err() == nil; i++ {
		size := 1 + i%3*9000
		if err = put(ctx, o, 1, "INBOX", "Subject: load\r\n\r\n"+strings.Repeat("y\r\n", size), 0); err != nil {
			break
		}
		if i%3 != 0 {
			continue
		}
		var v *mailbox.Snapshot
		if v, err = o.Mail.Snapshot(ctx, box.ID); err != nil {
			break
		}
		if err = expunge(ctx, o, box.ID, v.At(0).UID); err != nil {
			break
		}
		err = reap(ctx, o)
	}
	if ctx.Err() == nil {
		t.Errorf("load: %v", err)
	}
}

// expunge deletes messages.
func expunge(ctx context.Context, o *control.Ops, box int64, uids ...uint32) error {
	_, err := o.Mail.SetFlags(ctx, box, uids, mailbox.AddFlags, mailbox.Deleted, nil, 0)
	if err == nil {
		_, err = o.Mail.Expunge(ctx, box, uids)
	}
	return err
}

// TestBackupBrokenOff is seen as incomplete, and goes on.
func TestBackupBrokenOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.with(func(ctx context.Context, o *control.Ops) error {
		for i := range 20 {
			if err := put(ctx, o, 1, "INBOX", fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("z\r\n", 20000)), 0); err != nil {
				return err
			}
		}
		return nil
	})
	vault := filepath.Join(t.TempDir(), "vault")
	h.with(func(ctx context.Context, o *control.Ops) error {
		cut, stop := context.WithCancel(ctx)
		defer stop()
		steps := 0
		_, err := backup.Take(cut, o, backup.Options{Dir: vault, Progress: func(p backup.Progress) {
			if p.Total > 0 {
				if steps++; steps == 10 {
					stop()
				}
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("broken off: %v", err)
		}
		return nil
	})
	contains(t, h.types(done, "backup", "list", vault), "broken off; the next one goes on")
	contains(t, h.types(findings, "backup", "verify", vault), "there is no complete backup")
	contains(t, h.types(findings, "restore", vault, "--to", filepath.Join(t.TempDir(), "x")), "there is no complete backup")
	contains(t, h.types(done, "backup"), "it was interrupted")
	out := h.types(done, "backup", vault)
	contains(t, out, "is complete: 20 messages")
	if strings.Contains(out, "20 files were not there") {
		t.Errorf("it began anew:\n%s", out)
	}
	if out := h.types(done, "backup", "list", vault); strings.Contains(out, "broken off") {
		t.Errorf("what was broken off is still there:\n%s", out)
	}
	h.types(done, "backup", "verify", vault)
}

// TestBackupKeys: wrong ones, none, and others than the first time.
func TestBackupKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.deliver(2)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var ids []*age.X25519Identity
	for range 2 {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	other := write("other", ids[1].String())
	sealed, phrased, plain := filepath.Join(dir, "sealed"), filepath.Join(dir, "phrased"), filepath.Join(dir, "plain")
	h.types(done, "backup", sealed, "--age-recipient", ids[0].Recipient().String())
	h.types(done, "backup", phrased, "--age-passphrase-file", write("right", "right"))
	h.types(done, "backup", plain)
	to := filepath.Join(dir, "to")
	for _, c := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"restore", sealed, "--to", to}, []string{"the backup is encrypted", "hint: name the file with the secret key"}},
		{[]string{"restore", sealed, "--to", to, "--age-identity", other}, []string{"this key does not open the backup"}},
		{[]string{"backup", "verify", sealed, "--age-identity", other}, []string{"this key does not open the backup"}},
		{[]string{"restore", sealed, "--to", to, "--age-identity", write("none", "nothing")}, []string{"holds no age identity", "hint: age-keygen"}},
		{[]string{"restore", phrased, "--to", to}, []string{"encrypted with a passphrase", "--age-passphrase-file"}},
		{[]string{"restore", phrased, "--to", to, "--age-passphrase-file", write("wrong", "wrong")}, []string{"this key does not open the backup"}},
		{[]string{"backup", sealed}, []string{"are encrypted", "hint: name the recipients again"}},
		{[]string{"backup", sealed, "--age-recipient", ids[1].Recipient().String()}, []string{"for other recipients"}},
		{[]string{"backup", plain, "--age-recipient", ids[1].Recipient().String()}, []string{"are not encrypted"}},
		{[]string{"backup", filepath.Join(dir, "new"), "--age-recipient", "age1nonsense"}, []string{"is no age recipient"}},
		{[]string{"backup", dir}, []string{"holds other things", "hint: name a new or empty folder"}},
		{[]string{"backup", "verify", dir}, []string{"is no folder of backups", "is its disk mounted?"}},
	} {
		contains(t, h.types(findings, c.args...), c.wants...)
	}
}

// TestBackupDamaged: a flipped bit and a missing file are found by the rehearsal
// and named by the restore, which brings all the rest.
func TestBackupDamaged(t *testing.T) {
	t.Parallel()
	h := populated(t)
	vault := filepath.Join(t.TempDir(), "vault")
	h.types(done, "backup", vault)
	objects, err := filepath.Glob(filepath.Join(vault, "objects", "*", "*"))
	if err != nil || len(objects) < 4 {
		t.Fatal(objects, err)
	}
	b, err := os.ReadFile(objects[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := errors.Join(os.Remove(objects[0]), os.WriteFile(objects[0], b, 0o600), os.Remove(objects[1])); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(findings, "backup", "verify", vault), "has other bytes than were saved", "is missing in the backup")
	contains(t, h.types(findings, "restore", vault, "--to", filepath.Join(t.TempDir(), "x")), "not restored:", "is restored into")
}

// TestBackupWithAPipeInIt: neither a pipe nor what has no end stops a restore.
func TestBackupWithAPipeInIt(t *testing.T) {
	t.Parallel()
	h := populated(t)
	vault := filepath.Join(t.TempDir(), "vault")
	h.types(done, "backup", vault)
	objects, err := filepath.Glob(filepath.Join(vault, "objects", "*", "*"))
	if err != nil || len(objects) < 4 {
		t.Fatal(objects, err)
	}
	if err := errors.Join(os.Remove(objects[0]), unix.Mkfifo(objects[0], 0o600), os.Remove(objects[1]), os.Symlink("/dev/zero", objects[1]),
		os.Truncate(objects[2], 1<<40)); err != nil {
		t.Fatal(err)
	}
	out := h.types(findings, "restore", vault, "--to", filepath.Join(t.TempDir(), "x"))
	contains(t, out, "is no plain file", "has other bytes than were saved", "is restored into")
	if n := strings.Count(out, "not restored:"); n != 3 {
		t.Errorf("%d files are named, of 3:\n%s", n, out)
	}
}

// TestBackupAfterTheClockWasSetBack: the one that was made last is the newest.
func TestBackupAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	h := populated(t)
	vault := filepath.Join(t.TempDir(), "vault")
	h.types(done, "backup", vault)
	all, err := backup.Backups(vault)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	ahead := filepath.Join(vault, "20990101T000000Z")
	if err := os.Rename(filepath.Join(vault, all[0].Name), ahead); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(done, "backup", vault, "--keep", "1"), "Backup 20990101T000001Z is complete", "1 older backup was removed")
	h.types(done, "backup", "verify", vault)
}

// TestBackupsThatBeginTogether: of several first ones into a new folder each has
// the key that lies there in the end.
func TestBackupsThatBeginTogether(t *testing.T) {
	t.Parallel()
	h := populated(t)
	vault := filepath.Join(t.TempDir(), "vault")
	var made atomic.Int32
	h.with(func(ctx context.Context, o *control.Ops) error {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				_, err := backup.Take(ctx, o, backup.Options{Dir: vault, Keys: backup.Keys{Passphrase: "open sesame"}})
				var known *backup.Problem
				if err == nil {
					made.Add(1)
				} else if !errors.As(err, &known) || !strings.Contains(known.Text, "another backup is writing") {
					t.Errorf("%v", err)
				}
			})
		}
		all.Wait()
		return nil
	})
	all, err := backup.Backups(vault)
	if err != nil || made.Load() < 1 || len(all) != int(made.Load()) {
		t.Fatalf("%d were made, %v are there, %v", made.Load(), all, err)
	}
	phrase := filepath.Join(t.TempDir(), "phrase")
	if err := os.WriteFile(phrase, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		contains(t, h.types(done, "backup", "verify", vault, "--from", b.Name, "--age-passphrase-file", phrase), "is good")
	}
	// The key is all that there is, and says so when it is gone.
	if err := os.Remove(filepath.Join(vault, "key.age")); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(findings, "backup", "verify", vault, "--age-passphrase-file", phrase), "key.age, is missing", "from a copy")
	contains(t, h.types(findings, "backup", filepath.Join(h.data, "backups")), "lies in the data directory")
}

// TestBackupFullDisk says so, harms no older backup, and goes on when there is room.
func TestBackupFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if os.Getuid() != 0 || unix.Mount("tmpfs", disk, "tmpfs", 0, "size=2m") != nil {
		t.Skip("cannot mount a small disk")
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	h := newHouse(t)
	h.deliver(2)
	vault := filepath.Join(disk, "vault")
	h.types(done, "backup", vault)
	noise := make([]byte, 3<<20)
	rand.Read(noise)
	h.with(func(ctx context.Context, o *control.Ops) error {
		return put(ctx, o, 1, "INBOX", fmt.Sprintf("Subject: big\r\n\r\n%x\r\n", noise), 0)
	})
	contains(t, h.types(findings, "backup", vault), "the disk that holds "+vault+" is full", "hint: make room and run it again")
	contains(t, h.types(done, "backup", "list", vault), "complete", "broken off")
	contains(t, h.types(done, "backup", "verify", vault), "is good", "2 messages")
	contains(t, h.types(done, "backup"), "is full")
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=40m"); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(done, "backup", vault, "--keep", "1"), "is complete: 3 messages", "1 older backup was removed")
	contains(t, h.types(done, "backup", "verify", vault), "3 messages")
}

// TestKeep removes the older backups with what only they needed.
func TestKeep(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	vault := filepath.Join(t.TempDir(), "vault")
	var last string
	for i := range 3 {
		h.deliver(i + 2)
		h.types(done, "backup", vault)
	}
	h.with(func(ctx context.Context, o *control.Ops) error {
		box, err := o.Mail.Mailbox(ctx, 1, "INBOX")
		if err == nil {
			err = expunge(ctx, o, box.ID, 1, 2, 3, 4)
		}
		return err
	})
	contains(t, h.types(done, "backup", vault, "--keep", "1"), "3 older backups were removed")
	all, err := backup.Backups(vault)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	last = h.types(done, "backup", "verify", vault)
	contains(t, last, "5 messages of 1 account")
	objects, _ := filepath.Glob(filepath.Join(vault, "objects", "*", "*"))
	t.Log(len(objects), "objects")
	for _, path := range objects {
		if strings.Contains(path, ".part") {
			t.Errorf("left over: %s", path)
		}
	}
}

// TestEveryNight sets, shows and ends it; the job makes it.
func TestEveryNight(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.deliver(2)
	vault := filepath.Join(t.TempDir(), "vault")
	contains(t, h.types(done, "backup"), "no; `mailstead backup --every-night DIR` sets it", "never")
	contains(t, h.types(done, "backup", "--every-night", vault, "--keep", "3"), "makes a backup in "+vault)
	contains(t, h.types(done, "backup"), vault, "never")
	h.with(func(ctx context.Context, o *control.Ops) error { return backup.Nightly(ctx, o, h.conf) })
	if out := h.types(done, "backup"); !strings.Contains(out, " ago") || strings.Contains(out, "never") {
		t.Errorf("no time in\n%s", out)
	}
	contains(t, h.types(done, "backup", "verify", vault), "2 messages")
	h.with(func(ctx context.Context, o *control.Ops) error { return backup.Nightly(ctx, o, h.conf) }) // not again
	if all, err := backup.Backups(vault); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	if err := os.Rename(vault, vault+".away"); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(done, "backup"), "is its disk mounted?")
	contains(t, h.types(done, "backup", "--every-night", "none"), "No backup is made by night any more.")
	h.types(usage, "backup", vault, "--every-night", vault)
}

// TestEveryNightWithAPassphrase: the server knows the public half alone.
func TestEveryNightWithAPassphrase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.deliver(2)
	dir := t.TempDir()
	vault, phrase := filepath.Join(dir, "vault"), filepath.Join(dir, "phrase")
	if err := os.WriteFile(phrase, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.types(done, "backup", "--every-night", vault, "--age-passphrase-file", phrase)
	h.with(func(ctx context.Context, o *control.Ops) error { return backup.Nightly(ctx, o, h.conf) })
	contains(t, h.types(findings, "backup", "verify", vault), "encrypted with a passphrase")
	contains(t, h.types(done, "backup", "verify", vault, "--age-passphrase-file", phrase), "2 messages")
	nowhere(t, h.data, "open sesame", "AGE-SECRET-KEY")
	nowhere(t, vault, "AGE-SECRET-KEY", "a line of a large message")
	h.types(done, "backup", vault, "--age-passphrase-file", phrase) // by hand into the same folder
	// Somebody who has the disk puts a key of his own there: not for us.
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(vault, "mailstead-backup.json")
	text := fmt.Sprintf(`{"format": 1, "recipients": [%q], "passphrase": true}`, id.Recipient().String())
	if err := os.WriteFile(mark, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h.with(func(ctx context.Context, o *control.Ops) error {
		_, err := backup.Take(ctx, o, backup.Options{Dir: vault, Keys: backup.Keys{Recipients: []string{"age1other"}}})
		if err == nil || !strings.Contains(err.Error(), "for other recipients") {
			t.Errorf("with another's key: %v", err)
		}
		return nil
	})
}
