package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/control"
	"mailstead/internal/webui"
	"mailstead/message"
)

const statusPath = "/admin"

// statusOperations are what the status page asks for; all of them only look.
var statusOperations = []string{"status", "doctor.last", "dns.show", "certificate.show", "queue.counts", "backup.state"}

// statusRoom makes the status page.
type statusRoom struct {
	caller  control.Caller
	lookout *Lookout
	log     *slog.Logger
}

// statusPage is what the template shows.
type statusPage struct {
	Overall  string // a light
	Headline string
	Looked   time.Time // zero: never
	Running  bool
	Missing  []string // what could not be read
	Groups   []findingGroup
	Muted    []finding
	Domains  []domainRecords

	Server       control.Status
	Queue        control.QueueCounts
	Backup       backupView
	Certificates []certificateView
	TLSA         []string // of the host: the key in use, the next one
}

// refreshing is how often the page is loaded again while the doctor looks.
const refreshing = 2

// Refresh implements what webui.Page says of it.
func (s statusPage) Refresh() int {
	if s.Running {
		return refreshing
	}
	return 0
}

// Uptime is how long the server runs.
func (s statusPage) Uptime() time.Time { return s.Server.Started }

// Used is the share of the disk that is taken, in percent.
func (s statusPage) Used() int {
	if s.Server.Size == 0 {
		return 0
	}
	return int(100 - s.Server.Free*100/s.Server.Size)
}

func (s *statusRoom) data(r *http.Request, _ webui.Visitor) (any, error) {
	ctx := r.Context()
	var page statusPage
	var last control.DoctorLast
	var backup control.BackupState
	var certificates control.Certificates
	for _, ask := range []struct {
		name, what string
		out        any
	}{
		{"doctor.last", "What the doctor found", &last}, {"status", "The state of the server", &page.Server},
		{"queue.counts", "The queue", &page.Queue}, {"backup.state", "The state of the backup", &backup},
		{"certificate.show", "The certificates", &certificates},
	} {
		if err := s.caller.Do(ctx, ask.name, nil, ask.out); err != nil {
			page.missing(s.log, ask.what, err)
		}
	}
	since, records := s.lookout.state()
	records, err := s.records(ctx, records)
	if err != nil {
		page.missing(s.log, "The records", err)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	domains := make([]message.Domain, 0, len(records))
	for _, d := range records {
		domains = append(domains, message.Domain(d.Domain))
		page.Domains = append(page.Domains, viewDomain(d))
	}
	page.Running, page.Looked = !since.IsZero(), last.Found
	page.Groups, page.Muted = group(last.Findings, domains)
	page.Overall, page.Headline = overall(last.Findings, last.Found)
	page.Backup = viewBackup(backup)
	page.Certificates, page.TLSA = viewCertificates(certificates), certificates.TLSA
	return page, nil
}

// missing tells of a part that cannot be shown: the page is most wanted when
// something is wrong.
func (s *statusPage) missing(log *slog.Logger, what string, err error) {
	log.Error("part of the status page not shown", "part", what, "err", err)
	s.Missing = append(s.Missing, what+" could not be read; the server's log says why.")
}

// records gives those of the last look while our domains are the same, and else
// what we want to have, without waiting for the DNS.
func (s *statusRoom) records(ctx context.Context, looked []control.DomainRecords) ([]control.DomainRecords, error) {
	now, err := control.Call[[]control.DomainRecords](ctx, s.caller, "dns.show", control.DNSQuery{Offline: true})
	if isNotFound(err) { // no domain yet
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range now {
		merged := false
		for _, old := range looked {
			if old.Domain == now[i].Domain && sameButSPF(old.Records, now[i].Records) {
				now[i], merged = old, true
			}
		}
		if !merged {
			now[i].Notes = append(now[i].Notes, "If the DNS has an SPF record already, look again before you copy ours: then what is in it is kept.")
		}
	}
	return now, nil
}

// sameButSPF tells whether two lists differ in SPF alone, which a look completes
// from the DNS.
func sameButSPF(a, b []zone.Record) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || a[i].Type != b[i].Type || a[i].Data != b[i].Data && a[i].Kind != zone.KindSPF {
			return false
		}
	}
	return true
}

// overall is the light above all others.
func overall(found []check.Finding, at time.Time) (light, headline string) {
	var problems, warnings int64
	for _, f := range found {
		switch {
		case f.Muted != "":
		case f.Severity == check.Problem:
			problems++
		case f.Severity == check.Warning:
			warnings++
		}
	}
	switch {
	case at.IsZero():
		return "info", "Nobody has looked yet"
	case problems > 0 && warnings > 0:
		return "problem", count(problems, "problem") + ", " + count(warnings, "warning")
	case problems > 0:
		return "problem", count(problems, "problem")
	case warnings > 0:
		return "warning", count(warnings, "warning")
	}
	return "ok", "All is well"
}

func count(n int64, name string) string {
	if n == 1 {
		return "1 " + name
	}
	return fmt.Sprintf("%d %ss", n, name)
}
