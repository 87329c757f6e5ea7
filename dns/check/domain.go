package check

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"mailstead/dns"
	"mailstead/dns/zone"
)

// Asker puts one question to one server: *dns.Client.
type Asker interface {
	Ask(ctx context.Context, q dns.Question) (dns.Answer, error)
}

// Domain looks at one domain. The fields are set before Checks.
type Domain struct {
	Settings zone.Settings
	Asker    Asker

	// Own are all addresses of this machine's interfaces, of which Settings names
	// those to publish.
	Own []netip.Addr

	// Resolvers are asked beside the authoritative servers, "address:port"; none
	// asks the Asker's own. Whoever names somebody else's here has agreed to it.
	Resolvers []string
	// Trusted says that the resolvers validate, so that their AD bit counts.
	Trusted bool

	// Dial connects to the mail host, by its address; nil is a net.Dialer.
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Port  int            // of SMTP at the mail host; 0 is 25
	Roots *x509.CertPool // who may vouch for the host that serves the policy; nil is the system's
	HTTP  *http.Client   // fetches the policy of MTA-STS and settings of programs; nil is one over Dial and Roots
	Now   time.Time      // zero is the time of Checks

	// Quick leaves out what connects to the mail host: the live key, the policy,
	// and the settings of programs.
	Quick bool
	// WithoutHost leaves out what is about the mail host, for a second domain of
	// the same host.
	WithoutHost bool

	once sync.Once
	asks asks
}

// Checks are what there is to look at, each on its own. They share their
// questions, so that none is put twice.
func (d *Domain) Checks() []Check {
	d.once.Do(func() {
		if d.Now.IsZero() {
			d.Now = time.Now()
		}
		if d.Dial == nil {
			d.Dial = new(net.Dialer).DialContext
		}
		if d.Port == 0 {
			d.Port = 25
		}
		if d.HTTP == nil {
			d.HTTP = d.policyClient()
		}
		if len(d.Resolvers) == 0 {
			d.Resolvers = []string{""}
		}
		d.asks = asks{d: d}
	})
	all := []Check{
		{"dns.hosting", "who hosts the DNS", d.hosting},
		{"dns.dnssec", "DNSSEC", d.dnssec},
		{"dns.host", "the addresses of the mail host", d.host},
		{"dns.mx", "where mail goes", d.mx},
		{"dns.spf", "SPF", d.spf},
		{"dns.host-spf", "SPF of the mail host", d.hostSPF},
		{"dns.dkim", "DKIM keys", d.dkim},
		{"dns.dmarc", "DMARC", d.dmarc},
		{"dns.mta-sts", "MTA-STS", d.mtaSTS},
		{"dns.tls-rpt", "TLS reports", d.tlsRPT},
		{"dns.tlsa", "DANE", d.tlsa},
		{"dns.caa", "who may issue certificates", d.caa},
		{"dns.srv", "names of the doors", d.srv},
		{"dns.autoconfig", "names for the set-up of programs", d.autoconfig},
		{"dns.wildcard", "wildcards", d.wildcard},
	}
	if d.WithoutHost {
		of := []string{"dns.host", "dns.host-spf", "dns.tlsa", "dns.caa"}
		all = slices.DeleteFunc(all, func(c Check) bool { return slices.Contains(of, c.ID) })
	}
	for i, c := range all {
		run := c.Run
		all[i].Run = func(ctx context.Context) []Finding {
			found := run(ctx)
			if Worst(found) != OK && d.ofDomain(c.ID) && d.absent(ctx) {
				return nil // dns.hosting tells why
			}
			for i := range found {
				d.complete(&found[i])
			}
			return found
		}
	}
	return all
}

// ofDomain tells whether a check is about records of the domain itself.
func (d *Domain) ofDomain(id string) bool {
	return !slices.Contains([]string{"dns.hosting", "dns.host", "dns.host-spf", "dns.tlsa", "dns.caa"}, id)
}

// absent tells that the domain is not in the DNS, so that nothing of it can be.
func (d *Domain) absent(ctx context.Context) bool {
	soa, ok := d.look(ctx, string(d.Settings.Domain), "SOA").best()
	return ok && soa.a.NXDomain && d.zoneOf(ctx, string(d.Settings.Domain)).apex != string(d.Settings.Domain)
}

// Find looks at everything, or at the checks that are named.
func (d *Domain) Find(ctx context.Context, only ...string) []Finding {
	return Run(ctx, Only(d.Checks(), only...))
}

// Only picks checks by ID; the ID of a finding picks its check. None picks all.
func Only(all []Check, ids ...string) []Check {
	if len(ids) == 0 {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(c Check) bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return id == c.ID || strings.HasPrefix(id, c.ID+".") })
	})
}

// complete says what all findings of a domain have.
func (d *Domain) complete(f *Finding) {
	if f.Subject == "" {
		f.Subject = d.Settings.Domain.Unicode()
	}
	if f.Severity != OK && f.Recheck == "" {
		f.Recheck = fmt.Sprintf("mailstead dns check %s --only %s", d.Settings.Domain, f.ID)
	}
}

// wanted gives the records of a kind.
func (d *Domain) wanted(kinds ...zone.Kind) []zone.Record {
	all := zone.Records(d.Settings)
	if !d.Settings.HostInDomain() {
		all = append(all, zone.HostRecords(d.Settings)...)
	}
	return slices.DeleteFunc(all, func(r zone.Record) bool { return !slices.Contains(kinds, r.Kind) })
}

// fine is a finding of what is as it should be.
func fine(id, sentence string, v *views) Finding {
	return Finding{ID: id, Severity: OK, Sentence: sentence, Evidence: v.evidence()}
}

const (
	publish   = "Publish these records where the DNS of the domain is hosted."
	replaceIt = "Replace the record by this one."
)

// howToPublish is publish, at a name where an alias may be in the way (RFC 1034,
// 3.6.2).
func howToPublish(v *views) string {
	if to := v.alias(); to != "" {
		return fmt.Sprintf("The name %s is an alias of %s: take the CNAME record out, because nothing can stand beside it, and put this record in its place; or have it published there.", v.name, to)
	}
	return publish
}

// unanswered is the finding where nobody answered.
func unanswered(id string, v *views) Finding {
	return Finding{
		ID: id, Severity: Warning, Evidence: v.evidence(),
		Sentence: fmt.Sprintf("Nobody answered the question for %s %s.", v.name, v.typ),
		Fix:      "Look again in a few minutes; if it stays, the name servers of the domain or this machine's resolver are not reachable.",
	}
}

// spread tells where the world does not see what is published: servers that
// disagree, resolvers that still remember.
func (d *Domain) spread(id string, v *views) []Finding {
	if servers := v.disagreeing(); servers != "" {
		return []Finding{{
			ID: id + ".spread", Severity: Warning, Evidence: v.evidence(),
			Sentence: fmt.Sprintf("The name servers do not agree on %s %s.", v.name, v.typ),
			Fix:      "Wait for the zone's transfer to all of its servers; if " + servers + " keeps the old answer, ask whoever runs it.",
		}}
	}
	if who, left := v.remembering(); who != "" {
		return []Finding{{
			ID: id + ".spread", Severity: Info, Evidence: v.evidence(),
			Sentence: fmt.Sprintf("Resolvers still remember the old %s %s, for %v at most.", v.name, v.typ, left),
			Fix:      "Wait; nothing is to be done.",
		}}
	}
	return nil
}
