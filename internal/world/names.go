package world

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Failure is what the DNS does instead of answering.
type Failure int

const (
	ServFail Failure = iota + 1 // says that it failed
	Silence                     // says nothing
	Refused                     // says that it does not want to
	Bogus                       // fails as a validator does on wrong signatures: not for who asks without checking
)

// names is the content of the DNS: authority for every name there is.
type names struct {
	mu       sync.RWMutex
	own      bool                           // an authority: answers for its zones alone
	records  map[string]map[uint16][]dns.RR // by lower-case name; guarded by mu, as all below
	signed   map[string]bool                // by zone
	failures map[string]Failure
	asked    map[string]int
	servers  []*dns.Server
}

func newNames() *names {
	return &names{
		records:  make(map[string]map[uint16][]dns.RR),
		signed:   make(map[string]bool),
		failures: make(map[string]Failure),
		asked:    make(map[string]int),
	}
}

// Zone replaces what is known below and at origin by the records of a master
// file (RFC 1035, 5). Names without a final dot are relative to origin; no SOA
// or NS is needed.
func (w *World) Zone(origin, records string) error {
	origin = dns.CanonicalName(origin)
	all, err := parse(origin, records)
	if err != nil {
		return err
	}
	w.names.replace(origin, all)
	return nil
}

func parse(origin, records string) ([]dns.RR, error) {
	p := dns.NewZoneParser(strings.NewReader(records), origin, origin)
	p.SetDefaultTTL(300)
	var all []dns.RR
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		all = append(all, rr)
	}
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("zone %s: %w", origin, err)
	}
	return all, nil
}

// replace puts records in the place of all at and below origin.
func (n *names) replace(origin string, all []dns.RR) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range n.records {
		if dns.IsSubDomain(origin, name) {
			delete(n.records, name)
		}
	}
	if _, known := n.signed[origin]; !known {
		n.signed[origin] = false
	}
	for _, rr := range all {
		n.add(rr)
	}
}

// Sign makes the answers of a zone carry AD, as a validating resolver would
// give them for a signed zone.
func (w *World) Sign(origin string) {
	w.names.mu.Lock()
	defer w.names.mu.Unlock()
	w.names.signed[dns.CanonicalName(origin)] = true
}

// Fail makes questions about a name (and only that name) fail; 0 heals it.
func (w *World) Fail(name string, f Failure) {
	w.names.mu.Lock()
	defer w.names.mu.Unlock()
	w.names.failures[dns.CanonicalName(name)] = f
}

// Asked tells how many questions about a name came.
func (w *World) Asked(name string) int {
	w.names.mu.RLock()
	defer w.names.mu.RUnlock()
	return w.names.asked[dns.CanonicalName(name)]
}

// Host names addresses, forwards and backwards.
func (w *World) Host(name string, addrs ...netip.Addr) {
	n := w.names
	n.mu.Lock()
	defer n.mu.Unlock()
	name = dns.CanonicalName(name)
	for _, a := range addrs {
		h := dns.RR_Header{Name: name, Class: dns.ClassINET, Ttl: 300}
		if a.Is4() {
			h.Rrtype = dns.TypeA
			n.add(&dns.A{Hdr: h, A: a.AsSlice()})
		} else {
			h.Rrtype = dns.TypeAAAA
			n.add(&dns.AAAA{Hdr: h, AAAA: a.AsSlice()})
		}
		if back, err := dns.ReverseAddr(a.String()); err == nil {
			h.Name, h.Rrtype = back, dns.TypePTR
			n.add(&dns.PTR{Hdr: h, Ptr: name})
		}
	}
}

func (n *names) add(rr dns.RR) {
	name := dns.CanonicalName(rr.Header().Name)
	if n.records[name] == nil {
		n.records[name] = make(map[uint16][]dns.RR)
	}
	t := rr.Header().Rrtype
	n.records[name][t] = append(n.records[name][t], rr)
}

// ServeDNS implements dns.Handler.
func (n *names) ServeDNS(out dns.ResponseWriter, q *dns.Msg) {
	reply := n.answer(q)
	if reply == nil {
		return
	}
	if _, udp := out.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		reply.Truncate(size)
	}
	out.WriteMsg(reply)
}

// answer is the reply of a recursive, validating server that knows all zones;
// nil for silence.
func (n *names) answer(q *dns.Msg) *dns.Msg {
	n.mu.Lock()
	defer n.mu.Unlock()
	reply := new(dns.Msg).SetReply(q)
	reply.RecursionAvailable = !n.own
	if len(q.Question) != 1 {
		reply.Rcode = dns.RcodeFormatError
		return reply
	}
	if o := q.IsEdns0(); o != nil {
		reply.SetEdns0(1232, o.Do())
	}
	at, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	n.asked[at]++
	if reply.Authoritative = n.own && n.zoneOf(at) != "."; n.own && !reply.Authoritative {
		reply.Rcode = dns.RcodeRefused
		return reply
	}
	secure := true
	for range 16 {
		switch n.failures[at] {
		case Silence:
			return nil
		case Bogus, ServFail:
			if n.failures[at] == Bogus && q.CheckingDisabled {
				break
			}
			reply.Rcode, reply.Answer = dns.RcodeServerFailure, nil
			return reply
		case Refused:
			reply.Rcode, reply.Answer = dns.RcodeRefused, nil
			return reply
		}
		zone := n.zoneOf(at)
		secure = secure && n.signed[zone]
		known, wild := n.at(at)
		if rrs := known[qtype]; len(rrs) > 0 {
			reply.Answer = append(reply.Answer, named(rrs, at, wild)...)
			break
		}
		if alias := known[dns.TypeCNAME]; len(alias) > 0 {
			reply.Answer = append(reply.Answer, named(alias[:1], at, wild)...)
			at = dns.CanonicalName(alias[0].(*dns.CNAME).Target)
			if n.own && n.zoneOf(at) == "." {
				break
			}
			continue
		}
		if !wild && !n.exists(at) {
			reply.Rcode = dns.RcodeNameError
		}
		reply.Ns = []dns.RR{&dns.SOA{
			Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 300},
			Ns:  "ns.small-world.test.", Mbox: "hostmaster.small-world.test.", Serial: 1, Minttl: 60,
		}}
		break
	}
	o := q.IsEdns0()
	reply.AuthenticatedData = secure && (q.AuthenticatedData || o != nil && o.Do())
	return reply
}

// at gives the records of a name, those of a wildcard where nothing is at or
// below the name (RFC 4592).
func (n *names) at(name string) (known map[uint16][]dns.RR, wild bool) {
	if n.exists(name) {
		return n.records[name], false
	}
	for i, end := dns.NextLabel(name, 0); !end; i, end = dns.NextLabel(name, i) {
		if w := n.records["*."+name[i:]]; w != nil {
			return w, true
		}
		if n.exists(name[i:]) {
			break
		}
	}
	return nil, false
}

// named gives a wildcard's records the name that was asked for.
func named(rrs []dns.RR, name string, wild bool) []dns.RR {
	if !wild {
		return rrs
	}
	var list []dns.RR
	for _, rr := range rrs {
		rr = dns.Copy(rr)
		rr.Header().Name = name
		list = append(list, rr)
	}
	return list
}

func (n *names) zoneOf(name string) string {
	for i, end := 0, false; !end; i, end = dns.NextLabel(name, i) {
		if _, ok := n.signed[name[i:]]; ok {
			return name[i:]
		}
	}
	return "."
}

func (n *names) exists(name string) bool {
	if _, ok := n.signed[name]; ok {
		return true
	}
	for other := range n.records {
		if dns.IsSubDomain(name, other) {
			return true
		}
	}
	return false
}

// startDNS serves the names over UDP and TCP on one port, in memory over
// streams alone.
func (w *World) startDNS() error {
	at, err := w.serveNames(w.names, netip.AddrPort{})
	w.resolver = at
	return err
}

// serveNames serves names on a port of their own, which Dial also finds at an
// address of the world; its name is the address where one can connect.
func (w *World) serveNames(n *names, at netip.AddrPort) (string, error) {
	if w.memory {
		if !at.IsValid() {
			at = netip.AddrPortFrom(w.address(), 53)
		}
		l, err := w.listen(at)
		if err != nil {
			return "", err
		}
		return at.String(), w.serveDNS(n, &dns.Server{Listener: l, Handler: n})
	}
	pc, l, err := bothOnOnePort()
	if err != nil {
		return "", err
	}
	if at.IsValid() {
		w.mu.Lock()
		w.listeners[at], w.packets[at] = l, pc
		w.mu.Unlock()
	}
	if err := w.serveDNS(n, &dns.Server{PacketConn: pc, Handler: n}); err != nil {
		return "", err
	}
	return pc.LocalAddr().String(), w.serveDNS(n, &dns.Server{Listener: l, Handler: n})
}

// bothOnOnePort finds a port that is free for UDP and for TCP.
func bothOnOnePort() (pc net.PacketConn, l net.Listener, err error) {
	for range 20 {
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			return pc, l, nil
		}
		pc.Close()
	}
	return nil, nil, err
}

func (w *World) serveDNS(n *names, s *dns.Server) error {
	started := make(chan struct{})
	failed := make(chan error, 1)
	s.NotifyStartedFunc = func() { close(started) }
	w.running.Add(1)
	go func() {
		defer w.running.Done()
		failed <- s.ActivateAndServe()
	}()
	select {
	case <-started:
		n.mu.Lock()
		defer n.mu.Unlock()
		n.servers = append(n.servers, s)
		return nil
	case err := <-failed:
		return err
	}
}

func (n *names) close() {
	n.mu.Lock()
	servers := n.servers
	n.mu.Unlock()
	for _, s := range servers {
		s.Shutdown()
	}
}
