// Package wanted knows on what the records of our domains depend: it makes
// zone.Settings of the tables of account and of what the server knows of itself.
// It neither computes records (dns/zone does) nor looks whether they are there
// (dns/check does).
//
// All that is not in the configuration lives in account's settings, so that a
// command without a running server sees the same:
//
//	zone/DOMAIN        Choices   policies of the domain, what to merge
//	zone/certificate   Certificate   keys and authority of the host, written by acme's events
//	zone/include       []string      whose SPF that of every domain includes: the smart host's
//	zone/addresses     []netip.Addr  the host's public addresses, where they are not its interfaces' (NAT)
package wanted

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"mailstead/account"
	"mailstead/dns"
	"mailstead/dns/zone"
	"mailstead/internal/config"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Choices are what the operator chose for a domain.
type Choices struct {
	DMARC    string   `json:"dmarc,omitempty"`        // "" is none
	MTASTS   string   `json:"mta_sts,omitempty"`      // testing, enforce, none; "" is testing
	Reports  string   `json:"reports,omitempty"`      // address; "" is reports@DOMAIN
	Include  []string `json:"include,omitempty"`      // of SPF, beside those of all domains
	Existing []string `json:"existing_spf,omitempty"` // SPF records found at set-up
}

// Certificate is what the host's certificates are made of.
type Certificate struct {
	TLSA       []string `json:"tlsa,omitempty"` // hex SHA-256 of SubjectPublicKeyInfo: current, next
	Issuer     string   `json:"issuer,omitempty"`
	AccountURI string   `json:"account_uri,omitempty"`
	Methods    []string `json:"methods,omitempty"`
}

const (
	certificateKey = "zone/certificate"
	addressesKey   = "zone/addresses"
)

// Source makes settings.
type Source struct {
	Accounts *account.Store
	Config   config.Config
	Resolver dns.Resolver // for WithLive
}

// Host is the mail host's name.
func (s *Source) Host() (message.Domain, error) {
	h, err := message.ParseDomain(s.Config.Hostname)
	if err != nil {
		return "", fmt.Errorf("the host's name %q: %w", s.Config.Hostname, err)
	}
	return h, nil
}

// Settings gives those of one of our domains. Errors: account.ErrNotLocal.
func (s *Source) Settings(ctx context.Context, name message.Domain) (zone.Settings, error) {
	d, err := s.Accounts.Domain(ctx, name)
	if err != nil {
		return zone.Settings{}, err
	}
	host, err := s.Host()
	if err != nil {
		return zone.Settings{}, err
	}
	z := zone.Settings{Domain: name, Host: host, Services: Services(s.Config.Listen)}
	choices, err := s.Choices(ctx, name)
	if err != nil {
		return z, err
	}
	z.Include, z.ExistingSPF = choices.Include, choices.Existing
	everywhere, err := s.Include(ctx)
	if err != nil {
		return z, err
	}
	for _, name := range everywhere {
		if !slices.Contains(z.Include, name) {
			z.Include = append(z.Include, name)
		}
	}
	reports := message.Address{Local: "reports", Domain: name}
	if choices.Reports != "" {
		if reports, err = message.ParseAddress(choices.Reports); err != nil {
			return z, fmt.Errorf("who gets the reports of %s: %w", name.Unicode(), err)
		}
	}
	z.DMARC = zone.DMARC{Policy: choices.DMARC, Reports: reports, Started: d.Created}
	z.TLSRPT = reports
	if z.MTASTS.Mode = choices.MTASTS; z.MTASTS.Mode == "" {
		z.MTASTS.Mode = "testing"
	}
	if z.Addresses, err = s.Addresses(ctx); err != nil {
		return z, err
	}
	var cert Certificate
	if err := s.Accounts.Setting(ctx, certificateKey, &cert); err != nil {
		return z, err
	}
	z.TLSA = cert.TLSA
	z.CAA = zone.CAA{Issuer: cert.Issuer, AccountURI: cert.AccountURI, Methods: cert.Methods}
	return z, s.keys(ctx, &z)
}

// keys gives the published halves: those of retired keys too, since what they
// signed is still on its way, and of the next ones, which have to be seen first.
func (s *Source) keys(ctx context.Context, z *zone.Settings) error {
	list, err := s.Accounts.DKIMKeys(ctx, z.Domain)
	if err != nil {
		return err
	}
	uses := map[account.KeyState]zone.Use{account.KeyNext: zone.Next, account.KeyRetired: zone.Retired}
	for _, k := range list {
		if k.State() == account.KeyWithdrawn {
			z.Gone = append(z.Gone, k.Selector)
			continue
		}
		public, err := k.Public()
		if err != nil {
			return err
		}
		z.Keys = append(z.Keys, zone.DKIMKey{Selector: k.Selector, Algorithm: k.Algorithm, Public: public, Use: uses[k.State()]})
	}
	return nil
}

// WithLive adds the SPF records that the DNS has today, and its DMARC policy where
// nobody has chosen one here, so that publishing ours takes nothing away. An answer
// that cannot be had is an error: publishing without it could.
func (s *Source) WithLive(ctx context.Context, z zone.Settings) (zone.Settings, error) {
	var err error
	if z.ExistingSPF, err = s.spf(ctx, z.Domain, z.ExistingSPF); err == nil && z.HostInDomain() {
		z.ExistingHostSPF, err = s.spf(ctx, z.Host, z.ExistingHostSPF)
	}
	if err == nil && z.DMARC.Policy == "" {
		z.DMARC.Policy, err = s.dmarc(ctx, z.Domain)
	}
	return z, err
}

// dmarc is the policy that the DNS has; "" where that is none.
func (s *Source) dmarc(ctx context.Context, name message.Domain) (string, error) {
	texts, _, err := s.Resolver.LookupTXT(ctx, "_dmarc."+string(name))
	if err != nil && !errors.Is(err, dns.ErrNotExist) {
		return "", fmt.Errorf("look for a DMARC record of %s: %w", name.Unicode(), err)
	}
	policy := ""
	for _, t := range texts {
		if p := zone.PolicyOf(t); p != "" && p != "none" {
			policy = p
		}
	}
	return policy, nil
}

func (s *Source) spf(ctx context.Context, name message.Domain, known []string) ([]string, error) {
	texts, _, err := s.Resolver.LookupTXT(ctx, string(name))
	if errors.Is(err, dns.ErrNotExist) {
		return known, nil
	}
	if err != nil {
		return known, fmt.Errorf("look for an SPF record of %s: %w", name.Unicode(), err)
	}
	var live []string
	for _, t := range texts {
		if zone.IsSPF(t) {
			live = append(live, t)
		}
	}
	if live == nil {
		return known, nil
	}
	return live, nil
}

// Choices reads a domain's.
func (s *Source) Choices(ctx context.Context, name message.Domain) (c Choices, err error) {
	return c, s.Accounts.Setting(ctx, choicesKey(name), &c)
}

// SetChoices writes a domain's.
func (s *Source) SetChoices(tx *sqlite.Tx, name message.Domain, c Choices) error {
	return s.Accounts.SetSetting(tx, choicesKey(name), c)
}

// Forget drops the choices for a domain that is given up.
func (s *Source) Forget(tx *sqlite.Tx, name message.Domain) error {
	return s.Accounts.SetSetting(tx, choicesKey(name), nil)
}

func choicesKey(name message.Domain) string { return "zone/" + string(name) }

// Certificate reads what SetCertificate wrote.
func (s *Source) Certificate(ctx context.Context) (c Certificate, err error) {
	return c, s.Accounts.Setting(ctx, certificateKey, &c)
}

// SetCertificate writes what the host's certificates are made of.
func (s *Source) SetCertificate(tx *sqlite.Tx, c Certificate) error {
	return s.Accounts.SetSetting(tx, certificateKey, c)
}

// SetAddresses writes the host's public addresses; none goes back to those of
// the interfaces.
func (s *Source) SetAddresses(tx *sqlite.Tx, list []netip.Addr) error {
	if len(list) == 0 {
		return s.Accounts.SetSetting(tx, addressesKey, nil)
	}
	return s.Accounts.SetSetting(tx, addressesKey, list)
}

// Addresses gives the host's public ones, IPv4 first.
func (s *Source) Addresses(ctx context.Context) ([]netip.Addr, error) {
	var list []netip.Addr
	if err := s.Accounts.Setting(ctx, addressesKey, &list); err != nil || len(list) > 0 {
		return list, err
	}
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("the host's addresses: %w", err)
	}
	var six []netip.Addr
	for _, a := range found {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !Public(p.Addr()) {
			continue
		}
		if a := p.Addr().Unmap(); a.Is4() {
			list = append(list, a)
		} else if len(six) == 0 { // further ones are often temporary (RFC 8981)
			six = append(six, a)
		}
	}
	return append(list, six...), nil
}

// Public tells whether the world can reach an address.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598: behind a carrier's NAT
	return a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
}

// Services are the doors that clients are told of.
func Services(l config.Listen) []zone.Service {
	var all []zone.Service
	for _, v := range []struct {
		name  string
		addrs []string
	}{
		{"_submissions", l.Submissions}, {"_submission", l.Submission}, {"_imaps", l.IMAPS}, {"_imap", l.IMAP},
	} {
		if len(v.addrs) == 0 {
			continue
		}
		_, port, err := net.SplitHostPort(v.addrs[0])
		if n, e := strconv.Atoi(port); err == nil && e == nil && n > 0 {
			all = append(all, zone.Service{Name: v.name, Port: n})
		}
	}
	return all
}
