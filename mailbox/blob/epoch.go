package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mailstead/internal/sqlite"
)

// epochName is the file in messages whose number must be that of the database.
// They differ when a database was put back, or the files were: then files that
// have no row are mail that the database has forgotten, and nothing is swept.
const epochName = "EPOCH"

// Restored tells that database and files are not of one epoch: the UIDVALIDITY
// of every mailbox must be renewed, in the fn of Adopt.
func (s *Store) Restored() bool { return s.restored.Load() }

// Adopt begins a new epoch for database and files as they are: fn runs in the
// commit that says so. Files without a row stay where they are and are found by
// Unknown.
func (s *Store) Adopt(ctx context.Context, fn func(tx *sqlite.Tx) error) error {
	if err := s.ready(); err != nil {
		return err
	}
	epoch := rand.Text()
	err := s.db.Update(ctx, func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`INSERT INTO blob_store (one, epoch, swept) VALUES (1, ?1, ?2)
			ON CONFLICT DO UPDATE SET epoch = ?1, swept = max(swept, ?2)`, epoch, s.start)
		if err != nil {
			return err
		}
		return fn(tx)
	})
	if err != nil {
		return fmt.Errorf("begin a new epoch: %w", err)
	}
	s.step("epoch: committed")
	// Cut short here, the next start sees the difference again and renews once more.
	if err := s.writeEpoch(epoch); err != nil {
		return fmt.Errorf("begin a new epoch: %w", full(err))
	}
	s.work.Lock()
	s.swept = max(s.swept, s.start) // what this run would sweep is what Unknown finds
	s.work.Unlock()
	s.restored.Store(false)
	return nil
}

// Began tells that a database has been kept beside the message files in dir.
func Began(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, epochName))
	return err == nil
}

// RenewEpoch makes the message files in dir (the folder messages) be of another
// epoch than any database: whoever puts a database back calls it first.
func RenewEpoch(dir string) error {
	s := &Store{dir: dir}
	return s.writeEpoch(rand.Text())
}

// checkEpoch compares the two numbers. New ones are made when there is no mail.
func (s *Store) checkEpoch(ctx context.Context) error {
	var row string
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		err := tx.QueryRow("SELECT epoch, swept FROM blob_store").Scan(&row, &s.swept)
		if errors.Is(err, sqlite.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(s.dir, epochName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file := strings.TrimSpace(string(text))
	if row != "" && row == file {
		return nil
	}
	if row == "" || file == "" { // a first start, perhaps cut short
		if err := s.ready(); err != nil {
			return err
		}
		if s.start == 0 {
			return s.Adopt(ctx, func(*sqlite.Tx) error { return nil })
		}
	}
	s.o.Log.Warn("database and message files are not of one epoch: nothing is swept")
	s.restored.Store(true)
	return nil
}

func (s *Store) writeEpoch(epoch string) error {
	tmp := filepath.Join(s.dir, temporary+epochName)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(epoch + "\n"); err == nil {
		err = s.syncFile(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(s.dir, epochName)); err != nil {
		return err
	}
	return s.syncFolder(s.dir)
}
