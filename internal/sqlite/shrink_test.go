package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestShrinkGivesFreePagesBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(sql string, args ...any) {
		t.Helper()
		if err := db.Update(t.Context(), func(tx *Tx) error { _, err := tx.Exec(sql, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE TABLE burst (id INTEGER PRIMARY KEY, bytes BLOB)")
	run("CREATE TABLE kept (id INTEGER PRIMARY KEY, bytes BLOB)")
	for range 100 {
		run("INSERT INTO burst (bytes) VALUES (zeroblob(20000))")
		run("INSERT INTO kept (bytes) VALUES (randomblob(100))")
	}
	run("DELETE FROM burst")
	steps := 0
	for more := true; more; steps++ {
		if more, err = db.Shrink(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	if steps < 3 {
		t.Errorf("%d steps: one alone would hold the writer up", steps)
	}
	if err := db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Size() > 100_000 {
		t.Errorf("the file still has %d bytes", fi.Size())
	}
	err = db.View(t.Context(), func(tx *Tx) error {
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM kept WHERE length(bytes) = 100").Scan(&n); err != nil || n != 100 {
			t.Errorf("%d rows kept: %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
