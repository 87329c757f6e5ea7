package setup

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailstead/dns"
	"mailstead/dns/check"
	"mailstead/dns/publish"
	"mailstead/dns/wanted"
	"mailstead/internal/control"
)

// paste is the answer of those who enter the records by hand.
const paste = "paste"

func dnsStep() Step {
	return Step{
		ID: "dns", Title: "Your domain's DNS",
		Look: lookAtDNS,
		Questions: []Question{
			{
				Key: "dns", Kind: Pick, Example: "cloudflare", Kept: true,
				Title: "How do the records come into the DNS?",
				Help:  "With a token of your DNS provider they are published for you, now and when they change. Or copy them into its pages by hand.",
				Default: func(r *Run) string {
					if r.o.Ask != nil && r.host.Provider != "" {
						return r.host.Provider
					}
					return paste
				},
				Choices: providers,
				Heading: func(r *Run) (string, string, bool) {
					if r.host.Title == "" {
						return "", "", false
					}
					return "How do the records come into the DNS?", fmt.Sprintf("The DNS of %s is at %s. With a token of theirs the records are published for you, now and when they change.", r.domain.Unicode(), r.host.Title), true
				},
			},
			{Key: "credentials", Kind: Table, Title: "What the DNS provider lets you in with.", Example: `token = "..."`,
				Help: "`mailstead dns providers NAME` tells which there are; KEY_file = \"FILE\" reads one from a file."},
		},
		More: credentials,
		Do:   openDNS,
	}
}

func providers(r *Run) []Choice {
	list := []Choice{{paste, "I enter them by hand"}}
	for _, p := range publish.Providers() {
		c := Choice{p.Name, p.Title}
		if r != nil && p.Name == r.host.Provider {
			c.Title += " (your domain is there): publish them for me"
			list = slices.Insert(list, 0, c)
			continue
		}
		list = append(list, c)
	}
	return list
}

// credentials are the provider's questions.
func credentials(r *Run) []Question {
	if r == nil || r.Answer("dns") == paste || r.access {
		return nil
	}
	info, _ := publish.Lookup(r.Answer("dns"))
	var list []Question
	for i, f := range info.Fields {
		q := Question{Key: "credentials." + f.Name, Kind: Text, Title: info.Title + ": " + f.Title, Help: f.Help}
		if f.Secret {
			q.Kind = Secret
		}
		if i == 0 {
			q.Help = strings.TrimSpace(info.ScopeHelp + ". " + f.Help)
		}
		if f.Optional || f.Default != "" {
			q.Default = func(*Run) string { return f.Default }
		}
		list = append(list, q)
	}
	return list
}

// lookAtDNS finds out who hosts the domain, and whether they let us in already.
func lookAtDNS(ctx context.Context, r *Run) {
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r.host, _ = control.Call[control.DNSHost](short, r.caller, "dns.host", control.DNSQuery{Domain: string(r.domain)})
	if len(r.table("credentials")) > 0 {
		return // new ones
	}
	if dns := r.Answer("dns"); dns != "" && dns != paste {
		_, err := control.Call[publish.Diff](ctx, r.caller, "dns.plan", control.DNSPlan{Domain: string(r.domain)})
		r.access = err == nil
	}
}

func openDNS(ctx context.Context, r *Run) (res Result, err error) {
	if len(r.host.NameServers) == 0 {
		res.Findings = append(res.Findings, check.Finding{
			ID: "setup.dns", Subject: r.domain.Unicode(), Severity: check.Warning,
			Sentence: fmt.Sprintf("The DNS does not know %s.", r.domain.Unicode()),
			Fix:      "See whether the name is written right and registered, and whether this machine's resolver answers: `mailstead doctor net.resolver`.",
			Recheck:  "mailstead dns check " + string(r.domain) + " --only dns.hosting",
		})
	}
	provider := r.Answer("dns")
	info, _ := publish.Lookup(provider)
	switch {
	case provider == paste:
		res.Lines = append(res.Lines, "You enter the records by hand.")
		return res, nil
	case r.access:
		res.Lines = append(res.Lines, info.Title+" lets us in.")
		return res, nil
	}
	a, err := control.Call[control.DNSAccessed](ctx, r.caller, "dns.access", control.DNSAccess{
		Domain: string(r.domain), Provider: provider, Credentials: r.table("credentials"),
	})
	if err != nil {
		return res, r.refused(err)
	}
	r.access = true
	res.Lines = append(res.Lines, fmt.Sprintf("%s lets us in: %s is in its zone %s.", info.Title, r.domain.Unicode(), a.Zone))
	if a.Note != "" {
		res.Findings = append(res.Findings, check.Finding{ID: "setup.dns", Subject: r.domain.Unicode(), Severity: check.Warning, Sentence: a.Note,
			Fix: "Name its name servers at the registrar of the domain."})
	}
	return res, nil
}

// refused makes a mistake of what the provider did not take: it can be asked again.
func (r *Run) refused(err error) error {
	for key := range r.answers {
		if within(key, "credentials") {
			delete(r.answers, key)
		}
	}
	if is(err, control.Invalid) || is(err, control.NotFound) {
		return &Mistake{Key: "dns", Sentence: sentence(err.Error()), Next: hintOf(err)}
	}
	return err
}

func hostStep() Step {
	return Step{
		ID: "host", Title: "This machine's addresses",
		Look: func(ctx context.Context, r *Run) {
			h, err := control.Call[control.HostAddresses](ctx, r.caller, "dns.address", control.HostAddresses{})
			if err == nil {
				r.public = texts(h.Addresses)
			}
		},
		Questions: []Question{{
			Key: "addresses", Kind: List, Example: "192.0.2.25, 2001:db8::25",
			Title: "Which public address does this machine have?",
			Help:  "It stands behind a router, so that it does not know. It is the router's address, as the router's page tells; leave it empty for later.",
			When:  func(r *Run) bool { return len(r.public) == 0 },
			Default: func(r *Run) string {
				if r.o.Ask == nil {
					return "" // what the DNS has may be another machine's: somebody must say so
				}
				short, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				return strings.Join(r.published(short), ", ")
			},
			Check: func(_ *Run, text string) (string, error) {
				var list []string
				for _, part := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' }) {
					a, err := netip.ParseAddr(part)
					if err != nil {
						return "", mistake("it has the form 192.0.2.25 or 2001:db8::25", "%q is not an address of a machine.", part)
					}
					if !wanted.Public(a) {
						return "", mistake("name the address that others reach this machine by, such as your router's", "%s is not an address of the public Internet.", a)
					}
					list = append(list, a.String())
				}
				return strings.Join(list, ", "), nil
			},
		}},
		Do: setAddresses,
	}
}

// published are the public addresses that the DNS has for this host already.
func (r *Run) published(ctx context.Context) []string {
	all, _, err := r.resolver.LookupAddr(ctx, r.Answer("hostname"))
	if err != nil {
		return nil
	}
	return texts(slices.DeleteFunc(all, func(a netip.Addr) bool { return !wanted.Public(a) }))
}

func texts(all []netip.Addr) []string {
	var list []string
	for _, a := range all {
		list = append(list, a.String())
	}
	return list
}

func setAddresses(ctx context.Context, r *Run) (res Result, err error) {
	if said := r.Answer("addresses"); said != "" {
		in := control.HostAddresses{Set: true}
		for part := range strings.SplitSeq(said, ", ") {
			a, err := netip.ParseAddr(part)
			if err != nil {
				return res, err
			}
			in.Addresses = append(in.Addresses, a)
		}
		h, err := control.Call[control.HostAddresses](ctx, r.caller, "dns.address", in)
		if err != nil {
			return res, err
		}
		r.public = texts(h.Addresses)
	}
	if len(r.public) > 0 {
		res.Lines = []string{"The world reaches this machine at " + strings.Join(r.public, ", ") + "."}
		return res, nil
	}
	severity := check.Warning
	if _, _, err := r.resolver.LookupAddr(ctx, r.Answer("hostname")); err == nil {
		severity = check.Info // others publish it
	} else if !errors.Is(err, dns.ErrNotExist) {
		severity = check.Info
	}
	res.Findings = []check.Finding{{
		ID: "setup.host", Subject: r.Answer("hostname"), Severity: severity,
		Sentence: "This machine does not know its public address, so that the records of " + r.Answer("hostname") + " lack it.",
		Fix:      "Name it, such as your router's: `mailstead dns address ADDRESS`, then `mailstead setup` again.", Recheck: "mailstead dns address",
	}}
	return res, nil
}
