package acme

import (
	"slices"
	"time"
)

// Origin says where a certificate is from.
type Origin string

const (
	FromACME   Origin = "acme"
	FromFiles  Origin = "files"
	SelfMade   Origin = "self-signed" // nobody vouches for it
	NotYetHere Origin = "none"        // wanted, and the host's is shown meanwhile
)

// Status is the state of one name's certificate.
type Status struct {
	Name      string    `json:"name"`
	Origin    Origin    `json:"origin"`
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Issuer    string    `json:"issuer,omitempty"`
	Serial    string    `json:"serial,omitempty"`
	Problem   *Problem  `json:"problem,omitempty"`   // of the last attempt, until one succeeds
	HeldBack  string    `json:"held_back,omitempty"` // why the next key that was asked for is not in use
}

// Problem is why there is no newer certificate.
type Problem struct {
	Kind     Kind      `json:"kind"`
	Sentence string    `json:"sentence"` // for people
	Fix      string    `json:"fix"`
	Evidence string    `json:"evidence,omitempty"` // as the CA or the network told it
	At       time.Time `json:"at"`
	Next     time.Time `json:"next,omitzero"` // when it is tried again

	after time.Time // the CA named it
}

// Error is the sentence.
func (p *Problem) Error() string { return p.Sentence }

// Hint is the next step for a person.
func (p *Problem) Hint() string { return p.Fix }

// Kind groups problems by what is to be done.
type Kind string

const (
	CADown      Kind = "ca-down"      // the CA cannot be reached, or says that it is at fault
	RateLimited Kind = "rate-limited" // too much was asked of it
	CAAForbids  Kind = "caa"          // a CAA record names other CAs
	DNSProblem  Kind = "dns"          // the name has no address, or its DNS fails
	Unreachable Kind = "unreachable"  // the CA found no answer, or not ours, at the address
	Rejected    Kind = "rejected"     // the CA will not have this name or account
	Provider    Kind = "provider"     // the DNS provider refused the record of DNS-01, or there is none
	Other       Kind = "other"
)

// Status tells of every name, the host's first.
func (c *Certificates) Status() []Status {
	a := c.authority.Load()
	var list []Status
	for _, name := range c.Names() {
		c.mu.Lock()
		s := Status{Name: name, Origin: NotYetHere, HeldBack: c.held[name]}
		c.mu.Unlock()
		leaf := c.Leaf(name)
		if a != nil {
			if cert := a.certificate(name); cert != nil {
				s.Origin, leaf = FromACME, cert.Leaf
			}
			if site := a.site(name); site != nil {
				a.mu.RLock()
				s.Problem = site.problem
				a.mu.RUnlock()
			}
		}
		switch {
		case s.Origin == FromACME:
		case c.own && (name == c.o.Hostname || c.host.covers(name)):
			s.Origin = FromFiles
		case name == c.o.Hostname:
			s.Origin = SelfMade
		}
		if leaf != nil && s.Origin != NotYetHere {
			s.NotBefore, s.NotAfter = leaf.NotBefore, leaf.NotAfter
			s.Issuer, s.Serial = leaf.Issuer.String(), leaf.SerialNumber.Text(16)
		}
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(x, y Status) int {
		switch {
		case x.Name == c.o.Hostname && y.Name != c.o.Hostname:
			return -1
		case y.Name == c.o.Hostname && x.Name != c.o.Hostname:
			return 1
		}
		return 0
	})
	return list
}
