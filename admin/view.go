package admin

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailstead/acme"
	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/control"
	"mailstead/internal/maillog"
	"mailstead/message"
)

// What is shown came from others in part: names and texts out of the DNS, words
// of other servers. html/template keeps it from being markup; plain keeps it from
// turning the page's text around.

const longest = 4000 // bytes of one text

func plain(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, l := range lines {
		lines[i] = maillog.Clean(l, longest)
	}
	return maillog.Clean(strings.Join(lines, " · "), longest)
}

// finding is a finding as the page shows it.
type finding struct {
	Light    string
	Sentence string
	Subject  string // "" where the sentence names it
	Evidence string
	Fix      string
	Recheck  string
	Muted    string
	Records  []record
}

// findingGroup is the findings of one area.
type findingGroup struct {
	Title   string
	Light   string
	Trouble []finding // the worst first
	Well    []finding
}

// areas are the groups in their order, by the first part of an ID.
func areas() []struct{ id, title string } {
	return []struct{ id, title string }{
		{"mail", "Mail"}, {"dns", "Records in the DNS"}, {"tls", "Encryption"}, {"net", "Network"},
		{"run", "This server"}, {"host", "This machine"}, {"", "More"},
	}
}

// weight orders lights, the worst first.
func weight(light string) int {
	return slices.Index([]string{"problem", "warning", "info", "ok"}, light)
}

// group sorts findings into areas and sets the muted ones apart.
func group(found []check.Finding, domains []message.Domain) (groups []findingGroup, muted []finding) {
	by := map[string]*findingGroup{}
	for _, f := range found {
		v := viewFinding(f, domains)
		if v.Muted != "" {
			muted = append(muted, v)
			continue
		}
		id, _, _ := strings.Cut(f.ID, ".")
		if !slices.ContainsFunc(areas(), func(a struct{ id, title string }) bool { return a.id == id }) {
			id = ""
		}
		g := by[id]
		if g == nil {
			g = &findingGroup{Light: "ok"}
			by[id] = g
		}
		if v.Light == "ok" {
			g.Well = append(g.Well, v)
			continue
		}
		g.Trouble = append(g.Trouble, v)
		if weight(v.Light) < weight(g.Light) {
			g.Light = v.Light
		}
	}
	for _, a := range areas() {
		if g := by[a.id]; g != nil {
			g.Title = a.title
			slices.SortStableFunc(g.Trouble, func(x, y finding) int { return cmp.Compare(weight(x.Light), weight(y.Light)) })
			groups = append(groups, *g)
		}
	}
	slices.SortStableFunc(groups, func(x, y findingGroup) int { return cmp.Compare(weight(x.Light), weight(y.Light)) })
	return groups, muted
}

func viewFinding(f check.Finding, domains []message.Domain) finding {
	v := finding{
		Light: string(f.Severity), Sentence: plain(f.Sentence), Subject: plain(f.Subject), Evidence: plain(f.Evidence),
		Fix: plain(f.Fix), Recheck: plain(f.Recheck), Muted: plain(f.Muted),
	}
	if weight(v.Light) < 0 {
		v.Light = "info"
	}
	if strings.Contains(v.Sentence, v.Subject) {
		v.Subject = ""
	}
	for _, r := range f.Records {
		v.Records = append(v.Records, viewRecord(r, domains))
	}
	return v
}

// record is a record as the form of a provider takes it.
type record struct {
	Zone, Name, Type, Value, Priority, Purpose string
	Optional                                   bool
}

// viewRecord writes it for the zone that it lies in, one of ours if it can be.
func viewRecord(r zone.Record, domains []message.Domain) record {
	var origin message.Domain
	for _, d := range domains {
		if zone.Within(r.Name, d) && len(d) > len(origin) {
			origin = d
		}
	}
	f := r.Form(origin)
	v := record{Zone: plain(string(origin)), Name: plain(f.Name), Type: f.Type, Value: f.Value, Purpose: plain(r.Purpose), Optional: r.Optional}
	if origin == "" {
		v.Name = plain(r.Name)
	}
	if clean := maillog.Clean(f.Value, longest); clean != f.Value { // not to be copied as it looks
		v.Value = clean
	}
	if f.Priority != nil {
		v.Priority = strconv.Itoa(*f.Priority)
	}
	return v
}

// domainRecords is all records of a domain.
type domainRecords struct {
	Domain  string
	Records []record
	Outside []record // the host's own, in another zone
	Notes   []string
}

func viewDomain(d control.DomainRecords) domainRecords {
	name := message.Domain(d.Domain)
	v := domainRecords{Domain: name.Unicode()}
	for _, r := range d.Records {
		v.Records = append(v.Records, viewRecord(r, []message.Domain{name}))
	}
	for _, r := range d.Outside {
		v.Outside = append(v.Outside, viewRecord(r, nil))
	}
	for _, n := range d.Notes {
		v.Notes = append(v.Notes, plain(n))
	}
	return v
}

// backupView is how the copies on another disk stand.
type backupView struct {
	Light, Headline, Text string
	At                    time.Time // of the last good one
}

// A nightly backup is late when it is more than a night and a morning old.
const lateBackup = 36 * time.Hour

func viewBackup(s control.BackupState) backupView {
	v := backupView{Light: "ok", At: s.Good.Ended, Headline: "Every night", Text: "to " + plain(s.Plan.Dir)}
	switch {
	case s.Plan.Dir == "" && s.Good.Ended.IsZero():
		return backupView{Light: "info", Headline: "None", Text: "All mail is on one disk. `mailstead backup --every-night DIR` changes that."}
	case s.Last.Problem != "":
		v.Light, v.Headline, v.Text = "problem", "The last one failed", plain(s.Last.Problem)
	case s.Plan.Dir == "":
		v.Light, v.Headline, v.Text = "info", "By hand", "to "+plain(s.Good.Dir)
	case s.Good.Ended.IsZero():
		v.Light, v.Headline = "info", "The first comes this night"
	case time.Since(s.Good.Ended) > lateBackup:
		v.Light, v.Headline = "warning", "Late"
	}
	return v
}

// certificateView is a name's certificate.
type certificateView struct {
	Name, From string
	NotAfter   time.Time
	Trouble    string
	Fix        string
	HeldBack   string
}

func viewCertificates(c control.Certificates) (views []certificateView) {
	for _, s := range c.Names {
		v := certificateView{Name: plain(s.Name), NotAfter: s.NotAfter, HeldBack: plain(s.HeldBack)}
		switch s.Origin {
		case acme.NotYetHere:
			v.From = "Nobody yet; meanwhile that of the server is shown."
		case acme.SelfMade:
			v.From = "This server itself: browsers and mail programs warn of it."
		default:
			v.From = issuer(s.Issuer)
		}
		if s.Problem != nil {
			v.Trouble, v.Fix = plain(s.Problem.Sentence), plain(s.Problem.Fix)
		}
		views = append(views, v)
	}
	return views
}

// issuer gives the names of "CN=R11,O=Let's Encrypt,C=US", as far as there are some.
func issuer(dn string) string {
	var names []string
	for _, part := range strings.Split(dn, ",") {
		if kind, name, ok := strings.Cut(part, "="); ok && (kind == "CN" || kind == "O") {
			names = append([]string{plain(name)}, names...)
		}
	}
	if names == nil {
		return plain(dn)
	}
	return strings.Join(names, ", ")
}

func isNotFound(err error) bool {
	var e *control.Error
	return errors.As(err, &e) && e.Kind == control.NotFound
}
