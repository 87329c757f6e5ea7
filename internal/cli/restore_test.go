package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"mailstead/account"
	"mailstead/admin/backup"
	"mailstead/internal/app"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
)

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
	var half *app.HalfRestoredError
	if _, _, err := offline(context.Background(), n.config()); !errors.As(err, &half) {
		t.Errorf("half restored, it opens: %v", err)
	}
	if _, err := sqlite.Open(context.Background(), filepath.Join(to, "mailstead.db"), sqlite.Options{}); !errors.Is(err, sqlite.ErrReverting) {
		t.Errorf("half restored, its database opens: %v", err)
	}
	contains(t, h.types(done, "restore", vault, "--to", to), "18 messages")
	if d := cmp.Diff(h.mail(), n.mail()); d != "" {
		t.Errorf("mail (-before +restored):\n%s", d)
	}
}

// TestRestoreMeetsAServerThatStarts: between the first file and the last no
// server may make a database of its own, and no second restore may begin.
func TestRestoreMeetsAServerThatStarts(t *testing.T) {
	t.Parallel()
	h := populated(t)
	vault, to := filepath.Join(t.TempDir(), "vault"), t.TempDir()
	h.types(done, "backup", vault)
	release, err := app.Lock(to)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(findings, "restore", vault, "--to", to), "is in use by")
	if err := release(); err != nil {
		t.Fatal(err)
	}
	// The database has not come yet.
	if err := os.WriteFile(filepath.Join(to, "RESTORING"), []byte("20260131T021500Z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, h.moved(to).types(findings, "domain", "add", "example.net"), "is half restored from the backup 20260131T021500Z", "run the same")
	if _, err := os.Stat(filepath.Join(to, "mailstead.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database was made beside the half restored one: %v", err)
	}
}

// TestRestoreOfAnotherAfterOneWithoutDatabase: the first stops before it copies
// anything, and is not in the way of the second.
func TestRestoreOfAnotherAfterOneWithoutDatabase(t *testing.T) {
	t.Parallel()
	h := populated(t)
	vault, to := filepath.Join(t.TempDir(), "vault"), filepath.Join(t.TempDir(), "root")
	h.types(done, "backup", vault)
	h.types(done, "backup", vault)
	all, err := backup.Backups(vault)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	if err := os.Remove(filepath.Join(vault, all[0].Name, "mailstead.db")); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(findings, "restore", vault, "--to", to), "holds no readable database", "--from")
	if _, err := os.Stat(filepath.Join(to, "messages")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("messages came without their database: %v", err)
	}
	contains(t, h.types(done, "restore", vault, "--from", all[1].Name, "--to", to), "18 messages")
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
