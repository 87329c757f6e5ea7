package doctor

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"

	"mailstead/dns"
	"mailstead/dns/check"
)

// Network is what is asked of the world outside.
type Network struct {
	Resolver dns.Resolver
	SelfTest func(context.Context) dns.Trust
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Probes   []Probe        // MX hosts to try; none: outgoing mail is not tried
	Roots    *x509.CertPool // what our certificate is verified with; nil means the system's
	Lists    []List         // block lists to ask; none: none is asked

	// Public gives the host's public addresses as the operator or the interfaces
	// say them.
	Public func(context.Context) ([]netip.Addr, error)
	// Relay gives the smart host that takes all mail; nil is none.
	Relay func(context.Context) (Relay, error)
}

// Relay is a smart host that takes all mail; Host is "" where there is none.
type Relay struct {
	Host string
	Try  func(context.Context) error // signs in and sends nothing
}

// ErrNoTool says that a program of the system is not there.
var ErrNoTool = errNoTool{}

type errNoTool struct{}

func (errNoTool) Error() string { return "there is no such program here" }

// networkChecks are about the way from and to the world.
func (d *Doctor) networkChecks() []check.Check {
	n := d.Network
	return []check.Check{
		{ID: "net.resolver", Title: "the resolver and DNSSEC", Run: when(n.SelfTest != nil, d.checkResolver)},
		{ID: "net.addresses", Title: "the host's addresses", Run: when(n.Public != nil && d.Host.Addresses != nil, d.checkAddresses)},
		{ID: "net.outgoing.ipv4", Title: "whether mail can leave by IPv4", Run: when(len(n.Probes) > 0, d.checkOutgoing("net.outgoing.ipv4", "tcp4", "IPv4", netip.Addr.Is4))},
		{ID: "net.outgoing.ipv6", Title: "whether mail can leave by IPv6", Run: when(len(n.Probes) > 0, d.checkOutgoing("net.outgoing.ipv6", "tcp6", "IPv6", netip.Addr.Is6))},
		{ID: "net.smarthost", Title: "the smart host that takes all mail", Run: when(n.Relay != nil, d.checkSmartHost)},
		{ID: "net.reverse", Title: "the reverse names of the host's addresses", Run: when(n.Public != nil, d.checkReverse)},
		{ID: "net.blocklist", Title: "block lists", Run: when(len(n.Lists) > 0 && n.Public != nil, d.checkLists)},
	}
}

// checkResolver looks whether names are answered at all, and whether the answers
// can be trusted.
func (d *Doctor) checkResolver(ctx context.Context) []check.Finding {
	const id = "net.resolver"
	t := d.Network.SelfTest(ctx)
	switch {
	case !t.Answers:
		return one(problem(id, "", "The DNS does not answer: no mail can leave.", t.Reason+"\n"+t.Evidence,
			"Look into /etc/resolv.conf, or install a resolver of your own: apt install unbound, and dns.resolver = \"127.0.0.1\" in mailstead.toml."))
	case !t.Validates:
		return one(warning(id, "", "The resolver does not prove what it says by DNSSEC, so that DANE is off.", strings.TrimSpace("The server "+t.Reason+".\n"+t.Evidence),
			"apt install unbound, and dns.resolver = \"127.0.0.1\" in mailstead.toml. Mail flows without it."))
	}
	return one(ok(id, "", "The resolver answers and validates DNSSEC."))
}
