package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// FollowsKeys tells the kinds of records that come from keys and certificates:
// they change while nobody looks, and once a domain was published their changes
// are too, without being shown before.
func FollowsKeys(k zone.Kind) bool {
	return k == zone.KindDKIM || k == zone.KindTLSA || k == zone.KindCAA
}

// OfKeys gives the changes of a Diff that follow from keys and touch no record of
// others.
func (d Diff) OfKeys() Diff {
	d.Changes = slices.DeleteFunc(slices.Clone(d.Changes), func(c Change) bool {
		switch c.Action {
		case Add, Modify:
			return !FollowsKeys(c.Kind) || slices.ContainsFunc(c.Removes, func(r Record) bool { return !r.Ours })
		case Delete: // of what is not wanted any more no kind is known
			return c.Type != "TLSA" && c.Type != "CAA" && !strings.Contains(c.Name, "._domainkey.")
		}
		return true
	})
	return d
}

// Published tells whether anything of ours is in the domain's zone.
func (p *Publisher) Published(ctx context.Context, domain message.Domain) (yes bool, err error) {
	err = p.DB.View(ctx, func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM publish_owned WHERE domain = ?)`, string(domain)).Scan(&yes)
	})
	if err != nil {
		return false, fmt.Errorf("look whether %s was published: %w", domain, err)
	}
	return yes, nil
}
