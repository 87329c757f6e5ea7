package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"

	"mailstead/dns/check"
)

// Probe is an MX host of somebody large: whether port 25 is open on the way out
// is seen by connecting to it. Its banner is read, nothing is said but QUIT.
type Probe struct {
	Host   string
	Banner []string // one of these stands in its banner, in lower case
}

// Providers are the probes of the Internet. Several, because one of them may be
// down or may have closed its door to us.
func Providers() []Probe {
	return []Probe{
		{"gmail-smtp-in.l.google.com", []string{"google.com"}},
		{"mx00.gmx.net", []string{"gmx"}},
		{"in1-smtp.messagingengine.com", []string{"messagingengine.com"}},
		{"mx01.mail.icloud.com", []string{"icloud.com", "apple.com"}},
	}
}

// attempt is how a probe ended.
type attempt struct {
	kind   string // open, foreign, refused, timeout, unreachable, none
	detail string
}

const (
	open        = "open"        // the host that we meant answered
	foreign     = "foreign"     // somebody else answered in its place
	refused     = "refused"     // a firewall says no
	timedOut    = "timeout"     // a firewall says nothing
	unreachable = "unreachable" // there is no way
	noAddress   = "none"        // the host has no address of this family, or none was found
)

func (d *Doctor) checkOutgoing(id, network, family string, of func(netip.Addr) bool) func(context.Context) []check.Finding {
	return func(ctx context.Context) []check.Finding {
		if !d.hasFamily(of) {
			return one(ok(id, "", "This host has no address of "+family+", so that nothing leaves by it."))
		}
		results := make([]attempt, len(d.Network.Probes))
		var all sync.WaitGroup
		for i, p := range d.Network.Probes {
			all.Go(func() { results[i] = d.try(ctx, network, p, of) })
		}
		all.Wait()
		count, evidence := map[string]int{}, []string{}
		for i, r := range results {
			count[r.kind]++
			evidence = append(evidence, d.Network.Probes[i].Host+": "+r.detail)
		}
		return d.unlessRelayed(ctx, one(judgeOutgoing(id, family, count, strings.Join(evidence, "\n"))))
	}
}

// judgeOutgoing says what the attempts mean together. One that got through is
// enough; the others may have their own reasons.
func judgeOutgoing(id, family string, count map[string]int, evidence string) check.Finding {
	const ask = "Ask the provider of this machine to open port 25 outwards (most do on request), or send through a smart host (`mailstead smarthost set NAME`). Receiving is not affected."
	say := problem
	if family == "IPv6" {
		say = info // nothing needs this way
	}
	switch {
	case count[open] > 0:
		return ok(id, "", "Mail can leave by "+family+".")
	case count[foreign] > 0:
		return say(id, "", "Somebody on the way answers in place of the mail servers that we call by "+family+" (port 25 is intercepted).", evidence, ask)
	case count[timedOut] > 0:
		return say(id, "", "Port 25 is blocked on the way out by "+family+": connections are swallowed.", evidence, ask)
	case count[refused] > 0:
		return say(id, "", "Port 25 is blocked on the way out by "+family+": connections are refused.", evidence, ask)
	case count[unreachable] > 0:
		return say(id, "", "There is no way to the Internet by "+family+".", evidence, "Look at the routes: ip -4 route, ip -6 route.")
	}
	return unanswered(id, "", "Whether mail can leave by "+family+" was not found out: the addresses to try were not found.", evidence)
}

// hasFamily tells whether an interface has a global address of a family. Behind
// a NAT IPv4 has none that is public, and mail leaves all the same.
func (d *Doctor) hasFamily(of func(netip.Addr) bool) bool {
	if d.Host.Addresses == nil {
		return true
	}
	all, err := d.Host.Addresses()
	if err != nil {
		return true
	}
	for _, a := range all {
		if of(a) && !(a.Is6() && a.IsPrivate()) { // fc00::/7 leads nowhere outside
			return true
		}
	}
	return false
}

// try connects to a probe and reads its banner.
func (d *Doctor) try(ctx context.Context, network string, p Probe, of func(netip.Addr) bool) attempt {
	addrs, _, err := d.Network.Resolver.LookupAddr(ctx, p.Host)
	if err != nil {
		return attempt{noAddress, err.Error()}
	}
	var to netip.Addr
	for _, a := range addrs {
		if of(a) {
			to = a
			break
		}
	}
	if !to.IsValid() {
		return attempt{noAddress, "no address of this kind"}
	}
	// A quarter of the time is left for what else the check does.
	short, cancel := context.WithTimeout(ctx, eachLimit*3/4)
	defer cancel()
	conn, err := d.Network.Dial(short, network, netip.AddrPortFrom(to, 25).String())
	if err != nil {
		return attempt{kindOf(err), fmt.Sprintf("%s: %v", to, err)}
	}
	defer conn.Close()
	deadline, _ := short.Deadline()
	conn.SetDeadline(deadline)
	line, err := bufio.NewReaderSize(conn, 512).ReadString('\n')
	if err != nil && line == "" {
		return attempt{kindOf(err), fmt.Sprintf("%s: connected, then no greeting: %v", to, err)}
	}
	_, _ = conn.Write([]byte("QUIT\r\n")) // good manners; nobody waits for the answer
	line = strings.TrimSpace(line)
	for _, b := range p.Banner {
		if strings.Contains(strings.ToLower(line), b) {
			return attempt{open, fmt.Sprintf("%s: %s", to, line)}
		}
	}
	return attempt{foreign, fmt.Sprintf("%s: %s", to, line)}
}

// kindOf tells the ways apart in which a connection fails.
func kindOf(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return refused
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return unreachable
	}
	return refused
}
