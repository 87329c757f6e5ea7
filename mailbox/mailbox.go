// Package mailbox is the store of mail: emails, mailboxes, UIDs, flags,
// mod-sequences, quota and the change feed (RFC 9051, 7162, 8474, 8514).
package mailbox

import (
	"context"
	"io"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// Separator divides the levels of a mailbox's name. Names are UTF-8 (NFC).
const Separator = "/"

// Store is the mail of all accounts.
type Store struct{}

// Mailbox is a mailbox's row. Counters are kept with every change.
type Mailbox struct {
	ID          int64
	Account     int64
	Name        string // "INBOX", "Archive/2026"
	ObjectID    string // MAILBOXID, RFC 8474
	Use         string // special use, RFC 6154: `\Sent`; "" for none
	Subscribed  bool
	UIDValidity uint32
	UIDNext     uint32
	ModSeq      uint64 // HIGHESTMODSEQ
	Messages    uint32
	Unseen      uint32
	Deleted     uint32
	Size        int64 // bytes
}

// Mailboxes lists an account's mailboxes, INBOX first, then by name.
func (s *Store) Mailboxes(ctx context.Context, account int64) ([]Mailbox, error) { panic("border") }

// Subscriptions lists subscribed names, those of mailboxes that are gone too.
func (s *Store) Subscriptions(ctx context.Context, account int64) ([]string, error) { panic("border") }

// Mailbox finds one by name. Errors: ErrNotExist.
func (s *Store) Mailbox(ctx context.Context, account int64, name string) (Mailbox, error) {
	panic("border")
}

// Create makes a mailbox and its missing parents. Errors: ErrExists, ErrName.
func (s *Store) Create(ctx context.Context, account int64, name, use string) (Mailbox, error) {
	panic("border")
}

// Delete removes a mailbox with its mail. Errors: ErrNotExist, ErrHasChildren, ErrName (INBOX).
func (s *Store) Delete(ctx context.Context, account int64, name string) error { panic("border") }

// Rename moves a mailbox with its children; renaming INBOX moves its mail
// into a new mailbox (RFC 9051, 6.3.6).
func (s *Store) Rename(ctx context.Context, account int64, from, to string) error { panic("border") }

// Subscribe sets or clears a subscription.
func (s *Store) Subscribe(ctx context.Context, account int64, name string, on bool) error {
	panic("border")
}

// CreateDefaults makes INBOX and the special-use mailboxes of a new account.
func (s *Store) CreateDefaults(tx *sqlite.Tx, account int64) error { panic("border") }

// Flags are the system flags of RFC 9051, 2.3.2.
type Flags uint8

const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

// Entry is one message of a Snapshot. Keywords points to a shared, sorted list.
type Entry struct {
	UID      uint32
	Flags    Flags
	ModSeq   uint64
	Email    int64
	Keywords []string
}

// Snapshot is the immutable list of a mailbox's messages at one mod-sequence,
// shared by all sessions.
type Snapshot struct{}

func (v *Snapshot) Mailbox() int64      { panic("border") }
func (v *Snapshot) UIDValidity() uint32 { panic("border") }
func (v *Snapshot) UIDNext() uint32     { panic("border") }
func (v *Snapshot) ModSeq() uint64      { panic("border") }
func (v *Snapshot) Len() int            { panic("border") }

// At gives the entry of index i (sequence number i+1).
func (v *Snapshot) At(i int) Entry { panic("border") }

// Index finds a UID: its index, or where it would stand and false.
func (v *Snapshot) Index(uid uint32) (int, bool) { panic("border") }

// Keywords lists every keyword in use in the mailbox, sorted.
func (v *Snapshot) Keywords() []string { panic("border") }

// Diff is what leads from old to v: indexes refer to old for Expunged, to v for
// Changed; messages from index Added on are new. Shared chunks cost nothing.
func (v *Snapshot) Diff(old *Snapshot) Diff { panic("border") }

type Diff struct {
	Expunged []int // ascending indexes in old
	Changed  []int // ascending indexes in v of kept messages whose flags changed
	Added    int   // first new index in v
}

// Snapshot returns the mailbox as it is now, advancing the cached one.
// Errors: ErrNotExist when the mailbox is gone.
func (s *Store) Snapshot(ctx context.Context, mailbox int64) (*Snapshot, error) { panic("border") }

// Email is an email's row: everything FETCH needs without the message's bytes.
type Email struct {
	ID            int64
	ObjectID      string // EMAILID
	ThreadID      string
	Body          blob.ID
	Prefix        []byte // generated fields that stand before the body
	BodySize      int64
	Received      time.Time // INTERNALDATE
	Envelope      []byte    // wire form
	BodyStructure []byte    // wire form, extended
	Parts         []byte    // message.MarshalParts
	Preview       string
	Summary       message.Summary // sort keys only are guaranteed
}

// Size is RFC822.SIZE: prefix and body.
func (e *Email) Size() int64 { return int64(len(e.Prefix)) + e.BodySize }

// Emails loads rows by id, in chunks; order is that of ids, missing ones are left out.
func (s *Store) Emails(ctx context.Context, ids []int64, fn func(*Email) error) error {
	panic("border")
}

// Content opens prefix and body as one string of bytes.
// Errors: ErrExpunged when the bytes are gone.
func (s *Store) Content(ctx context.Context, e *Email) (blob.Reader, error) { panic("border") }

// SavedDate of a placement (RFC 8514).
func (s *Store) SavedDate(ctx context.Context, mailbox int64, uid uint32) (time.Time, error) {
	panic("border")
}

// Incoming is a message that was received, scanned and hashed, not yet kept.
type Incoming struct {
	Draft   *blob.Draft
	Root    *message.Part
	Summary message.Summary
	// wire forms, made once for all recipients
	Envelope, BodyStructure, Parts []byte
}

// Receive reads a message to its end (never whole in memory when large) and
// scans it. The bytes must have CRLF line ends.
func (s *Store) Receive(ctx context.Context, r io.Reader) (*Incoming, error) { panic("border") }

// Close drops it when it was not kept.
func (in *Incoming) Close() error { panic("border") }

// Placing says how a message is put into a mailbox.
type Placing struct {
	Mailbox  int64
	Body     blob.ID // from in.Draft.Commit(tx), once for all placings
	Prefix   []byte
	Flags    Flags
	Keywords []string
	Received time.Time // zero: now
	Grace    bool      // quota may be crossed once, to 110%
}

// Placed is where it went.
type Placed struct {
	Mailbox     int64
	UIDValidity uint32
	UID         uint32
	Email       int64
	ModSeq      uint64
}

// Append places a received message inside the caller's transaction.
// Errors: ErrNotExist, ErrOverQuota.
func (s *Store) Append(tx *sqlite.Tx, in *Incoming, p Placing) (Placed, error) { panic("border") }

// Deliver is the whole way for one mailbox: Settle, Commit, Append, in one Update.
func (s *Store) Deliver(ctx context.Context, in *Incoming, account int64, p Placing) (Placed, error) {
	panic("border")
}

// FlagOp is what SetFlags does.
type FlagOp int

const (
	ReplaceFlags FlagOp = iota
	AddFlags
	RemoveFlags
)

// SetFlags changes flags of the given UIDs (ascending; unknown ones ignored),
// in chunks of 1,000. unchangedSince 0 means no condition (RFC 7162); UIDs that
// failed it are returned.
func (s *Store) SetFlags(ctx context.Context, mailbox int64, uids []uint32, op FlagOp, f Flags, keywords []string, unchangedSince uint64) (failed []uint32, err error) {
	panic("border")
}

// Copied pairs source and destination UIDs (COPYUID).
type Copied struct {
	UIDValidity uint32
	From, To    []uint32
}

// Copy and Move put messages into another mailbox of the same account. Copy is
// all or nothing for the reader; Move goes in chunks of 1,000, each its own commit.
func (s *Store) Copy(ctx context.Context, from int64, uids []uint32, to int64) (Copied, error) {
	panic("border")
}
func (s *Store) Move(ctx context.Context, from int64, uids []uint32, to int64) (Copied, error) {
	panic("border")
}

// Expunge removes those of uids that carry Deleted (all that carry it when
// uids is nil) and returns them. Remove removes regardless of the flag.
func (s *Store) Expunge(ctx context.Context, mailbox int64, uids []uint32) ([]uint32, error) {
	panic("border")
}
func (s *Store) Remove(ctx context.Context, mailbox int64, uids []uint32) error { panic("border") }

// Usage of an account. Limit 0 means none.
type Usage struct{ Bytes, Messages, Limit int64 }

func (s *Store) Usage(ctx context.Context, account int64) (Usage, error) { panic("border") }

// SetQuota sets the limit in bytes; 0 for none.
func (s *Store) SetQuota(tx *sqlite.Tx, account, bytes int64) error { panic("border") }

// Watch wakes the reader when anything of the account changes. C has room for
// one token; Take returns the mailboxes that changed since the last Take, and
// whether the list of mailboxes did.
type Watch struct{ C <-chan struct{} }

func (s *Store) Watch(account int64) *Watch                    { panic("border") }
func (w *Watch) Take() (mailboxes map[int64]uint64, list bool) { panic("border") }
func (w *Watch) Close()                                        { panic("border") }
