package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Restore sets the database of a data directory up again from the newest
// readable snapshot, while nobody has it open. What was there is moved aside, not
// deleted: moved is its new name, "" when there was nothing. The messages
// received since the snapshot are still in their files; the caller brings them
// back (mailbox.Rebuild) and renews every UIDVALIDITY, before the doors open.
// Errors: ErrNone.
func Restore(ctx context.Context, data string) (s Snapshot, moved string, err error) {
	s, skipped, err := Newest(ctx, filepath.Join(data, "snapshots"))
	if err != nil {
		return s, "", errors.Join(append([]error{err}, skipped...)...)
	}
	db := filepath.Join(data, "mailstead.db")
	fresh := db + ".restored"
	if err := copyFile(s.Path, fresh); err != nil {
		return s, "", fmt.Errorf("restore %s: %w", s.Path, err)
	}
	aside := db + ".damaged-" + time.Now().UTC().Format(layout)
	// The log first: a log beside a database that it is not of must never be.
	for _, end := range []string{"-wal", "-shm", ""} {
		err := os.Rename(db+end, aside+end)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return s, "", fmt.Errorf("move the damaged database aside: %w", err)
		}
		if err == nil && end == "" {
			moved = aside
		}
	}
	if err := os.Rename(fresh, db); err != nil {
		return s, moved, fmt.Errorf("restore %s: %w", s.Path, err)
	}
	return s, moved, syncDir(data)
}

// copyFile makes dest a synced copy.
func copyFile(source, dest string) (err error) {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dest, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
