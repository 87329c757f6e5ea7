// Package mailbox is the store of mail: emails, mailboxes, UIDs, flags,
// mod-sequences, quota and the change feed (RFC 9051, 7162, 8474, 8514, 9208).
// It is neither a protocol nor a policy, and it does not keep the bytes of
// messages: mailbox/blob does.
//
// Three tables say what there is: body (of mailbox/blob) holds bytes, email says
// how one account has them, placement says where that email lies. A copy is a
// second placement of the same email; a move is the placement under a new UID.
// When an email's last placement goes, its row goes and its body loses a holder;
// for ten minutes sessions that have not been told still find both (Departed).
//
// A message comes in by Receive (read, hash, scan; nothing is kept) and Append
// inside the transaction of whoever accepts it, or Deliver, which is both steps
// of the latter. It goes out by Snapshot (UIDs and flags, shared by all
// sessions), Emails (what FETCH needs without bytes) and Content (the bytes).
//
// What always holds:
//   - UIDs and mod-sequences are allotted inside the one writer, so commit order
//     is their order, and a reader that saw mod-sequence N has seen all up to N;
//   - UIDVALIDITYs of an account only grow, and none is given twice;
//   - counters change in the commit that changes what they count; Check compares;
//   - the change feed speaks after the commit and before its caller is answered;
//   - object ids are never given twice, not even after a restore.
package mailbox

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
)

//go:embed schema/*.sql
var schema embed.FS

// Schema is the room's migrations.
func Schema() fs.FS { return sqlite.Folder(schema, "schema") }

// Separator divides the levels of a mailbox's name. Names are UTF-8 (NFC).
const Separator = "/"

// defaultChunk is how many messages one commit of a longer operation changes, so that
// the doors' commits come in between.
const defaultChunk = 1000

// Options of New. The zero value is useful.
type Options struct {
	Log *slog.Logger
	// CacheBytes bounds the memory of snapshots that no session holds; 0 means 12 MiB.
	CacheBytes int
}

// Store is the mail of all accounts.
type Store struct {
	db        *sqlite.DB
	blobs     *blob.Store
	log       *slog.Logger
	feed      feed
	snapshots cache
	usage     usageTable
	departed  departed
	chunk     int
	keptLog   int
}

// New makes the store over an open database (with Schema among its migrations)
// and the store of bodies.
func New(db *sqlite.DB, blobs *blob.Store, o Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 12 << 20
	}
	s := &Store{db: db, blobs: blobs, log: o.Log, chunk: defaultChunk, keptLog: defaultLog}
	s.snapshots.init(o.CacheBytes)
	s.usage.init()
	s.feed.init()
	return s
}

// Mailbox is a mailbox's row. Counters are kept with every change.
type Mailbox struct {
	ID          int64
	Account     int64
	Name        string // "INBOX", "Archive/2026"
	ObjectID    string // MAILBOXID, RFC 8474
	Use         string // special use, RFC 6154: `\Sent`; "" for none
	NoSelect    bool   // a name without mail, kept for its children; only Mailboxes shows it
	Subscribed  bool
	UIDValidity uint32
	UIDNext     uint32
	ModSeq      uint64 // HIGHESTMODSEQ
	Messages    uint32
	Unseen      uint32
	Deleted     uint32
	Size        int64 // bytes
}

// States of a mailbox's row.
const (
	stateReal     = 0
	stateNoSelect = 1
	stateDoomed   = 2 // deleted, still being emptied
)

const mailboxColumns = `SELECT m.id, m.account, m.name, m.special, m.state, m.uidvalidity, m.uidnext, m.modseq,
	m.messages, m.unseen, m.deleted, m.size,
	EXISTS (SELECT 1 FROM subscription s WHERE s.account = m.account AND s.name = m.name)
	FROM mailbox m `

func scanMailbox(row interface{ Scan(...any) error }) (m Mailbox, state int, err error) {
	err = row.Scan(&m.ID, &m.Account, &m.Name, &m.Use, &state, &m.UIDValidity, &m.UIDNext, &m.ModSeq,
		&m.Messages, &m.Unseen, &m.Deleted, &m.Size, &m.Subscribed)
	if errors.Is(err, sqlite.ErrNoRows) {
		return m, 0, ErrNotExist
	}
	m.ObjectID = "m" + strconv.FormatInt(m.ID, 10)
	m.NoSelect = state == stateNoSelect
	return m, state, err
}

// Mailboxes lists an account's mailboxes, INBOX first, then by name.
func (s *Store) Mailboxes(ctx context.Context, account int64) ([]Mailbox, error) {
	var out []Mailbox
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		out = nil
		rows, err := tx.Query(mailboxColumns+`WHERE m.account = ? AND m.state <> 2 ORDER BY m.name <> 'INBOX', m.name`, account)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			m, _, err := scanMailbox(rows)
			if err != nil {
				return err
			}
			out = append(out, m)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list mailboxes: %w", err)
	}
	return out, nil
}

// Mailbox finds one by name. Errors: ErrNotExist.
func (s *Store) Mailbox(ctx context.Context, account int64, name string) (m Mailbox, err error) {
	if name, err = cleanName(name); err != nil {
		return m, ErrNotExist // no mailbox can have such a name
	}
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		m, err = s.byName(tx, account, name)
		return err
	})
	if err == nil && m.NoSelect {
		err = ErrNotExist
	}
	if err != nil {
		return Mailbox{}, fmt.Errorf("mailbox %q: %w", name, err)
	}
	return m, nil
}

// MailboxID finds one by id. Errors: ErrNotExist.
func (s *Store) MailboxID(ctx context.Context, id int64) (m Mailbox, err error) {
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		m, err = byID(tx, id)
		return err
	})
	if err != nil {
		return Mailbox{}, fmt.Errorf("mailbox %d: %w", id, err)
	}
	return m, nil
}

// Use finds the mailbox with a special use inside the caller's transaction.
// Errors: ErrNotExist.
func (s *Store) Use(tx *sqlite.Tx, account int64, use string) (Mailbox, error) {
	m, state, err := scanMailbox(tx.QueryRow(mailboxColumns+`WHERE m.account = ? AND m.special = ? AND m.special <> ''`, account, use))
	if err == nil && state != stateReal {
		err = ErrNotExist
	}
	return m, err
}

// byName finds a row, a \Noselect one too.
func (s *Store) byName(tx *sqlite.Tx, account int64, name string) (Mailbox, error) {
	m, _, err := scanMailbox(tx.QueryRow(mailboxColumns+`WHERE m.account = ? AND m.name = ?`, account, name))
	return m, err
}

// byID finds a row that holds mail.
func byID(tx *sqlite.Tx, id int64) (Mailbox, error) {
	m, state, err := scanMailbox(tx.QueryRow(mailboxColumns+`WHERE m.id = ?`, id))
	if err == nil && state != stateReal {
		err = ErrNotExist
	}
	return m, err
}

// update runs fn in the writer and gives its result once it is committed. When
// ctx ends first, fn may still be running: its result must not be looked at, and
// must not be written where the caller looks.
func update[T any](ctx context.Context, db *sqlite.DB, fn func(tx *sqlite.Tx) (T, error)) (T, error) {
	var out, none T
	err := db.Update(ctx, func(tx *sqlite.Tx) error {
		v, err := fn(tx)
		if err == nil {
			out = v
		}
		return err
	})
	if err != nil {
		return none, err
	}
	return out, nil
}
