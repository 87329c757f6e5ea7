package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"mailstead/internal/sqlite"
)

// touch is a database whose copy is an empty file.
type touch struct{}

func (touch) Backup(_ context.Context, dest string) error { return os.WriteFile(dest, nil, 0o600) }

// Ten days of hourly snapshots leave the last 24 and one of each of 7 days.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "before-0007-20250101T000000Z.db")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := Snapshots{DB: touch{}, Dir: dir}
		for range 240 {
			if _, err := s.Take(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		all, err := List(dir)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		days := map[string]bool{}
		for i, s := range all {
			days[s.Time.Format(time.DateOnly)] = true
			if age := now.Sub(s.Time); i < 24 && age != time.Duration(i+1)*time.Hour {
				t.Errorf("snapshot %d is %v old", i, age)
			}
		}
		if len(days) != 7 || len(all) != 24+5 && len(all) != 24+6 {
			t.Errorf("%d snapshots of %d days are kept", len(all), len(days))
		}
		if _, err := os.Stat(other); err != nil {
			t.Errorf("the copy before a migration went: %v", err)
		}
	})
}

func TestNewestReadable(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	snapshots := filepath.Join(dir, "snapshots")
	if _, _, err := Newest(ctx, snapshots); !errors.Is(err, ErrNone) {
		t.Errorf("without any: %v", err)
	}
	db, err := sqlite.Open(ctx, filepath.Join(dir, "a.db"), sqlite.Options{Migrations: []fs.FS{fstest.MapFS{
		"0001_test_one.sql": {Data: []byte("CREATE TABLE a (x TEXT) STRICT;")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	path, err := Snapshots{DB: db, Dir: snapshots}.Take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(snapshots, prefix+time.Now().Add(time.Hour).UTC().Format(layout)+suffix)
	if err := os.WriteFile(torn, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, skipped, err := Newest(ctx, snapshots)
	if err != nil || s.Path != path || len(skipped) != 1 {
		t.Errorf("newest is %v, skipped %v, %v", s, skipped, err)
	}
}

// TestSnapshotOfAClockThatWasAhead: it is neither the newest nor what the doctor
// takes for the last one, but better than none.
func TestSnapshotOfAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlite.Options{Migrations: []fs.FS{fstest.MapFS{
		"0001_test_one.sql": {Data: []byte("CREATE TABLE a (x TEXT) STRICT;")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	ahead := filepath.Join(dir, prefix+"20990101T000000Z"+suffix)
	if err := db.Backup(t.Context(), ahead); err != nil {
		t.Fatal(err)
	}
	if s, _, err := Newest(t.Context(), dir); err != nil || s.Path != ahead {
		t.Errorf("the only one: %+v, %v", s, err)
	}
	now, err := Snapshots{DB: db, Dir: dir}.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s, _, err := Newest(t.Context(), dir); err != nil || s.Path != now {
		t.Errorf("beside one of today: %+v, %v", s, err)
	}
	all, err := List(dir)
	if last := LastTaken(all, time.Now()); err != nil || time.Since(last) > time.Minute || time.Since(last) < 0 {
		t.Errorf("the last one is of %v, %v", last, err)
	}
}
