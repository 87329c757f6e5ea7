package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"mailstead/account"
	"mailstead/admin/backup"
	"mailstead/admin/doctor"
	"mailstead/dns"
	"mailstead/dns/publish"
	"mailstead/dns/rollover"
	"mailstead/dns/wanted"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/maillog"
	"mailstead/internal/metrics"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/internal/webui"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/mailbox/importer"
	"mailstead/message"
	"mailstead/policy/dkim"
	"mailstead/smtp/queue"
)

// Stores are the rooms that keep things: all that a command needs when no
// server runs, and what the doors of a server share.
type Stores struct {
	Config   config.Config
	Log      *slog.Logger
	DB       *sqlite.DB
	Accounts *account.Store
	Blobs    *blob.Store
	Mail     *mailbox.Store
	Trace    *trace.Store
	Queue    *queue.Queue // delivers only in a server
	Resolver *dns.Client
	Wanted   *wanted.Source // on what our domains' records depend

	reach   reach
	events  metrics.Events // counts what happens
	Rebuilt []string       // what was done because the database had been put back: see begin

	route func(message.Domain) queue.Deliverer
	close []func(context.Context) error // in reverse order of opening
}

// Migrations are the tables of mailstead.db, room by room.
func Migrations() []fs.FS {
	return []fs.FS{account.Schema(), blob.Schema(), mailbox.Schema(), queue.Schema(), trace.Schema(), importer.Schema(), doctor.Schema(), publish.Schema(), webui.Schema()}
}

// OpenStores opens the data directory, making it when it is new, and holds its
// lock until Close. fatal is called once when nothing more can be promised.
func OpenStores(ctx context.Context, cfg config.Config, log *slog.Logger, fatal func(error)) (s *Stores, err error) {
	s = &Stores{Config: cfg, Log: log}
	if s.Resolver, err = dns.New(cfg.DNS.Resolver); err != nil {
		return s, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return s, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := takeLock(cfg.Data)
	if err != nil {
		return s, err
	}
	s.onClose(func(context.Context) error { return giveLock(lock) })
	if err := control.DropHeld(cfg.Data); err != nil {
		log.Warn("copies for a backup that was broken off", "err", err)
	}

	if of := backup.HalfRestored(cfg.Data); of != "" {
		return s, &HalfRestoredError{cfg.Data, of}
	}
	if Missing(cfg.Data) {
		return s, &MissingError{cfg.Data}
	}
	s.DB, err = sqlite.Open(ctx, filepath.Join(cfg.Data, "mailstead.db"), sqlite.Options{
		Log: log, Fatal: fatal, Migrations: Migrations(),
	})
	if err != nil {
		return s, fmt.Errorf("open the store: %w", err)
	}
	s.onClose(func(context.Context) error { return s.DB.Close() })

	if s.Accounts, err = account.Open(ctx, s.DB, account.Options{Log: log}); err != nil {
		return s, fmt.Errorf("open the accounts: %w", err)
	}
	s.onClose(s.Accounts.Close)
	s.Wanted = &wanted.Source{Accounts: s.Accounts, Config: cfg, Resolver: s.Resolver}
	if s.Blobs, err = blob.New(ctx, s.DB, filepath.Join(cfg.Data, "messages"), blob.Options{Log: log, Fatal: fatal}); err != nil {
		return s, fmt.Errorf("open the messages: %w", err)
	}
	if s.Trace, err = trace.Open(ctx, filepath.Join(cfg.Data, "trace.db"), s.DB, trace.Options{Log: log}); err != nil {
		return s, fmt.Errorf("open the trace: %w", err)
	}
	s.onClose(func(context.Context) error { return s.Trace.Close() })
	s.Mail = mailbox.New(s.DB, s.Blobs, mailbox.Options{Log: log})
	if err = s.begin(ctx); err != nil {
		return s, fmt.Errorf("begin a new epoch: %w", err)
	}
	s.Queue = queue.New(queue.Options{
		DB: s.DB, Blobs: s.Blobs, Hostname: cfg.Hostname, Log: log, Sign: s.Signer().Sign,
		Events: maillog.Sinks{maillog.Log{Logger: log}, s.Trace, &s.events},
		Route:  func(d message.Domain) queue.Deliverer { return s.route(d) },
	})
	return s, nil
}

// Missing tells that the messages of a data directory are there and the database
// is not, nor one that a return to a snapshot was about to put there.
func Missing(data string) bool {
	for _, end := range []string{"", sqlite.Reverting} {
		_, err := os.Stat(filepath.Join(data, "mailstead.db"+end))
		if !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return blob.Began(filepath.Join(data, "messages"))
}

// MissingError says that the database is gone. A new one in its place would know
// nobody, and refuse for good whatever is sent to the people of the old one.
type MissingError struct{ Data string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("the database %s is missing, though its messages are there", filepath.Join(e.Data, "mailstead.db"))
}

// Hint is the next step for a person.
func (e *MissingError) Hint() string {
	return "`mailstead check --rebuild` sets it up again from the newest snapshot; or bring a backup of it back"
}

// HalfRestoredError says that a restore was broken off: whatever was taken into
// a database that is not the restored one would be gone when it goes on.
type HalfRestoredError struct{ Data, Backup string }

func (e *HalfRestoredError) Error() string {
	return fmt.Sprintf("%s is half restored from the backup %s", e.Data, e.Backup)
}

// Hint is the next step for a person.
func (e *HalfRestoredError) Hint() string {
	return "run the same `mailstead restore` again: it goes on where it stopped"
}

// Ops are the operations over these stores, for a command in this process or
// for the socket of a server.
func (s *Stores) Ops(version string) *control.Ops {
	return &control.Ops{
		DB: s.DB, Accounts: s.Accounts, Mail: s.Mail, Blobs: s.Blobs, Queue: s.Queue, Trace: s.Trace, Wanted: s.Wanted,
		DomainCheck: s.judgedCheck, TrySmartHost: s.trySmartHost,
		Rollover: &rollover.Rollover{DB: s.DB, Accounts: s.Accounts, Log: s.Log, Shown: s.shownKeys},
		Doctor:   s.NewDoctor(), Data: s.Config.Data, Version: version, Rebuilt: s.Rebuilt,
	}
}

// Signer signs what leaves with the keys of its author's domain.
func (s *Stores) Signer() *dkim.Signer {
	return &dkim.Signer{Keys: func(ctx context.Context, d message.Domain) ([]dkim.Key, error) {
		list, err := s.Accounts.DKIMKeys(ctx, d)
		var keys []dkim.Key
		for _, k := range list {
			if k.State() == account.KeySigning {
				keys = append(keys, dkim.Key{Selector: k.Selector, Private: k.Private})
			}
		}
		return keys, err
	}}
}

func (s *Stores) onClose(fn func(context.Context) error) { s.close = append(s.close, fn) }

// Close closes what was opened, last first.
func (s *Stores) Close(ctx context.Context) error {
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i](ctx))
	}
	s.close = nil
	return errors.Join(errs...)
}
