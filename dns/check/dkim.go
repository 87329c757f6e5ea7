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

	"mailstead/dns/zone"
)

// dkim fetches every key of ours and matches it with the one that signs.
func (d *Domain) dkim(ctx context.Context) []Finding {
	const id = "dns.dkim"
	wanted := d.wanted(zone.KindDKIM)
	if len(wanted) == 0 {
		return []Finding{{
			ID: id + ".none", Severity: Problem, Sentence: "The domain has no DKIM keys, so that its mail is not signed.",
			Fix: "Restart the server: it makes the keys at its start.",
		}}
	}
	var all []Finding
	for _, r := range wanted {
		found := d.dkimKey(ctx, r)
		for i := range found {
			found[i].Subject = r.Name
		}
		all = append(all, found...)
	}
	return all
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
		f.ID = id + ".missing"
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
