package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstead/admin/backup"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
)

// house is a data directory with one account.
type house struct {
	t    *testing.T
	data string
	conf string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{t, filepath.Join(dir, "data"), filepath.Join(dir, "mailstead.toml")}
	if err := os.WriteFile(h.conf, []byte("hostname = \"mail.example.org\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.types(done, "domain", "add", "example.org")
	h.types(done, "account", "add", "alice@example.org")
	return h
}

// types types a command and wants an exit status; it gives all that was printed.
func (h *house) types(want int, args ...string) string {
	h.t.Helper()
	var out bytes.Buffer
	if got := Main(append(args, "--config", h.conf, "--data", h.data), nil, &out, &out); got != want {
		h.t.Fatalf("mailstead %s: exit status %d, want %d\n%s", strings.Join(args, " "), got, want, &out)
	}
	return out.String()
}

func (h *house) config() config.Config {
	cfg := config.Default()
	cfg.Data, cfg.Hostname = h.data, "mail.example.org"
	return cfg
}

// with opens the stores.
func (h *house) with(fn func(ctx context.Context, o *control.Ops) error) {
	h.t.Helper()
	ops, end, err := offline(context.Background(), h.config())
	if err != nil {
		h.t.Fatal(err)
	}
	if err := fn(context.Background(), ops); err != nil {
		h.t.Error(err)
	}
	if err := end(); err != nil {
		h.t.Fatal(err)
	}
}

// deliver puts n messages into INBOX, the last one large.
func (h *house) deliver(n int) {
	h.t.Helper()
	h.with(func(ctx context.Context, o *control.Ops) error {
		box, err := o.Mail.Mailbox(ctx, 1, "INBOX")
		if err != nil {
			return err
		}
		for i := range n {
			text := fmt.Sprintf("Subject: %d\r\n\r\n", i)
			if i == n-1 {
				text += strings.Repeat("a line of a large message\r\n", 4000)
			}
			in, err := o.Mail.Receive(ctx, strings.NewReader(text))
			if err != nil {
				return err
			}
			if _, err := o.Mail.Deliver(ctx, in, 1, mailbox.Placing{Mailbox: box.ID}); err != nil {
				return err
			}
			in.Close()
		}
		return o.Blobs.File(ctx)
	})
}

func contains(t *testing.T, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestCheckFindsAndRepairs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.deliver(3)
	contains(t, h.types(done, "check"), "Everything is in order.")
	contains(t, h.types(done, "check", "--json"), `"findings": []`)

	h.with(func(ctx context.Context, o *control.Ops) error {
		return o.DB.Update(ctx, func(tx *sqlite.Tx) error {
			_, err := tx.Exec(`UPDATE mailbox SET messages = 99 WHERE name = 'INBOX'`)
			return err
		})
	})
	contains(t, h.types(findings, "check"), `found: mailbox "INBOX" of account 1 counts 99 messages, but holds 3`)
	contains(t, h.types(done, "check", "--repair"), "note: put right: mailbox", "Everything is in order.")
	h.types(done, "check")

	file := h.files()[0]
	bytes, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	torn := append([]byte{}, bytes...)
	torn[len(torn)-1] = 0
	if err := os.WriteFile(file, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(findings, "check"), filepath.Base(file), "has other bytes than were received")
	h.types(done, "check", "--quick")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(findings, "check", "--quick", "--json"), filepath.Base(file), "is missing")
}

// files are the message files, in order.
func (h *house) files() (all []string) {
	h.t.Helper()
	all, err := filepath.Glob(filepath.Join(h.data, "messages", "1", "*", "*.eml"))
	if err != nil || len(all) == 0 {
		h.t.Fatal(all, err)
	}
	return all
}

// What was received since the snapshot is found again.
func TestRebuildFromTheNewestSnapshot(t *testing.T) {
	t.Parallel()
	for _, harm := range []string{"damaged", "missing"} {
		t.Run(harm, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.deliver(3)
			var validity uint32
			h.with(func(ctx context.Context, o *control.Ops) error {
				box, err := o.Mail.Mailbox(ctx, 1, "INBOX")
				validity = box.UIDValidity
				if err != nil {
					return err
				}
				_, err = backup.Snapshots{DB: o.DB, Dir: filepath.Join(h.data, "snapshots")}.Take(ctx)
				return err
			})
			h.deliver(5)
			db := filepath.Join(h.data, "mailstead.db")
			if harm == "missing" {
				if err := os.Remove(db); err != nil {
					t.Fatal(err)
				}
				for _, command := range []string{"check", "domain add example.net", "serve"} { // none begins an empty one
					contains(t, h.types(findings, strings.Fields(command)...), "mailstead.db is missing", "check --rebuild")
				}
			} else {
				if err := os.WriteFile(db, bytes.Repeat([]byte("garbage\n"), 4096), 0o600); err != nil {
					t.Fatal(err)
				}
				contains(t, h.types(findings, "check"), "error:")
			}
			contains(t, h.types(done, "check", "--rebuild"),
				"note: the database", "it was set up again from the snapshot of",
				"5 messages came back into the mailboxes Recovered", "Everything is in order.")
			h.types(done, "check")
			h.with(func(ctx context.Context, o *control.Ops) error {
				box, err := o.Mail.Mailbox(ctx, 1, "Recovered")
				if err != nil || box.Messages != 5 {
					t.Errorf("Recovered: %+v, %v", box, err)
				}
				box, err = o.Mail.Mailbox(ctx, 1, "INBOX")
				if err != nil || box.Messages != 3 || box.UIDValidity == validity {
					t.Errorf("INBOX: %+v, %v; its UIDVALIDITY was %d", box, err, validity)
				}
				return nil
			})
			if damaged, _ := filepath.Glob(db + ".before-*"); len(damaged) > 0 != (harm == "damaged") {
				t.Errorf("kept aside: %v", damaged)
			}
		})
	}
}

func TestRebuildWithoutASnapshot(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := os.WriteFile(filepath.Join(h.data, "mailstead.db"), []byte("garbage that is no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(findings, "check", "--rebuild"), "there is no readable snapshot", "mailstead restore BACKUP --to DIR", "mailstead import ADDRESS OLD/messages/NUMBER")
}

// A file that was cut short comes back as it is, in the place of its message.
func TestRebuildTakesTornFilesAsTheyAre(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.types(done, "account", "add", "bob@example.org")
	h.deliver(3)
	h.with(both)
	h.with(func(ctx context.Context, o *control.Ops) error { return o.Blobs.File(ctx) })
	all := h.files()
	torn, shared := all[1], all[len(all)-1] // the last one is bob's too
	if err := os.Truncate(torn, 5); err != nil {
		t.Fatal(err)
	}
	// alice's name of the shared one is another, empty file; bob's is whole.
	if err := os.Remove(shared); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shared, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, h.types(findings, "check"), "has 5 bytes instead of", "has 0 bytes instead of")
	contains(t, h.types(done, "check", "--rebuild"), "the files of 1 messages have another length", "1 messages came back", "Everything is in order.")
	h.types(done, "check")
	h.with(func(ctx context.Context, o *control.Ops) error {
		for name, want := range map[string]uint32{"INBOX": 3, mailbox.RecoveredName: 1} {
			box, err := o.Mail.Mailbox(ctx, 1, name)
			if err != nil || box.Messages != want {
				t.Errorf("%s: %+v, %v", name, box, err)
			}
		}
		return nil
	})
	contains(t, h.types(done, "check", "--rebuild"), "Everything is in order.")
	if left, _ := filepath.Glob(filepath.Join(h.data, "messages", "*", "*", "*.whole")); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

// With nothing but the message files left, what the hint says brings them back.
func TestMessageFilesAloneComeBackByImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.deliver(3)
	old := h.data + ".old"
	if err := os.Rename(h.data, old); err != nil {
		t.Fatal(err)
	}
	h.types(done, "domain", "add", "example.org")
	h.types(done, "account", "add", "alice@example.org")
	contains(t, h.types(done, "import", "alice@example.org", filepath.Join(old, "messages", "1"), "--mailbox", mailbox.RecoveredName), "3 messages imported")
	h.types(done, "check")
}
