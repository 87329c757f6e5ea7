package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/metrics"
	"mailstead/internal/sqlite"
)

// healthTime is how long the store may take to answer when we ask whether we are
// well; a loaded SD card needs its time.
const healthTime = 10 * time.Second

// healthy is nil while this process can do its work: it promises what it says,
// and the store answers. Whoever restarts servers asks this.
func (a *App) healthy(ctx context.Context) error {
	if a.broken.Err() != nil {
		return fmt.Errorf("nothing can be promised any more: %w", context.Cause(a.broken))
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	return a.DB.View(ctx, func(tx *sqlite.Tx) error {
		var one int
		return tx.QueryRow(`SELECT 1`).Scan(&one)
	})
}

var errNotReady = errors.New("the doors are not open")

// isReady is nil while mail is taken: the doors are open, we are healthy, and
// there is room. Whoever sends mail to one server of several asks this.
func (a *App) isReady(ctx context.Context) error {
	if !a.ready.Load() {
		return errNotReady
	}
	if err := a.healthy(ctx); err != nil {
		return err
	}
	return a.Mail.Room(0)
}

// watch tells the service manager that we are alive as long as we are: a server
// that hangs is started again.
func (a *App) watch(ctx context.Context) {
	every := a.o.Manager.Interval()
	if every == 0 {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := a.healthy(ctx); err == nil {
			a.tellManager(a.o.Manager.Alive())
		} else if ctx.Err() == nil {
			a.Log.Error("not well, the watchdog is not told", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *App) tellManager(err error) {
	if err != nil {
		a.Log.Warn("the service manager could not be told", "err", err)
	}
}

// figures are the sources of /metrics.
func (a *App) figures() []metrics.Source {
	return []metrics.Source{
		metrics.Process(time.Now(), a.o.Version), a.events.Write, a.writeDoors, a.writeQueue, a.writeStore, a.writeDisk, a.writeFindings, a.writeCertificates,
	}
}

func (a *App) writeDoors(_ context.Context, w *metrics.Writer) {
	for _, d := range a.doors {
		w.Gauge("mailstead_connections", "Open connections of a door.", float64(d.Conns()), "door", d.Name)
	}
	for _, d := range a.doors {
		accepted, turnedAway := d.Totals()
		w.Counter("mailstead_connections_total", "Connections that came.", float64(accepted), "door", d.Name, "result", "accepted")
		w.Counter("mailstead_connections_total", "Connections that came.", float64(turnedAway), "door", d.Name, "result", "refused")
	}
}

func (a *App) writeQueue(ctx context.Context, w *metrics.Writer) {
	c, err := a.Queue.Counts(ctx)
	if err != nil {
		return
	}
	w.Gauge("mailstead_queue_messages", "Messages that wait.", float64(c.Messages))
	w.Gauge("mailstead_queue_recipients", "Recipients that wait, by state.", float64(c.Recipients-c.Deferred-c.Held), "state", "queued")
	w.Gauge("mailstead_queue_recipients", "Recipients that wait, by state.", float64(c.Deferred), "state", "deferred")
	w.Gauge("mailstead_queue_recipients", "Recipients that wait, by state.", float64(c.Held), "state", "held")
	w.Gauge("mailstead_queue_attempts", "Attempts that run now.", float64(c.Attempting))
	age := 0.0
	if !c.Oldest.IsZero() {
		age = time.Since(c.Oldest).Seconds()
	}
	w.Gauge("mailstead_queue_oldest_seconds", "Age of the oldest message that waits.", age)
}

func (a *App) writeStore(_ context.Context, w *metrics.Writer) {
	s := a.DB.Stats()
	w.Counter("mailstead_store_commits_total", "Synced transactions.", float64(s.Commits))
	w.Counter("mailstead_store_updates_total", "Changes that they answered.", float64(s.Updates))
	w.Counter("mailstead_store_reruns_total", "Changes that ran again alone.", float64(s.Reruns))
	w.Counter("mailstead_store_checkpoints_total", "Passes that copied the log into the file.", float64(s.Checkpoints))
	w.Counter("mailstead_store_syncs_total", "Syncs of the database.", float64(s.Syncs))
}

func (a *App) writeDisk(_ context.Context, w *metrics.Writer) {
	d, err := a.doctor.Host.Disk(a.Config.Data)
	if err != nil {
		return
	}
	w.Gauge("mailstead_disk_free_bytes", "Free space on the disk of the data directory.", float64(d.Free))
	w.Gauge("mailstead_disk_size_bytes", "Its size.", float64(d.Total))
}

// writeFindings tells what the last night found.
func (a *App) writeFindings(ctx context.Context, w *metrics.Writer) {
	found, at, err := a.doctor.Memory.Last(ctx)
	if err != nil {
		return
	}
	w.Time("mailstead_findings_time_seconds", "When that was.", at)
	count := map[string]int{}
	for _, f := range found {
		if f.Muted != "" {
			count["muted"]++
		} else {
			count[string(f.Severity)]++
		}
	}
	for _, severity := range []string{"problem", "warning", "info", "ok", "muted"} {
		w.Gauge("mailstead_findings", "What the doctor found in the last night.", float64(count[severity]), "severity", severity)
	}
}

func (a *App) writeCertificates(_ context.Context, w *metrics.Writer) {
	for _, s := range a.cert.Status() { // a name without one has no end: the host's is shown meanwhile
		w.Time("mailstead_certificate_end_seconds", "When the certificate of a name ends.", s.NotAfter, "name", s.Name)
	}
}
