package message

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// Domain is a domain name in its A-label form, lower case, without the
// trailing dot, or an address literal in brackets (RFC 5321, 4.1.2).
type Domain string

var errDomain = errors.New("not a domain")

// ParseDomain accepts U-labels, A-labels and address literals ("[192.0.2.1]",
// "[IPv6:2001:db8::1]"). It is more tolerant than the registries: underscores,
// A-labels that an older IDNA made, hyphens anywhere inside a label.
func ParseDomain(s string) (Domain, error) {
	if strings.HasPrefix(s, "[") {
		return parseLiteral(s)
	}
	s = strings.TrimSuffix(s, ".")
	if !isASCII(s) {
		a, err := toASCII(s)
		if err != nil {
			return "", fmt.Errorf("%w: %q", errDomain, s)
		}
		s = strings.TrimSuffix(a, ".")
	}
	if len(s) == 0 || len(s) > 253 { // RFC 1035, 2.3.4: 255 octets on the wire
		return "", fmt.Errorf("%w: %q", errDomain, s)
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if c := s[i]; !alphanumeric(c) && c != '-' && c != '_' {
				return "", fmt.Errorf("%w: %q", errDomain, s)
			}
			continue
		}
		if n := i - start; n == 0 || n > 63 || s[start] == '-' || s[i-1] == '-' {
			return "", fmt.Errorf("%w: %q", errDomain, s)
		}
		start = i + 1
	}
	return Domain(lower(s)), nil
}

// toASCII is the lookup of RFC 5891, 5 with UTS 46's mapping (capital letters,
// full-width forms and dots), not transitional, underscores allowed.
func toASCII(s string) (string, error) {
	return idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckJoiners(true),
		idna.StrictDomainName(false), idna.Transitional(false)).ToASCII(s)
}

// parseLiteral reads RFC 5321, 4.1.3. General-address-literal is refused: no
// other tag than IPv6 was ever registered.
func parseLiteral(s string) (Domain, error) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", fmt.Errorf("%w: %q", errDomain, s)
	}
	v6 := len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:")
	if v6 {
		inner = inner[5:]
	}
	a, err := netip.ParseAddr(inner)
	if err != nil || a.Zone() != "" || a.Is4() == v6 {
		return "", fmt.Errorf("%w: %q", errDomain, s)
	}
	return LiteralDomain(a), nil
}

// LiteralDomain is the address literal of an IP address.
func LiteralDomain(a netip.Addr) Domain {
	if a.Is4() {
		return Domain("[" + a.String() + "]")
	}
	return Domain("[IPv6:" + a.String() + "]")
}

// Literal gives the IP address of an address literal.
func (d Domain) Literal() (a netip.Addr, ok bool) {
	s, ok := strings.CutPrefix(string(d), "[")
	if !ok {
		return a, false
	}
	s = strings.TrimPrefix(strings.TrimSuffix(s, "]"), "IPv6:")
	a, err := netip.ParseAddr(s)
	return a, err == nil
}

// Unicode gives the U-label form for people. Labels that are no valid IDNA stay
// as they are.
func (d Domain) Unicode() string {
	if !strings.Contains(string(d), "xn--") {
		return string(d)
	}
	labels := strings.Split(string(d), ".")
	for i, l := range labels {
		if !strings.HasPrefix(l, "xn--") {
			continue
		}
		if u, err := idna.New(idna.ValidateForRegistration()).ToUnicode(l); err == nil {
			labels[i] = u
		}
	}
	return strings.Join(labels, ".")
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
