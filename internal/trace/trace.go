// Package trace remembers what happened to messages and sessions, so that any
// message and any address can be explained in plain words.
//
// It is not the log (that is for the operator's eye, here is what a question
// is answered from) and it promises nothing to a peer. Events live in two
// tables of one shape:
//
//	trace_kept in mailstead.db   of accepted messages; Add, inside the commit
//	event in trace.db            all others; Record, batched, may be lost in a crash
//
// Find reads both in place. Events are kept 30 days, and not more than a size.
// trace.db is worth nothing without mailstead.db: when it cannot be opened it
// is set aside and made anew.
package trace

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
)

//go:embed schema/*.sql
var schema embed.FS

//go:embed store/*.sql
var ownSchema embed.FS

// Schema is the migration of mailstead.db.
func Schema() fs.FS { return sqlite.Folder(schema, "schema") }

// Options of Open. The zero value of each field is useful.
type Options struct {
	Keep     time.Duration // how long events are kept; 0 means 30 days
	MaxBytes int64         // of trace.db; 0 means 200 MB
	MaxKept  int64         // rows of trace_kept; 0 means 400,000 (some 60 MB)
	Log      *slog.Logger
}

const (
	batch   = 256                    // events written in one commit
	linger  = 500 * time.Millisecond // how long an event may wait for company
	backlog = 1024                   // events that may wait; more are dropped
)

// Store is both tables. It is a maillog.Sink.
type Store struct {
	main *sqlite.DB
	own  *sqlite.DB
	o    Options

	in      chan maillog.Event
	flush   chan chan struct{}
	done    chan struct{}
	once    sync.Once
	running sync.WaitGroup

	mu      sync.Mutex
	dropped int64 // guarded by mu
}

// Open opens or makes trace.db at path, beside the main database.
func Open(ctx context.Context, path string, main *sqlite.DB, o Options) (*Store, error) {
	if o.Keep == 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 200 << 20
	}
	if o.MaxKept == 0 {
		o.MaxKept = 400_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	own, err := openOwn(ctx, path, o.Log)
	if err != nil {
		return nil, err
	}
	s := &Store{
		main: main, own: own, o: o,
		in:    make(chan maillog.Event, backlog),
		flush: make(chan chan struct{}),
		done:  make(chan struct{}),
	}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		s.write()
	}()
	return s, nil
}

// openOwn sets a file aside that is damaged or of a newer version.
func openOwn(ctx context.Context, path string, log *slog.Logger) (*sqlite.DB, error) {
	o := sqlite.Options{
		Synchronous: "NORMAL", Readers: 1, Log: log,
		Migrations: []fs.FS{sqlite.Folder(ownSchema, "store")},
		Fatal:      func(err error) { log.Warn("trace is not written any more", "err", err) },
	}
	db, err := sqlite.Open(ctx, path, o)
	if err == nil || ctx.Err() != nil {
		return db, err
	}
	log.Warn("trace.db is made anew", "err", err)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, path+".old"+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("set trace.db aside: %w", err)
		}
	}
	return sqlite.Open(ctx, path, o)
}

// Record implements maillog.Sink. It never waits: when the disk does not keep
// up, events are dropped and counted.
func (s *Store) Record(e maillog.Event) {
	if e.Kept {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	select {
	case s.in <- e:
	default:
		s.mu.Lock()
		s.dropped++
		s.mu.Unlock()
	}
}

// write gathers events into commits until Close.
func (s *Store) write() {
	var waiting []maillog.Event
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case e := <-s.in:
			if len(waiting) == 0 {
				timer.Reset(linger)
			}
			if waiting = append(waiting, e); len(waiting) >= batch {
				waiting = s.commit(waiting)
			}
		case <-timer.C:
			waiting = s.commit(waiting)
		case written := <-s.flush:
			waiting = s.commit(s.drain(waiting))
			close(written)
		case <-s.done:
			s.commit(s.drain(waiting))
			return
		}
	}
}

func (s *Store) drain(waiting []maillog.Event) []maillog.Event {
	for {
		select {
		case e := <-s.in:
			waiting = append(waiting, e)
		default:
			return waiting
		}
	}
}

func (s *Store) commit(events []maillog.Event) []maillog.Event {
	if len(events) > 0 {
		err := s.own.Update(context.Background(), func(tx *sqlite.Tx) error {
			for i := range events {
				if err := insert(tx, insertEvent, &events[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.o.Log.Warn("trace events are lost", "count", len(events), "err", err)
		}
	}
	s.mu.Lock()
	dropped := s.dropped
	s.dropped = 0
	s.mu.Unlock()
	if dropped > 0 {
		s.o.Log.Warn("trace events were dropped", "count", dropped)
	}
	return events[:0]
}

// Flush waits until all that was recorded before can be found.
func (s *Store) Flush(ctx context.Context) error {
	written := make(chan struct{})
	select {
	case s.flush <- written:
		<-written
		return nil
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close writes what waits and closes trace.db.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.done) })
	s.running.Wait()
	return s.own.Close()
}
