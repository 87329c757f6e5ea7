package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libdns/libdns"

	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
)

// memory is a recordAPI in memory, which can fail at a request.
type memory struct {
	mu      sync.Mutex
	zones   []string
	all     []entry
	next    int
	fail    int    // the request that fails, counted down; 0 never
	dislike string // type of records that are refused
	before  func(what string)
}

func (m *memory) FindZone(_ context.Context, name string) (string, error) {
	for _, z := range parents(name) {
		if slices.Contains(m.zones, z) {
			return z, nil
		}
	}
	return "", &Error{Kind: ErrNoZone, Text: "no zone for " + name}
}

func (m *memory) entries(context.Context, string, []string) ([]entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.all), nil
}

func (m *memory) ask(what string) error {
	if m.before != nil {
		m.before(what)
	}
	if m.fail > 0 {
		if m.fail--; m.fail == 0 {
			return &Error{Kind: ErrUnreachable, Text: "it fell over"}
		}
	}
	return nil
}

func (m *memory) create(_ context.Context, _ string, r libdns.RR) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask("create"); err != nil {
		return err
	}
	if r.Type == m.dislike {
		return &Error{Kind: ErrRefused, Text: "it has no " + r.Type}
	}
	m.next++
	m.all = append(m.all, entry{fmt.Sprint("id", m.next), r})
	return nil
}

func (m *memory) update(_ context.Context, _ string, e entry, r libdns.RR) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask("update"); err != nil {
		return err
	}
	i := slices.IndexFunc(m.all, func(o entry) bool { return o.id == e.id })
	m.all[i].rr = r
	return nil
}

func (m *memory) remove(_ context.Context, _ string, e entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask("remove"); err != nil {
		return err
	}
	m.all = slices.DeleteFunc(m.all, func(o entry) bool { return o.id == e.id })
	return nil
}

// put fills the zone from lines "NAME TYPE DATA", TXT as plain text.
func (m *memory) put(lines ...string) {
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		m.next++
		m.all = append(m.all, entry{fmt.Sprint("id", m.next), normal(libdns.RR{Name: f[0], Type: f[1], TTL: time.Hour, Data: f[2]})})
	}
}

func (m *memory) lines() []string {
	var all []string
	for _, e := range m.all {
		all = append(all, e.rr.Name+" "+e.rr.Type+" "+e.rr.Data)
	}
	slices.Sort(all)
	return all
}

// openDB makes a database with this room's tables. The migrations of other rooms
// come before ours, so that ours alone is renumbered.
func openDB(t testing.TB) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), sqlite.Options{Migrations: []fs.FS{Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func at(t testing.TB, m *memory) *Publisher {
	if m.zones == nil {
		m.zones = []string{"example.org"}
	}
	return &Publisher{DB: openDB(t), Provider: byRecord{m, new(sync.Mutex)}, Name: "memory",
		Wait: func(context.Context, time.Duration) error { return nil }}
}

// wants makes wanted records of lines "NAME TYPE DATA" in presentation form.
func wants(lines ...string) []zone.Record {
	var all []zone.Record
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		all = append(all, zone.Record{Name: f[0], Type: f[1], TTL: time.Hour, Data: f[2]})
	}
	return all
}

func publishAll(t *testing.T, p *Publisher, wanted []zone.Record, take ...string) Diff {
	t.Helper()
	d, err := p.Plan(t.Context(), "example.org", wanted, take...)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
}

func actions(d Diff) []string {
	var all []string
	for _, c := range d.Changes {
		all = append(all, string(c.Action)+" "+c.Name+" "+c.Type)
	}
	return all
}

var usual = []string{
	"mail.example.org A 192.0.2.1",
	"example.org MX 10 mail.example.org.",
	`example.org TXT "v=spf1 a:mail.example.org ~all"`,
	`s1._domainkey.example.org TXT "v=DKIM1; k=rsa; p=AAAA"`,
	`_dmarc.example.org TXT "v=DMARC1; p=none"`,
	"_imaps._tcp.example.org SRV 0 1 993 mail.example.org.",
	"_25._tcp.mail.example.org TLSA 3 1 1 aabb",
	`mail.example.org CAA 0 issue "letsencrypt.org"`,
	"autoconfig.example.org CNAME mail.example.org.",
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		live   []string
		wanted []string
		take   []string
		want   []string // actions but keep
		after  []string // nil: not applied
	}{
		{name: "an empty zone", wanted: usual, want: []string{
			"add mail.example.org A", "add example.org MX", "add example.org TXT", "add s1._domainkey.example.org TXT", "add _dmarc.example.org TXT",
			"add _imaps._tcp.example.org SRV", "add _25._tcp.mail.example.org TLSA", "add mail.example.org CAA", "add autoconfig.example.org CNAME"}},
		{name: "other TXT records stay beside", live: []string{"@ TXT google-site-verification=x", "@ TXT v=verify2; abc"}, wanted: usual[2:3],
			want:  []string{"add example.org TXT"},
			after: []string{"@ TXT google-site-verification=x", "@ TXT v=spf1 a:mail.example.org ~all", "@ TXT v=verify2; abc"}},
		{name: "SPF is merged", live: []string{"@ TXT v=spf1 include:_spf.google.com -all"}, wanted: usual[2:3],
			want:  []string{"merge example.org TXT"},
			after: []string{"@ TXT v=spf1 a:mail.example.org include:_spf.google.com -all"}},
		{name: "SPF that says it already stays foreign", live: []string{"@ TXT v=spf1 mx +a:MAIL.example.org. -all"}, wanted: usual[2:3],
			want: nil, after: []string{"@ TXT v=spf1 mx +a:MAIL.example.org. -all"}},
		{name: "two SPF records", live: []string{"@ TXT v=spf1 mx -all", "@ TXT v=spf1 a ~all"}, wanted: usual[2:3],
			want: []string{"conflict example.org TXT"}, after: []string{"@ TXT v=spf1 a ~all", "@ TXT v=spf1 mx -all"}},
		{name: "two SPF records taken over", live: []string{"@ TXT v=spf1 mx -all", "@ TXT v=spf1 a ~all"}, wanted: usual[2:3], take: []string{"Example.org./txt"},
			want: []string{"merge example.org TXT"}, after: []string{"@ TXT v=spf1 a:mail.example.org mx a ~all"}},
		{name: "a foreign MX", live: []string{"@ MX 10 mx.elsewhere.net."}, wanted: usual[1:2],
			want: []string{"conflict example.org MX"}, after: []string{"@ MX 10 mx.elsewhere.net."}},
		{name: "a foreign MX taken over", live: []string{"@ MX 10 mx.elsewhere.net."}, wanted: usual[1:2], take: []string{"example.org/MX"},
			want: []string{"change example.org MX"}, after: []string{"@ MX 10 mail.example.org."}},
		{name: "a foreign MX beside ours", live: []string{"@ MX 10 MAIL.example.org", "@ MX 20 mx.elsewhere.net."}, wanted: usual[1:2], want: nil},
		{name: "foreign DMARC", live: []string{"_dmarc TXT v=DMARC1; p=reject"}, wanted: usual[4:5], want: []string{"conflict _dmarc.example.org TXT"}},
		{name: "CAA and TLSA add up", live: []string{`mail CAA 0 issue "other.example"`, "_25._tcp.mail TLSA 3 1 1 ffee"}, wanted: usual[6:8],
			want: []string{"add _25._tcp.mail.example.org TLSA", "add mail.example.org CAA"}},
		{name: "an alias where an address is wanted", live: []string{"mail CNAME web.example.org."}, wanted: usual[:1],
			want: []string{"conflict mail.example.org CNAME"}, after: []string{"mail CNAME web.example.org."}},
		{name: "an address where an alias is wanted, taken", live: []string{"autoconfig A 192.0.2.9"}, wanted: usual[8:], take: []string{"autoconfig.example.org/CNAME"},
			want: []string{"change autoconfig.example.org CNAME"}, after: []string{"autoconfig CNAME mail.example.org."}},
		{name: "another zone", wanted: []string{"mail.example.net A 192.0.2.1"}, want: []string{"elsewhere mail.example.net A"}, after: nil},
		{name: "spelling", live: []string{"_imaps._tcp SRV 0 1 993 Mail.Example.ORG", "_25._tcp.mail TLSA 3 1 1 AABB", "mail CAA 0 issue letsencrypt.org"}, wanted: usual[5:8], want: nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := new(memory)
			m.put(tc.live...)
			d := publishAll(t, at(t, m), wants(tc.wanted...), tc.take...)
			got := slices.DeleteFunc(actions(d), func(s string) bool { return strings.HasPrefix(s, "keep") })
			if diff := cmp.Diff(tc.want, got, cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Errorf("actions: %s", diff)
			}
			if tc.after != nil {
				if diff := cmp.Diff(tc.after, m.lines()); diff != "" {
					t.Errorf("zone: %s", diff)
				}
			}
			for _, c := range d.Changes {
				if c.Sentence == "" {
					t.Errorf("%s %s: no sentence", c.Action, c.Set())
				}
			}
		})
	}
}

// A second plan has nothing to do; what is not wanted any more goes, what is
// foreign stays, and each undo takes back one change.
func TestLife(t *testing.T) {
	t.Parallel()
	m := new(memory)
	m.put("@ TXT v=spf1 mx -all", "@ TXT site=1", "www A 192.0.2.7", "_25._tcp.mail TLSA 3 1 1 0011")
	before := m.lines()
	p := at(t, m)
	publishAll(t, p, wants(usual...))
	first := m.lines()
	if d, err := p.Plan(t.Context(), "example.org", wants(usual...)); err != nil || !d.Empty() {
		t.Fatalf("second plan: %v %v", actions(d), err)
	}

	changed := slices.Clone(usual)
	changed[2] = `example.org TXT "v=spf1 a:mail.example.org include:relay.example ~all"`
	changed[3] = `s2._domainkey.example.org TXT "v=DKIM1; k=rsa; p=BBBB"`
	changed[4] = `_dmarc.example.org TXT "v=DMARC1; p=reject"`
	d := publishAll(t, p, wants(changed...))
	want := []string{"change example.org TXT", "add s2._domainkey.example.org TXT", "change _dmarc.example.org TXT", "delete s1._domainkey.example.org TXT"}
	got := slices.DeleteFunc(actions(d), func(s string) bool { return strings.HasPrefix(s, "keep") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("second change: %s", diff)
	}
	if l := m.lines(); !slices.Contains(l, "@ TXT v=spf1 a:mail.example.org include:relay.example mx -all") {
		t.Errorf("SPF after the second change: %q", l)
	}

	if err := p.Undo(t.Context(), "example.org"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, m.lines()); diff != "" {
		t.Errorf("after one undo: %s", diff)
	}
	if d, err := p.Plan(t.Context(), "example.org", wants(usual...)); err != nil || !d.Empty() {
		t.Errorf("plan after the undo: %v %v", actions(d), err)
	}
	if err := p.Undo(t.Context(), "example.org"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, m.lines()); diff != "" {
		t.Errorf("after both undone: %s", diff)
	}
	if err := p.Undo(t.Context(), "example.org"); !errors.Is(err, ErrNothing) {
		t.Errorf("third undo: %v", err)
	}
	if o, err := p.owned(t.Context(), "example.org"); err != nil || len(o) != 0 {
		t.Errorf("still ours: %v %v", o, err)
	}
}

// A domain that is given up: all of ours goes, the old SPF record comes back.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	m := new(memory)
	m.put("@ TXT v=spf1 mx -all", "www A 192.0.2.7")
	before := m.lines()
	p := at(t, m)
	publishAll(t, p, wants(usual...))
	publishAll(t, p, nil)
	if diff := cmp.Diff(before, m.lines()); diff != "" {
		t.Error(diff)
	}
}

// A change that stops at any request: going on ends at the wanted records, and
// one undo then leaves the zone as it was; so does an undo at once, and an undo
// that stops itself.
func TestHalfApplied(t *testing.T) {
	t.Parallel()
	live := []string{"@ TXT v=spf1 mx -all", "@ MX 5 mx.elsewhere.net.", "www A 192.0.2.7"}
	whole := new(memory)
	whole.put(live...)
	before := whole.lines()
	publishAll(t, at(t, whole), wants(usual...), "example.org/MX")
	after := whole.lines()
	for stop := 1; stop <= len(usual); stop++ {
		if testing.Short() && stop%4 != 1 {
			continue // a database for each
		}
		for _, way := range []string{"go on, undo", "undo", "undo stops too"} {
			m := new(memory)
			m.put(live...)
			p := at(t, m)
			d, err := p.Plan(t.Context(), "example.org", wants(usual...), "example.org/MX")
			if err != nil {
				t.Fatal(err)
			}
			m.fail = stop
			if err := p.Apply(t.Context(), d); !errors.Is(err, ErrUnreachable) {
				t.Fatalf("stop %d: %v", stop, err)
			}
			if way == "go on, undo" {
				publishAll(t, p, wants(usual...), "example.org/MX")
				if diff := cmp.Diff(after, m.lines()); diff != "" {
					t.Errorf("stop %d, went on: %s", stop, diff)
				}
			}
			if way == "undo stops too" {
				m.fail = 1
				if err := p.Undo(t.Context(), "example.org"); err == nil && stop > 1 {
					t.Errorf("stop %d: the undo did not stop", stop)
				}
				m.fail = 0
			}
			if err := p.Undo(t.Context(), "example.org"); err != nil && !(errors.Is(err, ErrNothing) && (stop == 1 || way == "undo stops too")) {
				t.Errorf("stop %d, %s: %v", stop, way, err)
			}
			if diff := cmp.Diff(before, m.lines()); diff != "" {
				t.Errorf("stop %d, %s: %s", stop, way, diff)
			}
		}
	}
}

// A record that the provider refuses does not keep the others back.
// forgetful takes a whole change and keeps nothing of it.
type forgetful struct {
	Provider
	asked int
}

func (f *forgetful) atomic() bool { return true }

func (f *forgetful) ReplaceRecords(context.Context, string, []libdns.Record, []libdns.Record) error {
	f.asked++
	return nil
}

// TestChangeThatDoesNotShow: what was taken as a whole is not asked for again
// piece by piece.
func TestChangeThatDoesNotShow(t *testing.T) {
	t.Parallel()
	m := &memory{}
	p := at(t, m)
	f := &forgetful{Provider: p.Provider}
	p.Provider = f
	d, err := p.Plan(t.Context(), "example.org", wants(usual...))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), d); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "does not show") || f.asked != 1 {
		t.Errorf("asked %d times: %v", f.asked, err)
	}
}

// TestFailureInTheFirstStep: nobody can say that nothing was changed.
func TestFailureInTheFirstStep(t *testing.T) {
	t.Parallel()
	m := &memory{fail: 1}
	p := at(t, m)
	d, err := p.Plan(t.Context(), "example.org", wants(usual...))
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if err := p.Apply(t.Context(), d); !errors.As(err, &e) || strings.Contains(e.Next, "nothing was changed") || !strings.Contains(e.Next, "goes on from here") {
		t.Errorf("%+v", e)
	}
}

// TestSeveralSPF: of two records the milder end stays, in whatever order they come.
func TestSeveralSPF(t *testing.T) {
	t.Parallel()
	for _, there := range [][]string{{"@ TXT v=spf1 ip4:192.0.2.1 ~all", "@ TXT v=spf1 a -all"}, {"@ TXT v=spf1 a -all", "@ TXT v=spf1 ip4:192.0.2.1 ~all"}} {
		m := &memory{}
		m.put(there...)
		publishAll(t, at(t, m), wants(`example.org TXT "v=spf1 a:mail.example.org ~all"`), "example.org/TXT")
		if got := m.lines(); len(got) != 1 || !strings.HasSuffix(got[0], " ~all") || !strings.Contains(got[0], " ip4:192.0.2.1 ") {
			t.Errorf("of %q: %q", there, got)
		}
	}
}

// TestSPFOfTooMany: a record that works is not broken by one lookup more.
func TestSPFOfTooMany(t *testing.T) {
	t.Parallel()
	m := &memory{}
	there := "v=spf1 " + strings.Repeat("a:x%d.example.org ", 10) + "-all"
	for i := range 10 {
		there = strings.Replace(there, "%d", fmt.Sprint(i), 1)
	}
	m.put("@ TXT " + there)
	p := at(t, m)
	wanted := wants(`example.org TXT "v=spf1 a:mail.example.org ~all"`)
	d := publishAll(t, p, wanted)
	if d.Count(Conflict) != 1 || !strings.Contains(d.Changes[0].Sentence, "need 11 lookups") || m.lines()[0] != "@ TXT "+there {
		t.Errorf("%+v\n%q", d, m.lines())
	}
	if publishAll(t, p, wanted, "example.org/TXT"); !strings.Contains(m.lines()[0], "a:mail.example.org") {
		t.Errorf("taken over: %q", m.lines())
	}
}

// late is a memory whose changes wait until they are asked for.
type late struct {
	*memory
	fails   int
	commits int
}

func (l *late) commit(context.Context, string) error {
	if l.fails > 0 {
		l.fails--
		return &Error{Kind: ErrUnreachable, Text: "it fell over"}
	}
	l.commits++
	return nil
}

// TestChangeThatWasNotPutIntoService: all records are there and the last request
// failed, so that nobody is told of them until publishing again.
func TestChangeThatWasNotPutIntoService(t *testing.T) {
	t.Parallel()
	m := &late{memory: &memory{zones: []string{"example.org"}}, fails: 1}
	p := at(t, m.memory)
	p.Provider = byRecord{m, new(sync.Mutex)}
	wanted := wants("example.org MX 10 mail.example.org.")
	d, err := p.Plan(t.Context(), "example.org", wanted)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), d); !errors.Is(err, ErrUnreachable) {
		t.Fatalf("the commit failed, and Apply says %v", err)
	}
	if d, err = p.Plan(t.Context(), "example.org", wanted); err != nil || !d.Empty() || !d.Unfinished {
		t.Fatalf("%+v, %v", d, err)
	}
	if err := p.Apply(t.Context(), d); err != nil || m.commits != 1 {
		t.Fatalf("%d commits, %v", m.commits, err)
	}
	if d, err = p.Plan(t.Context(), "example.org", wanted); err != nil || d.Unfinished {
		t.Errorf("it is never done: %+v, %v", d, err)
	}
	if err := p.Undo(t.Context(), "example.org"); err != nil || len(m.lines()) > 0 {
		t.Errorf("undone: %v, %q", err, m.lines())
	}
}

func TestRefusedRecord(t *testing.T) {
	t.Parallel()
	m := &memory{dislike: "SRV"}
	p := at(t, m)
	d, err := p.Plan(t.Context(), "example.org", wants(usual...))
	if err != nil {
		t.Fatal(err)
	}
	err = p.Apply(t.Context(), d)
	if !errors.Is(err, ErrRefused) || err.Error() != "it has no SRV (8 of 9 steps are done; not _imaps._tcp.example.org SRV)" {
		t.Errorf("%v", err)
	}
	if l := m.lines(); len(l) != len(usual)-1 {
		t.Errorf("%d records: %q", len(l), l)
	}
	m.dislike = ""
	publishAll(t, p, wants(usual...))
	for _, left := range []int{len(usual) - 1, 0} {
		if err := p.Undo(t.Context(), "example.org"); err != nil || len(m.lines()) != left {
			t.Errorf("undone: %v, %q", err, m.lines())
		}
	}
}

// What somebody else puts there after us stays at an undo.
func TestUndoLeavesOthers(t *testing.T) {
	t.Parallel()
	m := new(memory)
	m.put("@ MX 5 old.example.net.", "_dmarc TXT v=DMARC1; p=quarantine")
	p := at(t, m)
	publishAll(t, p, wants(usual...), "example.org/MX", "_dmarc.example.org/TXT")
	for i, e := range m.all {
		if e.rr.Type == "MX" {
			m.all[i].rr.Data = "1 new.example.net."
		}
	}
	if err := p.Undo(t.Context(), "example.org"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"@ MX 1 new.example.net.", "_dmarc TXT v=DMARC1; p=quarantine"}, m.lines()); diff != "" {
		t.Error(diff)
	}
}

// A record that joins a set takes over its TTL, so that the foreign ones of it
// keep theirs.
func TestTTLOfSet(t *testing.T) {
	t.Parallel()
	m := new(memory)
	m.put("@ TXT site=1")
	m.all[0].rr.TTL = 7 * time.Minute
	d := publishAll(t, at(t, m), wants(usual[2]))
	if ttl := d.Changes[0].Adds[0].TTL; ttl != 420 {
		t.Errorf("TTL %d", ttl)
	}
}

func TestNoZone(t *testing.T) {
	t.Parallel()
	p := at(t, &memory{zones: []string{"example.com"}})
	_, err := p.Plan(t.Context(), "example.org", nil)
	if !errors.Is(err, ErrNoZone) {
		t.Error(err)
	}
}

// The domain may lie below the zone.
func TestSubdomain(t *testing.T) {
	t.Parallel()
	m := new(memory)
	p := at(t, m)
	d, err := p.Plan(t.Context(), "team.example.org", wants("team.example.org MX 10 mail.example.org.", "mail.example.org A 192.0.2.1"))
	if err == nil {
		err = p.Apply(t.Context(), d)
	}
	if diff := cmp.Diff([]string{"mail A 192.0.2.1", "team MX 10 mail.example.org."}, m.lines()); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
