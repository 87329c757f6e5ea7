// Package policy is what we think of a message: evidence in, verdict with
// named reasons out. No memory, no sockets.
package policy

import (
	"net/netip"

	"mailstead/message"
)

// Disposition is what should happen to one recipient's copy.
type Disposition int

const (
	Deliver Disposition = iota
	Junk
	Defer
	Refuse
)

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
