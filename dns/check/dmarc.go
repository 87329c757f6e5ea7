package check

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"mailstead/dns/zone"
	"mailstead/message"
)

// isDMARC tells a DMARC record by its first tag (RFC 9989, 4.7).
func isDMARC(text string) bool {
	v, _, _ := strings.Cut(text, ";")
	name, value, ok := strings.Cut(v, "=")
	return ok && strings.EqualFold(strings.TrimSpace(name), "v") && strings.TrimSpace(value) == "DMARC1"
}

// dmarc reads the domain's policy, finds the one that holds for it by the tree
// walk where there is none, and looks whether the reports reach anybody.
func (d *Domain) dmarc(ctx context.Context) []Finding {
	const id = "dns.dmarc"
	v := d.look(ctx, "_dmarc."+string(d.Settings.Domain), "TXT")
	if !v.answered() {
		return []Finding{unanswered(id, v)}
	}
	wanted := d.wanted(zone.KindDMARC)
	f := Finding{ID: id, Severity: Problem, Evidence: v.evidence(), Records: wanted, Fix: publish}
	records := v.texts(isDMARC)
	switch len(records) {
	case 0:
		f.ID, f.Fix = id+".missing", howToPublish(v)
		f.Sentence = "There is no DMARC record, and large receivers want one."
		if at, policy := d.walk(ctx, d.Settings.Domain); at != "" {
			f.Severity = Warning
			f.Sentence = fmt.Sprintf("The domain has no DMARC record of its own; the one of %s holds (%s), and its reports do not come here.", at, policy)
		}
		return append([]Finding{f}, d.spread(id, v)...)
	case 1:
	default:
		f.ID = id + ".several"
		f.Sentence = fmt.Sprintf("There are %d DMARC records, and receivers take none when there are several.", len(records))
		f.Fix = "Take out all but this one."
		return []Finding{f}
	}
	found := []Finding{d.judgeDMARC(records[0], v, f)}
	found = append(found, d.authorized(ctx, records[0])...)
	found = append(found, d.due(records[0])...)
	return append(found, d.spread(id, v)...)
}

func (d *Domain) judgeDMARC(record string, v *views, f Finding) Finding {
	const id = "dns.dmarc"
	have, want := Tags(record), Tags(d.wanted(zone.KindDMARC)[0].Text())
	f.Fix = replaceIt
	rank := map[string]int{"none": 0, "quarantine": 1, "reject": 2}
	p := strings.ToLower(have["p"])
	if p == "" && have["rua"] != "" {
		p = "none" // RFC 9989, 4.7: without p, but with an address for reports
	}
	h, known := rank[p]
	// Whoever was strict before has not chosen less by saying nothing.
	chosen := d.Settings.DMARC.Policy != "" || h < rank[want["p"]]
	if known && !chosen && h > 0 {
		s := d.Settings
		s.DMARC.Policy = p
		f.Records = (&Domain{Settings: s}).wanted(zone.KindDMARC)
	}
	switch {
	case !known:
		f.ID = id + ".error"
		f.Sentence = fmt.Sprintf("The DMARC record says p=%s, which means nothing.", have["p"])
	case have["rua"] == "" && want["rua"] != "":
		f.ID, f.Severity = id+".reports", Warning
		f.Sentence = "The DMARC record names nobody who gets the reports."
	case badReports(have["rua"]) != "":
		f.ID, f.Severity = id+".reports", Warning
		f.Sentence = fmt.Sprintf("The DMARC record sends its reports to %s, which is no address.", badReports(have["rua"]))
	case h != rank[want["p"]] && chosen:
		f.ID, f.Severity = id+".policy", Warning
		f.Sentence = fmt.Sprintf("The DMARC record says p=%s, and you chose p=%s.", p, want["p"])
	case have["pct"] != "" || have["rf"] != "" || have["ri"] != "":
		f.ID, f.Severity = id+".old", Info
		f.Sentence = "The DMARC record has tags that no longer mean anything (pct, rf, ri)."
	default:
		return fine(id, fmt.Sprintf("DMARC asks receivers for p=%s and names who gets the reports.", p), v)
	}
	return f
}

// badReports gives the first target that is no mailto address.
func badReports(rua string) string {
	if rua == "" {
		return ""
	}
	for _, u := range strings.Split(rua, ",") {
		u = strings.TrimSpace(u)
		if strings.HasPrefix(strings.ToLower(u), "https:") {
			continue
		}
		if reportsTo(u) == "" {
			return u
		}
	}
	return ""
}

// reportsTo is the domain that a mailto URI leads to, without RFC 7489's limit
// on the size ("!10m").
func reportsTo(uri string) message.Domain {
	if len(uri) < 7 || !strings.EqualFold(uri[:7], "mailto:") {
		return ""
	}
	address, _, _ := strings.Cut(uri[7:], "!")
	at := strings.LastIndexByte(address, '@')
	if at <= 0 {
		return ""
	}
	name, err := message.ParseDomain(address[at+1:])
	if err != nil {
		return ""
	}
	return name
}

// authorized looks whether the domains that get the reports agree (RFC 9990, 4).
func (d *Domain) authorized(ctx context.Context, record string) []Finding {
	var all []Finding
	for _, u := range strings.Split(Tags(record)["rua"], ",") {
		to := reportsTo(strings.TrimSpace(u))
		if to == "" || zone.Within(string(to), d.Settings.Domain) || zone.Within(string(d.Settings.Domain), to) {
			continue
		}
		a, err := d.resolve(ctx, string(d.Settings.Domain)+"._report._dmarc."+string(to), "TXT")
		agreed := err != nil // not known
		for _, r := range a.Of("TXT") {
			agreed = agreed || isDMARC(r.Text)
		}
		if !agreed {
			all = append(all, Finding{
				ID: "dns.dmarc.agreement", Severity: Warning, Records: d.wanted(zone.KindDMARCReport),
				Sentence: fmt.Sprintf("The domain %s does not say that it takes DMARC reports on this one, so that nobody sends them.", to.Unicode()),
				Fix:      "Publish this record in the DNS of " + to.Unicode() + ", or let the reports go to an address of the domain itself.",
			})
		}
	}
	return all
}

// due tells when the next step of the plan has come.
func (d *Domain) due(record string) []Finding {
	if d.Settings.DMARC.Started.IsZero() {
		return nil
	}
	rank := map[string]int{"none": 0, "quarantine": 1, "reject": 2}
	stage, have := d.Settings.DMARC.Due(d.Now), strings.ToLower(Tags(record)["p"])
	if rank[stage.Policy] <= rank[have] {
		return nil
	}
	return []Finding{{
		ID: "dns.dmarc.due", Severity: Info,
		Sentence: fmt.Sprintf("Since %s the plan for DMARC is p=%s.", stage.From.Format(time.DateOnly), stage.Policy),
		Evidence: stage.Why,
		Fix:      fmt.Sprintf("When the reports show nothing unknown: mailstead dns policy %s --dmarc %s, then publish.", d.Settings.Domain, stage.Policy),
	}}
}

// walk climbs the tree to the policy that holds for a domain without one, which
// is that of its organizational domain (RFC 9989, 4.10): the record nearest to the
// top, unless one says where the organization ends. At most eight questions are
// asked, so that of a long name the labels after the seventh from the right are
// jumped over.
func (d *Domain) walk(ctx context.Context, name message.Domain) (at, policy string) {
	labels := strings.Split(string(name), ".")
	for first := true; len(labels) > 1; first = false {
		if first && len(labels) > 8 {
			labels = labels[len(labels)-7:]
		} else {
			labels = labels[1:]
		}
		parent := strings.Join(labels, ".")
		a, err := d.resolve(ctx, "_dmarc."+parent, "TXT")
		if err != nil {
			continue
		}
		for _, r := range a.Of("TXT") {
			if !isDMARC(r.Text) {
				continue
			}
			tags := Tags(r.Text)
			if tags["psd"] == "y" && at != "" {
				return at, policy // the organization is below
			}
			at, policy = parent, "p="+cmp.Or(tags["sp"], tags["p"], "none")
			if psd := tags["psd"]; psd == "n" || psd == "y" {
				return at, policy
			}
			break
		}
	}
	return at, policy
}
