package check

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mailstead/dns"
	"mailstead/dns/zone"
)

// caa climbs from the mail host to the records that hold for it (RFC 8659, 3),
// and reads them as our authority does.
func (d *Domain) caa(ctx context.Context) []Finding {
	const id = "dns.caa"
	v, at := d.relevantCAA(ctx, string(d.Settings.Host))
	subject := d.Settings.Host.Unicode()
	if v == nil {
		f := unanswered(id, d.look(ctx, string(d.Settings.Host), "CAA"))
		f.Subject = subject
		f.Sentence = "Who may issue certificates could not be looked up, and an authority that finds the same refuses."
		return []Finding{f}
	}
	issuer, wanted := strings.ToLower(d.Settings.CAA.Issuer), d.wanted(zone.KindCAA)
	f := Finding{ID: id, Subject: subject, Evidence: v.evidence(), Records: wanted, Fix: publish}
	if at == "" {
		f.Severity, f.Sentence = Info, "Every authority may issue certificates for the mail host."
		if issuer == "" {
			f.Fix = "Nothing; the record comes with the first certificate."
			return []Finding{f}
		}
		if len(wanted) == 0 { // zone.Records says why
			f.Fix = "Nothing; a record at the domain's own name would hold for its web site too."
			return []Finding{f}
		}
		f.ID, f.Severity = id+".missing", Warning
		return []Finding{f}
	}
	allowed, exact := permits(v.records(), d.Settings.CAA)
	switch {
	case issuer == "":
		f.Severity, f.Fix = OK, ""
		f.Sentence = fmt.Sprintf("The CAA records of %s say who may issue certificates.", at)
	case !allowed:
		f.ID, f.Severity = id+".forbidden", Problem
		f.Sentence = fmt.Sprintf("The CAA records of %s do not let %s issue our certificates.", at, issuer)
		f.Fix = "Publish this record at the mail host's name; the others stay as they are."
		if at == string(d.Settings.Host) {
			f.Fix = "Put this record in the place of those at the mail host's name."
		}
		if len(wanted) == 0 {
			f.Fix = fmt.Sprintf("Add the record CAA 0 issue %q at %s.", issuer, at)
		}
	case !exact && len(wanted) > 0:
		f.ID, f.Severity = id+".open", Info
		f.Sentence = fmt.Sprintf("The CAA records of %s allow every account at %s to get our certificates.", at, issuer)
	default:
		f.Severity, f.Records, f.Fix = OK, nil, ""
		f.Sentence = fmt.Sprintf("Only our account at %s may issue certificates for the mail host.", issuer)
		if !exact {
			f.Sentence = fmt.Sprintf("CAA lets %s issue our certificates.", issuer)
		}
	}
	return []Finding{f}
}

// relevantCAA gives the first name upwards that has records, "" for none; nil
// where a name on the way did not answer.
func (d *Domain) relevantCAA(ctx context.Context, name string) (*views, string) {
	first := d.look(ctx, name, "CAA")
	for v := first; ; v = d.look(ctx, name, "CAA") {
		if !v.answered() {
			return nil, ""
		}
		if len(v.records()) > 0 {
			return v, name
		}
		_, above, ok := strings.Cut(name, ".")
		if !ok {
			return first, ""
		}
		name = above
	}
}

// permits tells whether an authority may issue, and whether for our account
// alone (RFC 8657, 3).
func permits(records []dns.Record, ours zone.CAA) (allowed, exact bool) {
	issuing := false
	for _, r := range records {
		flag, rest, _ := strings.Cut(r.Data, " ")
		tag, value, _ := strings.Cut(rest, " ")
		tag = strings.ToLower(tag)
		if !slices.Contains([]string{"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"}, tag) && critical(flag) {
			return false, false // a critical property that no authority knows
		}
		if tag != "issue" {
			continue
		}
		issuing = true
		value = zone.Record{Type: "TXT", Data: value}.Text()
		name, parameters, _ := strings.Cut(value, ";")
		tags := Tags(parameters)
		if !strings.EqualFold(strings.TrimSpace(name), ours.Issuer) || !anyMethod(tags["validationmethods"], ours.Methods) {
			continue
		}
		uri := tags["accounturi"]
		if uri == "" {
			allowed = true
		} else if uri == ours.AccountURI {
			allowed, exact = true, true
		}
	}
	return allowed || !issuing, exact
}

// critical tells the flag by which an authority that does not know a property
// must not issue (RFC 8659, 4.1: bit 0, the highest).
func critical(flag string) bool {
	n, err := strconv.ParseUint(flag, 10, 8)
	return err == nil && n&128 != 0
}

// anyMethod tells whether one of our methods, or of those that we know where none
// are chosen, is among the ones that a record allows (RFC 8657, 4).
func anyMethod(allowed string, ours []string) bool {
	if allowed == "" {
		return true
	}
	if len(ours) == 0 {
		ours = []string{"http-01", "tls-alpn-01", "dns-01"}
	}
	return slices.ContainsFunc(strings.Split(allowed, ","), func(m string) bool {
		return slices.Contains(ours, strings.ToLower(strings.TrimSpace(m)))
	})
}
