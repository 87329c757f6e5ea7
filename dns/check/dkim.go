package check

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"mailstead/dns/zone"
)

// dkim fetches every key of ours and matches it with the one that signs. Keys
// that come or go are told of too (dns/rollover).
func (d *Domain) dkim(ctx context.Context) []Finding {
	const id = "dns.dkim"
	uses := map[string]zone.Use{}
	signs := false
	for _, k := range d.Settings.Keys {
		uses[k.Name(d.Settings.Domain)] = k.Use
		signs = signs || k.Use == zone.Signs
	}
	if !signs {
		return []Finding{{
			ID: id + ".none", Severity: Problem, Sentence: "The domain has no DKIM keys, so that its mail is not signed.",
			Fix: "Restart the server: it makes the keys at its start.",
		}}
	}
	var all []Finding
	for _, r := range d.wanted(zone.KindDKIM) {
		found := d.dkimKey(ctx, r)
		if u := uses[r.Name]; u != zone.Signs {
			found = d.comesOrGoes(ctx, u, r)
		}
		for i := range found {
			found[i].Subject = r.Name
		}
		all = append(all, found...)
	}
	for _, selector := range d.Settings.Gone {
		k := zone.DKIMKey{Selector: selector}
		if v := d.look(ctx, k.Name(d.Settings.Domain), "TXT"); len(v.data()) > 0 {
			all = append(all, Finding{
				ID: id + ".gone", Subject: v.name, Severity: Info, Evidence: v.evidence(),
				Sentence: fmt.Sprintf("The DKIM key %s is not used any more, and its record is still published.", selector),
				Fix:      "Take the record out where the DNS of the domain is hosted.",
			})
		}
	}
	return all
}

// comesOrGoes is about a key that does not sign: mail does not suffer without
// its record, but a change of keys waits for the one that comes.
func (d *Domain) comesOrGoes(ctx context.Context, u zone.Use, wanted zone.Record) []Finding {
	const id = "dns.dkim"
	selector, _, _ := strings.Cut(wanted.Name, ".")
	v := d.look(ctx, wanted.Name, "TXT")
	if !v.answered() {
		return []Finding{unanswered(id, v)}
	}
	matches := false
	for _, text := range v.texts(func(string) bool { return true }) {
		matches = matches || matchKey(text, wanted.Text()) == ""
	}
	f := Finding{ID: id + "." + string(u), Severity: Warning, Evidence: v.evidence(), Records: []zone.Record{wanted}, Fix: publish}
	switch {
	case matches && u == zone.Next:
		f = fine(id, fmt.Sprintf("The DKIM key %s is published and will sign when all have seen it.", selector), v)
	case matches:
		f = fine(id, fmt.Sprintf("The DKIM key %s of before is still published, for mail on its way.", selector), v)
	case u == zone.Next:
		f.Sentence = fmt.Sprintf("The change of DKIM keys waits: the next one, %s, is not published.", selector)
	default:
		f.Severity = Info
		f.Sentence = fmt.Sprintf("The DKIM key %s of before is not published any more, though mail signed with it may be on its way.", selector)
	}
	return []Finding{f}
}

// Showing is what the authoritative servers of a domain make of some records.
type Showing struct {
	Everywhere bool          // each of them gives all, and nothing else at their names
	Anywhere   bool          // one of them gives something at one of the names, or did not answer
	TTL        time.Duration // the longest that others may remember an answer
}

// Shown asks all authoritative servers for DKIM records.
func (d *Domain) Shown(ctx context.Context, records ...zone.Record) Showing {
	d.Checks() // sets what is not set
	ctx, cancel := context.WithTimeout(ctx, WholeLimit)
	defer cancel()
	s := Showing{Everywhere: len(records) > 0}
	for _, r := range records {
		v := d.look(ctx, r.Name, "TXT")
		if len(v.authority) == 0 {
			s.Everywhere, s.Anywhere = false, true
		}
		for _, w := range v.authority {
			have := w.a.Of("TXT")
			s.Anywhere = s.Anywhere || w.err != nil || len(have) > 0
			if w.err != nil || len(have) != 1 || matchKey(have[0].Text, r.Text()) != "" {
				s.Everywhere = false
				continue
			}
			s.TTL = max(s.TTL, have[0].TTL)
		}
	}
	return s
}

func (d *Domain) dkimKey(ctx context.Context, wanted zone.Record) []Finding {
	const id = "dns.dkim"
	selector, _, _ := strings.Cut(wanted.Name, ".")
	v := d.look(ctx, wanted.Name, "TXT")
	if !v.answered() {
		return []Finding{unanswered(id, v)}
	}
	f := Finding{ID: id, Severity: Problem, Evidence: v.evidence(), Records: []zone.Record{wanted}, Fix: publish}
	keys := v.texts(func(string) bool { return true })
	switch {
	case len(keys) == 0:
		f.ID, f.Fix = id+".missing", howToPublish(v)
		f.Sentence = fmt.Sprintf("The DKIM key %s is not published, so that nobody can verify our signatures.", selector)
	case len(keys) > 1:
		f.ID = id + ".several"
		f.Sentence = fmt.Sprintf("The DKIM name %s has %d records, and which one a receiver takes is chance.", selector, len(keys))
		f.Fix = "Take out all but this one."
	default:
		problem := matchKey(keys[0], wanted.Text())
		if problem == "" {
			return append([]Finding{fine(id, fmt.Sprintf("The DKIM key %s is published and is the one that signs.", selector), v)}, d.spread(id, v)...)
		}
		f.ID = id + ".other"
		f.Sentence = fmt.Sprintf("The DKIM key %s in the DNS %s.", selector, problem)
		f.Fix = "Replace the record by this one."
	}
	return append([]Finding{f}, d.spread(id, v)...)
}

// matchKey compares a key record with ours, and says what is wrong with it.
func matchKey(have, want string) string {
	h, w := Tags(have), Tags(want)
	switch {
	case h["v"] != "" && h["v"] != "DKIM1":
		return "is not a DKIM key"
	case h["p"] == "":
		if strings.Contains(have, "p=") {
			return "says that it is revoked"
		}
		return "is not a DKIM key"
	case strings.HasSuffix(have, `"`) || strings.Contains(h["p"], `"`) || strings.Contains(h["p"], `\`):
		return "has quotation marks in it, which the form of the provider put there"
	}
	if kind := h["k"]; kind != w["k"] && !(kind == "" && w["k"] == "rsa") {
		return "is of another kind than ours"
	}
	a, errA := publicKey(h["p"])
	b, errB := publicKey(w["p"])
	switch {
	case errA != nil && len(h["p"]) < len(w["p"]) && strings.HasPrefix(w["p"], h["p"]):
		return "is cut short"
	case errA != nil:
		return "cannot be read"
	case errB != nil || !bytes.Equal(a, b):
		return "is another than the one that signs"
	}
	for _, t := range strings.Split(h["t"], ":") {
		if strings.TrimSpace(t) == "y" {
			return "says t=y, so that receivers take its signatures for a test"
		}
	}
	return ""
}

// publicKey gives the bare key: RSA also where it was published without its
// SubjectPublicKeyInfo (RFC 6376, 3.6.1).
func publicKey(text string) ([]byte, error) {
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, err
	}
	if len(der) == ed25519.PublicKeySize {
		return der, nil
	}
	if k, err := x509.ParsePKIXPublicKey(der); err == nil {
		if r, ok := k.(*rsa.PublicKey); ok {
			return x509.MarshalPKCS1PublicKey(r), nil
		}
	}
	k, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS1PublicKey(k), nil
}

// Tags reads a record of the form "v=X; name=value" (RFC 6376, 3.2). Names are
// lower case; of a name that comes twice the first counts.
func Tags(text string) map[string]string {
	tags := map[string]string{}
	for _, part := range strings.Split(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := tags[name]; ok && !twice {
			tags[name] = strings.TrimSpace(value)
		}
	}
	return tags
}
