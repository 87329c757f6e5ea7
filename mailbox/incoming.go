package mailbox

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// Incoming is a message that was received, scanned and hashed, not yet kept.
type Incoming struct {
	Draft   *blob.Draft
	Root    *message.Part
	Summary message.Summary
	// wire forms, made once for all recipients
	Envelope, BodyStructure, Parts []byte

	facts   []byte // packed, see facts.go
	msgid   int64  // hash of the Message-ID; a random number when there is none
	root    int64  // hash of the Message-ID that the conversation began with
	parent  int64  // hash of the Message-ID that this one answers
	isReply bool
}

// Receive reads a message to its end (never whole in memory when large) and
// scans it. The bytes must have CRLF line ends.
func (s *Store) Receive(ctx context.Context, r io.Reader) (*Incoming, error) {
	d, err := s.blobs.Put(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	in, err := scan(d)
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("receive: %w", err)
	}
	in.Draft = d
	return in, nil
}

// Room tells whether a message of that size may begin: sqlite.ErrFull while the
// disk is nearly full.
func (s *Store) Room(size int64) error { return s.blobs.Room(size) }

// contents are the bytes of a body, kept or not.
type contents interface {
	io.ReaderAt
	Size() int64
}

// scan makes all that an email's row needs of its body.
func scan(c contents) (*Incoming, error) {
	root, err := message.Scan(c, c.Size())
	if err != nil {
		return nil, err
	}
	sum, err := message.Summarize(c, c.Size(), root)
	if err != nil {
		return nil, err
	}
	in := &Incoming{
		Root: root, Summary: sum,
		BodyStructure: message.AppendBodyStructure(nil, root, true),
		Parts:         message.MarshalParts(root),
	}
	env := root.Envelope
	if env == nil {
		env = &message.ImapEnvelope{}
	}
	in.Envelope = message.AppendEnvelope(nil, env)
	in.facts = pack([]byte{}, appendFacts(nil, in))
	in.thread()
	return in, nil
}

// Close drops it when it was not kept.
func (in *Incoming) Close() error { return in.Draft.Close() }

// thread finds what the message says of its conversation. The first reference
// names it (RFC 5322, 3.6.4), so that a reply finds its place even when it
// comes before what it answers, without a table of threads.
func (in *Incoming) thread() {
	sum := &in.Summary
	if sum.MessageID != "" {
		in.msgid = hashID(sum.MessageID)
	} else {
		in.msgid = rand.Int64()
	}
	in.root = in.msgid
	switch {
	case len(sum.References) > 0:
		in.isReply, in.root = true, hashID(sum.References[0])
		in.parent = hashID(sum.References[len(sum.References)-1])
	case len(sum.InReplyTo) > 0:
		in.isReply, in.root = true, hashID(sum.InReplyTo[0])
		in.parent = in.root
	}
}

// hashID is 63 bits of FNV-1a, part of the format of the database.
func hashID(id string) int64 {
	h := fnv.New64a()
	io.WriteString(h, id)
	return int64(h.Sum64() >> 1)
}

// threadOf decides the conversation: the parent's, where we know it and it is
// not itself the first message, else the one that the references begin with.
func (in *Incoming) threadOf(tx *sqlite.Tx, account int64) (int64, error) {
	if !in.isReply {
		return in.msgid, nil
	}
	rows, err := tx.Query(`SELECT thread FROM email WHERE account = ? AND msgid = ? AND msgid <> thread ORDER BY id LIMIT 1`, account, in.parent)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	thread := in.root
	if rows.Next() {
		err = rows.Scan(&thread)
	}
	if err == nil {
		err = rows.Err()
	}
	return thread, err
}
