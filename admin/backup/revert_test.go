package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"mailstead/internal/sqlite"
)

// The snapshot stands in the database's place without the former log; the former
// database stays, log and all, beside it.
func TestRevert(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path, snapshots := filepath.Join(dir, "mailstead.db"), filepath.Join(dir, "snapshots")
	if _, err := Revert(ctx, path, snapshots); !errors.Is(err, ErrNone) {
		t.Errorf("without a snapshot: %v", err)
	}
	open := func(path string) *sqlite.DB {
		t.Helper()
		db, err := sqlite.Open(ctx, path, sqlite.Options{Migrations: []fs.FS{fstest.MapFS{
			"0001_test_one.sql": {Data: []byte("CREATE TABLE a (x TEXT) STRICT;")},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	add := func(db *sqlite.DB) {
		t.Helper()
		err := db.Update(ctx, func(tx *sqlite.Tx) error {
			_, err := tx.Exec("INSERT INTO a VALUES ('x')")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	count := func(path string) (n int) {
		t.Helper()
		db := open(path)
		defer db.Close()
		err := db.View(ctx, func(tx *sqlite.Tx) error { return tx.QueryRow("SELECT count(*) FROM a").Scan(&n) })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	db := open(path)
	add(db)
	if _, err := (Snapshots{DB: db, Dir: snapshots}).Take(ctx); err != nil {
		t.Fatal(err)
	}
	add(db)
	add(db)
	// The process dies: file and log stay as they are.
	dead := t.TempDir()
	if err := os.CopyFS(dead, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	db.Close()
	r, err := Revert(ctx, filepath.Join(dead, "mailstead.db"), filepath.Join(dead, "snapshots"))
	if err != nil {
		t.Fatal(err)
	}
	if n := count(filepath.Join(dead, "mailstead.db")); n != 1 {
		t.Errorf("%d rows after going back, want 1", n)
	}
	if n := count(r.Aside); n != 3 {
		t.Errorf("%d rows in the former database, want 3", n)
	}
	// Cut short: nothing opens until it is run again.
	if err := os.Rename(filepath.Join(dead, "mailstead.db"), filepath.Join(dead, "mailstead.db"+sqlite.Reverting)); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(ctx, filepath.Join(dead, "mailstead.db"), sqlite.Options{}); !errors.Is(err, sqlite.ErrReverting) {
		t.Errorf("opened amid a return: %v", err)
	}
	if r, err = Revert(ctx, filepath.Join(dead, "mailstead.db"), filepath.Join(dead, "snapshots")); err != nil || r.Aside != "" {
		t.Errorf("without a database: %+v, %v", r, err)
	}
	if n := count(filepath.Join(dead, "mailstead.db")); n != 1 {
		t.Errorf("%d rows after going back twice, want 1", n)
	}
}
