package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

const (
	testKey    = "mailstead."
	testSecret = "c2VjcmV0IG9mIHRoZSB0ZXN0LCAzMiBvY3RldHMgbG9uZw=="
)

// nameServer is a primary for example.org on loopback: updates and transfers
// need the key, and an update is done whole or not at all.
type nameServer struct {
	addr string

	mu        sync.Mutex
	rrs       []dns.RR // under mu
	updates   int      // under mu
	transfers bool     // whether they are allowed
	refuse    int      // rcode of every update, if not 0
	dislike   uint16   // type whose records it refuses
}

func startNameServer(t *testing.T, lines ...string) *nameServer {
	t.Helper()
	n := &nameServer{transfers: true}
	n.put(t, "example.org. 3600 IN SOA ns.example.org. hostmaster.example.org. 1 7200 3600 1209600 300", "example.org. 3600 IN NS ns.example.org.")
	n.put(t, lines...)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = l.Addr().String()
	mux := dns.NewServeMux()
	mux.HandleFunc(".", n.handle)
	s := &dns.Server{Listener: l, Handler: mux, TsigSecret: map[string]string{testKey: testSecret},
		MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return n
}

func (n *nameServer) put(t *testing.T, lines ...string) {
	t.Helper()
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		n.rrs = append(n.rrs, rr)
	}
}

// lines shows the zone, TTLs included.
func (n *nameServer) lines() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, rr := range n.rrs {
		all = append(all, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	slices.Sort(all)
	return all
}

func (n *nameServer) handle(w dns.ResponseWriter, r *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := new(dns.Msg)
	m.SetReply(r)
	m.Authoritative = true
	signed := r.IsTsig() != nil
	if signed {
		if err := w.TsigStatus(); err != nil {
			m.Rcode = dns.RcodeNotAuth
			code := uint16(dns.RcodeBadSig)
			if errors.Is(err, dns.ErrSecret) {
				code = dns.RcodeBadKey
			}
			m.Extra = append(m.Extra, &dns.TSIG{Hdr: dns.RR_Header{Name: r.IsTsig().Hdr.Name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
				Algorithm: r.IsTsig().Algorithm, TimeSigned: uint64(time.Now().Unix()), Fudge: 300, OrigId: r.Id, Error: code})
			_ = w.WriteMsg(m)
			return
		}
		m.SetTsig(r.IsTsig().Hdr.Name, r.IsTsig().Algorithm, 300, time.Now().Unix())
	}
	switch {
	case r.Opcode == dns.OpcodeUpdate:
		m.Rcode = n.update(r, signed)
	case r.Question[0].Qtype == dns.TypeAXFR:
		n.transfer(w, r, signed)
		return
	default:
		n.answer(m, r.Question[0])
	}
	_ = w.WriteMsg(m)
}

func (n *nameServer) answer(m *dns.Msg, q dns.Question) {
	name := strings.ToLower(q.Name)
	if !dns.IsSubDomain("example.org.", name) {
		m.Rcode, m.Authoritative = dns.RcodeRefused, false
		return
	}
	known := false
	for _, rr := range n.rrs {
		if rr.Header().Name != name {
			continue
		}
		known = true
		if rr.Header().Rrtype == q.Qtype {
			m.Answer = append(m.Answer, rr)
		}
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
}

func (n *nameServer) transfer(w dns.ResponseWriter, r *dns.Msg, signed bool) {
	if !n.transfers || !signed {
		m := new(dns.Msg)
		m.SetRcode(r, dns.RcodeRefused)
		if signed {
			m.SetTsig(r.IsTsig().Hdr.Name, r.IsTsig().Algorithm, 300, time.Now().Unix())
		}
		_ = w.WriteMsg(m)
		return
	}
	ch := make(chan *dns.Envelope, 1)
	ch <- &dns.Envelope{RR: append(slices.Clone(n.rrs), n.rrs[0])}
	close(ch)
	_ = new(dns.Transfer).Out(w, r, ch)
}

// update does RFC 2136, 3.4.2 for what clients of ours send.
func (n *nameServer) update(r *dns.Msg, signed bool) int {
	n.updates++
	if !signed {
		return dns.RcodeRefused
	}
	if n.refuse != 0 {
		return n.refuse
	}
	for _, u := range r.Ns {
		if !dns.IsSubDomain("example.org.", u.Header().Name) {
			return dns.RcodeNotZone
		}
		if u.Header().Rrtype == n.dislike {
			return dns.RcodeFormatError
		}
	}
	for _, u := range r.Ns {
		h := u.Header()
		same := func(o dns.RR) bool {
			c := dns.Copy(u)
			c.Header().Class = dns.ClassINET
			return dns.IsDuplicate(o, c)
		}
		switch h.Class {
		case dns.ClassNONE:
			n.rrs = slices.DeleteFunc(n.rrs, same)
		case dns.ClassANY:
			n.rrs = slices.DeleteFunc(n.rrs, func(o dns.RR) bool { return o.Header().Name == h.Name && o.Header().Rrtype == h.Rrtype })
		default:
			if !slices.ContainsFunc(n.rrs, same) {
				n.rrs = append(n.rrs, u)
			}
		}
	}
	return dns.RcodeSuccess
}

func (n *nameServer) client(t *testing.T, changes map[string]string) Provider {
	t.Helper()
	cred := map[string]string{"server": n.addr, "key_name": "mailstead", "key_secret": testSecret}
	for k, v := range changes {
		cred[k] = v
	}
	return connect(t, "rfc2136", cred, "", nil)
}

func TestRFC2136(t *testing.T) {
	t.Parallel()
	for _, transfers := range []bool{true, false} {
		n := startNameServer(t, "example.org. 300 IN TXT \"v=spf1 mx -all\"", "example.org. 300 IN TXT \"site=1\"", "www.example.org. 3600 IN A 192.0.2.7")
		n.transfers = transfers
		p := &Publisher{DB: openDB(t), Provider: n.client(t, nil), Name: "rfc2136"}
		before := n.lines()
		d, err := p.Plan(t.Context(), "example.org", wants(usual...))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Apply(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if n.updates != 1 {
			t.Errorf("%d updates: one would be whole", n.updates)
		}
		want := []string{
			"_25._tcp.mail.example.org. 3600 IN TLSA 3 1 1 aabb",
			`_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none"`,
			"_imaps._tcp.example.org. 3600 IN SRV 0 1 993 mail.example.org.",
			"autoconfig.example.org. 3600 IN CNAME mail.example.org.",
			`example.org. 300 IN TXT "site=1"`,
			`example.org. 300 IN TXT "v=spf1 a:mail.example.org mx -all"`,
			"example.org. 3600 IN MX 10 mail.example.org.",
			"example.org. 3600 IN NS ns.example.org.",
			"example.org. 3600 IN SOA ns.example.org. hostmaster.example.org. 1 7200 3600 1209600 300",
			"mail.example.org. 3600 IN A 192.0.2.1",
			`mail.example.org. 3600 IN CAA 0 issue "letsencrypt.org"`,
			`s1._domainkey.example.org. 3600 IN TXT "v=DKIM1; k=rsa; p=AAAA"`,
			"www.example.org. 3600 IN A 192.0.2.7",
		}
		if diff := cmp.Diff(want, n.lines()); diff != "" {
			t.Errorf("transfers %v: %s", transfers, diff)
		}
		if err := p.Undo(t.Context(), "example.org"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, n.lines()); diff != "" {
			t.Errorf("transfers %v, undone: %s", transfers, diff)
		}
	}
}

// A whole update that is refused for one record is done again record by record.
func TestRFC2136RefusedRecord(t *testing.T) {
	t.Parallel()
	n := startNameServer(t)
	n.dislike = dns.TypeCAA
	p := &Publisher{DB: openDB(t), Provider: n.client(t, nil), Name: "rfc2136"}
	before := n.lines()
	d, err := p.Plan(t.Context(), "example.org", wants(usual...))
	if err != nil {
		t.Fatal(err)
	}
	err = p.Apply(t.Context(), d)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "8 of 9 steps are done; not mail.example.org CAA") {
		t.Errorf("%v", err)
	}
	if l := n.lines(); len(l) != len(before)+len(usual)-1 {
		t.Errorf("%q", l)
	}
	if err := p.Undo(t.Context(), "example.org"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, n.lines()); diff != "" {
		t.Error(diff)
	}
}

// What libdns promises to ACME and others.
func TestRFC2136Libdns(t *testing.T) {
	t.Parallel()
	n := startNameServer(t, "a.example.org. 60 IN TXT \"1\"", "a.example.org. 60 IN TXT \"2\"", "a.example.org. 60 IN A 192.0.2.1")
	p := n.client(t, nil)
	ctx := t.Context()
	if _, err := p.AppendRecords(ctx, "example.org.", rrs("_acme-challenge TXT tok")); err != nil {
		t.Fatal(err)
	}
	if gone, err := p.DeleteRecords(ctx, "example.org.", rrs("_acme-challenge TXT other")); err != nil || len(gone) != 0 {
		t.Errorf("deleted %v, %v", gone, err)
	}
	gone, err := p.DeleteRecords(ctx, "example.org.", rrs("_acme-challenge TXT tok"))
	if err != nil || len(gone) != 1 {
		t.Errorf("deleted %v, %v", gone, err)
	}
	if _, err := p.SetRecords(ctx, "example.org.", rrs("a TXT 3")); err != nil {
		t.Fatal(err)
	}
	got, err := p.GetRecords(ctx, "example.org.")
	if diff := cmp.Diff([]string{"@ NS ns.example.org.", "a A 192.0.2.1", "a TXT 3"}, shown(got)); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestRFC2136Refusals(t *testing.T) {
	t.Parallel()
	n := startNameServer(t)
	for _, tc := range []struct {
		name    string
		changes map[string]string
		refuse  int
		kind    error
		says    string
	}{
		{"another secret", map[string]string{"key_secret": "AAAA"}, 0, ErrToken, "the secret of the key mailstead."},
		{"another key", map[string]string{"key_name": "other", "key_secret": "AAAA"}, 0, ErrToken, "does not know a key other."},
		{"no key", map[string]string{"key_name": "", "key_secret": ""}, 0, ErrToken, "does not let us change example.org"},
		{"refused", nil, dns.RcodeRefused, ErrToken, "does not let us change example.org"},
		{"not implemented", nil, dns.RcodeNotImplemented, ErrRefused, "takes no updates"},
		{"failure", nil, dns.RcodeServerFailure, ErrUnreachable, "failed to change"},
		{"nobody there", map[string]string{"server": "127.0.0.1:1"}, 0, ErrUnreachable, "does not answer"},
	} {
		n.mu.Lock()
		n.refuse = tc.refuse
		n.mu.Unlock()
		_, err := n.client(t, tc.changes).AppendRecords(context.Background(), "example.org", rrs("a TXT x"))
		if !errors.Is(err, tc.kind) || !strings.Contains(fmt.Sprint(err), tc.says) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if _, err := n.client(t, nil).(Finder).FindZone(t.Context(), "example.net"); !errors.Is(err, ErrNoZone) {
		t.Errorf("another zone: %v", err)
	}
}
