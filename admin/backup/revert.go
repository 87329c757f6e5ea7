package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailstead/internal/sqlite"
)

// Reverted says what Revert did.
type Reverted struct {
	Snapshot Snapshot
	Skipped  []error // newer snapshots that could not be read
	Aside    string  // where the former database is now; "" when there was none
}

// Revert puts the newest readable snapshot in the place of the database file,
// which nobody may have open, and keeps the former one aside. What was received
// since lies in the message files: the caller must renew the epoch and the
// UIDVALIDITYs, and rebuild the index (mailbox.Rebuild), before a door opens.
// When it is cut short the database does not open until it has been run again.
// Errors: ErrNone.
func Revert(ctx context.Context, database, snapshots string) (r Reverted, err error) {
	if r.Snapshot, r.Skipped, err = Newest(ctx, snapshots); err != nil {
		return r, fmt.Errorf("revert: %w", err)
	}
	if err := r.replace(database); err != nil {
		return r, fmt.Errorf("revert: %w", err)
	}
	return r, nil
}

func (r *Reverted) replace(database string) error {
	if err := copySynced(r.Snapshot.Path, database+".part"); err != nil {
		return err
	}
	// From here on the database does not open.
	if err := renameSynced(database+".part", database+sqlite.Reverting); err != nil {
		return err
	}
	return r.swap(database)
}

// swap moves the database aside and what is ready beside it into its place.
func (r *Reverted) swap(database string) error {
	dir, fresh := filepath.Dir(database), database+sqlite.Reverting
	aside := database + ".before-" + time.Now().UTC().Format(layout)
	for _, suffix := range [...]string{"-wal", "-shm", ""} {
		err := os.Rename(database+suffix, aside+suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && suffix == "" {
			r.Aside = aside
		}
	}
	// The log must be out of the way for good, or the snapshot would take it for
	// its own.
	if err := syncFolder(dir); err != nil {
		return err
	}
	return renameSynced(fresh, database)
}

func renameSynced(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

func copySynced(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
