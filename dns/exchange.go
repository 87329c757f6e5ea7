package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

// udpSize avoids fragments on any path (RFC 9715, 3.1).
const udpSize = 1232

// answer is what is kept of a reply: records of the asked type at the end of
// the chain of CNAMEs, or nothing.
type answer struct {
	rrs    []mdns.RR
	secure bool
	next   string // a CNAME's target that the reply does not resolve
	ttl    time.Duration
	err    error // *NotExistError, kept with the answer
}

// ask answers from the cache or a server, following CNAMEs. On ErrNotExist the
// answer still tells whether the denial was secure.
func (c *Client) ask(ctx context.Context, name string, qtype uint16) (answer, error) {
	typ := mdns.TypeToString[qtype]
	if _, ok := mdns.IsDomainName(name); !ok || name == "" {
		return answer{}, &NotExistError{Name: name, Type: typ, NXDomain: true}
	}
	q := question{name: strings.ToLower(mdns.Fqdn(name)), qtype: qtype}
	now := time.Now()
	if a, ok := c.cache.get(q, now); ok {
		return a, a.err
	}
	whole := answer{secure: true, ttl: maxTTL}
	at := q.name
	for range maxChain {
		a, err := c.askServers(ctx, at, qtype)
		if err != nil {
			return answer{}, &TemporaryError{Name: plainName(q.name), Type: typ, Err: err}
		}
		whole.secure = whole.secure && a.secure && c.Trusts()
		whole.ttl = min(whole.ttl, a.ttl)
		if a.next != "" {
			at = a.next
			continue
		}
		whole.rrs, whole.err = a.rrs, a.err
		c.cache.put(q, whole, now, c.CacheMax)
		return whole, whole.err
	}
	return answer{}, &TemporaryError{Name: plainName(q.name), Type: typ,
		Err: fmt.Errorf("more than %d aliases", maxChain)}
}

// askServers asks one server after the other until one of them knows.
func (c *Client) askServers(ctx context.Context, name string, qtype uint16) (answer, error) {
	servers := c.Servers()
	if len(servers) == 0 {
		return answer{}, errors.New("no name server is configured")
	}
	attempts := c.Attempts
	if attempts == 0 {
		attempts = 2
	}
	var last error
	for range attempts {
		for _, server := range servers {
			reply, err := c.askServer(ctx, server, name, qtype, flags{recursive: true})
			if err == nil {
				var a answer
				if a, err = read(reply, name, qtype); err == nil {
					return a, nil
				}
			}
			last = fmt.Errorf("server %s: %w", server, err)
			if ctx.Err() != nil {
				return answer{}, last
			}
		}
	}
	return answer{}, last
}

// flags of a question: RD and CD.
type flags struct{ recursive, unchecked bool }

// askServer asks over UDP, then over TCP when the reply did not fit; without
// EDNS0 when the server does not know it (RFC 6891, 7).
func (c *Client) askServer(ctx context.Context, server, name string, qtype uint16, f flags) (*mdns.Msg, error) {
	m := new(mdns.Msg)
	m.SetQuestion(name, qtype)
	m.RecursionDesired, m.CheckingDisabled = f.recursive, f.unchecked
	m.AuthenticatedData = true // RFC 6840, 5.7: we understand AD, without asking for signatures
	m.SetEdns0(udpSize, false)
	reply, err := c.exchange(ctx, "udp", server, m)
	if err == nil && (reply.Rcode == mdns.RcodeFormatError || reply.Rcode == mdns.RcodeNotImplemented) {
		m.Extra = nil
		reply, err = c.exchange(ctx, "udp", server, m)
	}
	if err == nil && reply.Truncated {
		return c.exchange(ctx, "tcp", server, m)
	}
	return reply, err
}

func (c *Client) exchange(ctx context.Context, network, server string, m *mdns.Msg) (*mdns.Msg, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 3 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	dc := &mdns.Conn{Conn: conn, UDPSize: udpSize}
	if err := dc.WriteMsg(m); err != nil {
		return nil, err
	}
	for {
		reply, err := dc.ReadMsg()
		if err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("no answer within %v", timeout)
			}
			if reply == nil || ctx.Err() != nil {
				return nil, err
			}
			continue // not a DNS message: somebody else's datagram
		}
		// An answer to another question is a forgery or late: RFC 5452, 9.1.
		if reply.Id == m.Id && reply.Response && len(reply.Question) == 1 &&
			strings.EqualFold(reply.Question[0].Name, m.Question[0].Name) &&
			reply.Question[0].Qtype == m.Question[0].Qtype {
			return reply, nil
		}
	}
}

// read takes from a reply what the question asked for.
func read(m *mdns.Msg, name string, qtype uint16) (answer, error) {
	a := answer{secure: m.AuthenticatedData, ttl: maxTTL}
	if m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError {
		return a, errors.New(mdns.RcodeToString[m.Rcode])
	}
	at, hops := name, 0
	for next := true; next; {
		next = false
		for _, rr := range m.Answer {
			cname, ok := rr.(*mdns.CNAME)
			if ok && qtype != mdns.TypeCNAME && strings.EqualFold(rr.Header().Name, at) {
				at, next = strings.ToLower(cname.Target), true
				a.ttl = min(a.ttl, seconds(rr.Header().Ttl))
				break
			}
		}
		if hops++; hops > maxChain {
			return a, fmt.Errorf("more than %d aliases", maxChain)
		}
	}
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == qtype && strings.EqualFold(rr.Header().Name, at) {
			a.rrs = append(a.rrs, rr)
			a.ttl = min(a.ttl, seconds(rr.Header().Ttl))
		}
	}
	if len(a.rrs) > 0 {
		return a, nil
	}
	if at == "" {
		return a, errors.New("an alias of nothing")
	}
	denied := false
	for _, rr := range m.Ns { // RFC 2308, 5: how long a denial holds
		if soa, ok := rr.(*mdns.SOA); ok {
			denied = true
			a.ttl = min(a.ttl, seconds(soa.Minttl), seconds(soa.Hdr.Ttl), maxNegativeTTL)
		}
	}
	if at != name && !denied && m.Rcode == mdns.RcodeSuccess {
		a.next = at // a forwarder that leaves the end of the chain to us
		return a, nil
	}
	if !denied {
		a.ttl = 0
	}
	a.err = &NotExistError{Name: plainName(name), Type: mdns.TypeToString[qtype], NXDomain: m.Rcode == mdns.RcodeNameError}
	return a, nil
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }
