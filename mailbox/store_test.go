package mailbox

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
)

// place is a store in a folder of its own.
type place struct {
	*Store
	t     testing.TB
	dir   string
	blobs *blob.Store
}

const alice = int64(1)

// newPlace opens a store with the mailboxes of a new account, alice.
func newPlace(t *testing.T) *place {
	t.Helper()
	p := openPlace(t, t.TempDir())
	p.update(func(tx *sqlite.Tx) error { return p.CreateDefaults(tx, alice) })
	return p
}

// newBenchPlace is a place whose commits sync, as in service.
func newBenchPlace(b *testing.B) *place {
	p := openSynced(b, b.TempDir(), "FULL")
	p.update(func(tx *sqlite.Tx) error { return p.CreateDefaults(tx, alice) })
	return p
}

// cpu is what the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// openPlace opens the store in dir. What is synced is tested by the rooms that
// sync.
func openPlace(t testing.TB, dir string) *place {
	t.Helper()
	return openSynced(t, dir, "OFF")
}

func openSynced(t testing.TB, dir, synchronous string) *place {
	t.Helper()
	db, err := sqlite.Open(context.Background(), filepath.Join(dir, "mailstead.db"), sqlite.Options{
		Synchronous: synchronous,
		Migrations:  []fs.FS{blob.Schema(), Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	blobs, err := blob.New(context.Background(), db, filepath.Join(dir, "messages"), blob.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &place{Store: New(db, blobs, Options{}), t: t, dir: dir, blobs: blobs}
}

func (p *place) update(fn func(tx *sqlite.Tx) error) {
	p.t.Helper()
	p.must(p.db.Update(context.Background(), fn))
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// box finds a mailbox of alice.
func (p *place) box(name string) Mailbox {
	p.t.Helper()
	m, err := p.Mailbox(context.Background(), alice, name)
	p.must(err)
	return m
}

// deliver puts a message with a subject into a mailbox of alice.
func (p *place) deliver(name, subject string, f Flags, keywords ...string) Placed {
	p.t.Helper()
	return p.deliverText(name, "Message-ID: <"+subject+"@test>\r\nSubject: "+subject+"\r\n\r\ntext of "+subject+"\r\n",
		Placing{Flags: f, Keywords: keywords})
}

func (p *place) deliverText(name, text string, pl Placing) Placed {
	p.t.Helper()
	in, err := p.Receive(context.Background(), strings.NewReader(text))
	p.must(err)
	defer in.Close()
	pl.Mailbox = p.box(name).ID
	placed, err := p.Deliver(context.Background(), in, alice, pl)
	p.must(err)
	return placed
}

// snapshot of a mailbox of alice.
func (p *place) snapshot(name string) *Snapshot {
	p.t.Helper()
	v, err := p.Snapshot(context.Background(), p.box(name).ID)
	p.must(err)
	return v
}

// uids of a mailbox of alice.
func (p *place) uids(name string) []uint32 {
	p.t.Helper()
	var out []uint32
	for _, e := range p.snapshot(name).All {
		out = append(out, e.UID)
	}
	return out
}

// consistent fails the test for each finding of Check.
func (p *place) consistent() {
	p.t.Helper()
	p.must(p.Check(context.Background(), func(f Finding) { p.t.Errorf("check: %s", f.Text) }))
}
