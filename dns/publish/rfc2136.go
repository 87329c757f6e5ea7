package publish

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/libdns/libdns"
	"github.com/miekg/dns"
)

// updater speaks RFC 2136 to a name server of the person's own. All of a change
// is one update, which the server does whole or not at all (RFC 2136, 3.4.2.7).
type updater struct {
	title, help string
	server      string
	key         string // name of the TSIG key, "" for none
	algorithm   string
	secret      string // base64
}

// tsigFudge is how far clocks may be apart (RFC 8945, 5.2.3).
const tsigFudge = 300

func openRFC2136(g given) (Provider, error) {
	u := updater{title: g.info.Title, help: g.info.ScopeHelp, server: g.cred["server"], secret: g.cred["key_secret"]}
	wrong := func(text, next string) (Provider, error) {
		return nil, &Error{Kind: ErrCredentials, Provider: g.info.Title, Text: text, Next: next}
	}
	if _, _, err := net.SplitHostPort(u.server); err != nil {
		u.server = net.JoinHostPort(strings.Trim(u.server, "[]"), "53")
	}
	if g.cred["key_name"] == "" {
		if u.secret != "" {
			return wrong("the TSIG key has no name", "it stands in the key's file, as in: key \"mailstead.\" { … }")
		}
		return u, nil
	}
	u.key = dns.CanonicalName(g.cred["key_name"])
	u.algorithm = dns.Fqdn(strings.ToLower(g.cred["key_algorithm"]))
	known := []string{dns.HmacSHA1, dns.HmacSHA224, dns.HmacSHA256, dns.HmacSHA384, dns.HmacSHA512}
	if !slices.Contains(known, u.algorithm) {
		return wrong(fmt.Sprintf("the TSIG algorithm %q is not known", g.cred["key_algorithm"]), "hmac-sha256 is the usual one")
	}
	if raw, err := base64.StdEncoding.DecodeString(u.secret); err != nil || len(raw) == 0 {
		return wrong("the secret of the TSIG key is not base64", "copy what stands behind `secret` in the key's file")
	}
	return u, nil
}

func (u updater) atomic() bool { return true }

// exchange asks over TCP, signed where there is a key, and looks at the answer.
func (u updater) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	c := &dns.Client{Net: "tcp", Timeout: 10 * time.Second}
	if u.key != "" {
		c.TsigSecret = map[string]string{u.key: u.secret}
		m.SetTsig(u.key, u.algorithm, tsigFudge, time.Now().Unix())
	}
	r, _, err := c.ExchangeContext(ctx, m, u.server)
	if r != nil && r.Rcode == dns.RcodeNotAuth {
		return nil, u.notAuth(r)
	}
	if err != nil {
		return nil, u.failure(err)
	}
	return r, nil
}

func (u updater) failure(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, dns.ErrSig) || errors.Is(err, dns.ErrTime) || errors.Is(err, dns.ErrNoSig) {
		return &Error{Kind: ErrToken, Provider: u.title, Err: err, Text: fmt.Sprintf("the answer of %s is not signed with our key", u.server),
			Next: "is the key the same on both sides, and the clock right?"}
	}
	return &Error{Kind: ErrUnreachable, Provider: u.title, Err: err, Text: fmt.Sprintf("the name server %s does not answer: %v", u.server, err),
		Next: "does it listen there, on TCP too, and does the firewall let us through?"}
}

// notAuth tells the errors of TSIG apart (RFC 8945, 5.3.2).
func (u updater) notAuth(r *dns.Msg) error {
	e := &Error{Kind: ErrToken, Provider: u.title, Text: fmt.Sprintf("the name server %s does not accept our key", u.server), Next: u.help}
	t := r.IsTsig()
	if t == nil {
		e.Kind, e.Text = ErrNoZone, fmt.Sprintf("the name server %s does not hold the zone, or not for us", u.server)
		return e
	}
	switch t.Error {
	case dns.RcodeBadKey:
		e.Text = fmt.Sprintf("the name server %s does not know a key %s", u.server, u.key)
	case dns.RcodeBadSig:
		e.Text = fmt.Sprintf("the secret of the key %s is not the one that the name server %s has", u.key, u.server)
	case dns.RcodeBadTime:
		e.Text, e.Next = fmt.Sprintf("our clock and that of the name server %s are too far apart", u.server), "set the clock: timedatectl set-ntp true"
	}
	return e
}

func (u updater) problem(r *dns.Msg, zone string) error {
	e := &Error{Provider: u.title, Next: u.help}
	switch r.Rcode {
	case dns.RcodeRefused:
		e.Kind, e.Text = ErrToken, fmt.Sprintf("the name server %s does not let us change %s", u.server, zone)
	case dns.RcodeNotZone:
		e.Kind, e.Text = ErrRefused, fmt.Sprintf("the name server %s says that a name lies outside of %s", u.server, zone)
	case dns.RcodeServerFailure:
		e.Kind, e.Text, e.Next = ErrUnreachable, fmt.Sprintf("the name server %s failed to change %s", u.server, zone), "its log says why"
	case dns.RcodeNotImplemented:
		e.Kind, e.Text = ErrRefused, fmt.Sprintf("the name server %s takes no updates", u.server)
	default:
		e.Kind, e.Text, e.Next = ErrRefused, fmt.Sprintf("the name server %s refuses the change of %s: %s", u.server, zone, dns.RcodeToString[r.Rcode]), "its log says why"
	}
	return e
}

func (u updater) ask(ctx context.Context, name string, typ uint16) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), typ)
	m.RecursionDesired = false
	return u.exchange(ctx, m)
}

// FindZone asks for SOA records: the server is authoritative for the zone that
// the name lies in.
func (u updater) FindZone(ctx context.Context, name string) (string, error) {
	for _, zone := range parents(name) {
		r, err := u.ask(ctx, zone, dns.TypeSOA)
		if err != nil {
			return "", err
		}
		for _, rr := range r.Answer {
			if soa, ok := rr.(*dns.SOA); ok && r.Authoritative && strings.EqualFold(soa.Hdr.Name, zone+".") {
				return zone, nil
			}
		}
	}
	return "", &Error{Kind: ErrNoZone, Provider: u.title, Text: fmt.Sprintf("the name server %s holds no zone for %s", u.server, name),
		Next: "is " + name + " spelled right, and is this the primary server of its zone?"}
}

// GetRecords implements libdns.RecordGetter by a transfer of the zone.
func (u updater) GetRecords(ctx context.Context, zone string) ([]libdns.Record, error) {
	m := new(dns.Msg)
	m.SetAxfr(dns.Fqdn(zone))
	t := &dns.Transfer{DialTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second}
	if u.key != "" {
		t.TsigSecret = map[string]string{u.key: u.secret}
		m.SetTsig(u.key, u.algorithm, tsigFudge, time.Now().Unix())
	}
	in, err := t.In(m, u.server)
	if err != nil {
		return nil, u.failure(err)
	}
	var all []libdns.RR
	for env := range in {
		if err == nil {
			err = env.Error
		}
		for _, rr := range env.RR {
			all = appendRR(all, rr, zone)
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, &Error{Kind: ErrToken, Provider: u.title, Err: err, Text: fmt.Sprintf("the name server %s does not let us transfer %s: %v", u.server, zone, err), Next: u.help}
	}
	return expand(all), nil
}

// appendRR leaves out what the server makes itself.
func appendRR(all []libdns.RR, rr dns.RR, zone string) []libdns.RR {
	switch rr.Header().Rrtype {
	case dns.TypeSOA, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY:
		return all
	}
	typ := dns.TypeToString[rr.Header().Rrtype]
	r := normal(libdns.RR{
		Name: relative(rr.Header().Name, zone), Type: typ, TTL: time.Duration(rr.Header().Ttl) * time.Second,
		Data: unwire(typ, strings.TrimPrefix(rr.String(), rr.Header().String())),
	})
	return append(all, r)
}

// LookupRecords transfers the zone where it may, and else asks name by name: not
// every server lets everybody transfer.
func (u updater) LookupRecords(ctx context.Context, zone string, names []string) ([]libdns.Record, error) {
	if all, err := u.GetRecords(ctx, zone); err == nil {
		return all, nil
	}
	var all []libdns.RR
	for _, name := range names {
		for _, typ := range []uint16{dns.TypeCNAME, dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeTXT, dns.TypeSRV, dns.TypeTLSA, dns.TypeCAA} {
			r, err := u.ask(ctx, absolute(name, zone), typ)
			if err != nil {
				return nil, err
			}
			if r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError {
				return nil, u.problem(r, zone)
			}
			for _, rr := range r.Answer {
				if !strings.EqualFold(rr.Header().Name, absolute(name, zone)+".") {
					continue
				}
				for _, r := range appendRR(nil, rr, zone) { // an alias comes with every type
					if !slices.ContainsFunc(all, func(o libdns.RR) bool { return same(o, r) }) {
						all = append(all, r)
					}
				}
			}
			if r.Rcode == dns.RcodeNameError {
				break // no type has it
			}
		}
	}
	return expand(all), nil
}

// AppendRecords implements libdns.RecordAppender.
func (u updater) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, u.ReplaceRecords(ctx, zone, nil, records)
}

// SetRecords implements libdns.RecordSetter: all records of a name and type go,
// and the new ones come, in one update.
func (u updater) SetRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	adds, err := u.wire(zone, reduce(records))
	if err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(zone))
	m.RemoveRRset(adds)
	m.Insert(adds)
	return records, u.update(ctx, zone, m)
}

// DeleteRecords implements libdns.RecordDeleter.
func (u updater) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return deleteMatching(ctx, u, zone, records)
}

// ReplaceRecords removes some records and adds others in one update. What is not
// there to be removed, and what is there to be added, the server passes over.
func (u updater) ReplaceRecords(ctx context.Context, zone string, removes, adds []libdns.Record) error {
	gone, err := u.wire(zone, reduce(removes))
	if err != nil {
		return err
	}
	fresh, err := u.wire(zone, reduce(adds))
	if err != nil {
		return err
	}
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(zone))
	m.Remove(gone)
	m.Insert(fresh)
	return u.update(ctx, zone, m)
}

func (u updater) update(ctx context.Context, zone string, m *dns.Msg) error {
	r, err := u.exchange(ctx, m)
	if err == nil && r.Rcode != dns.RcodeSuccess {
		err = u.problem(r, zone)
	}
	return err
}

func (u updater) wire(zone string, records []libdns.RR) ([]dns.RR, error) {
	var all []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(fmt.Sprintf("%s. %d IN %s %s", absolute(r.Name, zone), seconds(r.TTL, 0), r.Type, wire(r)))
		if err != nil || rr == nil {
			return nil, &Error{Kind: ErrRefused, Provider: u.title, Err: err, Text: fmt.Sprintf("the %s record of %s cannot be written: %q", r.Type, absolute(r.Name, zone), r.Data)}
		}
		all = append(all, rr)
	}
	return all, nil
}
