package mailbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
)

// Placing says how a message is put into a mailbox.
type Placing struct {
	Mailbox  int64
	Body     blob.ID // from in.Draft.Commit(tx), once for all placings
	Prefix   []byte
	Flags    Flags
	Keywords []string
	Received time.Time // zero: now
	Grace    bool      // quota may be crossed once, to 110%
	Beyond   bool      // quota is counted, not asked
}

// Placed is where it went.
type Placed struct {
	Mailbox     int64
	UIDValidity uint32
	UID         uint32
	Email       int64
	ModSeq      uint64
}

// Append places a received message inside the caller's transaction. When it
// gives ErrNotExist, ErrOverQuota or ErrKeywords it has changed nothing, and the
// caller may go on with tx; after any other error the transaction must not commit.
func (s *Store) Append(tx *sqlite.Tx, in *Incoming, p Placing) (Placed, error) {
	share := int64(100)
	switch {
	case p.Beyond:
		share = noLimit
	case p.Grace:
		share = 110
	}
	out, err := s.append(tx, in, p, share)
	if err != nil {
		return Placed{}, fmt.Errorf("append: %w", err)
	}
	return out, nil
}

// append lets usage grow to share percent of the limit.
func (s *Store) append(tx *sqlite.Tx, in *Incoming, p Placing, share int64) (Placed, error) {
	size := int64(len(p.Prefix)) + in.Draft.Size()
	words, err := joinKeywords(p.Keywords)
	if err != nil {
		return Placed{}, err
	}
	account, err := s.charge(tx, p.Mailbox, size, share)
	if err != nil {
		return Placed{}, err
	}
	if p.Received.IsZero() {
		p.Received = time.Now()
	}
	thread, err := in.threadOf(tx, account)
	if err != nil {
		return Placed{}, err
	}
	_, zone := p.Received.Zone()
	email, err := tx.Insert(`INSERT INTO email (account, body, size, head, received, zone, msgid, thread, facts, prefix)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		account, int64(p.Body), size, len(p.Prefix), p.Received.Unix(), zone/60, in.msgid, thread, in.facts, pack([]byte{}, p.Prefix))
	if err != nil {
		return Placed{}, err
	}
	if err := s.blobs.Ref(tx, p.Body, account); err != nil {
		return Placed{}, err
	}
	out, err := s.addPlacement(tx, p.Mailbox, placement{email, size, p.Flags, words})
	if err == nil {
		s.announce(tx, account, p.Mailbox, out.ModSeq)
	}
	return out, err
}

// placement is an email on its way into a mailbox.
type placement struct {
	email, size int64
	flags       Flags
	keywords    string
}

// addPlacement gives an email the mailbox's next UID.
func (s *Store) addPlacement(tx *sqlite.Tx, mailbox int64, p placement) (Placed, error) {
	out := Placed{Mailbox: mailbox, Email: p.email}
	var modseq int64
	err := tx.QueryRow(`UPDATE mailbox SET uidnext = uidnext + 1, modseq = modseq + 1, messages = messages + 1,
			unseen = unseen + ?, deleted = deleted + ?, size = size + ? WHERE id = ?
		RETURNING uidvalidity, uidnext - 1, modseq`,
		1-p.flags.count(Seen), p.flags.count(Deleted), p.size, mailbox).Scan(&out.UIDValidity, &out.UID, &modseq)
	if err != nil {
		return out, err
	}
	out.ModSeq = uint64(modseq)
	_, err = tx.Exec(`INSERT INTO placement (mailbox, uid, email, flags, modseq, keywords, saved, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		mailbox, out.UID, p.email, int64(p.flags), modseq, p.keywords, time.Now().Unix(), p.size)
	return out, err
}

// Deliver is the whole way for one mailbox: Settle, Commit, Append, in one Update.
func (s *Store) Deliver(ctx context.Context, in *Incoming, account int64, p Placing) (Placed, error) {
	out, err := s.DeliverAll(ctx, account, []Delivery{{in, p}})
	if err != nil {
		return Placed{}, err
	}
	return out[0], nil
}

// Delivery is one message of DeliverAll.
type Delivery struct {
	In      *Incoming
	Placing Placing // its Body is filled in
}

// DeliverAll is Deliver for several messages of one account (import), all or
// none, in one commit: give it some dozens at a time.
func (s *Store) DeliverAll(ctx context.Context, account int64, all []Delivery) ([]Placed, error) {
	for _, d := range all {
		if err := d.In.Draft.Settle(ctx, account); err != nil {
			return nil, fmt.Errorf("deliver: %w", err)
		}
	}
	out := make([]Placed, len(all))
	err := s.db.Update(ctx, func(tx *sqlite.Tx) error {
		for i, d := range all {
			id, err := d.In.Draft.Commit(tx)
			if err != nil {
				return err
			}
			d.Placing.Body = id
			if out[i], err = s.Append(tx, d.In, d.Placing); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("deliver: %w", err)
	}
	return out, nil
}

// charge counts a new message into the account's usage, or explains why not.
func (s *Store) charge(tx *sqlite.Tx, mailbox, size, share int64) (account int64, err error) {
	var u Usage
	err = tx.QueryRow(`UPDATE mail_account SET bytes = bytes + ?1, messages = messages + 1
		WHERE account = (SELECT account FROM mailbox WHERE id = ?2 AND state = 0)
			AND (quota = 0 OR (bytes + ?1) * 100 <= quota * ?3)
		RETURNING account, bytes, messages, quota`, size, mailbox, share).Scan(&account, &u.Bytes, &u.Messages, &u.Limit)
	if errors.Is(err, sqlite.ErrNoRows) {
		if _, err := byID(tx, mailbox); err != nil {
			return 0, err
		}
		return 0, ErrOverQuota
	}
	if err == nil {
		s.usage.note(tx, account, u)
	}
	return account, err
}
