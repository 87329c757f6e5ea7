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

// Event is one thing that happened. Unused fields stay zero. Its JSON has the
// keys of the log; dur is in nanoseconds.
type Event struct {
	Time        time.Time     `json:"time"`
	Kind        string        `json:"kind"`          // a constant above, or a room's own
	CID         string        `json:"cid,omitempty"` // connection
	MID         string        `json:"mid,omitempty"` // our id of the message, as in "250 2.0.0 ID"
	QID         int64         `json:"qid,omitempty"` // queue item
	Account     int64         `json:"account,omitempty"`
	Mailbox     string        `json:"mailbox,omitempty"`
	UID         uint32        `json:"uid,omitempty"`
	Remote      netip.Addr    `json:"remote,omitzero"`
	Host        string        `json:"host,omitempty"` // the other server: "mx.example.org [192.0.2.1]"
	ReversePath string        `json:"reverse_path,omitempty"`
	Rcpt        string        `json:"rcpt,omitempty"`
	Reply       string        `json:"reply,omitempty"`      // what was said on the wire
	Reason      string        `json:"reason,omitempty"`     // plain words
	MessageID   string        `json:"message_id,omitempty"` // without brackets
	Size        int64         `json:"size,omitempty"`
	Dur         time.Duration `json:"dur,omitempty"`
	Next        time.Time     `json:"next,omitzero"` // of a deferred message's next attempt
	Err         string        `json:"err,omitempty"`
	Kept        bool          `json:"-"` // its trace rode in a commit; the trace sink passes it by
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
