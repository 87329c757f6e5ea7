package world

import (
	"net/netip"

	"github.com/miekg/dns"
)

// NameServer is an authority for zones, beside the resolver, which may say
// something else: what is published needs not be what the world remembers. Dial
// finds it at port 53 of its address.
type NameServer struct {
	Name string
	Addr netip.Addr

	names *names
}

// NameServer starts an authority that is known to the resolver by its name. The
// resolver learns which zones it serves by NS records in Zone.
func (w *World) NameServer(name string) (*NameServer, error) {
	s := &NameServer{Name: name, Addr: w.address(), names: newNames()}
	s.names.own = true
	w.mu.Lock()
	w.servers = append(w.servers, s.names)
	w.mu.Unlock()
	if _, err := w.serveNames(s.names, netip.AddrPortFrom(s.Addr, 53)); err != nil {
		return nil, err
	}
	w.Host(name, s.Addr)
	return s, nil
}

// Zone is World.Zone for what this server says.
func (s *NameServer) Zone(origin, records string) error {
	origin = dns.CanonicalName(origin)
	all, err := parse(origin, records)
	if err == nil {
		s.names.replace(origin, all)
	}
	return err
}

// Fail is World.Fail for this server.
func (s *NameServer) Fail(name string, f Failure) {
	s.names.mu.Lock()
	defer s.names.mu.Unlock()
	s.names.failures[dns.CanonicalName(name)] = f
}

// Asked is World.Asked for this server.
func (s *NameServer) Asked(name string) int {
	s.names.mu.RLock()
	defer s.names.mu.RUnlock()
	return s.names.asked[dns.CanonicalName(name)]
}
