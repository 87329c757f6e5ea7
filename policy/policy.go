// Package policy is what we think of a message: evidence in, verdict with named
// reasons out. It has no memory, opens no sockets and asks no database; who
// gathers the evidence is policy/judge.
//
// The order of the steps is written in Decide and nowhere else. Every step that
// speaks leaves a Reason, which the trace and the message's header show.
package policy

import (
	"net/netip"

	"mailstead/message"
)

// Disposition is what should happen to one recipient's copy. What is greater is
// harder on the message.
type Disposition int

const (
	Deliver Disposition = iota
	Junk
	Defer
	Refuse
)

// String is the word that traces and headers show.
func (d Disposition) String() string {
	switch d {
	case Deliver:
		return "deliver"
	case Junk:
		return "junk"
	case Defer:
		return "defer"
	case Refuse:
		return "refuse"
	}
	return "unknown"
}

// Evidence is what is known of a message when it is judged.
type Evidence struct {
	Remote   netip.Addr
	Helo     string
	TLS      bool
	Envelope message.Envelope
	Header   message.Header
	Size     int64
}

// Reason is one named step of a verdict.
type Reason struct{ Name, Text string }

// Verdict is one recipient's.
type Verdict struct {
	Disposition Disposition
	Reasons     []Reason
	Reply       string // for Refuse and Defer: "550 5.7.1 ..."
}

// Decide judges the message for each recipient of its envelope, in order.
func Decide(e Evidence) []Verdict {
	reasons := []Reason{{"no-objection", "nothing speaks against it"}}
	verdicts := make([]Verdict, len(e.Envelope.Recipients))
	for i := range verdicts {
		verdicts[i] = Verdict{Disposition: Deliver, Reasons: reasons}
	}
	return verdicts
}
