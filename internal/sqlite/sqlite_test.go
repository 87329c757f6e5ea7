package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
)

var kvSchema = fstest.MapFS{
	"0001_test_kv.sql": {Data: []byte("CREATE TABLE kv (k INTEGER PRIMARY KEY, v BLOB NOT NULL UNIQUE);")},
}

func openKV(t testing.TB, o Options) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "kv.db"), o)
}

func openAt(t testing.TB, path string, o Options) *DB {
	t.Helper()
	if o.Migrations == nil {
		o.Migrations = append(o.Migrations, kvSchema)
	}
	db, err := Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func put(v any) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Insert("INSERT INTO kv (v) VALUES (?)", v)
		return err
	}
}

func count(t testing.TB, db *DB) (n int) {
	t.Helper()
	err := db.View(context.Background(), func(tx *Tx) error {
		return tx.QueryRow("SELECT count(*) FROM kv").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUpdateAndView(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	ctx := context.Background()
	hooks := 0
	err := db.Update(ctx, func(tx *Tx) error {
		tx.AfterCommit(func() { hooks++ })
		for _, v := range []any{"text", []byte("blob"), 7, 1.5, true} {
			if err := put(v)(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || hooks != 1 {
		t.Fatalf("err %v, hooks %d", err, hooks)
	}
	if n := count(t, db); n != 5 {
		t.Fatalf("%d rows", n)
	}
	err = db.Update(ctx, put("text"))
	if !errors.Is(err, ErrConstraint) {
		t.Fatalf("second insert: %v", err)
	}
	err = db.View(ctx, func(tx *Tx) error {
		rows, err := tx.Query("SELECT k, v FROM kv ORDER BY k")
		if err != nil {
			return err
		}
		n := 0
		for ; rows.Next(); n++ {
			var k int64
			var v any
			if err := rows.Scan(&k, &v); err != nil {
				return err
			}
		}
		if n != 5 {
			t.Errorf("%d rows", n)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	var none int
	err = db.View(ctx, func(tx *Tx) error { return tx.QueryRow("SELECT k FROM kv WHERE k = 99").Scan(&none) })
	if !errors.Is(err, ErrNoRows) {
		t.Fatalf("no row: %v", err)
	}
}

func TestManyCallers(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := range 20 {
				if err := db.Update(context.Background(), put(g*1000+i)); err != nil {
					t.Error(err)
				}
				if i%5 == 0 {
					count(t, db)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, db); n != 640 {
		t.Fatalf("%d rows", n)
	}
	t.Logf("%+v", db.Stats())
}

func TestBackupAndCheckpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openAt(t, filepath.Join(dir, "kv.db"), Options{})
	for i := range 500 {
		if err := db.Update(context.Background(), put(i)); err != nil {
			t.Fatal(err)
		}
	}
	dest := filepath.Join(dir, "copy.db")
	if err := db.Backup(context.Background(), dest); err != nil {
		t.Fatal(err)
	}
	if err := db.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, openAt(t, dest, Options{})); n != 500 {
		t.Fatalf("copy has %d rows", n)
	}
}
