package sqlite

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func TestVerify(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	db, err := Open(ctx, filepath.Join(dir, "a.db"), Options{Migrations: []fs.FS{fstest.MapFS{
		"0001_test_one.sql": {Data: []byte("CREATE TABLE a (x TEXT) STRICT;")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO a WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 2000) SELECT 'some text ' || i FROM n`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	snapshot := filepath.Join(dir, "odd name?#%.db")
	if err := db.Backup(ctx, snapshot); err != nil {
		t.Fatal(err)
	}
	if err := Verify(ctx, snapshot); err != nil {
		t.Errorf("a good copy: %v", err)
	}
	if beside, _ := filepath.Glob(filepath.Join(dir, "odd*-*")); beside != nil {
		t.Errorf("left beside it: %v", beside)
	}
	b, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"cut":     b[:len(b)/2],
		"empty":   {},
		"torn":    append(append([]byte{}, b[:8192]...), make([]byte, len(b)-8192)...),
		"foreign": []byte("this is a letter, not a database"),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Verify(ctx, path); err == nil {
			t.Errorf("%s: no complaint", name)
		}
	}
	if err := Verify(ctx, filepath.Join(dir, "absent")); err == nil {
		t.Error("absent: no complaint")
	}
}
