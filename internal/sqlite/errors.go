package sqlite

import (
	"database/sql"
	"errors"
	"fmt"

	lib "modernc.org/sqlite/lib"
)

// What callers branch on. Errors of SQLite match by errors.Is.
var (
	ErrNoRows      = sql.ErrNoRows
	ErrFull        = errors.New("disk full")
	ErrFailed      = errors.New("the database can promise nothing any more")
	ErrBusy        = errors.New("database is locked by another process")
	ErrConstraint  = errors.New("constraint failed")
	ErrNewerSchema = errors.New("the database was written by a newer version")
	ErrClosed      = errors.New("database is closed")
	ErrReadOnly    = errors.New("the database cannot be written")
	ErrReverting   = errors.New("a return to a snapshot was cut short: run it again")
)

var (
	errNoMemory = errors.New("out of memory")
	errTxDone   = errors.New("transaction is over")
	errLost     = errors.New("transaction was rolled back")
	errNull     = errors.New("NULL needs a pointer or a Null type")
)

// Is lets errors.Is find the sentinels.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrFull:
		// The log's index grows by whole chunks; without space for one SQLite
		// speaks of an I/O error.
		return e.Code&0xff == lib.SQLITE_FULL || e.Code == lib.SQLITE_IOERR_SHMSIZE
	case ErrBusy:
		return e.Code&0xff == lib.SQLITE_BUSY
	case ErrReadOnly:
		return e.Code&0xff == lib.SQLITE_READONLY || e.Code&0xff == lib.SQLITE_CANTOPEN
	case ErrConstraint:
		return e.Code&0xff == lib.SQLITE_CONSTRAINT
	}
	return false
}

// io tells whether the disk, not the statement, is at fault.
func (e *Error) io() bool {
	return e.Code&0xff == lib.SQLITE_IOERR && e.Code != lib.SQLITE_IOERR_SHMSIZE
}

// PanicError is the error of an Update or View whose fn panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic in transaction: %v", e.Value) }
