package check

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailstead/dns/zone"
)

// host compares the mail host's addresses.
func (d *Domain) host(ctx context.Context) []Finding {
	const id = "dns.host"
	host := string(d.Settings.Host)
	four, six := d.look(ctx, host, "A"), d.look(ctx, host, "AAAA")
	if !four.answered() || !six.answered() {
		return []Finding{unanswered(id, four)}
	}
	wanted := d.wanted(zone.KindHost)
	if to := four.alias(); to != "" {
		return []Finding{{
			ID: id + ".alias", Subject: d.Settings.Host.Unicode(), Severity: Problem, Evidence: four.evidence(), Records: wanted,
			Sentence: fmt.Sprintf("The mail host's name %s is an alias of %s, which the name in an MX record must not be.", host, to),
			Fix:      "Take the CNAME record out and publish the addresses at the name itself.",
		}}
	}
	have := slices.Concat(four.data(), six.data())
	lacking := append(missing(four, wanted), missing(six, wanted)...)
	var strange []string
	for _, a := range have {
		if !slices.ContainsFunc(wanted, func(r zone.Record) bool { return r.Data == a }) && !d.owns(a) {
			strange = append(strange, a)
		}
	}
	// Of several addresses of this machine another one serves as well.
	lacking = slices.DeleteFunc(lacking, func(r zone.Record) bool {
		v := map[string]*views{"A": four, "AAAA": six}[r.Type]
		return slices.ContainsFunc(v.data(), d.owns)
	})
	f := Finding{ID: id, Subject: d.Settings.Host.Unicode(), Evidence: four.evidence() + "; " + six.evidence(), Records: lacking, Fix: publish}
	switch {
	case len(have) == 0:
		f.Severity, f.Sentence = Problem, fmt.Sprintf("The mail host's name %s has no address, so that no mail can reach it.", host)
	case len(wanted) == 0:
		f.Severity, f.Sentence = OK, fmt.Sprintf("The mail host's name %s has the address %s.", host, few(have))
	case len(strange) == len(have):
		f.Severity = Problem
		f.Sentence = fmt.Sprintf("The mail host's name %s points to %s, which is not this machine.", host, few(strange))
		f.Fix = "Replace the address records by these, or, where this machine stands behind a router, name its public address: mailstead dns address ADDRESS."
	case len(strange) > 0:
		f.Severity = Warning
		f.Sentence = fmt.Sprintf("The mail host's name %s also points to %s, which is not this machine.", host, few(strange))
		f.Fix = "Take out the addresses that are not this machine's: a part of the mail goes there."
	case len(lacking) > 0:
		f.Severity = Warning
		f.Sentence = fmt.Sprintf("The mail host's name %s lacks the address %s of this machine.", host, lacking[0].Data)
	default:
		f.Severity, f.Sentence = OK, fmt.Sprintf("The mail host's name %s points to this machine.", host)
	}
	return append(append([]Finding{f}, d.spread(id, four)...), d.spread(id, six)...)
}

// owns tells whether an interface of this machine has an address, one that others
// can reach.
func (d *Domain) owns(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.IsGlobalUnicast() && !a.IsPrivate() && slices.Contains(d.Own, a)
}

// mx looks where mail goes today.
func (d *Domain) mx(ctx context.Context) []Finding {
	const id = "dns.mx"
	v := d.look(ctx, string(d.Settings.Domain), "MX")
	if !v.answered() {
		return []Finding{unanswered(id, v)}
	}
	wanted := d.wanted(zone.KindMX)
	f := Finding{ID: id, Severity: Problem, Evidence: v.evidence(), Records: wanted, Fix: publish}
	ours, others := false, []string(nil)
	for _, r := range v.records() {
		_, host, _ := strings.Cut(canonical("MX", r.Data), " ")
		if host = strings.TrimSuffix(host, "."); host == string(d.Settings.Host) {
			ours = true
		} else {
			others = append(others, host)
		}
	}
	switch {
	case ours && len(others) == 0:
		f = fine(id, fmt.Sprintf("Mail for the domain goes to %s.", d.Settings.Host.Unicode()), v)
	case ours:
		f.Severity = Warning
		f.Sentence = fmt.Sprintf("A part of the mail goes to %s instead of here.", few(others))
		f.ID, f.Fix = id+".others", "Take the other MX records out, unless that host passes mail on to this one."
	case len(others) == 0:
		f.ID, f.Sentence = id+".missing", "The domain has no MX record, so that no mail comes."
		// RFC 5321, 5.1: without one the address of the name itself is taken.
		if name := string(d.Settings.Domain); d.leadHere(ctx, slices.Concat(d.look(ctx, name, "A").data(), d.look(ctx, name, "AAAA").data())) {
			f.Severity = Warning
			f.Sentence = "The domain has no MX record; mail comes because its name has the address of the mail host, but not every sender looks there."
		}
	case others[0] == "":
		f.ID, f.Sentence = id+".null", "The domain says that it takes no mail (a null MX)."
		f.Fix = "Replace the MX record by this one."
	default:
		return []Finding{d.elsewhere(ctx, v, others)}
	}
	found := []Finding{f}
	if f.Severity != OK {
		for _, host := range others[:min(len(others), maxNamed)] {
			found = append(found, d.aliased(ctx, host)...)
		}
	}
	return append(found, d.spread(id, v)...)
}

// maxNamed is how many of what others wrote a sentence names, and how many are
// looked at one by one.
const maxNamed = 4

// few names the first of a list that somebody else may have made long.
func few(list []string) string {
	if len(list) <= maxNamed {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:maxNamed], ", "), len(list)-maxNamed)
}

// aliased finds an exchanger that is an alias (RFC 5321, 5.1).
func (d *Domain) aliased(ctx context.Context, host string) []Finding {
	v := d.look(ctx, host, "A")
	to := v.alias()
	if to == "" {
		return nil
	}
	return []Finding{{
		ID: "dns.mx.alias", Severity: Problem, Evidence: v.evidence(), Records: d.wanted(zone.KindMX),
		Sentence: fmt.Sprintf("The MX record names %s, which is an alias of %s; many senders refuse that.", host, to),
		Fix:      "Let the MX record name the host itself.",
	}}
}

// elsewhere is a domain whose mail goes to somebody else: how to switch without
// losing any.
func (d *Domain) elsewhere(ctx context.Context, v *views, others []string) Finding {
	who := mailHost(others)
	if who == "" {
		who = others[0]
	}
	if to := d.look(ctx, others[0], "A").alias(); to == string(d.Settings.Host) {
		return d.aliased(ctx, others[0])[0]
	}
	ttl := v.ttl()
	steps := []string{
		"make the accounts here, and import their old mail (`mailstead import`)",
	}
	if ttl > 10*time.Minute {
		steps = append(steps, fmt.Sprintf("set the TTL of the MX record to 300 and wait %v, because others remember the old one so long", ttl))
	}
	spf := d.look(ctx, string(d.Settings.Domain), "TXT").texts(zone.IsSPF)
	if len(spf) > 0 {
		steps = append(steps, "publish the SPF record that has both, so that either side may send meanwhile")
	}
	steps = append(steps,
		"publish the DKIM keys",
		"replace the MX records by this one",
		"leave the old mailboxes open for a week, and import once more what still went there",
		"take the old side out of the SPF record",
	)
	for i := range steps {
		steps[i] = fmt.Sprintf("%d. %s", i+1, steps[i])
	}
	return Finding{
		ID: "dns.mx.elsewhere", Severity: Problem, Evidence: v.evidence(),
		Sentence: fmt.Sprintf("Mail for the domain goes to %s, not here.", who),
		Fix:      "To switch without losing mail: " + strings.Join(steps, "; ") + ".",
		Records:  slices.Concat(d.wanted(zone.KindMX), d.wanted(zone.KindDKIM)),
	}
}
