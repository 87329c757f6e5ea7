package powercut

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// session is a recorded run of the server under all kinds of load.
type session struct {
	data, base, root string
	calls            []Call
	diary            diary
	told             map[*deed]int // the place of the reply
}

// recorded runs a server of the program under strace.
func recorded(t *testing.T, bin string, share int) *session {
	t.Helper()
	data := dataDir(t)
	x := &session{data: data, base: data + ".base", root: data}
	s := newServer(t, bin, data)
	s.populate()
	if err := os.CopyFS(x.base, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	rec := data + ".strace"
	s.wrap = append([]string{"strace"}, Args(rec)...)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	alone(t, s, &x.diary)
	if errs := together(s, &x.diary, share); len(errs) > 0 {
		t.Fatalf("load: %v\n%s", errs, s.out)
	}
	if err := s.stop(); err != nil {
		t.Fatalf("stop: %v\n%s", err, s.out)
	}
	f, err := os.Open(rec)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x.calls, err = Read(f, data, 100); err != nil {
		t.Fatal(err)
	}
	x.told = map[*deed]int{}
	for _, d := range x.diary.deeds {
		if d.done {
			c, err := Reply(x.calls, d.Ack)
			if err != nil {
				t.Fatal(err)
			}
			x.told[d] = c.Entry
		}
	}
	return x
}

func (x *session) disk(t *testing.T) *Disk {
	t.Helper()
	d, err := NewDisk(x.base, x.root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (x *session) order(t *testing.T, d *Disk) []string {
	t.Helper()
	broken, err := d.Order(x.calls, x.diary.acks(), filepath.Join(x.root, "mailstead.db"), filepath.Join(x.root, "messages"))
	if err != nil {
		t.Fatal(err)
	}
	return broken
}

// TestNoReplyBeforeItsSyncs is the sync-order proof, and the proof that it
// would notice: the same record, its syncs of one kind forgotten, must fail.
func TestNoReplyBeforeItsSyncs(t *testing.T) {
	needs(t, "strace")
	x := recorded(t, program(t, ""), number("MAILSTEAD_PROOF_SHARE", 10))
	for _, b := range x.order(t, x.disk(t)) {
		t.Error(b)
	}
	t.Logf("%d acknowledgements in a record of %d calls", len(x.diary.acks()), len(x.calls))
	messages := filepath.Join(x.root, "messages")
	for what, forget := range map[string]func(path string) bool{
		"log": func(p string) bool { return strings.HasSuffix(p, "-wal") },
		"files": func(p string) bool {
			return strings.HasPrefix(p, messages) && filepath.Base(filepath.Dir(p)) != "messages" && p != messages
		},
		"folders": func(p string) bool { fi, err := os.Stat(p); return err == nil && fi.IsDir() },
	} {
		d := x.disk(t)
		d.Forget = forget
		if len(x.order(t, d)) == 0 {
			t.Errorf("the proof does not notice when syncs of the %s are missing", what)
		}
	}
}
