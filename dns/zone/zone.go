// Package zone computes every DNS record that a mail domain needs, as a pure
// function of its settings. It asks nobody and changes nothing: dns/check
// compares the records with what is there, dns/publish puts them there.
//
//	Settings ─▶ Records ─▶ Record ─┬─ File    lines of a zone file (RFC 1035, 5)
//	                               ├─ Form    what a web form of a provider asks for
//	                               └─ JSON
//
// # What belongs where
//
// The records of the mail host (addresses, its own SPF, CAA, TLSA) stand at the
// host's name; those of the domain stand at the domain and below. Records gives
// the host's only where the host lies in the domain, because nobody can publish
// a name outside of his zone; HostRecords gives them alone.
//
// mta-sts, autoconfig and autodiscover are aliases of the host: whoever moves
// the host changes its addresses only, and the CAA record of the host is the one
// that an authority sees for all of them (RFC 8659, 3).
//
// # RFCs
//
// RFC 5321, 5.1 (MX); RFC 7208 (SPF); RFC 6376, 8463 (DKIM); RFC 9989 (DMARC:
// no pct, rf, ri, no size after an address); RFC 8461 (MTA-STS); RFC 8460
// (TLS-RPT); RFC 7672 (TLSA 3 1 1); RFC 8659, 8657 (CAA with accounturi); RFC
// 6186, 8314, 5804 (SRV).
package zone

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"mailstead/message"
)

// Settings are all that the records of one domain depend on.
type Settings struct {
	Domain    message.Domain
	Host      message.Domain // the mail host's name, of this domain or another
	Addresses []netip.Addr   // public ones of the host

	Keys   []DKIMKey
	Gone   []string // selectors of keys whose records are to go
	DMARC  DMARC
	MTASTS MTASTS
	TLSRPT message.Address // who gets the reports on TLS; zero for none
	TLSA   []string        // SHA-256 of the SubjectPublicKeyInfo in hex: current key, then the next
	CAA    CAA

	// Services that clients are told of. Those that are not listed, or have port
	// 0, are said to be off.
	Services []Service

	ExistingSPF     []string // the domain's SPF records of today, which are merged; usually one
	ExistingHostSPF []string // the same of the host's name
	Include         []string // domains whose SPF is included: the smart host's
}

// DKIMKey is the public half of a key.
type DKIMKey struct {
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"` // "rsa" or "ed25519"
	Public    string `json:"public"`    // base64: SubjectPublicKeyInfo (rsa) or the 32 octets (ed25519)
	Use       Use    `json:"use,omitempty"`
}

// Use is what a key is for today.
type Use string

const (
	Signs   Use = ""        // what leaves is signed with it
	Next    Use = "next"    // it will sign once its record is seen
	Retired Use = "retired" // it did sign, and some of that is still on its way
)

// Name is where the record of a key stands.
func (k DKIMKey) Name(d message.Domain) string { return k.Selector + "._domainkey." + string(d) }

// DMARC is the domain's policy and who gets the reports.
type DMARC struct {
	Policy  string          // none, quarantine, reject; "" means none
	Reports message.Address // zero for nobody
	Started time.Time       // when the domain began; the plan's dates count from here
}

// MTASTS is the policy that mta-sts.DOMAIN serves.
type MTASTS struct {
	Mode string // testing or enforce; "" or none publishes nothing
	ID   string // "" makes one of the policy's text
}

// CAA is who may issue certificates for the host.
type CAA struct {
	Issuer     string   // "letsencrypt.org"; "" publishes nothing
	AccountURI string   // RFC 8657: this account alone
	Methods    []string // RFC 8657: validation methods; empty for any
}

// Service is a door that clients find by SRV.
type Service struct {
	Name string `json:"name"` // "_submissions", "_imaps", ...
	Port int    `json:"port"` // 0: off
}

// HostInDomain tells whether the host's own records lie in this domain.
func (s Settings) HostInDomain() bool { return Within(string(s.Host), s.Domain) }

// Within tells whether a name is the domain or lies below it.
func Within(name string, d message.Domain) bool {
	name, domain := strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(string(d))
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// Kind is what a record is for.
type Kind string

const (
	KindHost        Kind = "host" // A, AAAA
	KindMX          Kind = "mx"
	KindSPF         Kind = "spf"
	KindHostSPF     Kind = "host-spf"
	KindDKIM        Kind = "dkim"
	KindDMARC       Kind = "dmarc"
	KindDMARCReport Kind = "dmarc-report" // in the zone of whoever gets the reports
	KindMTASTS      Kind = "mta-sts"      // the TXT record
	KindMTASTSHost  Kind = "mta-sts-host" // the name that serves the policy
	KindTLSRPT      Kind = "tls-rpt"
	KindTLSA        Kind = "tlsa"
	KindCAA         Kind = "caa"
	KindSRV         Kind = "srv"
	KindAutoconfig  Kind = "autoconfig" // autoconfig and autodiscover names
)

// Record is one wanted record.
type Record struct {
	Name     string        // fully qualified, A-labels, lower case, without the final dot
	Type     string        // "TXT"
	TTL      time.Duration // whole seconds
	Data     string        // presentation form, names in it with their final dot
	Kind     Kind
	Purpose  string // what it is for, one sentence
	Optional bool   // mail works without it
}

// recordJSON has the time to live in seconds, as everybody writes it.
type recordJSON struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	TTL      int64  `json:"ttl"`
	Data     string `json:"data"`
	Kind     Kind   `json:"kind"`
	Purpose  string `json:"purpose"`
	Optional bool   `json:"optional,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(recordJSON{r.Name, r.Type, int64(r.TTL / time.Second), r.Data, r.Kind, r.Purpose, r.Optional})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Record) UnmarshalJSON(b []byte) error {
	var j recordJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*r = Record{j.Name, j.Type, time.Duration(j.TTL) * time.Second, j.Data, j.Kind, j.Purpose, j.Optional}
	return nil
}
