package queue

import (
	"context"
	"io"

	"mailstead/mailbox/blob"
	"mailstead/message"
)

// Item is one message to one destination, handed to a Deliverer: recipients
// that share a domain travel together.
type Item struct {
	QID         int64
	Message     Message // Envelope.Recipients are those of this attempt
	Destination message.Domain
	Attempts    int         // before this one
	Content     blob.Reader // prefix and body as one; closed by the queue
}

// Result is what became of one recipient. Delivery results are data.
type Result struct {
	Recipient message.Address
	Action    message.Action // delivered, relayed, delayed, failed
	Status    string         // enhanced status code, "5.1.1"
	Reply     string         // the remote's reply, whole
	RemoteMTA string         // name [address]
	Reason    string         // plain words
	// Notifies says that the other server has taken over RFC 3461's promises,
	// so that we report no success.
	Notifies bool
	// Err says that the fault is ours and an operator may act.
	Err error
}

// final tells whether the recipient ends with this result.
func (r *Result) final() bool { return r.Action != message.Delayed }

// Deliverer tries an item and gives one Result for every recipient. An
// attempt that ctx ends gives delayed.
type Deliverer interface {
	Deliver(ctx context.Context, it Item) []Result
}

// content is prefix and body as one.
type content struct {
	prefix []byte
	body   blob.Reader
}

func (c *content) Size() int64  { return int64(len(c.prefix)) + c.body.Size() }
func (c *content) Close() error { return c.body.Close() }

func (c *content) ReadAt(p []byte, off int64) (n int, err error) {
	if off < int64(len(c.prefix)) {
		n = copy(p, c.prefix[off:])
		if n == len(p) {
			return n, nil
		}
		off = int64(len(c.prefix))
	}
	m, err := c.body.ReadAt(p[n:], off-int64(len(c.prefix)))
	if err == io.EOF && n+m == len(p) {
		err = nil
	}
	return n + m, err
}
