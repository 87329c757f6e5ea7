// Package queue keeps mail that waits: rows in the main database, states,
// retries, DSNs.
package queue

import (
	"context"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// Queue is mail on its way out.
type Queue struct{}

// Message is one accepted message to be sent on. Prefix stands before the body
// on the wire (Received, later DKIM-Signature).
type Message struct {
	MID      string // our id, as told in the 250
	Account  int64  // who submitted; 0 for our own DSNs
	Envelope message.Envelope
	Body     blob.ID
	Size     int64 // prefix and body
	Prefix   []byte
}

// Add puts rows for every recipient into the caller's transaction, refers to the
// body, and wakes the scheduler after the commit.
func (q *Queue) Add(tx *sqlite.Tx, m Message) (ids []int64, err error) { panic("border") }

// Item is one message to one destination, handed to a Deliverer: recipients
// that share a domain travel together.
type Item struct {
	QID         int64
	Message     Message // Envelope.Recipients are those of this attempt
	Destination message.Domain
	Attempts    int
	Content     blob.Reader // prefix and body as one
}

// Result is what became of one recipient. Delivery results are data.
type Result struct {
	Recipient message.Address
	Action    message.Action // delivered, relayed, delayed, failed
	Status    string         // enhanced status code, "5.1.1"
	Reply     string         // the remote's reply, whole
	RemoteMTA string         // name [address]
	Reason    string         // plain words
}

// Deliverer tries an item; one Result per recipient.
type Deliverer interface {
	Deliver(ctx context.Context, it Item) []Result
}
