package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstead/dns"
	"mailstead/dns/publish"
	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// DNSAccess is what dns.access takes: how a domain's DNS is reached.
type DNSAccess struct {
	Domain      string            `json:"domain"`
	Provider    string            `json:"provider"` // "" forgets it
	Credentials map[string]string `json:"credentials,omitempty"`
}

// DNSAccessed is what it gives: the credentials were tried.
type DNSAccessed struct {
	Domain   string `json:"domain"`
	Provider string `json:"provider"`
	Zone     string `json:"zone,omitempty"` // that the domain lies in
	Note     string `json:"note,omitempty"` // that the world asks somebody else
}

// DNSHost is who answers for a domain in the DNS.
type DNSHost struct {
	Domain      string   `json:"domain"`
	NameServers []string `json:"name_servers"`       // of the zone that it lies in, as the world sees them
	Provider    string   `json:"provider,omitempty"` // by their names, where they are known
	Title       string   `json:"title,omitempty"`
}

// DNSPlan is what dns.plan and dns.publish take.
type DNSPlan struct {
	Domain string   `json:"domain"`
	Take   []string `json:"take,omitempty"`   // sets of foreign records to replace: "_dmarc.example.org/TXT"
	Digest string   `json:"digest,omitempty"` // of the difference that was shown; "" applies what there is

	Withdraw bool `json:"withdraw,omitempty"` // want nothing: all that we published goes
}

// DNSUndo is what dns.undo takes.
type DNSUndo struct {
	Domain string `json:"domain"`
	DryRun bool   `json:"dry_run,omitempty"`
}

func (o *Ops) dnsProviders(context.Context, None) ([]publish.Info, error) {
	return publish.Providers(), nil
}

// dnsAccess tries the credentials before it keeps them.
func (o *Ops) dnsAccess(ctx context.Context, in DNSAccess) (DNSAccessed, error) {
	name, err := o.ourDomain(ctx, in.Domain)
	if err != nil {
		return DNSAccessed{}, err
	}
	out := DNSAccessed{Domain: string(name), Provider: in.Provider}
	var keep any
	if in.Provider != "" {
		p, err := publish.New(in.Provider, in.Credentials, publish.Options{})
		if err != nil {
			return out, dnsTrouble(err)
		}
		if f, ok := p.(publish.Finder); ok {
			if out.Zone, err = f.FindZone(ctx, string(name)); err != nil {
				return out, dnsTrouble(err)
			}
		}
		info, _ := publish.Lookup(in.Provider)
		out.Note = o.unseen(ctx, name, info)
		keep = publish.Access{Provider: in.Provider, Credentials: in.Credentials}
	}
	return out, o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		return o.Accounts.SetSetting(tx, publish.SettingName(string(name)), keep)
	})
}

// dnsHost guesses who hosts a domain's DNS. Not to know is no error.
func (o *Ops) dnsHost(ctx context.Context, in DNSQuery) (DNSHost, error) {
	name, err := parseDomain(in.Domain)
	out := DNSHost{Domain: string(name)}
	if err != nil {
		return out, err
	}
	out.NameServers = o.nameServers(ctx, name)
	if p, ok := publish.HostedBy(out.NameServers); ok {
		out.Provider, out.Title = p.Name, p.Title
	}
	return out, nil
}

// nameServers are those of the zone that a name lies in; none where the DNS does
// not say.
func (o *Ops) nameServers(ctx context.Context, name message.Domain) []string {
	r, ok := o.Wanted.Resolver.(interface {
		Ask(context.Context, dns.Question) (dns.Answer, error)
	})
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for above := string(name); strings.Contains(above, "."); _, above, _ = strings.Cut(above, ".") {
		answer, err := r.Ask(ctx, dns.Question{Name: above, Type: "NS", Recursive: true})
		if err != nil {
			return nil
		}
		var list []string
		for _, rr := range answer.Of("NS") {
			list = append(list, strings.TrimSuffix(rr.Data, "."))
		}
		if len(list) > 0 {
			return list
		}
	}
	return nil
}

// unseen tells that what is published will not be seen, where it is sure.
func (o *Ops) unseen(ctx context.Context, name message.Domain, info publish.Info) string {
	if len(info.NameServers) == 0 {
		return ""
	}
	ns := o.nameServers(ctx, name)
	if len(ns) == 0 || info.Serves(ns) {
		return ""
	}
	return fmt.Sprintf("The world asks %s for %s, not %s: what is published there shows once the registrar names %[3]s's name servers.",
		strings.Join(ns, ", "), name.Unicode(), info.Title)
}

// ourDomain reads the name of a domain that is ours.
func (o *Ops) ourDomain(ctx context.Context, text string) (message.Domain, error) {
	name, err := parseDomain(text)
	if err != nil {
		return "", err
	}
	_, err = o.Accounts.Domain(ctx, name)
	return name, err
}

// publisher makes the publisher of a domain with the credentials that were given
// for it, or for a domain above it.
func (o *Ops) publisher(ctx context.Context, text string) (*publish.Publisher, message.Domain, error) {
	name, err := o.ourDomain(ctx, text)
	if err != nil {
		return nil, name, err
	}
	a, err := o.access(ctx, name)
	if err != nil {
		return nil, name, err
	}
	if a.Provider == "" {
		which := "NAME"
		if p, ok := publish.HostedBy(o.nameServers(ctx, name)); ok {
			which = p.Name
		}
		return nil, name, &Error{Kind: NotFound, Text: fmt.Sprintf("no DNS provider is known for %s", name.Unicode()),
			Next: fmt.Sprintf("`mailstead dns publish %s --provider %s` asks for the token, `mailstead dns providers` lists who else there is; or paste what `mailstead dns show %[1]s` prints", name.Unicode(), which)}
	}
	p, err := publish.New(a.Provider, a.Credentials, publish.Options{})
	if err != nil {
		return nil, name, dnsTrouble(err)
	}
	return &publish.Publisher{DB: o.DB, Provider: p, Name: a.Provider}, name, nil
}

// access gives the credentials that were kept for a domain or one above it.
func (o *Ops) access(ctx context.Context, name message.Domain) (a publish.Access, err error) {
	for d := string(name); d != "" && a.Provider == "" && err == nil; _, d, _ = strings.Cut(d, ".") {
		err = o.Accounts.Setting(ctx, publish.SettingName(d), &a)
	}
	return a, err
}

// dnsPlan shows what publishing would change.
func (o *Ops) dnsPlan(ctx context.Context, in DNSPlan) (publish.Diff, error) {
	p, name, err := o.publisher(ctx, in.Domain)
	if err != nil {
		return publish.Diff{}, err
	}
	return o.plan(ctx, p, name, in)
}

func (o *Ops) plan(ctx context.Context, p *publish.Publisher, name message.Domain, in DNSPlan) (publish.Diff, error) {
	// What is published is merged with what the provider has, not with what the
	// world sees of it, so that what was ours can go again.
	v, err := o.dnsRecords(ctx, name, true)
	if err != nil {
		return publish.Diff{}, err
	}
	wanted := slices.Concat(v.Records, missing(v.Outside, v.Records))
	if in.Withdraw {
		wanted = nil
	}
	d, err := p.Plan(ctx, name, wanted, in.Take...)
	return d, dnsTrouble(err)
}

// missing gives those that are not in the list.
func missing(all, list []zone.Record) []zone.Record {
	return slices.DeleteFunc(slices.Clone(all), func(r zone.Record) bool {
		return slices.ContainsFunc(list, func(l zone.Record) bool { return l.Name == r.Name && l.Type == r.Type && l.Data == r.Data })
	})
}

// dnsPublish applies what dns.plan showed.
func (o *Ops) dnsPublish(ctx context.Context, in DNSPlan) (publish.Diff, error) {
	p, name, err := o.publisher(ctx, in.Domain)
	if err != nil {
		return publish.Diff{}, err
	}
	o.publishing.Lock()
	defer o.publishing.Unlock()
	d, err := o.plan(ctx, p, name, in)
	if err != nil {
		return d, err
	}
	if in.Digest != "" && in.Digest != d.Digest {
		return d, &Error{Kind: Busy, Text: fmt.Sprintf("the records of %s have changed since the difference was shown", name.Unicode()), Next: "look at it again"}
	}
	return d, dnsTrouble(p.Apply(ctx, d))
}

// dnsUndo takes the last change back.
func (o *Ops) dnsUndo(ctx context.Context, in DNSUndo) (publish.Diff, error) {
	p, name, err := o.publisher(ctx, in.Domain)
	if err != nil {
		return publish.Diff{}, err
	}
	o.publishing.Lock()
	defer o.publishing.Unlock()
	d, err := p.PlanUndo(ctx, name)
	if err == nil && !in.DryRun {
		err = p.Undo(ctx, name)
	}
	return d, dnsTrouble(err)
}

// dnsTrouble gives a provider's trouble its kind.
func dnsTrouble(err error) error {
	var e *publish.Error
	if !errors.As(err, &e) {
		return err
	}
	kind := Failed
	switch {
	case errors.Is(err, publish.ErrCredentials), errors.Is(err, publish.ErrToken), errors.Is(err, publish.ErrRefused):
		kind = Invalid
	case errors.Is(err, publish.ErrNoZone), errors.Is(err, publish.ErrNothing):
		kind = NotFound
	case errors.Is(err, publish.ErrRate):
		kind = Busy
	}
	return &Error{Kind: kind, Text: e.Text, Next: e.Next}
}
