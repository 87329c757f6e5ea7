package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"mailstead/internal/app"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
)

// offline opens the stores of a data directory on which no server runs, and
// holds its lock until end. Nothing is delivered meanwhile: what a command puts
// into the queue waits for the server.
func offline(ctx context.Context, cfg config.Config) (ops *control.Ops, end func() error, err error) {
	return offlineAt(ctx, cfg, slog.LevelWarn)
}

// offlineAt logs from a level on.
func offlineAt(ctx context.Context, cfg config.Config, level slog.Level) (ops *control.Ops, end func() error, err error) {
	s, end, err := openStores(ctx, cfg, level)
	if err != nil {
		return nil, nil, err
	}
	return s.Ops(ReadVersion().Version), end, nil
}

// openStores is for commands that need more than operations.
func openStores(ctx context.Context, cfg config.Config, level slog.Level) (s *app.Stores, end func() error, err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	s, err = app.OpenStores(ctx, cfg, log, func(err error) {
		log.Error("the store can promise nothing any more", "err", err)
	})
	if err != nil {
		return nil, nil, explainOpen(err, cfg)
	}
	return s, func() error { return errors.Join(s.Close(context.WithoutCancel(ctx)), app.HandOver(cfg.Data)) }, nil
}

// explainOpen adds the next step where the error has none.
func explainOpen(err error, cfg config.Config) error {
	var h interface{ Hint() string }
	switch {
	case errors.As(err, &h):
		return err
	case errors.Is(err, unix.EROFS):
		return hinted{fmt.Errorf("%s is on a file system that is mounted read-only: %w", cfg.Data, err),
			"mount it for writing, or name another directory with --data; a kernel does this to a disk that fails: see `dmesg`"}
	case errors.Is(err, sqlite.ErrReadOnly):
		return hinted{fmt.Errorf("the database in %s may not be written", cfg.Data),
			"see whom it belongs to (`ls -l " + cfg.Data + "`), and run this as the server's user or as root"}
	case errors.Is(err, sqlite.ErrFull), errors.Is(err, unix.ENOSPC):
		return hinted{fmt.Errorf("there is no room for the data in %s: the disk is full", cfg.Data), "make room on the disk that holds it, or name another directory with --data"}
	case errors.Is(err, os.ErrPermission):
		return hinted{err, "run this as the server's user or as root, or name another directory with --data"}
	}
	return err
}
