// Package sqlite is the only room that knows the database driver: one writer
// with group commit, a pool of readers, forward migrations.
package sqlite

import (
	"context"
	"database/sql"
	"io/fs"
	"log/slog"
)

// Options of Open. The zero value of each field is useful.
type Options struct {
	Synchronous string // "FULL" (the default) or "NORMAL"
	Readers     int    // pool of read-only connections; 0 means 4
	Log         *slog.Logger
	Fatal       func(error) // called once when a sync or commit failed for good
	Migrations  []fs.FS     // files NNNN_owner_what.sql, NNNN global
}

// DB is one database file in WAL mode.
type DB struct{}

// Open opens or makes the file, applies what migrations are missing (a newer
// schema is refused with ErrNewerSchema), and starts the writer.
func Open(ctx context.Context, path string, o Options) (*DB, error) { panic("border") }

// Update hands fn to the single writer and returns when the commit that holds
// it is on stable storage. fn runs in a savepoint, has no effect outside tx,
// does no I/O and may run twice. A cancelled ctx ends only the waiting.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error { panic("border") }

// View runs fn in a short read transaction on a pooled connection.
func (db *DB) View(ctx context.Context, fn func(tx *Tx) error) error { panic("border") }

// Close checkpoints and closes.
func (db *DB) Close() error { panic("border") }

// Tx is a transaction. Statements are prepared once per connection and kept.
type Tx struct{}

func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) { panic("border") }
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) { panic("border") }
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row        { panic("border") }

// Insert executes and returns the new row's id.
func (tx *Tx) Insert(query string, args ...any) (int64, error) { panic("border") }

// AfterCommit registers fn to run once after the commit and before the caller
// of Update is answered (the change feed). Dropped when this fn's savepoint is
// rolled back.
func (tx *Tx) AfterCommit(fn func()) { panic("border") }
