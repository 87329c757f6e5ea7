package check

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mailstead/dns/zone"
)

// maxPolicy is the most that is read of a policy (RFC 8461, 3.3 proposes 64 KB).
const maxPolicy = 64 << 10

// policyClient asks the same resolvers as all else for the name of the host.
func (d *Domain) policyClient() *http.Client {
	return &http.Client{
		Timeout:       EachLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // RFC 8461, 3.3
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: d.Roots, MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				name, port, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				at := slices.Concat(d.look(ctx, name, "A").data(), d.look(ctx, name, "AAAA").data())
				if len(at) == 0 {
					return nil, fmt.Errorf("%s has no address", name)
				}
				return d.Dial(ctx, network, net.JoinHostPort(at[0], port))
			},
		},
	}
}

// single looks at a TXT name that has one record of a kind: what is wrong with
// it, nil when it is as wanted or has the same meaning.
func (d *Domain) single(ctx context.Context, id, what string, kind zone.Kind, is func(string) bool) (v *views, record string, f *Finding) {
	wanted := d.wanted(kind)
	if len(wanted) == 0 {
		return nil, "", nil
	}
	v = d.look(ctx, wanted[0].Name, "TXT")
	if !v.answered() {
		x := unanswered(id, v)
		return v, "", &x
	}
	records := v.texts(is)
	x := Finding{ID: id, Severity: Warning, Evidence: v.evidence(), Records: wanted, Fix: publish}
	switch len(records) {
	case 0:
		x.ID, x.Sentence = id+".missing", fmt.Sprintf("The record of %s is missing.", what)
		x.Fix = howToPublish(v)
		return v, "", &x
	case 1:
		return v, records[0], nil
	}
	x.ID, x.Sentence = id+".several", fmt.Sprintf("There are %d records of %s, and others take none when there are several.", len(records), what)
	x.Fix = "Take out all but this one."
	return v, "", &x
}

// mtaSTS looks at the record, the name, and the policy that is served.
func (d *Domain) mtaSTS(ctx context.Context) []Finding {
	const id = "dns.mta-sts"
	v, record, f := d.single(ctx, id, "MTA-STS", zone.KindMTASTS, func(t string) bool { return strings.HasPrefix(t, "v=STSv1") })
	switch {
	case v == nil:
		return d.unwantedSTS(ctx)
	case f != nil:
		return append([]Finding{*f}, d.spread(id, v)...)
	}
	wanted := d.wanted(zone.KindMTASTS)[0]
	if Tags(record)["id"] != Tags(wanted.Text())["id"] {
		return append([]Finding{{
			ID: id + ".id", Severity: Warning, Evidence: v.evidence(), Records: []zone.Record{wanted},
			Sentence: "The MTA-STS record is of an older policy, so that others do not fetch the new one.",
			Fix:      "Replace the record by this one.",
		}}, d.spread(id, v)...)
	}
	found := d.pointsHere(ctx, id+".host", d.wanted(zone.KindMTASTSHost), "The policy on encryption cannot be fetched")
	if len(found) == 0 && !d.Quick {
		found = d.fetched(ctx)
	}
	if len(found) == 0 {
		found = []Finding{fine(id, "MTA-STS tells others to use TLS to "+string(d.Settings.Host)+" (mode "+d.Settings.MTASTS.Mode+").", v)}
	}
	return append(found, d.spread(id, v)...)
}

// unwantedSTS is a record that is there though none is wanted: others may hold a
// policy that is no longer served.
func (d *Domain) unwantedSTS(ctx context.Context) []Finding {
	v := d.look(ctx, "_mta-sts."+string(d.Settings.Domain), "TXT")
	if len(v.texts(func(t string) bool { return strings.HasPrefix(t, "v=STSv1") })) == 0 {
		return nil
	}
	return []Finding{{
		ID: "dns.mta-sts.unwanted", Severity: Warning, Evidence: v.evidence(),
		Sentence: "There is an MTA-STS record, and you chose to have no such policy.",
		Fix:      "Serve a policy of mode none for as long as the old one could be remembered, then take the record out.",
	}}
}

// fetched gets the policy as others do, and reads it.
func (d *Domain) fetched(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, EachLimit)
	defer cancel()
	url := "https://mta-sts." + string(d.Settings.Domain) + "/.well-known/mta-sts.txt"
	f := Finding{ID: "dns.mta-sts.policy", Severity: Warning, Evidence: "GET " + url,
		Fix: "See that port 443 of the mail host is open to the world and that it has a certificate for this name."}
	if d.Settings.MTASTS.Mode == "enforce" {
		f.Severity = Problem
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		f.Sentence = fmt.Sprintf("The policy on encryption cannot be asked for: %v.", err)
		return []Finding{f}
	}
	res, err := d.HTTP.Do(req)
	if err != nil {
		f.Sentence = "The policy on encryption cannot be fetched."
		f.Evidence += ": " + err.Error()
		return []Finding{f}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPolicy))
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch problem := ""; {
	case res.StatusCode != http.StatusOK:
		problem = "the server answers " + strconv.Itoa(res.StatusCode)
		fallthrough
	case err != nil, kind != "text/plain":
		if problem == "" {
			problem = "the server does not send it as plain text"
		}
		f.Sentence = fmt.Sprintf("The policy on encryption cannot be used: %s.", problem)
		return []Finding{f}
	}
	return d.judgePolicy(string(body), f)
}

// judgePolicy reads a policy (RFC 8461, 3.2).
func (d *Domain) judgePolicy(text string, f Finding) []Finding {
	keys := map[string]string{}
	listed := false
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.ToLower(strings.TrimSpace(value))
		if !ok {
			continue
		}
		if name == "mx" {
			listed = listed || covers(value, string(d.Settings.Host))
		} else if _, twice := keys[name]; !twice {
			keys[name] = value
		}
	}
	f.Evidence += " gives " + strconv.Quote(text[:min(len(text), 300)])
	f.Fix = "Let this server serve the policy, or write the same into the one that does."
	_, err := strconv.ParseUint(keys["max_age"], 10, 32)
	switch {
	case keys["version"] != "stsv1" || err != nil:
		f.Sentence = "The policy on encryption has an error and is not used by anybody."
	case !listed && keys["mode"] != "none":
		f.Sentence = fmt.Sprintf("The policy on encryption does not name the mail host %s, so that others may send no mail to it.", d.Settings.Host)
	case keys["mode"] != d.Settings.MTASTS.Mode:
		f.Severity = Warning
		f.Sentence = fmt.Sprintf("The policy on encryption that is served says mode %s, and you chose %s.", keys["mode"], d.Settings.MTASTS.Mode)
	default:
		return nil
	}
	return []Finding{f}
}

// covers matches a host with a pattern (RFC 8461, 4.1: the first label only).
func covers(pattern, host string) bool {
	if rest, ok := strings.CutPrefix(pattern, "*."); ok {
		_, above, _ := strings.Cut(host, ".")
		return above == rest
	}
	return pattern == host
}

// tlsRPT looks whether anybody gets the reports on TLS.
func (d *Domain) tlsRPT(ctx context.Context) []Finding {
	const id = "dns.tls-rpt"
	v, record, f := d.single(ctx, id, "TLS reports", zone.KindTLSRPT, func(t string) bool { return strings.HasPrefix(t, "v=TLSRPTv1") })
	switch {
	case v == nil:
		return nil
	case f != nil:
		return append([]Finding{*f}, d.spread(id, v)...)
	case Tags(record)["rua"] == "" || badReports(Tags(record)["rua"]) != "":
		return []Finding{{
			ID: id + ".error", Severity: Warning, Evidence: v.evidence(), Records: d.wanted(zone.KindTLSRPT),
			Sentence: "The record of TLS reports names nobody who could get them.", Fix: "Replace the record by this one.",
		}}
	}
	return append([]Finding{fine(id, "Others know where to send reports on TLS.", v)}, d.spread(id, v)...)
}
