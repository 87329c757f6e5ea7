package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"mailstead/dns"
	"mailstead/dns/zone"
)

// Limits of the questions about one name.
const (
	maxServers = 4 // authoritative servers that are asked
	maxShown   = 3 // records shown of one answer in the evidence
)

// asks puts every question once, whoever asks.
type asks struct {
	d  *Domain
	mu sync.Mutex

	known map[question]*views   // guarded by mu, as below
	zones map[string]*authority // by a name in them
	mute  map[string]bool       // authorities that did not answer in time: not waited for again
}

type question struct{ name, typ string }

// authority is a zone with its servers.
type authority struct {
	found   chan struct{} // closed when the rest is filled in
	apex    string
	servers []server
	err     error
}

type server struct{ name, address string }

// views is what everybody says to one question.
type views struct {
	found     chan struct{} // closed when the rest is filled in
	name, typ string
	apex      string
	authority []view
	resolvers []view
}

// view is what one of them says.
type view struct {
	who string
	a   dns.Answer
	err error
}

// look asks the authoritative servers, then the resolvers, all at once.
func (d *Domain) look(ctx context.Context, name, typ string) *views {
	k := question{strings.ToLower(strings.TrimSuffix(name, ".")), typ}
	d.asks.mu.Lock()
	v, asked := d.asks.known[k]
	if !asked {
		if d.asks.known == nil {
			d.asks.known = make(map[question]*views)
		}
		v = &views{name: k.name, typ: typ, found: make(chan struct{})}
		d.asks.known[k] = v
	}
	d.asks.mu.Unlock()
	if asked {
		<-v.found
		return v
	}
	defer close(v.found)
	d.fill(ctx, v)
	return v
}

func (d *Domain) fill(ctx context.Context, v *views) {
	v.resolvers = make([]view, len(d.Resolvers))
	var all sync.WaitGroup
	for i, r := range d.Resolvers {
		all.Go(func() { v.resolvers[i] = d.ask(ctx, server{"the resolver " + r, r}, v, true) })
	}
	all.Go(func() {
		z := d.zoneOf(ctx, v.name)
		v.apex = z.apex
		list := make([]view, len(z.servers))
		var servers sync.WaitGroup
		for i, s := range z.servers {
			servers.Go(func() { list[i] = d.ask(ctx, s, v, false) })
		}
		servers.Wait()
		v.authority = list
	})
	all.Wait()
}

var (
	errReferral = errors.New("it is not an authority for this name")
	errMute     = errors.New("it did not answer before")
)

func (d *Domain) ask(ctx context.Context, s server, v *views, recursive bool) view {
	if !recursive && d.asks.isMute(s.address, false) {
		return view{who: s.name, err: errMute}
	}
	ctx, cancel := context.WithTimeout(ctx, EachLimit)
	defer cancel()
	a, err := d.Asker.Ask(ctx, dns.Question{Server: s.address, Name: v.name, Type: v.typ, Recursive: recursive})
	if err == nil && !recursive && !a.Authoritative {
		err = errReferral
	}
	if !recursive && silent(err) {
		d.asks.isMute(s.address, true)
	}
	who := s.name
	if s.address == "" {
		who = "the resolver " + a.Server
	}
	return view{strings.TrimSpace(who), a, err}
}

// silent tells that a question was not answered at all.
func silent(err error) bool {
	var code *dns.RcodeError
	return err != nil && !errors.As(err, &code) && !errors.Is(err, errReferral)
}

// isMute tells whether a server did not answer before, and remembers that it
// did not now.
func (a *asks) isMute(address string, now bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now {
		if a.mute == nil {
			a.mute = make(map[string]bool)
		}
		a.mute[address] = true
	}
	return a.mute[address]
}

// zoneOf finds the zone of a name, and where its servers are: the domain's for
// all names in it, another's for the mail host elsewhere.
func (d *Domain) zoneOf(ctx context.Context, name string) *authority {
	of := name
	switch {
	case zone.Within(name, d.Settings.Domain):
		of = string(d.Settings.Domain)
	case zone.Within(name, d.Settings.Host):
		of = string(d.Settings.Host)
	}
	d.asks.mu.Lock()
	z, asked := d.asks.zones[of]
	if !asked {
		if d.asks.zones == nil {
			d.asks.zones = make(map[string]*authority)
		}
		z = &authority{found: make(chan struct{})}
		d.asks.zones[of] = z
	}
	d.asks.mu.Unlock()
	if asked {
		<-z.found
		return z
	}
	defer close(z.found)
	d.findZone(ctx, z, of)
	return z
}

func (d *Domain) findZone(ctx context.Context, z *authority, name string) {
	for at := name; z.apex == ""; {
		soa, err := d.firstOf(ctx, at, "SOA", true)
		if err != nil {
			z.err = err
			return
		}
		for _, r := range slices.Concat(soa.Records, soa.Authority) {
			if r.Type == "SOA" && zone.Within(name, domainOf(r.Name)) {
				z.apex = r.Name
			}
		}
		// An alias is answered with the zone that it points into.
		if _, at, _ = strings.Cut(at, "."); at == "" && z.apex == "" {
			z.err = fmt.Errorf("%s is in no zone", name)
			return
		}
	}
	ns, err := d.firstOf(ctx, z.apex, "NS", true)
	if err != nil {
		z.err = err
		return
	}
	names := ns.Of("NS")
	names = names[:min(len(names), maxServers)]
	z.servers = make([]server, len(names))
	var all sync.WaitGroup
	for i, r := range names {
		host := strings.TrimSuffix(r.Data, ".")
		all.Go(func() { z.servers[i] = server{host, d.addressOf(ctx, host)} })
	}
	all.Wait()
	slices.SortFunc(z.servers, func(a, b server) int { return strings.Compare(a.name, b.name) })
	z.servers = slices.DeleteFunc(z.servers, func(s server) bool { return s.address == "" })
}

// addressOf prefers IPv4, which everybody can reach.
func (d *Domain) addressOf(ctx context.Context, host string) string {
	for _, typ := range []string{"A", "AAAA"} {
		a, err := d.firstOf(ctx, host, typ, true)
		if err != nil {
			continue
		}
		for _, r := range a.Of(typ) {
			return net.JoinHostPort(r.Data, "53")
		}
	}
	return ""
}

// resolve asks the first resolver that answers.
func (d *Domain) resolve(ctx context.Context, name, typ string) (dns.Answer, error) {
	return d.firstOf(ctx, name, typ, false)
}

// firstOf finds the servers of a zone also where its signatures are wrong.
func (d *Domain) firstOf(ctx context.Context, name, typ string, unchecked bool) (a dns.Answer, err error) {
	for _, r := range d.Resolvers {
		short, cancel := context.WithTimeout(ctx, EachLimit)
		a, err = d.Asker.Ask(short, dns.Question{Server: r, Name: name, Type: typ, Recursive: true, Unchecked: unchecked})
		cancel()
		if err == nil {
			return a, nil
		}
	}
	return a, err
}

// best is what counts: an authority's word, else a resolver's.
func (v *views) best() (view, bool) {
	for _, list := range [][]view{v.authority, v.resolvers} {
		for _, w := range list {
			if w.err == nil {
				return w, true
			}
		}
	}
	return view{}, false
}

// answered tells whether anybody answered.
func (v *views) answered() bool {
	_, ok := v.best()
	return ok
}

// records are those of the type. An authority does not follow an alias into
// another zone; a resolver does.
func (v *views) records() []dns.Record {
	b, _ := v.best()
	list := b.a.Of(v.typ)
	if len(list) == 0 && v.alias() != "" {
		for _, w := range v.resolvers {
			if w.err == nil {
				return w.a.Of(v.typ)
			}
		}
	}
	return list
}

// data gives the records' data, sorted.
func (v *views) data() []string { return dataOf(v.records()) }

func dataOf(list []dns.Record) []string {
	var data []string
	for _, r := range list {
		data = append(data, canonical(r.Type, r.Data))
	}
	slices.Sort(data)
	return data
}

// texts gives those of TXT records that begin as told.
func (v *views) texts(is func(string) bool) []string {
	var list []string
	for _, r := range v.records() {
		if is(r.Text) {
			list = append(list, r.Text)
		}
	}
	return list
}

// alias is where the name itself points to, "" where it is no alias.
func (v *views) alias() string {
	b, _ := v.best()
	for _, r := range b.a.Of("CNAME") {
		if r.Name == v.name {
			return strings.TrimSuffix(r.Data, ".")
		}
	}
	return ""
}

// ttl is the longest that a resolver may remember the answer.
func (v *views) ttl() (longest time.Duration) {
	for _, r := range v.records() {
		longest = max(longest, r.TTL)
	}
	return longest
}

// disagreeing names an authority whose answer differs from the best one.
func (v *views) disagreeing() string {
	first := -1
	for i, w := range v.authority {
		if w.err != nil {
			continue
		}
		if first < 0 {
			first = i
		} else if !slices.Equal(dataOf(w.a.Of(v.typ)), dataOf(v.authority[first].a.Of(v.typ))) {
			return w.who
		}
	}
	return ""
}

// remembering names a resolver that says otherwise than the authorities, and how
// long it may.
func (v *views) remembering() (who string, left time.Duration) {
	b, ok := v.best()
	if !ok || len(v.authority) == 0 || !b.a.Authoritative || v.alias() != "" {
		return "", 0
	}
	for _, w := range v.resolvers {
		if w.err != nil || slices.Equal(dataOf(w.a.Of(v.typ)), v.data()) {
			continue
		}
		for _, r := range slices.Concat(w.a.Records, w.a.Authority) {
			left = max(left, r.TTL)
		}
		return w.who, left
	}
	return "", 0
}

// evidence says who said what, those of one mind in one line.
func (v *views) evidence() string {
	var lines []string
	said := map[string][]string{}
	var order []string
	for _, w := range slices.Concat(v.authority, v.resolvers) {
		text := w.says(v.typ)
		if said[text] == nil {
			order = append(order, text)
		}
		said[text] = append(said[text], w.who)
	}
	for _, text := range order {
		lines = append(lines, strings.Join(said[text], ", ")+": "+text)
	}
	return fmt.Sprintf("%s %s? ", v.name, v.typ) + strings.Join(lines, "; ")
}

func (w view) says(typ string) string {
	var code *dns.RcodeError
	switch {
	case errors.As(w.err, &code):
		return code.Rcode
	case errors.Is(w.err, errReferral):
		return errReferral.Error()
	case w.err != nil:
		return "no answer"
	case w.a.NXDomain:
		for _, r := range w.a.Of("CNAME") {
			return "alias of " + strings.TrimSuffix(r.Data, ".") + ", and no such name"
		}
		return "no such name"
	}
	var parts []string
	for _, r := range w.a.Records {
		switch {
		case len(parts) == maxShown:
			return strings.Join(parts, ", ") + ", …"
		case r.Type == "CNAME":
			parts = append(parts, "alias of "+strings.TrimSuffix(r.Data, "."))
		case r.Type == typ && typ == "TXT":
			parts = append(parts, `"`+shorten(r.Text)+`"`)
		case r.Type == typ:
			parts = append(parts, r.Data)
		}
	}
	if parts == nil {
		return "no such record"
	}
	return strings.Join(parts, ", ")
}

// shorten keeps keys out of the evidence; their ends tell them apart.
func shorten(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:60]) + "…" + string(r[len(r)-20:])
	}
	return s
}

// canonical writes a record's data so that equal ones are equal.
func canonical(typ, data string) string {
	if typ == "TXT" {
		return zone.Record{Type: "TXT", Data: data}.Text()
	}
	return strings.ToLower(strings.Join(strings.Fields(data), " "))
}

// missing gives the wanted records that are not there.
func missing(v *views, wanted []zone.Record) []zone.Record {
	have := v.data()
	return slices.DeleteFunc(slices.Clone(wanted), func(r zone.Record) bool {
		return r.Name != v.name || r.Type != v.typ || slices.Contains(have, canonical(r.Type, r.Data))
	})
}
