// Package control is the door for the person who runs the server: one table of
// operations over the stores, which the command line, and later the pages, call
// by name. It is no network service: the socket is a file in the data directory
// that only the server's user and root may open.
//
// Data passes as JSON in both directions, so that an operation does the same
// wherever it runs:
//
//	command ─▶ Caller ─┬─ *Client ─▶ data/control.sock ─▶ Server ─▶ table ─▶ stores   a server runs
//	                   └─ *Ops ───────────────────────────────────▶ table ─▶ stores   none runs; the command holds data/lock
//
// There are two kinds of entries. An Operation takes and gives one value. A
// Stream takes a value and a stream of bytes and writes another one while it
// works (import, export): its errors come after whatever it wrote.
//
// Invariants: every change is one transaction of the stores; an *Error is the
// only error that leaves, with what is wrong and what to do about it; secrets go
// in, never out, save a new one to the person who asked for it.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"mailstead/account"
	"mailstead/acme"
	"mailstead/dns/check"
	"mailstead/dns/rollover"
	"mailstead/dns/wanted"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/message"
	"mailstead/smtp/outbound"
	"mailstead/smtp/queue"
)

// Ops is what operations work on.
type Ops struct {
	DB       *sqlite.DB
	Accounts *account.Store
	Mail     *mailbox.Store
	Blobs    *blob.Store
	Queue    *queue.Queue
	Trace    *trace.Store
	Wanted   *wanted.Source // on what our domains' records depend
	// DomainCheck looks at what the DNS says of a domain of ours.
	DomainCheck func(context.Context, message.Domain) (*check.Domain, error)
	Doctor      Doctor             // looks for what is wrong
	Rollover    *rollover.Rollover // of DKIM keys
	// TrySmartHost signs in at a smart host and sends nothing.
	TrySmartHost func(context.Context, outbound.SmartHost) error

	// Of a running server; nil without one.
	Doors        func() map[string]string // of mail, where this machine reaches them
	Certificates *acme.Certificates
	Certify      func(context.Context) error // brings them in line with settings and domains

	Data    string    // the data directory
	Version string    // of this program
	Started time.Time // of the server; zero when none runs
	Rebuilt []string  // what was done at the start because the database had been put back

	publishing sync.Mutex // held while records are changed

	looking sync.Mutex // held for looked
	looked  DoctorLast // the last whole run of this process; not the night's

	extra []stream // of tests
}

// Caller runs operations: a running server, or the stores themselves.
type Caller interface {
	// Do runs an operation; in and out are values of JSON, nil for none.
	// Errors: *Error.
	Do(ctx context.Context, name string, in, out any) error
	// Stream runs a stream: r is what it reads, w what it writes.
	// Errors: *Error.
	Stream(ctx context.Context, name string, in any, r io.Reader, w io.Writer) error
}

// Call runs an operation and gives its result.
func Call[Out any](ctx context.Context, c Caller, name string, in any) (out Out, err error) {
	err = c.Do(ctx, name, in, &out)
	return out, err
}

// operation is one entry of the table.
type operation struct {
	name string
	run  func(ctx context.Context, o *Ops, in json.RawMessage) (any, error)
}

// op makes an entry of a function on typed values.
func op[In, Out any](name string, fn func(o *Ops, ctx context.Context, in In) (Out, error)) operation {
	return operation{name, func(ctx context.Context, o *Ops, raw json.RawMessage) (any, error) {
		var in In
		if err := decode(raw, &in); err != nil {
			return nil, &Error{Kind: Invalid, Text: fmt.Sprintf("%s: %v", name, err)}
		}
		return fn(o, ctx, in)
	}}
}

// decode reads one JSON value; a field that is not known is an error, since an
// older server must not leave out half of what a newer command asks for.
func decode(raw json.RawMessage, in any) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(in)
}

// None is the input or the result of an operation that has none.
type None struct{}

// Do runs an operation in this process. What goes in and out passes through
// JSON as it would through the socket.
func (o *Ops) Do(ctx context.Context, name string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("control %s: %w", name, err)
	}
	res, err := o.run(ctx, name, raw)
	if err != nil {
		return explain(err)
	}
	if out == nil {
		return nil
	}
	if raw, err = json.Marshal(res); err != nil {
		return fmt.Errorf("control %s: %w", name, err)
	}
	return json.Unmarshal(raw, out)
}

func (o *Ops) run(ctx context.Context, name string, in json.RawMessage) (any, error) {
	for _, op := range operations() {
		if op.name == name {
			return op.run(ctx, o, in)
		}
	}
	return nil, &Error{Kind: NotFound, Text: fmt.Sprintf("no operation %q", name),
		Next: "the running server may be of another version; restart it"}
}

// Stream runs a stream in this process.
func (o *Ops) Stream(ctx context.Context, name string, in any, r io.Reader, w io.Writer) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("control %s: %w", name, err)
	}
	return explain(o.stream(ctx, name, raw, r, w))
}

func (o *Ops) stream(ctx context.Context, name string, in json.RawMessage, r io.Reader, w io.Writer) error {
	for _, s := range append(streams(), o.extra...) {
		if s.name == name {
			return s.run(ctx, o, in, r, w)
		}
	}
	return &Error{Kind: NotFound, Text: fmt.Sprintf("no stream %q", name),
		Next: "the running server may be of another version; restart it"}
}
