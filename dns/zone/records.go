package zone

import (
	"fmt"
	"strings"
	"time"

	"mailstead/message"
)

// hour is the time to live of what seldom changes; short of what changes with
// a key or a policy, so that a mistake ends soon.
const (
	hour  = time.Hour
	short = 5 * time.Minute
)

// Records gives the records of a domain in the order in which a person would
// publish them: what mail needs first, what helps programs last.
func Records(s Settings) []Record {
	var all []Record
	if s.HostInDomain() {
		all = append(all, addresses(s)...)
	}
	all = append(all, exchanger(s), spf(s))
	all = append(all, keys(s)...)
	all = append(all, policy(s)...)
	if s.HostInDomain() {
		all = append(all, hostSPF(s)...)
		all = append(all, caa(s)...)
		all = append(all, tlsa(s)...)
	}
	all = append(all, transport(s)...)
	all = append(all, services(s)...)
	return append(all, clientNames(s)...)
}

// HostRecords gives those at the host's own name, whose zone may be another.
func HostRecords(s Settings) []Record {
	all := addresses(s)
	all = append(all, hostSPF(s)...)
	all = append(all, caa(s)...)
	return append(all, tlsa(s)...)
}

func addresses(s Settings) []Record {
	var all []Record
	for _, a := range s.Addresses {
		typ := "AAAA"
		if a = a.Unmap().WithZone(""); a.Is4() {
			typ = "A"
		}
		all = append(all, Record{
			Name: string(s.Host), Type: typ, TTL: hour, Data: a.String(), Kind: KindHost,
			Purpose: "The address of the mail host.",
		})
	}
	return all
}

func exchanger(s Settings) Record {
	return Record{
		Name: string(s.Domain), Type: "MX", TTL: hour, Data: "10 " + fqdn(s.Host), Kind: KindMX,
		Purpose: "Mail for the domain goes to the mail host.",
	}
}

func spf(s Settings) Record {
	return Record{
		Name: string(s.Domain), Type: "TXT", TTL: hour, Data: quote(SPF(s)), Kind: KindSPF,
		Purpose: "Which hosts send mail of the domain (SPF).",
	}
}

// hostSPF is for mail with the null reverse-path, where the name given with EHLO
// is what SPF looks at (RFC 7208, 2.4). The domain's record does it where both
// are one name.
func hostSPF(s Settings) []Record {
	if s.Host == s.Domain {
		return nil
	}
	return []Record{{
		Name: string(s.Host), Type: "TXT", TTL: hour, Kind: KindHostSPF,
		Data:    quote(mergeSPF([]string{"a"}, s.ExistingHostSPF, "-all")),
		Purpose: "Only the mail host itself speaks in its own name (SPF).",
	}}
}

func keys(s Settings) []Record {
	var all []Record
	for _, k := range s.Keys {
		purpose := "The " + algorithmName(k.Algorithm) + " key that our signatures are verified with (DKIM)."
		switch k.Use {
		case Next:
			purpose = "The " + algorithmName(k.Algorithm) + " key that will sign once this record is seen everywhere (DKIM)."
		case Retired:
			purpose = "The " + algorithmName(k.Algorithm) + " key of before, with which mail on its way is signed (DKIM)."
		}
		all = append(all, Record{
			Name: k.Name(s.Domain), Type: "TXT", TTL: hour, Kind: KindDKIM,
			Data: quote("v=DKIM1; k=" + k.Algorithm + "; p=" + k.Public), Purpose: purpose, Optional: k.Use != Signs,
		})
	}
	return all
}

func algorithmName(a string) string {
	if a == "ed25519" {
		return "Ed25519"
	}
	return strings.ToUpper(a)
}

// policy is the DMARC record, and where the reports go to another domain the
// record by which that one agrees (RFC 9990, 4).
func policy(s Settings) []Record {
	p := s.DMARC.Policy
	if p == "" {
		p = "none"
	}
	text := "v=DMARC1; p=" + p
	to := s.DMARC.Reports
	if !to.IsZero() {
		text += "; rua=mailto:" + mailto(to)
	}
	all := []Record{{
		Name: "_dmarc." + string(s.Domain), Type: "TXT", TTL: short, Data: quote(text), Kind: KindDMARC,
		Purpose: "What to do with mail that claims to be from the domain and is not, and who gets the reports (DMARC).",
	}}
	if !to.IsZero() && !Within(string(to.Domain), s.Domain) && !Within(string(s.Domain), to.Domain) {
		all = append(all, Record{
			Name: string(s.Domain) + "._report._dmarc." + string(to.Domain), Type: "TXT", TTL: hour, Kind: KindDMARCReport,
			Data:    quote("v=DMARC1"),
			Purpose: "The domain " + to.Domain.Unicode() + " agrees to get the reports on " + s.Domain.Unicode() + ".",
		})
	}
	return all
}

// mailto is an address as part of a URI (RFC 6068, 2), where a comma and an
// exclamation mark would end it in DMARC (RFC 9989, 4.6).
func mailto(a message.Address) string {
	var b strings.Builder
	for _, c := range []byte(a.Local) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String() + "@" + string(a.Domain)
}

// caa is left out where the host has the domain's own name: it would hold for
// every name below too (RFC 8659, 3), and so take the web site's certificates
// away from whoever has them from another authority or by another account.
func caa(s Settings) []Record {
	if s.CAA.Issuer == "" || s.Host == s.Domain {
		return nil
	}
	value := s.CAA.Issuer
	if s.CAA.AccountURI != "" {
		value += "; accounturi=" + s.CAA.AccountURI
	}
	if len(s.CAA.Methods) > 0 {
		value += "; validationmethods=" + strings.Join(s.CAA.Methods, ",")
	}
	return []Record{{
		Name: string(s.Host), Type: "CAA", TTL: hour, Data: "0 issue " + quote(value), Kind: KindCAA, Optional: true,
		Purpose: "Only our account at this authority gets certificates for the mail host (CAA).",
	}}
}

func tlsa(s Settings) []Record {
	var all []Record
	for i, sum := range s.TLSA {
		what := "The key of the mail host's certificate"
		if i > 0 {
			what = "The key that the mail host's certificate will have next"
		}
		all = append(all, Record{
			Name: "_25._tcp." + string(s.Host), Type: "TLSA", TTL: short, Data: "3 1 1 " + strings.ToLower(sum), Kind: KindTLSA,
			Optional: true, Purpose: what + " (DANE); it counts only where the zone is signed.",
		})
	}
	return all
}

// transport is MTA-STS and TLS-RPT.
func transport(s Settings) []Record {
	var all []Record
	if s.MTASTS.published() {
		all = append(all, Record{
			Name: "_mta-sts." + string(s.Domain), Type: "TXT", TTL: short, Kind: KindMTASTS, Optional: true,
			Data:    quote("v=STSv1; id=" + s.policyID()),
			Purpose: "There is a policy on encryption, of this version (MTA-STS).",
		})
		all = append(all, alias(s, "mta-sts", KindMTASTSHost, "Where the policy on encryption is fetched (MTA-STS).")...)
	}
	if !s.TLSRPT.IsZero() {
		all = append(all, Record{
			Name: "_smtp._tls." + string(s.Domain), Type: "TXT", TTL: hour, Kind: KindTLSRPT, Optional: true,
			Data:    quote("v=TLSRPTv1; rua=mailto:" + mailto(s.TLSRPT)),
			Purpose: "Who gets the reports on encryption (TLS-RPT).",
		})
	}
	return all
}

// services says where clients find their doors. The lower priority is what they
// prefer: TLS from the first octet (RFC 8314, 3).
func services(s Settings) []Record {
	ports := map[string]int{}
	for _, v := range s.Services {
		ports[v.Name] = v.Port
	}
	var all []Record
	for _, v := range []struct {
		name, what string
		priority   int
	}{
		{"_submissions", "send mail", 0}, {"_submission", "send mail, with STARTTLS", 10},
		{"_imaps", "read mail", 0}, {"_imap", "read mail, with STARTTLS", 10},
		{"_pop3s", "fetch mail by POP3", 20}, {"_sieve", "edit filters", 0},
	} {
		r := Record{
			Name: v.name + "._tcp." + string(s.Domain), Type: "SRV", TTL: hour, Kind: KindSRV, Optional: true,
			Data: "0 0 0 .", Purpose: "There is no such door to " + v.what + ".",
		}
		if p := ports[v.name]; p != 0 {
			r.Data = fmt.Sprintf("%d 1 %d %s", v.priority, p, fqdn(s.Host))
			r.Purpose = "Where programs " + v.what + "."
		}
		all = append(all, r)
	}
	return all
}

func clientNames(s Settings) []Record {
	all := alias(s, "autoconfig", KindAutoconfig, "Thunderbird and its kin find their settings here.")
	return append(all, alias(s, "autodiscover", KindAutoconfig, "Outlook and its kin find their settings here.")...)
}

// alias points a name of the domain to the host; none is needed where the host
// has that very name.
func alias(s Settings, label string, k Kind, purpose string) []Record {
	name := label + "." + string(s.Domain)
	if name == string(s.Host) {
		return nil
	}
	return []Record{{Name: name, Type: "CNAME", TTL: hour, Data: fqdn(s.Host), Kind: k, Purpose: purpose, Optional: true}}
}

func fqdn(d message.Domain) string { return string(d) + "." }
