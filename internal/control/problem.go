package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"mailstead/account"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/smtp/queue"
)

// Kind is what sort of trouble an Error is.
type Kind string

const (
	Invalid  Kind = "invalid"   // what was asked for cannot be
	NotFound Kind = "not found" // there is no such thing
	Exists   Kind = "exists"    // there is one already
	Busy     Kind = "busy"      // try again later
	Failed   Kind = "failed"    // our fault, or the machine's
)

// Error is what a person reads: `error:` and `hint:`.
type Error struct {
	Kind Kind   `json:"kind"`
	Text string `json:"error"`
	Next string `json:"hint,omitempty"`
}

func (e *Error) Error() string { return e.Text }

// Hint is the next step, "" when there is none.
func (e *Error) Hint() string { return e.Next }

// problems is the border's one table from the stores' errors to what a person
// is told. The first that fits is taken.
func problems() []struct {
	is   error
	kind Kind
	hint string
} {
	return []struct {
		is   error
		kind Kind
		hint string
	}{
		{account.ErrNotLocal, NotFound, "`mailstead domain list` shows our domains, `mailstead domain add NAME` adds one"},
		{account.ErrUnknown, NotFound, "`mailstead account list` and `mailstead alias list` show what there is"},
		{account.ErrExists, Exists, ""},
		{account.ErrInvalid, Invalid, ""},
		{account.ErrDisabled, Invalid, "`mailstead account enable ADDRESS` opens it again"},
		{account.ErrThrottled, Busy, "wait a minute"},
		{account.ErrBadCredentials, Invalid, ""},
		{mailbox.ErrNotExist, NotFound, ""},
		{mailbox.ErrExists, Exists, ""},
		{mailbox.ErrName, Invalid, ""},
		{mailbox.ErrOverQuota, Invalid, "`mailstead account quota ADDRESS SIZE` changes the limit"},
		{queue.ErrNotExist, NotFound, "`mailstead queue list` shows what waits; `mailstead trace` tells where the rest went"},
		{sqlite.ErrFull, Failed, "make room on the disk that holds the data directory"},
		{sqlite.ErrFailed, Failed, "the disk refused a write; see the log, check the disk, restart the server"},
		{context.DeadlineExceeded, Busy, "try again"},
		{context.Canceled, Busy, ""},
		{fs.ErrPermission, Failed, "run this as the server's user or as root"},
		{fs.ErrNotExist, NotFound, ""},
	}
}

// explain makes an *Error of any error, nil of nil.
func explain(err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	for _, p := range problems() {
		if errors.Is(err, p.is) {
			return &Error{Kind: p.kind, Text: err.Error(), Next: p.hint}
		}
	}
	return &Error{Kind: Failed, Text: err.Error()}
}

// invalid is a refusal with the next step.
func invalid(hint, format string, args ...any) error {
	return &Error{Kind: Invalid, Text: fmt.Sprintf(format, args...), Next: hint}
}
