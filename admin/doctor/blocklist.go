package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"mailstead/dns"
	"mailstead/dns/check"
)

// List is a DNS block list (RFC 5782).
type List struct {
	Zone   string
	Look   string // page on which to look an address up and have it removed
	IPv6   bool   // it lists IPv6 addresses too
	Policy []byte // last octets of answers that mean "no mail server should be here", said by the provider
	Names  map[byte]string
}

// Lists are those that are asked: large ones, that answer everybody.
func Lists() []List {
	return []List{
		{
			Zone: "zen.spamhaus.org", Look: "https://check.spamhaus.org/", IPv6: true, Policy: []byte{10, 11},
			Names: map[byte]string{2: "SBL", 3: "CSS", 4: "XBL", 9: "DROP", 10: "PBL", 11: "PBL"},
		},
		{Zone: "bl.spamcop.net", Look: "https://www.spamcop.net/bl.shtml"},
		{Zone: "psbl.surriel.com", Look: "https://psbl.org/"},
		{Zone: "ix.dnsbl.manitu.net", Look: "https://www.dnsbl.manitu.net/"},
	}
}

// checkLists asks every list, and first whether it is well: RFC 5782, 5, has
// 127.0.0.2 listed and 127.0.0.1 not.
func (d *Doctor) checkLists(ctx context.Context) []check.Finding {
	const id = "net.blocklist"
	public, err := d.Network.Public(ctx)
	if err != nil {
		return one(unreadable(id, "", "The host's public addresses", err))
	}
	results := make([][]check.Finding, len(d.Network.Lists))
	var all sync.WaitGroup
	for i, l := range d.Network.Lists {
		all.Go(func() { results[i] = d.ask(ctx, id, l, public) })
	}
	all.Wait()
	found := slices.Concat(results...)
	if len(found) == len(results) && !slices.ContainsFunc(found, func(f check.Finding) bool { return f.Severity != check.Info }) {
		return one(silence(id, found))
	}
	return d.unlessRelayed(ctx, found)
}

// silence makes one note of it when no list could be asked.
func silence(id string, each []check.Finding) check.Finding {
	var evidence []string
	for _, f := range each {
		evidence = append(evidence, strings.TrimSpace(f.Sentence+" "+f.Evidence))
	}
	return info(id, "", "No block list could be asked: whether this host is on one is not known.", strings.Join(evidence, "\n"), ownResolver)
}

const ownResolver = "Lists often refuse those who ask through a public resolver: apt install unbound, and dns.resolver = \"127.0.0.1\" in mailstead.toml."

// ask asks one list about itself and about all addresses at once.
func (d *Doctor) ask(ctx context.Context, id string, l List, public []netip.Addr) []check.Finding {
	about := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 2}), netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	for _, a := range public {
		if a.Is4() || l.IPv6 {
			about = append(about, a)
		}
	}
	answers := make([][]netip.Addr, len(about))
	errs := make([]error, len(about))
	var all sync.WaitGroup
	for i, a := range about {
		all.Go(func() { answers[i], errs[i] = d.listed(ctx, l, a) })
	}
	all.Wait()
	for i := range about {
		if errs[i] != nil {
			return one(info(id, l.Zone, fmt.Sprintf("The block list %s could not be asked.", l.Zone), errs[i].Error(), ownResolver))
		}
		if code := refusal(answers[i]); code.IsValid() {
			return one(info(id, l.Zone, fmt.Sprintf("The block list %s does not answer us (%s is an error, not a listing).", l.Zone, code), "", ownResolver))
		}
	}
	if len(answers[0]) == 0 || len(answers[1]) > 0 {
		return one(info(id, l.Zone, fmt.Sprintf("The block list %s is not well: what it says was not believed.", l.Zone),
			fmt.Sprintf("127.0.0.2 must be listed: %s; 127.0.0.1 must not: %s.", join(answers[0]), join(answers[1])), ""))
	}
	var found []check.Finding
	for i, a := range about[2:] {
		if codes := answers[i+2]; len(codes) > 0 {
			found = append(found, listing(id, l, a, codes))
		}
	}
	if found == nil {
		found = one(ok(id, l.Zone, fmt.Sprintf("The block list %s does not have us.", l.Zone)))
	}
	return found
}

// listing says what being on a list means. The provider's own declaration that
// no mail server should be at an address is no accusation and easily taken back.
func listing(id string, l List, a netip.Addr, codes []netip.Addr) check.Finding {
	about, policy := l.Zone+" "+a.String(), true
	var names []string
	for _, c := range codes {
		last := c.As4()[3]
		policy = policy && slices.Contains(l.Policy, last)
		name := c.String()
		if n := l.Names[last]; n != "" {
			name += " (" + n + ")"
		}
		names = append(names, name)
	}
	evidence := fmt.Sprintf("%s says %s of %s.", l.Zone, strings.Join(names, ", "), a)
	if policy {
		return problem(id, about, fmt.Sprintf("The provider of %s has declared that no mail server should be there; many servers refuse its mail.", a), evidence,
			"Have it taken out at "+l.Look+", which is granted to mail servers, or send through a smart host (`mailstead smarthost set NAME`).")
	}
	return problem(id, about, fmt.Sprintf("The block list %s has the address %s; many servers refuse mail from it.", l.Zone, a), evidence,
		"Find out why and have it taken out at "+l.Look+". An address that you were given a short time ago may have earned it under somebody else.")
}

// refusal finds a code that is an error: 127.255.255.0/24 by convention.
func refusal(codes []netip.Addr) netip.Addr {
	for _, c := range codes {
		if b := c.As4(); b[0] != 127 || b[1] == 255 {
			return c
		}
	}
	return netip.Addr{}
}

// listed gives the codes of an address, none when it is not on the list.
func (d *Doctor) listed(ctx context.Context, l List, a netip.Addr) ([]netip.Addr, error) {
	codes, _, err := d.Network.Resolver.LookupAddr(ctx, reversed(a)+l.Zone)
	if errors.Is(err, dns.ErrNotExist) {
		return nil, nil
	}
	return slices.DeleteFunc(codes, netip.Addr.Is6), err
}

// reversed is the address as a block list wants it, with its final dot (RFC
// 5782, 2.1 and 2.4).
func reversed(a netip.Addr) string {
	var b strings.Builder
	if a.Is4() {
		o := a.As4()
		for i := 3; i >= 0; i-- {
			fmt.Fprintf(&b, "%d.", o[i])
		}
		return b.String()
	}
	o := a.As16()
	for i := 15; i >= 0; i-- {
		fmt.Fprintf(&b, "%x.%x.", o[i]&15, o[i]>>4)
	}
	return b.String()
}
