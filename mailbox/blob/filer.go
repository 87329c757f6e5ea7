package blob

import (
	"context"
	"errors"
	"time"
)

// The filer works in batches: each folder is synced once and one transaction
// serves them all. It waits for a quiet moment, but not for ever.
const (
	batchFiles  = 64
	quiet       = 20 * time.Millisecond
	patience    = 500 * time.Millisecond
	backlogMany = 1024 // bodies that make the filer stop waiting

	// After a burst the rows' pages are free: the database gives them back, but
	// keepPages, once nothing has come for a while.
	rest      = 250 * time.Millisecond
	keepPages = 128
)

// Run sweeps, then files what was accepted inline and unlinks what is gone,
// until ctx ends. It gives an error only when a sync failed.
func (s *Store) Run(ctx context.Context) error {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	idle := time.NewTimer(rest)
	defer idle.Stop()
	err := s.Sweep(ctx)
	s.signal() // what the last run left
	for {
		if s.failure() != nil {
			return s.failure()
		}
		if err != nil && ctx.Err() == nil { // a full disk, say: the next minute tries again
			s.o.Log.Error("message files", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-minute.C:
			err = errors.Join(s.File(ctx), s.Reap(ctx))
		case <-s.wake:
			s.linger(ctx)
			err = s.File(ctx)
			idle.Reset(rest)
		case <-idle.C:
			err = s.giveBack(ctx)
		}
	}
}

// giveBack stops as soon as there is mail.
func (s *Store) giveBack(ctx context.Context) error {
	for more := true; more && s.recent.waiting() == 0 && ctx.Err() == nil; {
		var err error
		if more, err = s.db.Shrink(ctx, keepPages); err != nil {
			return full(err)
		}
	}
	return nil
}

// linger waits until nothing was accepted for a moment.
func (s *Store) linger(ctx context.Context) {
	end := time.Now().Add(patience)
	t := time.NewTimer(quiet)
	defer t.Stop()
	for n := s.recent.waiting(); n < backlogMany; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := s.recent.waiting()
		if now == n || time.Now().After(end) {
			return
		}
		n = now
		t.Reset(quiet)
	}
}

// File makes files of all bodies that wait, in batches.
func (s *Store) File(ctx context.Context) error {
	s.work.Lock()
	defer s.work.Unlock()
	for ctx.Err() == nil {
		ids := s.recent.take(batchFiles)
		if len(ids) == 0 {
			return errors.Join(s.linkFurther(ctx), s.tidy(ctx))
		}
		if err := s.fileBatch(ctx, ids); err != nil {
			s.recent.again(ids)
			return full(err)
		}
	}
	return ctx.Err()
}
