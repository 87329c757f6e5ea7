package check

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailstead/dns"
	"mailstead/dns/zone"
)

// tlsa compares the published keys with ours and with the one that the mail host
// shows.
func (d *Domain) tlsa(ctx context.Context) []Finding {
	const id = "dns.tlsa"
	v := d.look(ctx, "_25._tcp."+string(d.Settings.Host), "TLSA")
	if !v.answered() {
		return []Finding{unanswered(id, v)}
	}
	have, wanted := v.data(), d.wanted(zone.KindTLSA)
	signed := d.isSigned(d.look(ctx, string(d.Settings.Host), "A"))
	f := Finding{ID: id, Subject: d.Settings.Host.Unicode(), Severity: Warning, Evidence: v.evidence(), Records: wanted, Fix: publish}
	lacking := missing(v, wanted)
	switch {
	case len(have) == 0 && (!signed || len(wanted) == 0):
		return nil
	case len(have) == 0:
		f.ID = id + ".missing"
		f.Sentence = "The zone is signed and no TLSA record is published, so that others cannot verify our key by DANE."
		return append([]Finding{f}, d.spread(id, v)...)
	case len(wanted) > 0 && len(lacking) == len(wanted):
		f.Severity = Problem
		f.ID = id + ".other"
		f.Sentence = "The TLSA records are not of our keys, so that hosts that verify by DANE send us no mail."
		f.Fix = "Replace the TLSA records by these."
	case len(lacking) > 0:
		f.ID = id + ".next"
		f.Sentence = "The TLSA record of the key that comes next is missing, so that the key cannot be changed."
		f.Records = lacking
	default:
		f = d.live(ctx, v)
	}
	if !signed && f.Severity == Problem {
		f.Severity = Warning
		f.Sentence = strings.TrimSuffix(f.Sentence, ".") + ", as soon as the zone is signed."
	}
	return append([]Finding{f}, d.spread(id, v)...)
}

// live connects to the mail host and compares what it shows.
func (d *Domain) live(ctx context.Context, v *views) Finding {
	const id = "dns.tlsa"
	host := d.Settings.Host.Unicode()
	if d.Quick {
		return Finding{ID: id, Subject: host, Severity: OK, Sentence: "The TLSA records are those of our keys.", Evidence: v.evidence()}
	}
	ctx, cancel := context.WithTimeout(ctx, EachLimit)
	defer cancel()
	sum, err := d.liveKey(ctx)
	if err != nil {
		return Finding{
			ID: id + ".unseen", Subject: host, Severity: Info, Evidence: err.Error(),
			Sentence: "The TLSA records are those of our keys, but the key that the mail host shows could not be seen from here.",
			Fix:      "Nothing, where this machine cannot reach its own public address; else see that port 25 is open.",
		}
	}
	if !slices.ContainsFunc(v.records(), func(r dns.Record) bool { return canonical("TLSA", r.Data) == "3 1 1 "+sum }) {
		return Finding{
			ID: id + ".live", Subject: host, Severity: Problem, Records: d.wanted(zone.KindTLSA),
			Evidence: v.evidence() + "; the mail host shows 3 1 1 " + sum,
			Sentence: "The key that the mail host shows has no TLSA record, so that hosts that verify by DANE send us no mail.",
			Fix:      "Publish the TLSA records of the keys in use before the certificate is changed.",
		}
	}
	return Finding{ID: id, Subject: host, Severity: OK, Sentence: "The TLSA records are those of the key that the mail host shows.", Evidence: v.evidence()}
}

// liveKey is the hash of the key that the mail host shows after STARTTLS.
func (d *Domain) liveKey(ctx context.Context) (string, error) {
	addresses := slices.Concat(d.look(ctx, string(d.Settings.Host), "A").data(), d.look(ctx, string(d.Settings.Host), "AAAA").data())
	if len(addresses) == 0 {
		return "", errors.New("the mail host has no address")
	}
	conn, err := d.Dial(ctx, "tcp", net.JoinHostPort(addresses[0], strconv.Itoa(d.Port)))
	if err != nil {
		return "", fmt.Errorf("connect to the mail host: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c := textproto.NewConn(conn)
	for _, step := range []struct {
		say  string
		code int
	}{{"", 220}, {"EHLO " + string(d.Settings.Host), 250}, {"STARTTLS", 220}} {
		if step.say != "" {
			if err := c.PrintfLine("%s", step.say); err != nil {
				return "", fmt.Errorf("talk to the mail host: %w", err)
			}
		}
		if _, _, err := c.ReadResponse(step.code); err != nil {
			return "", fmt.Errorf("the mail host answers %q: %w", step.say, err)
		}
	}
	t := tls.Client(conn, &tls.Config{
		ServerName: string(d.Settings.Host), InsecureSkipVerify: true, // RFC 7672, 3.1.1: the key is all that counts
	})
	if err := t.HandshakeContext(ctx); err != nil {
		return "", fmt.Errorf("TLS with the mail host: %w", err)
	}
	sum := sha256.Sum256(t.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:]), nil
}
