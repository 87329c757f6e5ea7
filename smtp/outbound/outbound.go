// Package outbound carries messages to other servers: MX hosts, or a smart host.
// It keeps nothing between attempts but open connections; what is tried when,
// and what becomes of a result, is smtp/queue's business.
//
// One attempt for one destination:
//
//	route     smart host, else address literal, else MX by preference (null MX
//	          ends it), else the domain's own addresses; our own name or address
//	          ends the list (RFC 5321, 5.1; RFC 7505)
//	connect   a kept connection, or the host's addresses in turn, IPv6 and IPv4
//	          alternating; banner, EHLO with our real name, STARTTLS where it is
//	          offered, EHLO again
//	transfer  MAIL, RCPT and DATA in one write where PIPELINING is offered, the
//	          message dot-stuffed from the store, one final reply
//	result    one for each recipient
//
// What follows from what happens:
//
//	| event                                   | recipients become        | next host? |
//	|-----------------------------------------|--------------------------|------------|
//	| name does not exist, null MX, loop      | failed 5.1.2 5.1.10 5.4.6 | –         |
//	| DNS does not answer                     | delayed 4.4.3            | –          |
//	| no connection, banner not 220, EHLO no  | delayed 4.4.1, 4.4.2, its reply | yes |
//	| TLS fails, not demanded                 | the same host in clear   | –          |
//	| TLS demanded, missing or not as demanded | delayed 4.7.5           | yes        |
//	| MAIL or DATA 4yz, RCPT 4yz              | delayed, its reply       | yes        |
//	| MAIL or DATA 5yz; RCPT 5yz              | failed, its reply; that recipient | – |
//	| connection lost before the final dot    | delayed 4.4.2            | yes        |
//	| final reply 2yz / 5yz / 4yz             | relayed / failed / delayed | no / no / yes |
//	| final reply does not come               | delayed 4.4.2            | no: the host may have it |
//	| message needs SMTPUTF8, not offered     | failed 5.6.7             | –          |
//	| message has 8-bit bytes, 8BITMIME missing | failed 5.6.3           | –          |
//	| message larger than SIZE                | failed 5.3.4             | –          |
//
// A message is never converted to 7 bits: that would break its signatures, and
// a host without 8BITMIME has become a curiosity. Lines longer than 998 bytes
// go as they are. Opportunistic TLS takes any certificate and prefers bad
// encryption to none (RFC 7435); Policy is the seam for MTA-STS and DANE.
//
// RFC 5321 (4.5.3.2 timeouts, 5 routing), 1870, 2034, 2920, 3207, 3461, 4954,
// 6152, 6531, 7505.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"time"

	"mailstead/dns"
	"mailstead/message"
	"mailstead/smtp/queue"
)

// Outbound is a queue.Deliverer. Its fields are set before the first Deliver
// and not changed afterwards.
type Outbound struct {
	Hostname string // said in EHLO
	Resolver dns.Resolver
	Port     int // of MX hosts; 0 means 25

	// Dial connects; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Own gives the addresses at which we are the server, for the detection of
	// loops; nil means those of this machine's interfaces and all of loopback.
	Own func() []netip.Addr

	// NoIPv6 tells that IPv6 addresses are passed over where there are others, as
	// when ours has no reverse name and is refused for it; nil means they are used.
	NoIPv6 func() bool

	// Policy says what TLS must be like for a host of a domain; nil means
	// opportunistic always.
	Policy func(ctx context.Context, d message.Domain, host string, mxSecure bool) (Policy, error)
	Roots  *x509.CertPool // for Policy and what is told of certificates; nil means the system's

	// SmartHost gives the one server that takes everything, or nil; it is asked
	// at each attempt, so that a change needs no restart. A nil func is none.
	SmartHost func(context.Context) (*SmartHost, error)

	PerHost  int           // connections to one host at once; 0 means 8
	KeepIdle int           // idle connections kept for one host; 0 means 2
	IdleFor  time.Duration // how long; 0 means 30 s

	pool pool
}

// Policy is what a destination demands of TLS. The zero value is opportunistic.
type Policy struct {
	Name    string // "MTA-STS", "DANE", in reasons
	Require bool   // no delivery without TLS
	// Verify judges the finished handshake; nil takes any certificate.
	Verify func(tls.ConnectionState) error
}

var _ queue.Deliverer = (*Outbound)(nil)

const (
	maxHosts     = 8   // of one destination that are tried in one attempt
	maxAddresses = 10  // of all hosts together
	maxRcpts     = 100 // in one transaction: RFC 5321, 4.5.3.1.8
	maxReply     = 1000
)

// Deliver implements queue.Deliverer.
func (o *Outbound) Deliver(ctx context.Context, it queue.Item) []queue.Result {
	d := newDelivery(o, it)
	hosts, end := o.route(ctx, it.Destination)
	if end != nil {
		d.all(*end)
		return d.results
	}
	addresses := 0
	for i, h := range hosts[:min(len(hosts), maxHosts)] {
		if d.finished() || ctx.Err() != nil {
			break
		}
		h.addrs, end = o.addresses(ctx, h)
		if end != nil && end.Status == "5.4.6" && i > 0 {
			break // we are the next best server: the better ones must take it
		}
		if end != nil {
			d.all(*end)
			if end.Status == "5.4.6" {
				break
			}
			continue
		}
		policy, err := o.policy(ctx, it.Destination, h)
		if err != nil {
			d.all(delayed("4.7.5", fmt.Sprintf("the TLS policy of %s cannot be found out", h.name), err))
			continue
		}
		for _, a := range h.addrs {
			if addresses++; addresses > maxAddresses || d.finished() || ctx.Err() != nil {
				break
			}
			d.try(ctx, h, a, policy)
		}
	}
	return d.results
}

func (o *Outbound) policy(ctx context.Context, d message.Domain, h host) (Policy, error) {
	switch {
	case h.smart != nil:
		return Policy{Name: "smart host", Require: true, Verify: o.verify(h.name)}, nil
	case o.Policy != nil:
		return o.Policy(ctx, d, h.name, h.secure)
	}
	return Policy{}, nil
}

// Close ends idle connections.
func (o *Outbound) Close() error {
	o.pool.close()
	return nil
}

// result makes one without a recipient.
func result(action message.Action, status, reason string, err error) queue.Result {
	r := queue.Result{Action: action, Status: status, Reason: reason}
	if err != nil {
		r.Reason += ": " + err.Error()
	}
	return r
}

func delayed(status, reason string, err error) queue.Result {
	return result(message.Delayed, status, reason, err)
}

func failed(status, reason string) queue.Result {
	return result(message.Failed, status, reason, nil)
}
