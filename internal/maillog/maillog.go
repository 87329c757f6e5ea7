// Package maillog is one struct: an event in the life of a message or a
// session, and where it goes. Sinks (log, metrics, trace) are given by app.
package maillog

import (
	"net/netip"
	"time"
)

// Event is one thing that happened. Unused fields stay zero.
type Event struct {
	Time        time.Time
	Kind        string // "received", "refused", "queued", "delivered", "deferred", "failed", "login", ...
	CID         string // connection
	MID         string // our id of the message, as in "250 2.0.0 ID"
	QID         int64  // queue item
	Account     int64
	Mailbox     string
	UID         uint32
	Remote      netip.Addr
	ReversePath string
	Rcpt        string
	Reply       string // what was said on the wire
	Reason      string // plain words
	MessageID   string
	Size        int64
	Dur         time.Duration
	Err         string
}

// Sink takes events; it never blocks for long.
type Sink interface{ Record(Event) }

// Sinks fans out.
type Sinks []Sink

func (s Sinks) Record(e Event) {
	for _, x := range s {
		x.Record(e)
	}
}
