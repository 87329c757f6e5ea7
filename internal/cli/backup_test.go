package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

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

// moved is the same house with another data directory.
func (h *house) moved(data string) *house { return &house{h.t, data, h.conf} }

// TestRestoreOnAnEmptyRoot compares every byte, every flag, and a login, plain
// and encrypted.
func TestRestoreOnAnEmptyRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	secret, phrase := filepath.Join(dir, "secret"), filepath.Join(dir, "phrase")
	if err := errors.Join(os.WriteFile(secret, []byte(id.String()+"\n"), 0o600), os.WriteFile(phrase, []byte("open sesame\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][2][]string{
		"plain":      {},
		"recipient":  {{"--age-recipient", id.Recipient().String()}, {"--age-identity", secret}},
		"passphrase": {{"--age-passphrase-file", phrase}, {"--age-passphrase-file", phrase}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := populated(t)
			vault, to := filepath.Join(t.TempDir(), "vault"), filepath.Join(t.TempDir(), "root")
			contains(t, h.types(done, append([]string{"backup", vault}, keys[0]...)...), "is complete: 18 messages")
			contains(t, h.types(done, append([]string{"backup", "verify", vault}, keys[1]...)...), "is good", "18 messages of 2 accounts")
			// Twice the same: nothing is new.
			contains(t, h.types(done, append([]string{"backup", vault}, keys[0]...)...), "0 files were not there before")
			want, files := h.mail(), tree(t, filepath.Join(h.data, "messages"))
			if err := os.Rename(h.data, h.data+".gone"); err != nil {
				t.Fatal(err)
			}
			contains(t, h.types(done, append([]string{"restore", vault, "--to", to}, keys[1]...)...), "is restored into "+to, "18 messages")
			n := h.moved(to)
			if d := cmp.Diff(want, n.mail()); d != "" {
				t.Errorf("mail (-before +restored):\n%s", d)
			}
			if d := cmp.Diff(files, tree(t, filepath.Join(to, "messages"))); d != "" {
				t.Errorf("files (-before +restored):\n%s", d)
			}
			contains(t, n.types(done, "check"), "Everything is in order.")
			n.login("bob@example.org", "a long enough password")
			if name != "plain" {
				nowhere(t, vault, "to both", "mailstead.db\x00", "SQLite format 3")
			}
		})
	}
}

// login must be let in.
func (h *house) login(name, password string) {
	h.t.Helper()
	h.with(func(ctx context.Context, o *control.Ops) error {
		_, err := o.Accounts.CheckPassword(ctx, account.Login{Name: name, Scope: account.IMAP, Remote: netip.MustParseAddr("192.0.2.1")}, password)
		return err
	})
}

// tree gives the hash of every message file.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "EPOCH" {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// nowhere: no file of a folder holds a text.
func nowhere(t *testing.T, dir string, texts ...string) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, text := range texts {
			if bytes.Contains(b, []byte(text)) {
				t.Errorf("%s holds %q in the clear", path, text)
			}
		}
		return err
	})
}

// TestRestoreRenewsUIDValidity: mail programs must fetch anew what they show.
func TestRestoreRenewsUIDValidity(t *testing.T) {
	t.Parallel()
	h := newHouse(t) // without any mail
	vault, to := filepath.Join(t.TempDir(), "vault"), filepath.Join(t.TempDir(), "root")
	h.types(done, "backup", vault)
	h.types(done, "restore", vault, "--to", to)
	validity := func(h *house) (v uint32) {
		h.with(func(ctx context.Context, o *control.Ops) error {
			box, err := o.Mail.Mailbox(ctx, 1, "INBOX")
			v = box.UIDValidity
			return err
		})
		return v
	}
	if before, after := validity(h), validity(h.moved(to)); after <= before {
		t.Errorf("UIDVALIDITY was %d and is %d", before, after)
	}
	contains(t, h.types(findings, "restore", vault, "--to", to), "is not empty", "hint: restore into an empty directory")
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

// TestRestoreBrokenOff: the directory does not open, and the same command goes on.
func TestRestoreBrokenOff(t *testing.T) {
	t.Parallel()
	h := populated(t)
	vault, to := filepath.Join(t.TempDir(), "vault"), filepath.Join(t.TempDir(), "root")
	h.types(done, "backup", vault)
	ctx, stop := context.WithCancel(context.Background())
	_, err := backup.Restore(ctx, backup.RestoreOptions{Dir: vault, To: to, Progress: func(backup.Progress) { stop() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("broken off: %v", err)
	}
	n := h.moved(to)
	contains(t, n.types(findings, "check"), "there is no mail server's data")
	if _, _, err := offline(context.Background(), n.config()); !errors.Is(err, sqlite.ErrReverting) {
		t.Errorf("half restored, it opens: %v", err)
	}
	contains(t, h.types(done, "restore", vault, "--to", to), "18 messages")
	if d := cmp.Diff(h.mail(), n.mail()); d != "" {
		t.Errorf("mail (-before +restored):\n%s", d)
	}
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

// TestRestoreOfOne: an account, a mailbox, and a folder of files.
func TestRestoreOfOne(t *testing.T) {
	t.Parallel()
	h := populated(t)
	vault := filepath.Join(t.TempDir(), "vault")
	h.types(done, "backup", vault)
	before := h.mail()
	contains(t, h.types(done, "restore", vault, "--account", "bob@example.org"), "5 messages were restored", "into Restored")
	contains(t, h.types(done, "restore", vault, "--account", "bob@example.org"), "0 messages were restored", "5 were brought before")
	contains(t, h.types(done, "restore", vault, "--account", "bob@example.org", "--mailbox", "Archive", "--into", "Old"), "2 messages were restored")
	after := h.mail()
	strip := func(s string) string { return s[:strings.LastIndexByte(s, ' ')] } // the EMAILID is another
	for from, to := range map[string]string{"INBOX": "Restored/INBOX", "Archive/2026": "Old/Archive/2026"} {
		for uid := 1; uid <= 2; uid++ {
			want, got := before[fmt.Sprintf("bob@example.org %s %d", from, uid)], after[fmt.Sprintf("bob@example.org %s %d", to, uid)]
			if want == "" || got == "" || strip(want) != strip(got) {
				t.Errorf("%s, UID %d: %s; in %s: %s", from, uid, want, to, got)
			}
		}
	}
	for where, want := range before {
		if got := after[where]; got != want {
			t.Errorf("%s was %s, is %s", where, want, got)
		}
	}
	files := filepath.Join(t.TempDir(), "maildir")
	contains(t, h.types(done, "restore", vault, "--account", "bob@example.org", "--to", files), "5 messages were restored")
	if got, _ := filepath.Glob(filepath.Join(files, "cur", "*")); len(got) != 3 {
		t.Errorf("INBOX as files: %q", got)
	}
	contains(t, h.types(findings, "restore", vault, "--account", "nobody@example.org"), "no such address")
	contains(t, h.types(findings, "restore", vault, "--account", "bob@example.org", "--mailbox", "None"), "no such mailbox")
	h.types(usage, "restore", vault, "--mailbox", "INBOX")
	h.types(done, "check")
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
	contains(t, h.types(done, "backup"), "0 s ago")
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

// handOut delivers a queued body as smtp/local does: by reference.
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

// TestRootHandsOver: what root restores belongs to whom the directory belongs.
func TestRootHandsOver(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	h := populated(t)
	vault, to := filepath.Join(t.TempDir(), "vault"), t.TempDir()
	h.types(done, "backup", vault)
	if err := os.Chown(to, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	if out := h.types(done, "restore", vault, "--to", to); strings.Contains(out, "belong to root") {
		t.Error(out)
	}
	owned := func() {
		t.Helper()
		err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Sys().(*syscall.Stat_t).Uid != 1234 {
				t.Errorf("%s is not the server's", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	owned()
	n := h.moved(to)
	n.upgrade()
	if _, err := os.Stat(filepath.Join(to, "snapshots")); err != nil {
		t.Fatal(err)
	}
	n.types(done, "upgrade", "--back")
	owned()
	// By hand into the folder of the nights: the server must go on there.
	nights := filepath.Join(t.TempDir(), "nights")
	n.types(done, "backup", "--every-night", nights)
	n.types(done, "backup", nights)
	to = nights
	owned()
}
