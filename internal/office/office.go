// Package office is a post office in a temporary directory, for the tests of the
// doors: the real database, accounts, mailboxes and queue, with a few people in
// it. It is not part of the server.
//
// The people are alice, bob and carol at example.org; alice is the operator;
// team@example.org reaches alice and bob. SetPasswords gives them passwords.
package office

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mailstead/account"
	"mailstead/internal/listen"
	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/mailbox/importer"
	"mailstead/message"
	"mailstead/smtp/local"
	"mailstead/smtp/queue"
)

// Hostname of the office.
const Hostname = "mx.example.org"

// Office is all that a door needs.
type Office struct {
	DB        *sqlite.DB
	Accounts  *account.Store
	Mailboxes *mailbox.Store
	Queue     *queue.Queue // delivers only when the test runs it
	Agent     *local.Agent
	Events    *Events
	People    map[string]account.Account // by name

	t testing.TB
}

// Events keeps what was recorded.
type Events struct {
	mu   sync.Mutex
	list []maillog.Event
}

// Record implements maillog.Sink.
func (e *Events) Record(ev maillog.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

// Kind lists the events of one kind.
func (e *Events) Kind(kind string) []maillog.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []maillog.Event
	for _, ev := range e.list {
		if ev.Kind == kind {
			list = append(list, ev)
		}
	}
	return list
}

// Open makes an office that lives as long as the test.
func Open(t testing.TB) *Office {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	db, err := sqlite.Open(ctx, filepath.Join(dir, "mailstead.db"), sqlite.Options{
		Migrations: []fs.FS{account.Schema(), blob.Schema(), mailbox.Schema(), queue.Schema(), trace.Schema(), importer.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	o := &Office{DB: db, Events: &Events{}, People: make(map[string]account.Account), t: t}
	if o.Accounts, err = account.Open(ctx, db, account.Options{}); err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.New(ctx, db, filepath.Join(dir, "messages"), blob.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Mailboxes = mailbox.New(db, blobs, mailbox.Options{})
	o.Agent = local.New(local.Options{
		DB: db, Accounts: o.Accounts, Mailboxes: o.Mailboxes, Events: o.Events, Hostname: Hostname,
		Log: slog.New(slog.DiscardHandler),
	})
	o.Queue = queue.New(queue.Options{
		DB: db, Blobs: blobs, Hostname: Hostname, Events: o.Events,
		Route: func(message.Domain) queue.Deliverer { return local.Queued{Agent: o.Agent} },
	})
	o.Agent.UseQueue(o.Queue)
	t.Cleanup(func() {
		o.Accounts.Close(ctx)
		db.Close()
	})
	o.populate()
	return o
}

func (o *Office) populate() {
	o.t.Helper()
	names := []string{"alice", "bob", "carol"}
	o.Update(func(tx *sqlite.Tx) error {
		if err := o.Accounts.AddDomain(tx, "example.org"); err != nil {
			return err
		}
		for _, name := range names {
			who, err := o.Accounts.Add(tx, account.New{Address: o.Address(name + "@example.org")})
			if err != nil {
				return err
			}
			if err := o.Mailboxes.CreateDefaults(tx, who.ID); err != nil {
				return err
			}
			o.People[name] = who
		}
		return o.Accounts.AddAlias(tx, o.Address("team@example.org"), o.People["alice"].ID, o.People["bob"].ID)
	})
}

// Serve opens a door on loopback and gives its address. Its sessions are over
// before the office closes.
func (o *Office) Serve(s *listen.Server) (addr string) {
	o.t.Helper()
	s.Addrs = []string{"127.0.0.1:0"}
	if err := s.Listen(); err != nil {
		o.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	o.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.Shutdown(ctx) // cuts those that a test has left waiting
		s.Shutdown(context.Background())
		if err := <-served; err != nil {
			o.t.Error(err)
		}
	})
	return s.Bound()[0].String()
}

// SetPasswords gives everybody the password "secret " and the name.
func (o *Office) SetPasswords() {
	o.t.Helper()
	for name, who := range o.People {
		secret, err := o.Accounts.Secret(context.Background(), who.ID, "secret "+name)
		if err != nil {
			o.t.Fatal(err)
		}
		o.Update(func(tx *sqlite.Tx) error { return o.Accounts.SetPassword(tx, who.ID, secret) })
	}
}

// Update runs fn in a transaction that must succeed.
func (o *Office) Update(fn func(tx *sqlite.Tx) error) {
	o.t.Helper()
	if err := o.DB.Update(context.Background(), fn); err != nil {
		o.t.Fatal(err)
	}
}

// Address parses an address that must be one.
func (o *Office) Address(s string) message.Address {
	o.t.Helper()
	a, err := message.ParseAddress(s)
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

// Mail gives the messages of a mailbox, prefix and body.
func (o *Office) Mail(name, box string) []string {
	o.t.Helper()
	ctx := context.Background()
	m, err := o.Mailboxes.Mailbox(ctx, o.People[name].ID, box)
	if err != nil {
		o.t.Fatal(err)
	}
	view, err := o.Mailboxes.Snapshot(ctx, m.ID)
	if err != nil {
		o.t.Fatal(err)
	}
	var list []string
	for i := range view.Len() {
		err := o.Mailboxes.Emails(ctx, []int64{view.At(i).Email}, func(e *mailbox.Email) error {
			r, err := o.Mailboxes.Content(ctx, e)
			if err != nil {
				return err
			}
			defer r.Close()
			b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
			list = append(list, string(b))
			return err
		})
		if err != nil {
			o.t.Fatal(err)
		}
	}
	return list
}

// Queued lists the recipients that wait.
func (o *Office) Queued() []string {
	o.t.Helper()
	var list []string
	err := o.DB.View(context.Background(), func(tx *sqlite.Tx) error {
		rows, err := tx.Query(`SELECT address FROM queue_recipient ORDER BY address`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return err
			}
			list = append(list, s)
		}
		return rows.Err()
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return list
}
