package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailstead/internal/sqlite"
)

// What is kept: the newest of each of the last 24 hours that have one, and of
// each of the last 7 days.
const (
	keepHours = 24
	keepDays  = 7
)

const (
	prefix = "hourly-"
	suffix = ".db"
	layout = "20060102T150405Z"
)

// Database is what snapshots are taken of.
type Database interface {
	Backup(ctx context.Context, dest string) error
}

// Snapshots are the hourly copies in a folder.
type Snapshots struct {
	DB  Database
	Dir string
}

// Take adds a snapshot of now and removes what is no longer kept. It is the
// hourly job.
func (s Snapshots) Take(ctx context.Context) (path string, err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return "", fmt.Errorf("take a snapshot: %w", err)
	}
	path = filepath.Join(s.Dir, prefix+time.Now().UTC().Format(layout)+suffix)
	if err := s.DB.Backup(ctx, path); err != nil {
		return "", fmt.Errorf("take a snapshot: %w", err)
	}
	if err := s.prune(); err != nil {
		return path, fmt.Errorf("remove old snapshots: %w", err)
	}
	return path, nil
}

// Snapshot is one copy.
type Snapshot struct {
	Path string
	Time time.Time
}

// List gives the snapshots in dir, the newest first.
func List(dir string) ([]Snapshot, error) {
	return list(dir, prefix, func(name string) string { return name })
}

// list finds the copies in dir whose names begin so; at gives the time's place
// in the rest of a name.
func list(dir, prefix string, at func(name string) string) ([]Snapshot, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Snapshot
	for _, e := range entries {
		name, ours := strings.CutPrefix(e.Name(), prefix)
		name, whole := strings.CutSuffix(name, suffix)
		t, err := time.Parse(layout, at(name))
		if ours && whole && err == nil {
			all = append(all, Snapshot{filepath.Join(dir, e.Name()), t})
		}
	}
	slices.SortFunc(all, func(a, b Snapshot) int { return b.Time.Compare(a.Time) })
	return all, nil
}

// Newest gives the newest snapshot that can be read whole. skipped says what was
// wrong with newer ones. One that was taken while the clock was ahead comes after
// those whose time can be right. Errors: ErrNone.
func Newest(ctx context.Context, dir string) (s Snapshot, skipped []error, err error) {
	all, err := List(dir)
	if err != nil {
		return s, nil, fmt.Errorf("list snapshots: %w", err)
	}
	right, ahead := credible(all, time.Now())
	for _, s := range slices.Concat(right, ahead) {
		if err := sqlite.Verify(ctx, s.Path); err != nil {
			if ctx.Err() != nil {
				return Snapshot{}, skipped, err
			}
			skipped = append(skipped, err)
			continue
		}
		return s, skipped, nil
	}
	return s, skipped, ErrNone
}

// LastTaken is when the last snapshot was taken, as far as its name can be believed;
// zero for never.
func LastTaken(all []Snapshot, now time.Time) time.Time {
	if right, _ := credible(all, now); len(right) > 0 {
		return right[0].Time
	}
	return time.Time{}
}

// credible tells those apart that lie in the future: a clock was ahead when they
// were taken, or is behind now.
func credible(all []Snapshot, now time.Time) (right, ahead []Snapshot) {
	for _, s := range all {
		if s.Time.After(now.Add(time.Hour)) {
			ahead = append(ahead, s)
		} else {
			right = append(right, s)
		}
	}
	return right, ahead
}

// ErrNone tells that there is no readable snapshot.
var ErrNone = errors.New("no readable snapshot")

func (s Snapshots) prune() error {
	all, err := List(s.Dir)
	if err != nil {
		return err
	}
	kept := keep(all)
	var errs []error
	for _, one := range all {
		if !slices.Contains(kept, one) {
			errs = append(errs, os.Remove(one.Path))
		}
	}
	return errors.Join(errs...)
}

// keep picks from snapshots (the newest first) the newest of each hour and day,
// as many as are kept. It counts those that are there, not those that ought to
// be: a server that was off for a month keeps its last 24.
func keep(all []Snapshot) []Snapshot {
	var kept []Snapshot
	pick := func(unit time.Duration, n int) {
		var last time.Time
		for _, s := range all {
			t := s.Time.Truncate(unit)
			if t.Equal(last) {
				continue
			}
			if n--; n < 0 {
				return
			}
			last = t
			if !slices.Contains(kept, s) {
				kept = append(kept, s)
			}
		}
	}
	pick(time.Hour, keepHours)
	pick(24*time.Hour, keepDays)
	return kept
}
