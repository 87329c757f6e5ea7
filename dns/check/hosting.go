package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailstead/message"
)

func domainOf(name string) message.Domain { return message.Domain(name) }

// Host is a company that hosts DNS, or mail.
type Host struct {
	Name  string // as dns/publish calls it, "" where it has no client for it
	Title string
}

// HostOf recognises by the names of the servers who hosts a zone.
func HostOf(servers []string) (Host, bool) {
	for _, h := range []struct {
		suffixes []string
		host     Host
	}{
		{[]string{"ns.cloudflare.com"}, Host{"cloudflare", "Cloudflare"}},
		{[]string{"ns.hetzner.com", "ns.hetzner.de", "first-ns.de", "second-ns.de", "second-ns.com", "your-server.de"}, Host{"hetzner", "Hetzner"}},
		{[]string{"desec.io", "desec.org"}, Host{"desec", "deSEC"}},
		{[]string{"digitalocean.com"}, Host{"digitalocean", "DigitalOcean"}},
		{[]string{"porkbun.com"}, Host{"porkbun", "Porkbun"}},
		{[]string{"gandi.net"}, Host{"gandi", "Gandi"}},
		{[]string{"ovh.net", "ovh.ca", "anycast.me"}, Host{"ovh", "OVH"}},
		{[]string{"awsdns.com", "awsdns.net", "awsdns.org", "awsdns.co.uk"}, Host{"", "Amazon Route 53"}},
		{[]string{"googledomains.com"}, Host{"", "Google Cloud DNS"}},
		{[]string{"azure-dns.com", "azure-dns.net", "azure-dns.org", "azure-dns.info"}, Host{"", "Azure DNS"}},
		{[]string{"domaincontrol.com"}, Host{"", "GoDaddy"}},
		{[]string{"registrar-servers.com"}, Host{"", "Namecheap"}},
		{[]string{"ui-dns.com", "ui-dns.de", "ui-dns.org", "ui-dns.biz"}, Host{"", "IONOS"}},
		{[]string{"rzone.de"}, Host{"", "Strato"}},
		{[]string{"inwx.de", "inwx.eu", "inwx.net"}, Host{"", "INWX"}},
		{[]string{"netcup.net"}, Host{"", "netcup"}},
		{[]string{"linode.com"}, Host{"", "Linode"}},
		{[]string{"vultr.com"}, Host{"", "Vultr"}},
		{[]string{"bunny.net"}, Host{"", "bunny.net"}},
		{[]string{"he.net"}, Host{"", "Hurricane Electric"}},
		{[]string{"dnsimple.com"}, Host{"", "DNSimple"}},
		{[]string{"infomaniak.ch"}, Host{"", "Infomaniak"}},
	} {
		for _, s := range servers {
			s = strings.TrimSuffix(strings.ToLower(s), ".")
			if h.host.Title == "Amazon Route 53" && strings.Contains(s, ".awsdns-") {
				return h.host, true
			}
			if slices.ContainsFunc(h.suffixes, func(x string) bool { return s == x || strings.HasSuffix(s, "."+x) }) {
				return h.host, true
			}
		}
	}
	return Host{}, false
}

// mailHost recognises who receives a domain's mail.
func mailHost(exchangers []string) string {
	for _, h := range []struct{ part, title string }{
		{"google.com", "Google"}, {"googlemail.com", "Google"}, {"outlook.com", "Microsoft"}, {"messagingengine.com", "Fastmail"},
		{"protonmail.ch", "Proton"}, {"mailbox.org", "mailbox.org"}, {"zoho.", "Zoho"}, {"icloud.com", "iCloud"},
		{"yandex.", "Yandex"}, {"migadu.com", "Migadu"}, {"ionos.", "IONOS"}, {"kundenserver.de", "IONOS"}, {"rzone.de", "Strato"},
		{"ovh.net", "OVH"}, {"gandi.net", "Gandi"}, {"secureserver.net", "GoDaddy"}, {"mimecast.", "Mimecast"}, {"pphosted.com", "Proofpoint"},
		{"cloudflare.net", "Cloudflare's mail forwarding"}, {"improvmx.com", "ImprovMX"},
	} {
		if slices.ContainsFunc(exchangers, func(x string) bool { return strings.Contains(x, h.part) }) {
			return h.title
		}
	}
	return ""
}

// hosting tells whether the domain is there, who hosts it, and whether its
// servers answer.
func (d *Domain) hosting(ctx context.Context) []Finding {
	const id = "dns.hosting"
	name := string(d.Settings.Domain)
	z := d.zoneOf(ctx, name)
	v := d.look(ctx, name, "NS")
	soa := d.look(ctx, name, "SOA")
	if d.absent(ctx) {
		return []Finding{{
			ID: id + ".missing", Severity: Problem, Evidence: soa.evidence(),
			Sentence: fmt.Sprintf("The domain %s does not exist in the DNS.", d.Settings.Domain.Unicode()),
			Fix:      "Register it, look whether its name is written rightly, or wait: a new registration needs up to a day to be seen everywhere.",
		}}
	}
	if z.err != nil || len(z.servers) == 0 {
		return []Finding{{
			ID: id, Severity: Problem, Evidence: soa.evidence(),
			Sentence: fmt.Sprintf("The name servers of %s could not be found.", d.Settings.Domain.Unicode()),
			Fix:      "Look at the registrar's page whether name servers are set for the domain, and whether this machine's resolver works.",
		}}
	}
	if to := soa.alias(); to != "" {
		return []Finding{{
			ID: id + ".alias", Severity: Problem, Evidence: soa.evidence(),
			Sentence: fmt.Sprintf("The name %s is an alias of %s, and beside an alias no record of ours can stand.", d.Settings.Domain.Unicode(), to),
			Fix:      fmt.Sprintf("Take the CNAME record of %s out and put address records in its place; many providers do that by themselves for a record that they call ALIAS or ANAME.", name),
		}}
	}
	var names, lame, mute []string
	for _, s := range z.servers {
		names = append(names, s.name)
	}
	for _, w := range soa.authority {
		if silent(w.err) {
			mute = append(mute, w.who)
		} else if w.err != nil {
			lame = append(lame, w.who)
		}
	}
	if len(mute) == len(soa.authority) && soa.answered() {
		return []Finding{{
			ID: id + ".unseen", Severity: Info, Evidence: soa.evidence(),
			Sentence: "The domain's name servers cannot be asked from here, so that only what resolvers remember is seen.",
			Fix:      "Open the way out to port 53, UDP and TCP, if a firewall of yours closes it.",
		}}
	}
	lame = append(lame, mute...)
	if len(lame) > 0 {
		severity := Warning
		if len(lame) == len(soa.authority) {
			severity = Problem
		}
		return []Finding{{
			ID: id + ".lame", Severity: severity, Evidence: soa.evidence(),
			Sentence: fmt.Sprintf("Of the domain's name servers %s does not answer for it.", strings.Join(lame, ", ")),
			Fix:      "Take it out of the list of name servers at the registrar, or ask whoever runs it to serve the zone.",
		}}
	}
	by := strings.Join(names, ", ")
	if h, ok := HostOf(names); ok {
		by = h.Title + " (" + by + ")"
	}
	f := fine(id, fmt.Sprintf("The DNS of the domain is hosted by %s.", by), v)
	if z.apex != name {
		f.Sentence = fmt.Sprintf("The domain is a part of the zone %s, which is hosted by %s.", z.apex, by)
	}
	return []Finding{f}
}

// dnssec tells whether the zone is signed, and whether what is signed holds.
func (d *Domain) dnssec(ctx context.Context) []Finding {
	const id = "dns.dnssec"
	soa := d.look(ctx, string(d.Settings.Domain), "SOA")
	if !soa.answered() {
		return []Finding{unanswered(id, soa)}
	}
	authority := slices.ContainsFunc(soa.authority, func(w view) bool { return w.err == nil })
	failing, secure := 0, false
	for _, w := range soa.resolvers {
		if w.err != nil && strings.Contains(w.err.Error(), "SERVFAIL") {
			failing++
		}
		secure = secure || w.err == nil && w.a.Authenticated
	}
	switch {
	case authority && failing > 0 && failing == len(soa.resolvers):
		return []Finding{{
			ID: id + ".broken", Severity: Problem, Evidence: soa.evidence(),
			Sentence: "Resolvers refuse the domain though its servers answer, as they do when its DNSSEC signatures are wrong or out of date.",
			Fix:      "Ask whoever hosts the DNS to sign the zone anew, or take the DS record out at the registrar until it is.",
		}}
	case d.Trusted && secure:
		return []Finding{fine(id, "The domain is signed with DNSSEC.", soa)}
	case !d.Trusted:
		return []Finding{{
			ID: id, Severity: Info, Evidence: soa.evidence(),
			Sentence: "Whether the domain is signed with DNSSEC is not known, because the resolver does not validate.",
			Fix:      "Use a resolver that validates, such as unbound on this machine.",
		}}
	}
	return []Finding{{
		ID: id, Severity: Info, Evidence: soa.evidence(),
		Sentence: "The domain is not signed with DNSSEC, so that others cannot verify our keys by DANE.",
		Fix:      "Switch DNSSEC on where the DNS is hosted, and put the DS record in at the registrar if that is another company.",
	}}
}

// isSigned tells whether a trusted resolver found a name's zone signed.
func (d *Domain) isSigned(v *views) bool {
	return d.Trusted && slices.ContainsFunc(v.resolvers, func(w view) bool { return w.err == nil && w.a.Authenticated })
}
