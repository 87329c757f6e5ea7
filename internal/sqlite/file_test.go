package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
)

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What was committed is there when only file and log survive.
func TestCrashRecovery(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openAt(t, filepath.Join(dir, "kv.db"), Options{})
	for i := range 100 {
		if err := db.Update(context.Background(), put(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, end := range []string{"", "-wal"} {
		copyFile(t, filepath.Join(dir, "kv.db"+end), filepath.Join(dir, "crashed.db"+end))
	}
	crashed := openAt(t, filepath.Join(dir, "crashed.db"), Options{})
	if n := count(t, crashed); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
}

// The log's last commit may be torn; all before it stays.
func TestTornLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openAt(t, filepath.Join(dir, "kv.db"), Options{})
	sizes := make([]int64, 0, 20)
	for i := range 20 {
		if err := db.Update(context.Background(), put(i)); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(filepath.Join(dir, "kv.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, fi.Size())
	}
	for i, size := range sizes {
		to := filepath.Join(t.TempDir(), "torn.db")
		copyFile(t, filepath.Join(dir, "kv.db"), to)
		copyFile(t, filepath.Join(dir, "kv.db-wal"), to+"-wal")
		if err := os.Truncate(to+"-wal", size-1); err != nil {
			t.Fatal(err)
		}
		torn := openAt(t, to, Options{})
		if n := count(t, torn); n != i {
			t.Errorf("torn in commit %d: %d rows", i, n)
		}
	}
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "kv.db")
	second := fstest.MapFS{"0003_other_add.sql": {Data: []byte("ALTER TABLE kv ADD COLUMN extra TEXT; INSERT INTO kv (v, extra) VALUES ('from 3', 'x');")}}
	db, err := Open(ctx, path, Options{Migrations: []fs.FS{kvSchema}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(ctx, put("old")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	broken := fstest.MapFS{"0002_other_bad.sql": {Data: []byte("CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);")}}
	if _, err := Open(ctx, path, Options{Migrations: []fs.FS{second, kvSchema, broken}}); err == nil {
		t.Fatal("a broken migration was applied")
	}
	db = openAt(t, path, Options{Migrations: []fs.FS{second, kvSchema}})
	if n := count(t, db); n != 2 {
		t.Errorf("%d rows", n)
	}
	err = db.View(ctx, func(tx *Tx) error {
		var n int
		return tx.QueryRow("SELECT 1 FROM sqlite_schema WHERE name = 'half'").Scan(&n)
	})
	if !errors.Is(err, ErrNoRows) {
		t.Errorf("half a migration stayed: %v", err)
	}

	// The copies made before each attempt hold the old state.
	copies, err := filepath.Glob(filepath.Join(dir, "snapshots", "before-0003-*.db"))
	if err != nil || len(copies) == 0 {
		t.Fatalf("no snapshot: %v", err)
	}
	old := openAt(t, copies[0], Options{Migrations: []fs.FS{kvSchema}})
	if n := count(t, old); n != 1 {
		t.Errorf("snapshot has %d rows", n)
	}

	_, err = Open(ctx, path, Options{Migrations: []fs.FS{kvSchema}})
	if !errors.Is(err, ErrNewerSchema) {
		t.Errorf("newer schema: %v", err)
	}
}

func TestMigrationNames(t *testing.T) {
	t.Parallel()
	for _, files := range []fstest.MapFS{
		{"1_test_kv.sql": {}},
		{"0001_kv.sql": {}},
		{"0001_a_b.sql": {}, "0001_c_d.sql": {}},
	} {
		if _, err := migrations([]fs.FS{files}); err == nil {
			t.Errorf("%v was taken", files)
		}
	}
}

// The log stays bounded while writers never pause and readers come and go.
func TestLogStaysBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openAt(t, filepath.Join(dir, "kv.db"), Options{Synchronous: "NORMAL"})
	stop := make(chan bool)
	var readers sync.WaitGroup
	// The readers end before the database does: one that read on would find it closed.
	defer readers.Wait()
	defer close(stop)
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					count(t, db)
				}
			}
		})
	}
	var most int64
	for i := range 1500 {
		body := make([]byte, 40_000)
		body[0], body[1] = byte(i), byte(i>>8)
		if err := db.Update(context.Background(), func(tx *Tx) error {
			_, err := tx.Exec("INSERT OR REPLACE INTO kv (k, v) VALUES (?, ?)", i%50, body)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(filepath.Join(dir, "kv.db-wal")); err == nil {
			most = max(most, fi.Size())
		}
	}
	t.Logf("60 MB written, log at most %d bytes, %+v", most, db.Stats())
	if most > 10*checkpointAt*pageSize {
		t.Errorf("log grew to %d bytes", most)
	}
}

// The folder may be one that everybody reads: mail, keys and hashes are in the file.
func TestFilesAreTheServersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "kv.db")
	old := filepath.Join(dir, "old.db")
	if err := os.WriteFile(old, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	db := openAt(t, path, Options{})
	openAt(t, old, Options{})
	if err := db.Update(t.Context(), put(1)); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(t.Context(), filepath.Join(dir, "copy.db")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}
