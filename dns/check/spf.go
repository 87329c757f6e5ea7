package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	gospf "blitiri.com.ar/go/spf"

	"mailstead/dns"
	"mailstead/dns/zone"
)

// What a receiver looks up for one message at most (RFC 7208, 4.6.4).
const (
	maxLookups = 10
	maxVoid    = 2
	maxDepth   = 12
)

// spf reads the domain's record as a receiver would.
func (d *Domain) spf(ctx context.Context) []Finding {
	const id = "dns.spf"
	v := d.look(ctx, string(d.Settings.Domain), "TXT")
	if !v.answered() {
		return []Finding{unanswered(id, v)}
	}
	records := v.texts(zone.IsSPF)
	s := d.Settings
	s.ExistingSPF = records
	wanted := (&Domain{Settings: s}).wanted(zone.KindSPF)
	found := d.judgeSPF(ctx, spfCase{
		id: id, v: v, records: records, wanted: wanted, sender: "postmaster@" + string(s.Domain), what: "the domain",
	})
	return append(found, d.spread(id, v)...)
}

// hostSPF is what receivers look at for DSNs.
func (d *Domain) hostSPF(ctx context.Context) []Finding {
	const id = "dns.host-spf"
	if d.Settings.Host == d.Settings.Domain {
		return nil
	}
	v := d.look(ctx, string(d.Settings.Host), "TXT")
	if !v.answered() {
		return []Finding{unanswered(id, v)}
	}
	records := v.texts(zone.IsSPF)
	s := d.Settings
	s.ExistingHostSPF = records
	found := d.judgeSPF(ctx, spfCase{
		id: id, v: v, records: records, wanted: (&Domain{Settings: s}).wanted(zone.KindHostSPF),
		sender: "postmaster@" + string(s.Host), what: "the mail host", lesser: true,
	})
	for i := range found {
		found[i].Subject = d.Settings.Host.Unicode()
	}
	return found
}

// spfCase is one name's record.
type spfCase struct {
	id      string
	v       *views
	records []string
	wanted  []zone.Record
	sender  string
	what    string
	lesser  bool // its lack is a warning
}

func (d *Domain) judgeSPF(ctx context.Context, c spfCase) []Finding {
	f := Finding{ID: c.id, Severity: Problem, Evidence: c.v.evidence(), Records: c.wanted, Fix: publish}
	if len(c.records) > 0 {
		f.Fix = "Replace the SPF record by this one."
	}
	switch len(c.records) {
	case 0:
		f.ID = c.id + ".missing"
		f.Sentence = fmt.Sprintf("There is no SPF record of %s, so that others cannot tell its mail from forgeries.", c.what)
		if c.lesser {
			f.Severity = Warning
		}
		return []Finding{f}
	case 1:
	default:
		f.ID = c.id + ".several"
		f.Sentence = fmt.Sprintf("There are %d SPF records of %s, and receivers take none when there are several.", len(c.records), c.what)
		f.Fix = "Replace them all by this one."
		return []Finding{f}
	}
	record := c.records[0]
	n := &counting{d: d, at: c.v}
	n.walk(ctx, record, 0)
	f.Evidence = fmt.Sprintf("%s; %d of %d lookups", f.Evidence, n.lookups, maxLookups)
	if n.lookups > maxLookups {
		f.ID = c.id + ".lookups"
		f.Sentence = fmt.Sprintf("The SPF record of %s needs %d lookups, and receivers stop with an error after %d.", c.what, n.lookups, maxLookups)
		f.Fix = "Take out an include, a or mx that is not needed any more; ip4 and ip6 need no lookup."
		f.Records = nil
		return []Finding{f}
	}
	if done, ok := d.evaluate(ctx, c, f, n.voids); !ok {
		return []Finding{done}
	}
	return []Finding{d.quality(record, c, n, f)}
}

// evaluate lets the record judge mail from every address of ours, and from one
// that nobody has, so that it is read to its end.
func (d *Domain) evaluate(ctx context.Context, c spfCase, f Finding, voids []string) (Finding, bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*EachLimit)
	defer cancel()
	resolver := &asResolver{d: d, at: c.v}
	check := func(a netip.Addr) (gospf.Result, error) {
		return gospf.CheckHostWithSender(net.IP(a.AsSlice()), string(d.Settings.Host), c.sender,
			gospf.WithContext(ctx), gospf.WithResolver(resolver))
	}
	switch result, err := check(netip.AddrFrom4([4]byte{240, 0, 0, 1})); {
	case errors.Is(err, gospf.ErrVoidLookupLimitReached): // quality tells
	case result == gospf.PermError:
		f.ID = c.id + ".error"
		f.Sentence = fmt.Sprintf("The SPF record of %s has an error that makes receivers take none of it: %v.", c.what, err)
		f.Records, f.Fix = nil, "Mend or take out the part that is wrong."
		if len(voids) > 0 {
			f.Fix = "Mend or take out the part that is wrong; these are not there: " + strings.Join(voids, ", ") + "."
		}
		return f, false
	case result == gospf.TempError:
		f.ID, f.Severity, f.Records = c.id+".unanswered", Warning, nil
		f.Sentence = fmt.Sprintf("A part of the SPF record of %s could not be looked up: %v.", c.what, err)
		f.Fix = "Look again in a few minutes; if it stays, the domain that the record includes does not answer."
		return f, false
	}
	for _, a := range d.Settings.Addresses {
		if result, _ := check(a.Unmap()); result != gospf.Pass {
			f.ID = c.id + ".ours"
			f.Sentence = fmt.Sprintf("The SPF record of %s does not allow this machine (%s) to send: it says %s.", c.what, a, result)
			return f, false
		}
	}
	return f, true
}

// quality is about a record that works.
func (d *Domain) quality(record string, c spfCase, n *counting, f Finding) Finding {
	all := ""
	for _, t := range zone.Terms(record) {
		name := strings.ToLower(t)
		switch strings.TrimLeft(name, "+-~?") {
		case "all":
			all = name
		case "ptr":
			f.ID, f.Severity, f.Records = c.id+".ptr", Warning, nil
			f.Sentence = fmt.Sprintf("The SPF record of %s has a ptr, which is slow and which some receivers do not look at.", c.what)
			f.Fix = "Put the addresses in its place as ip4: and ip6:."
			return f
		}
		if strings.HasPrefix(name, "redirect=") {
			all = name
		}
	}
	switch {
	case all == "all" || all == "+all":
		f.ID = c.id + ".everybody"
		f.Sentence = fmt.Sprintf("The SPF record of %s ends with +all and so allows everybody to send in its name.", c.what)
		f.Fix = "Write ~all at its end."
	case n.void > maxVoid:
		f.ID, f.Severity = c.id+".void", Warning
		f.Sentence = fmt.Sprintf("The SPF record of %s names %d hosts or domains that do not exist, and receivers may stop after %d.", c.what, n.void, maxVoid)
		f.Fix = "Take out what is not there any more: " + strings.Join(n.voids, ", ") + "."
	case all == "" || all == "?all":
		f.ID, f.Severity = c.id+".open", Warning
		f.Sentence = fmt.Sprintf("The SPF record of %s does not say that other hosts may not send.", c.what)
		f.Fix = "Write ~all at its end."
	default:
		f.Severity, f.Records, f.Fix = OK, nil, ""
		f.Sentence = fmt.Sprintf("SPF allows this machine to send in the name of %s.", c.what)
	}
	if f.Severity != OK {
		f.Records = nil
	}
	return f
}

// counting adds up what a receiver looks up who finds no match before the end.
type counting struct {
	d       *Domain
	at      *views
	lookups int
	void    int
	voids   []string
}

func (n *counting) walk(ctx context.Context, record string, depth int) {
	for _, term := range zone.Asking(record) {
		n.lookups++
		if depth >= maxDepth || n.lookups > 4*maxLookups {
			return
		}
		name, target, _ := strings.Cut(strings.TrimLeft(strings.ToLower(term), "+-~?"), ":")
		if t, ok := strings.CutPrefix(name, "redirect="); ok {
			name, target = "include", t
		}
		if name, _, _ = strings.Cut(name, "/"); strings.Contains(target, "%") {
			continue
		}
		target, _, _ = strings.Cut(target, "/")
		if target == "" {
			target = n.at.name
		}
		n.follow(ctx, name, target, depth)
	}
}

// follow reads what an include names, and finds what is void.
func (n *counting) follow(ctx context.Context, name, target string, depth int) {
	var found int
	var err error
	r := &asResolver{d: n.d, at: n.at}
	switch name {
	case "include":
		var texts []string
		texts, err = r.LookupTXT(ctx, target)
		found = len(texts)
		for _, t := range texts {
			if zone.IsSPF(t) {
				n.walk(ctx, t, depth+1)
				break
			}
		}
	case "a", "exists":
		var list []net.IPAddr
		list, err = r.LookupIPAddr(ctx, target)
		found = len(list)
	case "mx":
		var list []*net.MX
		list, err = r.LookupMX(ctx, target)
		found = len(list)
	default:
		return
	}
	var gone *net.DNSError
	if found == 0 && (err == nil || errors.As(err, &gone) && gone.IsNotFound) {
		n.void++
		n.voids = append(n.voids, target)
	}
}

// asResolver asks for the evaluation as net.Resolver would; what was looked at
// already is not asked again.
type asResolver struct {
	d  *Domain
	at *views
}

func (r *asResolver) ask(ctx context.Context, name, typ string) ([]dns.Record, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	var list []dns.Record
	if zone.Within(name, r.d.Settings.Domain) || zone.Within(name, r.d.Settings.Host) {
		v := r.d.look(ctx, name, typ)
		if !v.answered() {
			return nil, &net.DNSError{Err: "no answer", Name: name, IsTemporary: true}
		}
		list = v.records()
	} else {
		a, err := r.d.resolve(ctx, name, typ)
		if err != nil {
			return nil, &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true}
		}
		list = a.Of(typ)
	}
	if len(list) == 0 {
		return nil, &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
	}
	return list, nil
}

func (r *asResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	list, err := r.ask(ctx, name, "TXT")
	var texts []string
	for _, x := range list {
		texts = append(texts, x.Text)
	}
	return texts, err
}

func (r *asResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	list, err := r.ask(ctx, name, "MX")
	var mx []*net.MX
	for _, x := range list {
		_, host, _ := strings.Cut(x.Data, " ")
		mx = append(mx, &net.MX{Host: host})
	}
	return mx, err
}

func (r *asResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	var all []net.IPAddr
	var last error
	for _, typ := range []string{"A", "AAAA"} {
		list, err := r.ask(ctx, host, typ)
		if err != nil {
			last = err
		}
		for _, x := range list {
			if a, err := netip.ParseAddr(x.Data); err == nil {
				all = append(all, net.IPAddr{IP: a.AsSlice()})
			}
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, last
}

// LookupAddr is for ptr, which is found by quality and gets no answer here.
func (r *asResolver) LookupAddr(_ context.Context, addr string) ([]string, error) {
	return nil, &net.DNSError{Err: "not looked up", Name: addr, IsNotFound: true}
}
