// Package maillog is one struct: an event in the life of a message or a
// session, and where it goes. Sinks (log, metrics, trace) are given by app. It
// imports nothing of ours.
//
// One call of Record feeds them all. An event of an accepted message is first
// written by trace.Add in the commit that makes it true, then recorded with
// Kept set, so that the trace has it once.
package maillog

import (
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kinds of events. A room may have others; these are told in plain words by
// the trace.
const (
	Received  = "received"  // accepted on port 25
	Submitted = "submitted" // accepted from an account
	Refused   = "refused"   // answered 4xx or 5xx; nothing was stored
	Queued    = "queued"    // waits for one destination
	Delivered = "delivered" // is in a mailbox
	Appended  = "appended"  // a mail program put it into a mailbox
	Relayed   = "relayed"   // another server has taken it over
	Deferred  = "deferred"  // will be tried again
	Failed    = "failed"    // was given up
	Reported  = "reported"  // a DSN was made
	Deleted   = "deleted"   // an operator took it out of the queue
	Login     = "login"
)

// Event is one thing that happened. Unused fields stay zero.
type Event struct {
	Time        time.Time
	Kind        string // a constant above, or a room's own
	CID         string // connection
	MID         string // our id of the message, as in "250 2.0.0 ID"
	QID         int64  // queue item
	Account     int64
	Mailbox     string
	UID         uint32
	Remote      netip.Addr
	Host        string // the other server: "mx.example.org [192.0.2.1]"
	ReversePath string
	Rcpt        string
	Reply       string // what was said on the wire
	Reason      string // plain words
	MessageID   string // without brackets
	Size        int64
	Dur         time.Duration
	Next        time.Time // of a deferred message's next attempt
	Err         string
	Kept        bool // its trace rode in a commit; the trace sink passes it by
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

// Clean makes text from outside fit for a log line, a terminal and a page: at
// most max bytes, valid UTF-8, one line, no control or formatting characters.
func Clean(s string, max int) string {
	if len(s) > max {
		end := max
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "…"
	}
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = ' ' <= s[i] && s[i] < 0x7f
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return -1
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return '�'
	}, s)
}
