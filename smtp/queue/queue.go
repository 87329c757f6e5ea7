// Package queue keeps mail that waits: rows in the main database, retries,
// DSNs. It does not speak SMTP, does not know DNS, and does not look into
// messages; a Deliverer, chosen by route, does the work and gives results as
// data.
//
// A door adds a message in the commit that accepts it. One row holds the
// message (its number is the QID), one each recipient; the recipients of one
// domain are one Item and travel together, so they share attempts and next.
//
//	| state      | is                                      | reached by                | after a crash       |
//	|------------|-----------------------------------------|---------------------------|---------------------|
//	| queued     | row, attempts = 0                       | Add: ACCEPTED by us       | queued              |
//	| attempting | memory only; the row stays as it was    | the scheduler, when due   | queued or deferred, due at once |
//	| deferred   | row, attempts > 0, next                 | the commit of a result    | deferred            |
//	| held       | row, held = 1; never due                | Hold                      | held                |
//	| done       | no row; trace says delivered or relayed | the commit of a result    | gone                |
//	| failed     | no row; trace; DSN is queued            | the same commit           | gone, DSN queued    |
//	| deleted    | no row; trace                           | Delete                    | gone                |
//
// The commit of a result is the only place where a recipient ends: its row, its
// trace, the DSN that it causes and, with the last recipient, the reference to
// the body change together. A crash between the other server's 250 and our
// commit sends the message once more; no crash loses it.
//
// RFC 5321, 4.5.4 (retries), 6.1 (DSNs never answer the null reverse-path);
// RFC 3461 (NOTIFY, RET, ENVID, ORCPT); RFC 3464 (the report).
package queue

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema is the queue's migration.
func Schema() fs.FS { return sqlite.Folder(schema, "schema") }

// Options of New.
type Options struct {
	DB    *sqlite.DB
	Blobs *blob.Store
	// Route chooses who delivers to a domain: smtp/local or smtp/outbound.
	Route    func(message.Domain) Deliverer
	Hostname string // in DSNs: Reporting-MTA and the author's domain
	// Sign gives the DKIM-Signature fields for our DSNs; nil signs nothing.
	Sign   func(ctx context.Context, author message.Domain, r io.ReaderAt, size int64) ([]byte, error)
	Events maillog.Sink // after the commits; may be nil
	Log    *slog.Logger // may be nil

	Schedule       Schedule      // zero: DefaultSchedule
	Concurrency    int           // attempts at once; 0 means 32
	PerDestination int           // attempts at once to one domain; 0 means 4
	Grace          time.Duration // for attempts at shutdown; 0 means 10 s
}

// Queue is mail on its way out.
type Queue struct {
	o  Options
	db *sqlite.DB

	mu      sync.Mutex
	s       scheduler // guarded by mu
	running sync.WaitGroup
}

// New makes a queue. Add works at once; deliveries begin with Run.
func New(o Options) *Queue {
	if o.Concurrency == 0 {
		o.Concurrency = 32
	}
	if o.PerDestination == 0 {
		o.PerDestination = 4
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if o.Schedule.Steps == nil {
		o.Schedule = DefaultSchedule()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Events == nil {
		o.Events = maillog.Sinks{}
	}
	return &Queue{o: o, db: o.DB}
}

// Message is one accepted message to be sent on. Prefix stands before the body
// on the wire (Received, later DKIM-Signature).
type Message struct {
	MID      string // our id, as told in the 250
	Account  int64  // who submitted; 0 for mail of the world and our own DSNs
	Verified bool   // the reverse-path passed SPF or DMARC; an Account's always may get DSNs
	Envelope message.Envelope
	Body     blob.ID
	Size     int64 // prefix and body
	Prefix   []byte
	Created  time.Time // zero means now
}

// Add puts rows for every recipient into the caller's transaction, refers to the
// body, and wakes the scheduler after the commit. It returns the QID.
func (q *Queue) Add(tx *sqlite.Tx, m Message) (qid int64, err error) {
	if len(m.Envelope.Recipients) == 0 {
		return 0, fmt.Errorf("queue %s: no recipients", m.MID)
	}
	if m.Created.IsZero() {
		m.Created = time.Now()
	}
	if m.Prefix == nil {
		m.Prefix = []byte{}
	}
	created := m.Created.UnixMilli()
	e := &m.Envelope
	qid, err = tx.Insert(`INSERT INTO queue_message (mid, account, verified, reverse_path, smtputf8, eightbit,
			envid, ret, body, prefix, size, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.MID, m.Account, m.Verified || m.Account != 0, pathText(e.ReversePath), e.SMTPUTF8, e.EightBit,
		e.EnvID, e.Return, int64(m.Body), m.Prefix, m.Size, created)
	if err != nil {
		return 0, fmt.Errorf("queue %s: %w", m.MID, err)
	}
	if err := q.o.Blobs.Ref(tx, m.Body, blob.Queue); err != nil {
		return 0, fmt.Errorf("queue %s: %w", m.MID, err)
	}
	var keys []key
	var events []maillog.Event
	for _, r := range e.Recipients {
		_, err := tx.Insert(`INSERT INTO queue_recipient (message, destination, address, original, notify,
				held, warned, attempts, next, status, reply, host, reason)
				VALUES (?, ?, ?, ?, ?, 0, 0, 0, ?, '', '', '', '')`,
			qid, string(r.Address.Domain), r.Address.String(), r.Original, int(r.Notify), created)
		if err != nil {
			return 0, fmt.Errorf("queue %s: %w", m.MID, err)
		}
		keys = append(keys, key{qid, r.Address.Domain})
		ev := maillog.Event{
			Time: m.Created, Kind: maillog.Queued, MID: m.MID, QID: qid, Account: m.Account,
			ReversePath: pathText(e.ReversePath), Rcpt: r.Address.String(), Size: m.Size, Kept: true,
		}
		if err := trace.Add(tx, ev); err != nil {
			return 0, err
		}
		events = append(events, ev)
	}
	tx.AfterCommit(func() {
		q.wake(keys, m.Created)
		for _, ev := range events {
			q.o.Events.Record(ev)
		}
	})
	return qid, nil
}

// pathText is "" for the null reverse-path.
func pathText(a message.Address) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

// Run delivers until ctx ends. Then it starts nothing more, gives running
// attempts Grace to finish, ends them, and returns.
func (q *Queue) Run(ctx context.Context) error {
	attempts, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	q.mu.Lock()
	q.s.open(attempts)
	q.mu.Unlock()
	if err := q.load(ctx); err != nil {
		q.close()
		return err
	}
	<-ctx.Done()
	q.close()
	grace := time.AfterFunc(q.o.Grace, end)
	defer grace.Stop()
	q.running.Wait()
	return nil
}

// load tells the scheduler of every row. What is added meanwhile is known to it
// already; a row that has ended since is found out by its attempt.
func (q *Queue) load(ctx context.Context) error {
	type waiting struct {
		key
		next int64
		held bool
	}
	var all []waiting
	err := q.db.View(ctx, func(tx *sqlite.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT message, destination, min(next), max(held) FROM queue_recipient
			GROUP BY message, destination ORDER BY message`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var w waiting
			var destination string
			if err := rows.Scan(&w.qid, &destination, &w.next, &w.held); err != nil {
				return err
			}
			w.destination = message.Domain(destination)
			all = append(all, w)
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("load the queue: %w", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range all {
		q.s.add(w.key, time.UnixMilli(w.next), w.held)
	}
	q.start()
	return nil
}
