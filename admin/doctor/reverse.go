package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"mailstead/dns"
	"mailstead/dns/check"
)

// checkAddresses looks whether the world can reach this host at an address.
func (d *Doctor) checkAddresses(ctx context.Context) []check.Finding {
	const id = "net.addresses"
	public, err := d.Network.Public(ctx)
	if err != nil {
		return one(unreadable(id, "", "The host's public addresses", err))
	}
	four := slices.IndexFunc(public, netip.Addr.Is4)
	if four >= 0 {
		return one(ok(id, "", fmt.Sprintf("The world reaches this host at %s.", join(public))))
	}
	interfaces, err := d.Host.Addresses()
	if err != nil {
		return one(unreadable(id, "", "The addresses of the interfaces", err))
	}
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598
	if i := slices.IndexFunc(interfaces, shared.Contains); i >= 0 {
		return one(problem(id, "", "Your provider shares one IPv4 address among many customers (carrier NAT): mail from outside cannot reach this host by IPv4.",
			fmt.Sprintf("The interface has %s, of the range for such networks.", interfaces[i]),
			"Ask the provider for an IPv4 address of your own, or put the server on a machine that has one."))
	}
	if i := slices.IndexFunc(interfaces, netip.Addr.IsPrivate); i >= 0 {
		return one(warning(id, "", "This host stands behind a router (NAT) and does not know its public address.",
			fmt.Sprintf("Its interfaces have %s.", join(interfaces)),
			"Forward ports 25, 80, 443, 465, 587 and 993 on the router to this host, and name the router's address: mailstead dns address ADDRESS."))
	}
	if len(public) > 0 {
		return one(warning(id, "", "This host has an IPv6 address alone: many servers can neither send to it nor take mail from it.",
			join(public), "Ask your provider for an IPv4 address."))
	}
	return one(problem(id, "", "This host has no address that the world could reach.", join(interfaces), "Look at `ip address`, or ask your provider."))
}

func join(all []netip.Addr) string {
	if len(all) == 0 {
		return "none"
	}
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

// checkReverse looks at the name of each address (PTR): others refuse mail from
// an address without one, or with one that its provider made.
func (d *Doctor) checkReverse(ctx context.Context) []check.Finding {
	const id = "net.reverse"
	public, err := d.Network.Public(ctx)
	if err != nil {
		return one(unreadable(id, "", "The host's public addresses", err))
	}
	var found []check.Finding
	for _, a := range public {
		found = append(found, d.reverse(ctx, id, a))
	}
	return d.unlessRelayed(ctx, found)
}

func (d *Doctor) reverse(ctx context.Context, id string, a netip.Addr) check.Finding {
	host, about := strings.ToLower(d.Config.Hostname), a.String()
	set := fmt.Sprintf("In the customer area of whoever rents you this address, set the reverse name (rDNS, PTR) of %s to %s.", a, host)
	names, _, err := d.Network.Resolver.LookupPTR(ctx, a)
	switch {
	case errors.Is(err, dns.ErrNotExist) && a.Is6():
		return warning(id, about, fmt.Sprintf("The address %s has no reverse name: others refuse mail from it, so that mail leaves by IPv4 alone.", a), err.Error(), set)
	case errors.Is(err, dns.ErrNotExist):
		return problem(id, about, fmt.Sprintf("The address %s has no reverse name: many servers refuse mail from it.", a), err.Error(), set)
	case err != nil:
		return unanswered(id, about, fmt.Sprintf("The reverse name of %s was not found out.", a), err.Error())
	}
	evidence := fmt.Sprintf("PTR of %s: %s.", a, strings.Join(names, ", "))
	if !slices.Contains(names, host) {
		say := warning
		sentence := fmt.Sprintf("The reverse name of %s is not %s, the name that this host greets with.", a, host)
		if i := slices.IndexFunc(names, func(n string) bool { return Generic(n, a) }); i >= 0 {
			say = problem
			sentence = fmt.Sprintf("The reverse name of %s is one that a provider made (%s): many servers take such a host for a home computer and refuse its mail.", a, names[i])
		}
		return say(id, about, sentence, evidence, set)
	}
	back, _, err := d.Network.Resolver.LookupAddr(ctx, host)
	if err != nil && !errors.Is(err, dns.ErrNotExist) {
		return unanswered(id, about, fmt.Sprintf("Whether %s leads back to %s was not found out.", host, a), err.Error())
	}
	if !slices.Contains(back, a) {
		return problem(id, about, fmt.Sprintf("The name %s does not lead back to %s: its reverse name counts for nothing.", host, a),
			evidence+fmt.Sprintf(" Addresses of %s: %s.", host, join(back)), fmt.Sprintf("Publish %s as an address of %s, or correct the one that is there.", a, host))
	}
	if Generic(host, a) {
		return warning(id, about, fmt.Sprintf("The host's name %s looks like one that a provider made: some servers take such a host for a home computer.", host), evidence,
			"Give the host a name of your own domain, such as mail.example.org, in mailstead.toml, in the DNS and as reverse name.")
	}
	return ok(id, about, fmt.Sprintf("%s and %s lead to each other.", a, host))
}

// NamelessIPv6 tells whether an IPv6 address of ours is known to have no name, or
// another one than the host's: mail from it is refused. Not knowing is no.
func (d *Doctor) NamelessIPv6(ctx context.Context) bool {
	public, err := d.Network.Public(ctx)
	if err != nil {
		return false
	}
	for _, a := range public {
		if !a.Is6() {
			continue
		}
		names, _, err := d.Network.Resolver.LookupPTR(ctx, a)
		if errors.Is(err, dns.ErrNotExist) || err == nil && !slices.Contains(names, strings.ToLower(d.Config.Hostname)) {
			return true
		}
	}
	return false
}

var (
	genericWord = regexp.MustCompile(`(^|[.-])(dyn|dynamic|dsl|adsl|vdsl|dial|dialup|dhcp|pool|ppp|cable|cust|customer|client|clients|broadband|static|ip|ipv[46]|host|vps|vmi|vm|srv|server|unassigned|reverse|rev)[.-]?[0-9]`)
	anyWord     = regexp.MustCompile(`(^|[.-])(dynamic|dsl|adsl|dialup|dhcp|pool|ppp|broadband|unassigned)([.-]|$)`)
)

// Generic tells whether a provider made a name, mostly of the address itself.
func Generic(name string, a netip.Addr) bool {
	name = strings.ToLower(name)
	if anyWord.MatchString(name) || genericWord.MatchString(name) {
		return true
	}
	if a.Is4() {
		b := a.As4()
		for _, sep := range []string{".", "-", "_", ""} {
			for _, format := range []string{"%[1]d%[5]s%[2]d%[5]s%[3]d%[5]s%[4]d", "%[4]d%[5]s%[3]d%[5]s%[2]d%[5]s%[1]d", "%03[1]d%[5]s%03[2]d%[5]s%03[3]d%[5]s%03[4]d"} {
				if strings.Contains(name, fmt.Sprintf(format, b[0], b[1], b[2], b[3], sep)) {
					return true
				}
			}
		}
		return strings.Contains(name, fmt.Sprintf("%x", b)) || strings.Contains(name, fmt.Sprintf("%d-%d.", b[2], b[3])) || strings.Contains(name, fmt.Sprintf("%d-%d.", b[3], b[2]))
	}
	b := a.As16()
	for _, sep := range []string{"-", ".", ""} { // the last two groups, in full
		if strings.Contains(name, fmt.Sprintf("%x%s%x", b[12:14], sep, b[14:16])) {
			return true
		}
	}
	return false
}
