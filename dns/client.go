package dns

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	mdns "github.com/miekg/dns"

	"mailstead/message"
)

// maxChain bounds CNAMEs followed for one question.
const maxChain = 8

// Client is a Resolver that asks recursive servers. The fields are set before
// the first question and not changed afterwards; it is safe for concurrent use.
type Client struct {
	Servers  func() []string // "address:port", in order of preference
	Timeout  time.Duration   // of one try over UDP or TCP; 0 means 3 s
	Attempts int             // rounds over all servers; 0 means 2
	Trusted  bool            // the servers validate, so their AD bit counts
	CacheMax int             // answers kept; 0 means 4096

	// Dial connects to a server; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	cache cache
	word  atomic.Int32 // what Trust said last
}

// New asks the server at address ("192.0.2.1", "[::1]:5353"), or the system's
// servers when it is "".
func New(address string) (*Client, error) {
	if address == "" {
		f := &resolvConf{path: "/etc/resolv.conf"}
		return &Client{Servers: f.servers}, nil
	}
	server, err := ServerAddress(address)
	if err != nil {
		return nil, err
	}
	return &Client{Servers: func() []string { return []string{server} }}, nil
}

// Fresh gives a client of the same servers that remembers nothing yet, for
// whoever wants to know what is so now.
func (c *Client) Fresh() *Client {
	return &Client{Servers: c.Servers, Timeout: c.Timeout, Attempts: c.Attempts, Trusted: c.Trusts(), Dial: c.Dial}
}

var _ Resolver = (*Client)(nil)

// LookupMX implements Resolver.
func (c *Client) LookupMX(ctx context.Context, d message.Domain) ([]MX, bool, error) {
	a, err := c.ask(ctx, string(d), mdns.TypeMX)
	if err != nil {
		return nil, a.secure, err
	}
	mx := make([]MX, 0, len(a.rrs))
	for _, rr := range a.rrs {
		if rr, ok := rr.(*mdns.MX); ok {
			mx = append(mx, MX{Preference: rr.Preference, Host: plainName(rr.Mx)})
		}
	}
	// RFC 5321, 5.1: equal preferences are tried in random order.
	rand.Shuffle(len(mx), func(i, j int) { mx[i], mx[j] = mx[j], mx[i] })
	slices.SortStableFunc(mx, func(a, b MX) int { return cmp.Compare(a.Preference, b.Preference) })
	return mx, a.secure, nil
}

// LookupAddr implements Resolver. One family's failure does not hide the
// other's addresses.
func (c *Client) LookupAddr(ctx context.Context, host string) ([]netip.Addr, bool, error) {
	type result struct {
		a   answer
		err error
	}
	six := make(chan result, 1)
	go func() {
		a, err := c.ask(ctx, host, mdns.TypeAAAA)
		six <- result{a, err}
	}()
	a4, err4 := c.ask(ctx, host, mdns.TypeA)
	r6 := <-six
	var addrs []netip.Addr
	for _, rr := range slices.Concat(r6.a.rrs, a4.rrs) {
		if ip, ok := addressOf(rr); ok {
			addrs = append(addrs, ip)
		}
	}
	both := a4.secure && r6.a.secure
	switch {
	case len(addrs) == 0:
		return nil, both, worse(err4, r6.err)
	case err4 != nil && !errors.Is(err4, ErrNotExist):
		return addrs, r6.a.secure, nil
	case r6.err != nil && !errors.Is(r6.err, ErrNotExist):
		return addrs, a4.secure, nil
	}
	return addrs, both, nil
}

// worse prefers the error that says less: not knowing beats not existing.
func worse(a, b error) error {
	if errors.Is(a, ErrNotExist) {
		return b
	}
	return a
}

func addressOf(rr mdns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *mdns.A:
		ip, ok := netip.AddrFromSlice(rr.A.To4())
		return ip, ok
	case *mdns.AAAA:
		ip, ok := netip.AddrFromSlice(rr.AAAA.To16())
		return ip, ok && !ip.Is4In6()
	}
	return netip.Addr{}, false
}

// LookupTXT implements Resolver.
func (c *Client) LookupTXT(ctx context.Context, name string) ([]string, bool, error) {
	a, err := c.ask(ctx, name, mdns.TypeTXT)
	if err != nil {
		return nil, a.secure, err
	}
	var txt []string
	for _, rr := range a.rrs {
		if rr, ok := rr.(*mdns.TXT); ok {
			txt = append(txt, unescape(strings.Join(rr.Txt, "")))
		}
	}
	return txt, a.secure, nil
}

// LookupPTR implements Resolver.
func (c *Client) LookupPTR(ctx context.Context, ip netip.Addr) ([]string, bool, error) {
	name, err := mdns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return nil, false, &TemporaryError{Name: ip.String(), Type: "PTR", Err: err}
	}
	a, err := c.ask(ctx, name, mdns.TypePTR)
	if err != nil {
		return nil, a.secure, err
	}
	var names []string
	for _, rr := range a.rrs {
		if rr, ok := rr.(*mdns.PTR); ok {
			names = append(names, plainName(rr.Ptr))
		}
	}
	return names, a.secure, nil
}

// plainName is the form that the rest of the program uses.
func plainName(fqdn string) string {
	if fqdn == "." {
		return fqdn
	}
	return strings.ToLower(strings.TrimSuffix(fqdn, "."))
}

// unescape undoes the presentation form that miekg/dns keeps TXT data in.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\' || i+1 == len(s):
			b = append(b, s[i])
		case i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]):
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
		default:
			i++
			b = append(b, s[i])
		}
	}
	return string(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
