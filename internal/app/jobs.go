package app

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"time"

	"mailstead/admin/backup"
	"mailstead/mailbox"
	"mailstead/message"
)

// job is work that comes round. A failure is logged and tried at the next turn.
type job struct {
	name   string
	period time.Duration
	run    func(context.Context) error
}

// jobs are all that comes round.
func (a *App) jobs() []job {
	snapshots := backup.Snapshots{DB: a.DB, Dir: filepath.Join(a.Config.Data, "snapshots")}
	return []job{
		{"warn of quota", 5 * time.Minute, func(ctx context.Context) error {
			_, err := a.Mail.WarnQuota(ctx, a.correspondents)
			return err
		}},
		{"note when app passwords were used", 10 * time.Minute, a.Accounts.SaveLastUse},
		{"take a snapshot", time.Hour, func(ctx context.Context) error {
			_, err := snapshots.Take(ctx)
			return err
		}},
		{"look which certificates are wanted", time.Minute, a.certify},
		{"watch the keys of certificates", time.Hour, a.cert.Watch},
		{"change DKIM keys", 5 * time.Minute, a.socket.Ops.Rollover.Advance},
		{"publish what keys changed", 5 * time.Minute, a.socket.Ops.Follow},
		{"back up", 15 * time.Minute, func(ctx context.Context) error {
			return backup.Nightly(ctx, a.socket.Ops, a.Config.File)
		}},
		{"trim the trace", time.Hour, a.Trace.Trim},
		{"empty Trash and Junk", 6 * time.Hour, func(ctx context.Context) error {
			_, err := a.Mail.Retain(ctx)
			return err
		}},
		{"look for trouble at night", 20 * time.Minute, a.lookAtNight},
		{"remove deleted accounts", 24 * time.Hour, a.socket.Ops.RemoveExpired},
	}
}

// correspondents are the ends of a notice to an account.
func (a *App) correspondents(ctx context.Context, id int64) (mailbox.Correspondents, error) {
	who, err := a.Accounts.Account(ctx, id)
	return mailbox.Correspondents{
		From: message.Address{Local: "postmaster", Domain: who.Address.Domain},
		To:   who.Address,
	}, err
}

// runJobs runs each job in its own rhythm until ctx ends. The first turn comes
// within a tenth of the period, so that a restart does not run all at once.
func (a *App) runJobs(ctx context.Context, jobs []job) {
	for _, j := range jobs {
		a.goes.Go(func() { a.runJob(ctx, j) })
	}
}

func (a *App) runJob(ctx context.Context, j job) {
	timer := time.NewTimer(j.period/20 + rand.N(j.period/20))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		if err := j.run(ctx); err != nil && ctx.Err() == nil {
			a.Log.Warn("job failed", "job", j.name, "dur", time.Since(began), "err", err)
		}
		timer.Reset(j.period)
	}
}
