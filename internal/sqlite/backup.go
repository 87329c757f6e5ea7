package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	lib "modernc.org/sqlite/lib"
)

// backupPages are copied between two looks at the context.
const backupPages = 256

// Backup writes a consistent copy of the database as it is now, synced and
// under its final name when it returns. Writers go on meanwhile; the log grows
// until the copy is done.
func (db *DB) Backup(ctx context.Context, dest string) (err error) {
	tmp := dest + ".part"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp)
			err = fmt.Errorf("backup to %s: %w", dest, err)
		}
	}()
	if err := db.copyPages(ctx, tmp); err != nil {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, dest); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(dest))
}

// copyPages copies from one snapshot: the source stays in a read transaction.
func (db *DB) copyPages(ctx context.Context, dest string) error {
	src, err := db.connect(lib.SQLITE_OPEN_READONLY)
	if err != nil {
		return err
	}
	defer src.close()
	if err := src.run("BEGIN"); err != nil {
		return err
	}
	if _, err := src.integer("SELECT count(*) FROM sqlite_schema"); err != nil {
		return err
	}
	if _, err := private(dest); err != nil {
		return err
	}
	dst, err := open(dest, "", lib.SQLITE_OPEN_READWRITE|lib.SQLITE_OPEN_CREATE)
	if err != nil {
		return err
	}
	defer dst.close()
	if err := dst.script("PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF"); err != nil {
		return err
	}
	main, err := dst.cstring("main")
	if err != nil {
		return err
	}
	defer dst.free(main)
	b := lib.Xsqlite3_backup_init(dst.tls, dst.db, main, src.db, main)
	if b == 0 {
		return dst.error(lib.Xsqlite3_extended_errcode(dst.tls, dst.db), "backup")
	}
	rc := int32(lib.SQLITE_OK)
	for rc == lib.SQLITE_OK && ctx.Err() == nil {
		rc = lib.Xsqlite3_backup_step(dst.tls, b, backupPages)
	}
	end := lib.Xsqlite3_backup_finish(dst.tls, b)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case rc != lib.SQLITE_DONE:
		return dst.error(rc, "backup")
	case end != lib.SQLITE_OK:
		return dst.error(end, "backup")
	}
	return nil
}
