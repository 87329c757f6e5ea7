package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstead/dns"
	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// DNSQuery is what dns.show and dns.check take.
type DNSQuery struct {
	Domain  string `json:"domain,omitempty"`  // "" is all of ours
	Offline bool   `json:"offline,omitempty"` // ask the DNS for nothing
}

// DNSCheck is what dns.check takes.
type DNSCheck struct {
	Domain    string   `json:"domain,omitempty"`    // "" is all of ours
	Only      []string `json:"only,omitempty"`      // IDs of checks
	Resolvers []string `json:"resolvers,omitempty"` // to ask instead of ours, "192.0.2.1"
}

// dnsCheck compares the records with what the DNS says, domain by domain.
func (o *Ops) dnsCheck(ctx context.Context, in DNSCheck) ([]check.Finding, error) {
	names, err := o.domainsOf(ctx, in.Domain)
	if err != nil {
		return nil, err
	}
	resolvers := make([]string, 0, len(in.Resolvers))
	for _, r := range in.Resolvers {
		at, err := dns.ServerAddress(r)
		if err != nil {
			return nil, invalid("a resolver is named by its address, such as 192.0.2.1", "%v", err)
		}
		resolvers = append(resolvers, at)
	}
	all := []check.Finding{}
	for i, name := range names {
		d, err := o.DomainCheck(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(resolvers) > 0 {
			d.Resolvers = resolvers
		}
		d.WithoutHost = i > 0
		checks := check.Only(d.Checks(), in.Only...)
		if len(checks) == 0 && i == 0 {
			return nil, invalid("`mailstead doctor --list` shows what there is; those of the DNS begin with dns.", "there is no check %s", strings.Join(in.Only, ", "))
		}
		all = append(all, check.Run(ctx, checks)...)
	}
	return all, nil
}

// DomainRecords are what dns.show gives for one domain.
type DomainRecords struct {
	Domain  string        `json:"domain"` // A-labels
	Records []zone.Record `json:"records"`
	Forms   []zone.Form   `json:"forms"` // of the records, in their order
	Host    string        `json:"host"`
	Outside []zone.Record `json:"outside,omitempty"` // the host's own, where its name lies in no domain of ours
	Plan    []zone.Stage  `json:"dmarc_plan"`
	Due     string        `json:"dmarc_due,omitempty"` // the policy whose date has come, where a milder one is chosen
	Notes   []string      `json:"notes,omitempty"`
}

func (o *Ops) dnsShow(ctx context.Context, in DNSQuery) ([]DomainRecords, error) {
	names, err := o.domainsOf(ctx, in.Domain)
	if err != nil {
		return nil, err
	}
	all := make([]DomainRecords, 0, len(names))
	for _, name := range names {
		v, err := o.dnsRecords(ctx, name, in.Offline)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// domainsOf gives the one that is named, or all of ours.
func (o *Ops) domainsOf(ctx context.Context, name string) ([]message.Domain, error) {
	if name != "" {
		d, err := parseDomain(name)
		return []message.Domain{d}, err
	}
	all, err := o.Accounts.Domains(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, &Error{Kind: NotFound, Text: "there are no domains yet", Next: "`mailstead domain add DOMAIN` adds one"}
	}
	var names []message.Domain
	for _, d := range all {
		names = append(names, d.Name)
	}
	return names, nil
}

func (o *Ops) dnsRecords(ctx context.Context, name message.Domain, offline bool) (v DomainRecords, err error) {
	z, err := o.Wanted.Settings(ctx, name)
	if err != nil {
		return v, err
	}
	if !offline {
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		live, err := o.Wanted.WithLive(short, z)
		if err != nil {
			v.Notes = append(v.Notes, "The DNS could not be asked for an SPF record that is there already ("+err.Error()+"): if there is one, add our part to it instead of replacing it.")
		}
		z = live
	}
	v.Domain, v.Host = string(name), string(z.Host)
	v.Records = zone.Records(z)
	for _, r := range v.Records {
		v.Forms = append(v.Forms, r.Form(name))
	}
	if n := zone.Lookups(zone.SPF(z)); n > 10 { // RFC 7208, 4.6.4
		v.Notes = append(v.Notes, fmt.Sprintf("The SPF record with ours in it needs %d lookups and 10 are allowed: take out what is not needed any more.", n))
	}
	if len(z.Addresses) == 0 {
		v.Notes = append(v.Notes, "This machine has no public address of its own, so that the records of "+z.Host.Unicode()+" (A, AAAA) are missing here: name those of your router with `mailstead dns address ADDRESS`.")
	}
	if len(z.TLSA) == 0 {
		v.Notes = append(v.Notes, "TLSA and CAA records come with the first certificate.")
	}
	if len(z.Keys) == 0 {
		v.Notes = append(v.Notes, "The keys of DKIM are made when the server starts.")
	}
	ours, err := o.hostInDomains(ctx, z.Host)
	if err == nil && !ours {
		v.Outside = zone.HostRecords(z)
	}
	v.Plan = z.DMARC.Plan()
	v.Due = z.DMARC.Behind(time.Now())
	return v, err
}

// hostInDomains tells whether the host's records belong to a domain of ours.
func (o *Ops) hostInDomains(ctx context.Context, host message.Domain) (bool, error) {
	all, err := o.Accounts.Domains(ctx)
	for _, d := range all {
		if zone.Within(string(host), d.Name) {
			return true, err
		}
	}
	return false, err
}

// DNSChoices is what dns.policy takes; nil leaves a thing as it is.
type DNSChoices struct {
	Domain  string    `json:"domain"`
	DMARC   *string   `json:"dmarc,omitempty"`
	MTASTS  *string   `json:"mta_sts,omitempty"`
	Reports *string   `json:"reports,omitempty"` // an address, "" for reports@DOMAIN
	Include *[]string `json:"include,omitempty"`
}

// dnsPolicy changes what the records say. Publishing them is another step.
func (o *Ops) dnsPolicy(ctx context.Context, in DNSChoices) (DomainRecords, error) {
	name, err := parseDomain(in.Domain)
	if err != nil {
		return DomainRecords{}, err
	}
	if _, err := o.Accounts.Domain(ctx, name); err != nil {
		return DomainRecords{}, err
	}
	c, err := o.Wanted.Choices(ctx, name)
	if err != nil {
		return DomainRecords{}, err
	}
	for _, v := range []struct {
		what    string
		to      *string
		value   *string
		allowed []string
	}{
		{"a DMARC policy", &c.DMARC, in.DMARC, []string{"none", "quarantine", "reject"}},
		{"an MTA-STS mode", &c.MTASTS, in.MTASTS, []string{"none", "testing", "enforce"}},
	} {
		if v.value == nil {
			continue
		}
		if !slices.Contains(v.allowed, *v.value) {
			return DomainRecords{}, invalid("it is one of "+strings.Join(v.allowed, ", "), "%q is not %s", *v.value, v.what)
		}
		*v.to = *v.value
	}
	if in.Reports != nil {
		if c.Reports = *in.Reports; c.Reports != "" {
			if _, err := parse(c.Reports); err != nil {
				return DomainRecords{}, err
			}
		}
	}
	if in.Include != nil {
		c.Include = nil
		for _, text := range *in.Include {
			d, err := parseDomain(text)
			if err != nil {
				return DomainRecords{}, err
			}
			c.Include = append(c.Include, string(d))
		}
	}
	if err := o.DB.Update(ctx, func(tx *sqlite.Tx) error { return o.Wanted.SetChoices(tx, name, c) }); err != nil {
		return DomainRecords{}, err
	}
	return o.dnsRecords(ctx, name, true)
}
