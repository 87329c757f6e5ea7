package dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

// Question is put to one server, for whoever wants to know who says what. Mail
// is routed by Resolver, which follows aliases and caches.
type Question struct {
	Server    string // "address:port"; "" asks the client's own servers in turn
	Name      string // without the final dot
	Type      string // "CAA"
	Recursive bool   // ask a resolver to find out; without it an authority tells what it knows
	Unchecked bool   // take answers whose signatures are wrong (CD), to see what they are
}

// Answer is what a server said, unjudged.
type Answer struct {
	Server        string
	Records       []Record // of the answer section, aliases included
	Authority     []Record // SOA or NS of the authority section
	Authoritative bool     // AA
	Authenticated bool     // AD
	NXDomain      bool
}

// Record is one resource record in presentation form: names lower case, in Data
// with their final dot.
type Record struct {
	Name string // without the final dot
	Type string
	TTL  time.Duration
	Data string
	Text string // of TXT: its strings joined, nothing quoted or escaped
}

// Of gives the records of a type, aliases left out.
func (a Answer) Of(typ string) []Record {
	var list []Record
	for _, r := range a.Records {
		if r.Type == typ {
			list = append(list, r)
		}
	}
	return list
}

// Ask puts one question, without the cache. Errors: *TemporaryError; a name
// that does not exist is an answer.
func (c *Client) Ask(ctx context.Context, q Question) (Answer, error) {
	qtype, known := mdns.StringToType[q.Type]
	name := mdns.Fqdn(q.Name)
	if _, ok := mdns.IsDomainName(name); !ok || !known {
		return Answer{}, &TemporaryError{Name: q.Name, Type: q.Type, Err: errors.New("no question that can be asked")}
	}
	servers := []string{q.Server}
	if q.Server == "" {
		servers = c.Servers()
	}
	err := errors.New("no name server is configured")
	for range 2 { // a datagram may get lost
		for _, server := range servers {
			var reply *mdns.Msg
			reply, err = c.askServer(ctx, server, name, qtype, flags{recursive: q.Recursive, unchecked: q.Unchecked})
			if err == nil && reply.Rcode != mdns.RcodeSuccess && reply.Rcode != mdns.RcodeNameError {
				err = &RcodeError{Rcode: mdns.RcodeToString[reply.Rcode]}
			}
			if err == nil {
				return answerOf(server, reply), nil
			}
			err = fmt.Errorf("server %s: %w", server, err)
			if ctx.Err() != nil {
				return Answer{}, &TemporaryError{Name: q.Name, Type: q.Type, Err: err}
			}
		}
		if code := (*RcodeError)(nil); errors.As(err, &code) {
			break
		}
	}
	return Answer{}, &TemporaryError{Name: q.Name, Type: q.Type, Err: err}
}

// RcodeError is a refusal of a server: SERVFAIL, REFUSED, NOTIMP.
type RcodeError struct{ Rcode string }

func (e *RcodeError) Error() string { return "it says " + e.Rcode }

func answerOf(server string, m *mdns.Msg) Answer {
	a := Answer{
		Server: server, Authoritative: m.Authoritative, Authenticated: m.AuthenticatedData,
		NXDomain: m.Rcode == mdns.RcodeNameError,
	}
	for _, rr := range m.Answer {
		a.Records = append(a.Records, recordOf(rr))
	}
	for _, rr := range m.Ns {
		if t := rr.Header().Rrtype; t == mdns.TypeSOA || t == mdns.TypeNS {
			a.Authority = append(a.Authority, recordOf(rr))
		}
	}
	return a
}

func recordOf(rr mdns.RR) Record {
	h := rr.Header()
	r := Record{
		Name: plainName(h.Name), Type: mdns.TypeToString[h.Rrtype], TTL: seconds(h.Ttl),
		Data: strings.TrimPrefix(rr.String(), h.String()),
	}
	switch rr := rr.(type) {
	case *mdns.TXT:
		r.Text = unescape(strings.Join(rr.Txt, ""))
	case *mdns.MX, *mdns.NS, *mdns.CNAME, *mdns.SRV, *mdns.PTR, *mdns.SOA, *mdns.TLSA:
		r.Data = strings.ToLower(r.Data)
	}
	return r
}
