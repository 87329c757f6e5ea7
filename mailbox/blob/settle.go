package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"mailstead/internal/sqlite"
)

// Settle makes a body above the inline limit a synced, named file in the folder
// of each owner (hard links; folders synced), before the transaction. It does
// nothing for a small one. owners: account numbers, or Queue.
func (d *Draft) Settle(ctx context.Context, owners ...int64) error {
	switch {
	case d.closed.Load():
		return errClosed
	case d.inline():
		return nil
	case len(owners) == 0:
		return errors.New("settle: no owner")
	case d.owners != nil:
		return errors.New("settle: settled already")
	}
	select {
	case d.s.settle <- struct{}{}:
		defer func() { <-d.s.settle }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := d.s.failure(); err != nil {
		return err
	}
	owners = slices.Compact(slices.Sorted(slices.Values(owners)))
	if err := d.name(owners); err != nil {
		return fmt.Errorf("settle: %w", full(err))
	}
	return nil
}

// name syncs the bytes, links the names, syncs the folders.
func (d *Draft) name(owners []int64) error {
	if d.file == nil {
		f, err := d.s.unnamed()
		if err != nil {
			return err
		}
		d.file = f
		if _, err := f.Write(d.mem); err != nil {
			return err
		}
		d.mem = nil
	}
	d.s.step("settle: written")
	for _, owner := range owners { // new folders before the file's own sync: they need not wait for it
		if err := d.s.need(d.s.folder(ID(d.s.last.Load()+1), owner)); err != nil {
			return err
		}
	}
	if err := d.s.syncFile(d.file); err != nil {
		return err
	}
	d.s.step("settle: synced")
	if err := d.linkAll(owners); err != nil {
		return err
	}
	for _, owner := range d.owners {
		if err := d.s.syncFolder(d.s.folder(d.id, owner)); err != nil {
			return err
		}
	}
	d.s.step("settle: folders synced")
	return nil
}

// linkAll allots an id whose name is free and links it into every folder.
func (d *Draft) linkAll(owners []int64) error {
	for {
		var err error
		if d.id, err = d.s.launch(); err != nil {
			return err
		}
		err = d.linkEach(owners)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		// A name above the greatest one known: somebody put a file there by
		// hand. The next id will do.
		if err := d.s.abandon(d.id, d.owners); err != nil {
			return err
		}
		d.owners = nil
	}
}

func (d *Draft) linkEach(owners []int64) error {
	for _, owner := range owners {
		if err := d.s.need(d.s.folder(d.id, owner)); err != nil {
			return err
		}
		if err := link(d.file, d.s.path(d.id, owner)); err != nil {
			return err
		}
		d.owners = append(d.owners, owner)
		d.s.step("settle: linked")
	}
	return nil
}

// abandon removes the names of a body that was not accepted. When the caller
// gave up waiting while the writer still worked, the row may be there: only the
// writer knows, so it is asked.
func (s *Store) abandon(id ID, owners []int64) error {
	defer s.land(id)
	if len(owners) == 0 {
		return nil
	}
	held := false
	err := s.db.Update(context.Background(), func(tx *sqlite.Tx) error {
		var n int
		err := tx.QueryRow("SELECT 1 FROM body WHERE id = ?", int64(id)).Scan(&n)
		held = err == nil
		if errors.Is(err, sqlite.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil || held {
		return err // when nobody knows, the sweep of the next start will
	}
	for _, owner := range owners {
		if e := os.Remove(s.path(id, owner)); e != nil && !errors.Is(e, fs.ErrNotExist) && err == nil {
			err = e
		}
	}
	return err
}

// full gives a full disk the name that the doors know.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", sqlite.ErrFull, err)
	}
	return err
}
