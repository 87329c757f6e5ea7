package check

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mailstead/dns/zone"
)

// srv looks at all names of doors as one thing.
func (d *Domain) srv(ctx context.Context) []Finding {
	const id = "dns.srv"
	var lacking, wrong []zone.Record
	var evidence []string
	for _, r := range d.wanted(zone.KindSRV) {
		v := d.look(ctx, r.Name, "SRV")
		if !v.answered() {
			return []Finding{unanswered(id, v)}
		}
		have := v.data()
		switch {
		case slices.Contains(have, canonical("SRV", r.Data)):
			continue
		case len(have) == 0 && strings.HasSuffix(r.Data, " ."):
			continue // what is off needs not be told; a program that looks finds nothing either
		case len(have) == 0:
			lacking = append(lacking, r)
		case samePlace(have, r.Data):
			continue
		default:
			wrong = append(wrong, r)
		}
		evidence = append(evidence, v.evidence())
	}
	f := Finding{ID: id, Severity: Warning, Evidence: strings.Join(evidence, "\n"), Records: slices.Concat(wrong, lacking), Fix: publish}
	switch {
	case len(wrong) > 0:
		f.ID, f.Fix = id+".other", "Replace the records by these."
		f.Sentence = fmt.Sprintf("The name %s leads programs to another door than ours.", wrong[0].Name)
	case len(lacking) > 0:
		f.ID = id + ".missing"
		f.Sentence = fmt.Sprintf("Programs do not find %s by name.", doors(lacking))
	default:
		f.Severity, f.Fix, f.Records = OK, "", nil
		f.Sentence = "Programs find the doors by name."
	}
	return []Finding{f}
}

// samePlace takes another priority or weight for the same.
func samePlace(have []string, want string) bool {
	w := strings.Fields(canonical("SRV", want))
	return len(have) == 1 && len(w) == 4 && strings.HasSuffix(have[0], " "+w[2]+" "+w[3])
}

func doors(records []zone.Record) string {
	var names []string
	for _, r := range records {
		name, _, _ := strings.Cut(r.Name, ".")
		names = append(names, strings.TrimPrefix(name, "_"))
	}
	return strings.Join(names, ", ")
}

// autoconfig looks at the names where programs fetch their settings, and fetches
// them.
func (d *Domain) autoconfig(ctx context.Context) []Finding {
	const id = "dns.autoconfig"
	wanted := d.wanted(zone.KindAutoconfig)
	if len(wanted) == 0 {
		return nil
	}
	if found := d.pointsHere(ctx, id, wanted, "Programs cannot set themselves up"); len(found) > 0 {
		return found
	}
	if !d.Quick {
		if found := d.served(ctx, id); len(found) > 0 {
			return found
		}
	}
	return []Finding{{ID: id, Severity: OK, Sentence: "Programs can set themselves up from the address alone."}}
}

// pointsHere looks whether names are aliases of the mail host, or have one of
// its addresses.
func (d *Domain) pointsHere(ctx context.Context, id string, wanted []zone.Record, effect string) []Finding {
	var off []zone.Record
	var evidence []string
	fix := publish
	for _, r := range wanted {
		v := d.look(ctx, r.Name, "A")
		if !v.answered() {
			return []Finding{unanswered(id, v)}
		}
		six := d.look(ctx, r.Name, "AAAA")
		if v.alias() == string(d.Settings.Host) || d.leadHere(ctx, slices.Concat(v.data(), six.data())) {
			continue
		}
		off = append(off, r)
		evidence = append(evidence, v.evidence())
		if v.alias() != "" || len(v.data())+len(six.data()) > 0 {
			fix = "Replace what stands at these names by these records; what a wildcard says of them goes by itself."
		}
	}
	if len(off) == 0 {
		return nil
	}
	return []Finding{{
		ID: id, Severity: Warning, Evidence: strings.Join(evidence, "\n"), Records: off, Fix: fix,
		Sentence: fmt.Sprintf("%s, because the name %s does not lead to the mail host.", effect, off[0].Name),
	}}
}

// oursAll tells whether these are addresses of the mail host and nothing else.
func (d *Domain) oursAll(addresses []string) bool {
	return len(addresses) > 0 && !slices.ContainsFunc(addresses, func(a string) bool {
		return !slices.ContainsFunc(d.Settings.Addresses, func(ours netip.Addr) bool { return ours.Unmap().String() == a })
	})
}

// leadHere is oursAll that takes the DNS's word for the mail host's addresses too:
// behind a router nobody else knows them.
func (d *Domain) leadHere(ctx context.Context, addresses []string) bool {
	host := string(d.Settings.Host)
	known := slices.Concat(d.look(ctx, host, "A").data(), d.look(ctx, host, "AAAA").data())
	return d.oursAll(addresses) || len(addresses) > 0 && !slices.ContainsFunc(addresses, func(a string) bool { return !slices.Contains(known, a) })
}

// wildcard asks for names that nobody made: an answer means that every name
// which is missing seems to be there.
func (d *Domain) wildcard(ctx context.Context) []Finding {
	const id = "dns.wildcard"
	label := "no-such-name-" + strings.ToLower(rand.Text()[:10])
	var found []Finding
	for _, q := range []struct{ below, typ, what string }{
		{"", "A", "names for the set-up of programs that are missing lead to another host"},
		{"", "MX", "mail to every misspelt name below the domain is taken"},
		{"", "TXT", "records that are missing seem to be there with another text"},
		{"_domainkey.", "TXT", "DKIM keys that are missing seem to be there"},
	} {
		v := d.look(ctx, label+"."+q.below+string(d.Settings.Domain), q.typ)
		if !v.answered() {
			return append(found, unanswered(id, v))
		}
		if len(v.records()) == 0 && v.alias() == "" {
			continue
		}
		severity := Info
		if q.typ == "TXT" {
			severity = Warning
		}
		found = append(found, Finding{
			ID: id, Subject: "*." + q.below + string(d.Settings.Domain) + " " + q.typ, Severity: severity, Evidence: strings.ReplaceAll(v.evidence(), label, "*"),
			Sentence: fmt.Sprintf("There is a wildcard *.%s%s for %s, so that %s.", q.below, d.Settings.Domain, q.typ, q.what),
			Fix:      "Take the wildcard out if nothing needs it; publishing the records of ours is enough for those names.",
		})
	}
	return found
}
