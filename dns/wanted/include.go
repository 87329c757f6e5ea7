package wanted

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"

	"mailstead/dns"
	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// includeKey holds the domains whose SPF all of ours include: the smart host's.
const includeKey = "zone/include"

// SetInclude writes whose SPF every domain of ours includes beside its own
// choices; none forgets it.
func (s *Source) SetInclude(tx *sqlite.Tx, names []string) error {
	if len(names) == 0 {
		return s.Accounts.SetSetting(tx, includeKey, nil)
	}
	return s.Accounts.SetSetting(tx, includeKey, names)
}

// Include reads what SetInclude wrote.
func (s *Source) Include(ctx context.Context) (names []string, err error) {
	return names, s.Accounts.Setting(ctx, includeKey, &names)
}

// smartHosts are services whose SPF record does not stand at a name above that of
// their smart host, by the end of that name, as their own instructions say.
func smartHosts() map[string]string {
	return map[string]string{
		"amazonaws.com":     "amazonses.com",
		"brevo.com":         "spf.brevo.com",
		"fastmail.com":      "spf.messagingengine.com",
		"gandi.net":         "_mailcust.gandi.net",
		"gmail.com":         "_spf.google.com",
		"infomaniak.com":    "spf.infomaniak.ch",
		"mailjet.com":       "spf.mailjet.com",
		"office365.com":     "spf.protection.outlook.com",
		"ovh.net":           "mx.ovh.com",
		"postmarkapp.com":   "spf.mtasv.net",
		"smtp.google.com":   "_spf.google.com",
		"smtp2go.com":       "spf.smtp2go.com",
		"smtp.sendgrid.net": "sendgrid.net",
	}
}

// FindInclude finds whose SPF record names the servers that a smart host sends
// from: what the service says, else the nearest name above the host's own that
// has an SPF record. "" where there is none; to include a name without one would
// spoil ours (RFC 7208, 5.2).
func (s *Source) FindInclude(ctx context.Context, host message.Domain) (string, error) {
	if _, literal := host.Literal(); literal {
		return "", nil
	}
	for end, name := range smartHosts() {
		if zone.Within(string(host), message.Domain(end)) {
			return name, nil
		}
	}
	last, err := publicsuffix.EffectiveTLDPlusOne(string(host))
	if err != nil {
		last = string(host)
	}
	for name := string(host); ; _, name, _ = strings.Cut(name, ".") {
		texts, _, err := s.Resolver.LookupTXT(ctx, name)
		if err != nil && !errors.Is(err, dns.ErrNotExist) {
			return "", fmt.Errorf("look for an SPF record of %s: %w", name, err)
		}
		for _, t := range texts {
			if zone.IsSPF(t) {
				return name, nil
			}
		}
		if name == last || !strings.Contains(name, ".") {
			return "", nil
		}
	}
}
