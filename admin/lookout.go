package admin

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"mailstead/dns/check"
	"mailstead/internal/control"
	"mailstead/internal/webui"
)

// Lookout has the doctor look when a page asks for it, which takes up to twenty
// seconds and more with the records, while the page is shown and says so. One
// look runs at a time; who asks meanwhile gets that one. What the doctor found
// is kept by internal/control, the records here.
type Lookout struct {
	caller control.Caller
	log    *slog.Logger
	wanted chan struct{} // holds one word

	mu      sync.Mutex
	since   time.Time // of the look that is asked for or runs; zero for none
	records []control.DomainRecords
}

// NewLookout makes one that works while Run does.
func NewLookout(caller control.Caller, log *slog.Logger) *Lookout {
	return &Lookout{caller: only{caller, []string{"doctor.run", "dns.show"}}, log: log, wanted: make(chan struct{}, 1)}
}

// Run looks whenever it is asked to, until ctx ends.
func (l *Lookout) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wanted:
			l.look(ctx)
		}
	}
}

func (l *Lookout) look(ctx context.Context) {
	began := time.Now()
	found, err := control.Call[[]check.Finding](ctx, l.caller, "doctor.run", control.DoctorQuery{})
	var records []control.DomainRecords
	if err == nil {
		// With what is in the DNS already, since an SPF record is added to.
		records, err = control.Call[[]control.DomainRecords](ctx, l.caller, "dns.show", control.DNSQuery{})
	}
	if err != nil && ctx.Err() == nil {
		l.log.Warn("the doctor's look for the status page", "dur", time.Since(began), "err", err)
	}
	l.log.Debug("the doctor has looked", "findings", len(found), "dur", time.Since(began))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Time{}
	if len(records) > 0 {
		l.records = records
	}
}

// begin is the action of the page's button.
func (l *Lookout) begin(*http.Request, webui.Visitor) (next string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		l.since = time.Now()
		l.wanted <- struct{}{} // there is room: nobody has asked since the last look ended
	}
	return statusPath, nil
}

// state gives since when a look runs, zero for none, and the records of the last.
func (l *Lookout) state() (since time.Time, records []control.DomainRecords) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since, l.records
}
