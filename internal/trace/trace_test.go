package trace

import (
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
)

func open(t testing.TB, o Options) *Store {
	t.Helper()
	return openAt(t, t.TempDir(), o)
}

func openAt(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	main, err := sqlite.Open(t.Context(), filepath.Join(dir, "mailstead.db"), sqlite.Options{Migrations: []fs.FS{Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), filepath.Join(dir, "trace.db"), main, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		main.Close()
	})
	return s
}

func (s *Store) add(t testing.TB, events ...maillog.Event) {
	t.Helper()
	for _, e := range events {
		err := s.main.Update(context.Background(), func(tx *sqlite.Tx) error { return Add(tx, e) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)

func life() []maillog.Event {
	return []maillog.Event{
		{Time: noon, Kind: maillog.Submitted, MID: "m1", MessageID: "x@a.test", ReversePath: "ann@a.test",
			Rcpt: "bob@b.test", Account: 3, Remote: netip.MustParseAddr("192.0.2.1"), Size: 4096, Reply: "250 2.0.0 m1"},
		{Time: noon.Add(time.Second), Kind: maillog.Queued, MID: "m1", QID: 12, Rcpt: "bob@b.test"},
		{Time: noon.Add(2 * time.Second), Kind: maillog.Deferred, MID: "m1", QID: 12, Rcpt: "bob@b.test",
			Host: "mx.b.test [192.0.2.7]", Reply: "451 4.7.1 wait", Reason: "the server asks to try later", Next: noon.Add(time.Minute)},
		{Time: noon.Add(time.Minute), Kind: maillog.Relayed, MID: "m1", QID: 12, Rcpt: "bob@b.test",
			Host: "mx.b.test [192.0.2.7]", Reply: "250 2.0.0 ok", Dur: time.Second},
	}
}

var sameEvent = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateApproxTime(0)}

func TestFindReadsBothTables(t *testing.T) {
	s := open(t, Options{})
	all := life()
	s.Record(all[1])
	kept := all[0]
	kept.Kept = true
	s.Record(kept)
	s.add(t, all[0], all[2], all[3], maillog.Event{Time: noon, Kind: maillog.Received, MID: "m2", Rcpt: "other@b.test"})
	s.Record(maillog.Event{Time: noon, Kind: maillog.Refused, Rcpt: "ann@a.test", Reply: "550 5.1.1 no"})
	for _, text := range []string{"m1", "<x@a.test>", "x@a.test", "BOB@b.test", "12"} {
		got, err := s.Find(t.Context(), Query{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(all, got, sameEvent); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
	got, err := s.Find(t.Context(), Query{Text: "ann@a.test"})
	if err != nil || len(got) != 5 || len(Messages(got)) != 2 {
		t.Errorf("address: %d events in %d messages, %v", len(got), len(Messages(got)), err)
	}
	if got, err := s.Find(t.Context(), Query{Text: "m1", Since: noon.Add(time.Hour)}); err != nil || len(got) != 0 {
		t.Errorf("since: %v, %v", got, err)
	}
}

func TestStory(t *testing.T) {
	want := []string{
		"2026-03-01 12:00:00  ann@a.test submitted <x@a.test> to bob@b.test from 192.0.2.1 (4096 bytes); accepted as m1. We said: “250 2.0.0 m1”.",
		"2026-03-01 12:00:01  Waits in the queue as 12 for bob@b.test.",
		"2026-03-01 12:00:02  Not delivered to bob@b.test yet, by mx.b.test [192.0.2.7]. Why: the server asks to try later. They said: “451 4.7.1 wait”. Next attempt at 2026-03-01 12:01:00.",
		"2026-03-01 12:01:00  Handed over for bob@b.test to mx.b.test [192.0.2.7]. They said: “250 2.0.0 ok”.",
		"Now: mx.b.test [192.0.2.7] has it for bob@b.test.",
	}
	if d := cmp.Diff(want, Story(life())); d != "" {
		t.Error(d)
	}
	if got := Story([]maillog.Event{{Time: noon, Kind: ""}}); len(got) != 1 {
		t.Error(got)
	}
}

func TestTrimByAge(t *testing.T) {
	s := open(t, Options{})
	old := maillog.Event{Time: time.Now().Add(-31 * 24 * time.Hour), Kind: "old", Rcpt: "a@b.test"}
	young := maillog.Event{Time: time.Now(), Kind: "young", Rcpt: "a@b.test"}
	s.add(t, old, young)
	s.Record(old)
	s.Record(young)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := s.Find(t.Context(), Query{Text: "a@b.test"})
	if err != nil || len(got) != 2 || got[0].Kind != "young" || got[1].Kind != "young" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTrimBySize(t *testing.T) {
	s := open(t, Options{MaxBytes: 1 << 20, MaxKept: 10})
	for i := range 30 {
		s.add(t, maillog.Event{Time: time.Now(), Kind: "kept", QID: int64(i)})
	}
	for i := range 6000 {
		s.Record(maillog.Event{Time: time.Now(), Kind: "many", MID: fmt.Sprint(i), Reply: fmt.Sprintf("%0300d", i)})
		if i%1000 == 999 {
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		table    table
		min, max int64
	}{{s.tables()[0], 10, 10}, {s.tables()[1], 1000, 4000}} {
		var n, last int64
		err := tt.table.db.View(t.Context(), func(tx *sqlite.Tx) error {
			return tx.QueryRow("SELECT count(*), max(id) FROM "+tt.table.name).Scan(&n, &last)
		})
		if err != nil || n < tt.min || n > tt.max || last < 30 {
			t.Errorf("%s: %d rows up to %d, %v", tt.table.name, n, last, err)
		}
	}
}

func TestDamagedFileIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "trace.db")
	if err := os.WriteFile(path, []byte("this was a database once, and it is one no more"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, dir, Options{})
	s.Record(maillog.Event{Kind: "login", CID: "c", Rcpt: "a@b.test"})
	if got, err := s.Find(t.Context(), Query{Text: "a@b.test"}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestCloseWritesWhatWaits(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, Options{})
	s.Record(maillog.Event{Kind: "login", Rcpt: "a@b.test"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.main.Close()
	if got, err := openAt(t, dir, Options{}).Find(t.Context(), Query{Text: "a@b.test"}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// BenchmarkAdd is what one event adds to a message's commit.
func BenchmarkAdd(b *testing.B) {
	s := open(b, Options{})
	e := life()[3]
	b.ReportAllocs()
	for b.Loop() {
		err := s.main.Update(context.Background(), func(tx *sqlite.Tx) error {
			for range 1000 {
				if err := Add(tx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

func BenchmarkRecord(b *testing.B) {
	s := open(b, Options{})
	e := life()[3]
	for b.Loop() {
		for range 1000 {
			s.Record(e)
		}
		s.Flush(context.Background())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

func TestStoryOfLogins(t *testing.T) {
	t.Parallel()
	from := netip.MustParseAddr("192.0.2.7")
	for want, e := range map[string]maillog.Event{
		"a@b.test logged in from 192.0.2.7. We said: “235 2.7.0 welcome”.": {
			Kind: maillog.Login, Account: 1, Rcpt: "a@b.test", Remote: from, Reply: "235 2.7.0 welcome"},
		"A login as a@b.test from 192.0.2.7 was refused. We said: “535 5.7.8 no”.": {
			Kind: maillog.Login, Rcpt: "a@b.test", Remote: from, Reply: "535 5.7.8 no"},
	} {
		if got := Story([]maillog.Event{e})[0]; !strings.HasSuffix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
