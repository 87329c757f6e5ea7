package doctor

import (
	"context"
	"fmt"
	"net"
	"time"

	"mailstead/dns/check"
	"mailstead/message"
)

// Server is what is asked of our own server and its stores. What is nil is not
// known here, as where no server has been set up yet.
type Server struct {
	Running bool // it runs, so that its ports are its own

	Doors   func() []Door // those that listen
	Connect func(ctx context.Context, network, address string) (net.Conn, error)

	Queue        func(context.Context) (Queue, error)
	Certificates func(context.Context) []Certificate
	Snapshot     func(context.Context) (time.Time, error) // the newest; zero for none
	Backup       func(context.Context) (Backup, error)
	DiskDays     func(ctx context.Context, since time.Time) ([]DiskDay, error)
	Lost         func(context.Context) ([]string, error) // bodies that no row knows
	Operators    func(context.Context) ([]message.Address, error)
	Domains      func(context.Context) ([]message.Domain, error)
	// Reaches gives the addresses of the accounts behind an address. Errors are
	// account's: nobody, disabled.
	Reaches func(context.Context, message.Address) ([]message.Address, error)
	// LastReceived is when the newest message from the world came; zero for none.
	LastReceived func(context.Context) (time.Time, error)
	// Take finds a message in an account's INBOX and removes it again.
	Take    func(ctx context.Context, to message.Address, messageID string) (found bool, err error)
	Started time.Time // zero: it does not run
}

// Queue is the queue in numbers.
type Queue struct {
	Messages, Deferred, Held int64
	Oldest                   time.Time // zero when it is empty
	Reason                   string    // of the oldest, as the other server gave it
}

// Certificate is the state of one name's certificate.
type Certificate struct {
	Name      string
	NotBefore time.Time
	NotAfter  time.Time
	SelfMade  bool
	Problem   string // of the last attempt to renew
	Fix       string
	Evidence  string
	HeldBack  string
}

// Backup is the state of the copies on another disk.
type Backup struct {
	Configured bool
	Last       time.Time // of the last good one; zero for none
	Problem    string    // of the last attempt
	SameDisk   bool      // it is on the disk of what it is a copy of
}

// serverChecks are about what runs and what it keeps.
func (d *Doctor) serverChecks() []check.Check {
	s := d.Server
	return []check.Check{
		{ID: "run.operator", Title: "who looks after this server", Run: when(s.Operators != nil, d.checkOperator)},
		{ID: "run.queue", Title: "mail that waits", Run: when(s.Queue != nil, d.checkQueue)},
		{ID: "run.disk", Title: "when the disk will be full", Run: when(s.DiskDays != nil && d.Host.Disk != nil, d.checkTrend)},
		{ID: "run.certificates", Title: "the renewal of certificates", Run: when(s.Certificates != nil, d.checkRenewal)},
		{ID: "run.snapshot", Title: "the hourly snapshots", Run: when(s.Snapshot != nil, d.checkSnapshot)},
		{ID: "run.backup", Title: "the age of the backup", Run: when(s.Backup != nil, d.checkBackup)},
		{ID: "run.lost", Title: "messages that nobody owns", Run: when(s.Lost != nil, d.checkLost)},
	}
}

func (d *Doctor) checkOperator(ctx context.Context) []check.Finding {
	const id = "run.operator"
	all, err := d.Server.Operators(ctx)
	if err != nil {
		return one(unreadable(id, "", "Who the operator is", err))
	}
	if len(all) == 0 {
		return one(problem(id, "", "This server has no operator: nobody reads postmaster@ or what this doctor finds.", "",
			"mailstead account set ADDRESS --operator"))
	}
	return one(ok(id, "", all[0].String()+" looks after this server."))
}

// The age of the oldest message that waits. Most deferred mail leaves within
// hours; schedule.go gives up after five days.
const (
	oldMail  = 4 * time.Hour
	lostMail = 48 * time.Hour
	muchMail = 1000
)

func (d *Doctor) checkQueue(ctx context.Context) []check.Finding {
	const id = "run.queue"
	q, err := d.Server.Queue(ctx)
	if err != nil {
		return one(unreadable(id, "", "The queue", err))
	}
	age := d.now().Sub(q.Oldest)
	if q.Oldest.IsZero() {
		age = 0
	}
	evidence := fmt.Sprintf("%d messages wait, %d were tried before, %d are held.", q.Messages, q.Deferred, q.Held)
	if q.Reason != "" {
		evidence += " The oldest: " + q.Reason
	}
	const fix = "`mailstead queue list` shows what waits and why."
	switch {
	case age > lostMail && q.Deferred > 0:
		return one(problem(id, "", fmt.Sprintf("Mail has been waiting for %d hours and will soon be given up.", int(age.Hours())), evidence, fix))
	case age > oldMail && q.Deferred > 0:
		return one(warning(id, "", fmt.Sprintf("Mail has been waiting for %d hours.", int(age.Hours())), evidence, fix))
	case q.Messages > muchMail:
		return one(warning(id, "", fmt.Sprintf("%d messages wait: is somebody sending in your name?", q.Messages), evidence,
			fix+" `mailstead queue hold NUMBER` keeps one back; a new password (`mailstead account password ADDRESS`) ends a thief's sessions."))
	}
	return one(ok(id, "", "No mail waits longer than it should."))
}

// Certificates are renewed a month before their end; two weeks before it that
// has failed for a fortnight.
const (
	renewalLate = 14 * 24 * time.Hour
	renewalLast = 4 * 24 * time.Hour
)

func (d *Doctor) checkRenewal(ctx context.Context) []check.Finding {
	const id = "run.certificates"
	var found []check.Finding
	for _, c := range d.Server.Certificates(ctx) {
		left := c.NotAfter.Sub(d.now())
		switch {
		case c.Problem != "" && !c.NotAfter.IsZero() && left < renewalLast:
			found = append(found, problem(id, c.Name, fmt.Sprintf("The certificate of %s cannot be renewed and ends soon: %s", c.Name, c.Problem), c.Evidence, c.Fix))
		case c.Problem != "":
			found = append(found, warning(id, c.Name, fmt.Sprintf("There is no new certificate for %s: %s", c.Name, c.Problem), c.Evidence, c.Fix))
		case c.HeldBack != "":
			found = append(found, info(id, c.Name, fmt.Sprintf("The next key of %s is held back: %s", c.Name, c.HeldBack), "", "`mailstead dns show` has the record to publish."))
		case c.NotAfter.IsZero():
			found = append(found, info(id, c.Name, fmt.Sprintf("There is no certificate for %s yet.", c.Name), "", "`mailstead certificate list` says what is being done about it."))
		case c.SelfMade: // judged by tls.certificate
			found = append(found, ok(id, c.Name, fmt.Sprintf("The certificate of %s is self-made, so that nothing is to be renewed.", c.Name)))
		case left < renewalLate:
			found = append(found, warning(id, c.Name, fmt.Sprintf("The certificate of %s ends in %d days and has not been renewed.", c.Name, max(0, int(left.Hours()/24))),
				"It ends on "+c.NotAfter.Format(time.DateOnly)+".", "Renew your own files, or look for the reason in the server's log."))
		default:
			found = append(found, ok(id, c.Name, fmt.Sprintf("The certificate of %s is fresh.", c.Name)))
		}
	}
	return found
}

// Snapshots are hourly; a server that was off has none of those hours.
const oldSnapshot = 3 * time.Hour

func (d *Doctor) checkSnapshot(ctx context.Context) []check.Finding {
	const id, fix = "run.snapshot", "Look for `take a snapshot` in the server's log; mostly the disk is full."
	last, err := d.Server.Snapshot(ctx)
	if err != nil {
		return one(unreadable(id, "", "The snapshots", err))
	}
	since := last
	if since.IsZero() || d.Server.Started.After(since) {
		since = d.Server.Started
	}
	if since.IsZero() || d.now().Sub(since) < oldSnapshot {
		return one(ok(id, "", "Snapshots of the database are taken."))
	}
	return one(warning(id, "", fmt.Sprintf("The database has had no snapshot for %d hours.", int(d.now().Sub(since).Hours())), "", fix))
}

const (
	oldBackup  = 36 * time.Hour
	lateBackup = 8 * 24 * time.Hour
)

func (d *Doctor) checkBackup(ctx context.Context) []check.Finding {
	const id, fix = "run.backup", "mailstead backup DIR (a directory on another disk)"
	b, err := d.Server.Backup(ctx)
	if err != nil {
		return one(unreadable(id, "", "The backup", err))
	}
	age := d.now().Sub(b.Last)
	switch {
	case !b.Configured && b.Last.IsZero():
		return one(info(id, "", "There is no backup: all mail is on one disk.", "", fix))
	case b.Last.IsZero():
		return one(problem(id, "", "No backup has ever succeeded.", b.Problem, fix))
	case age > lateBackup:
		return one(problem(id, "", fmt.Sprintf("The last backup is %d days old.", int(age.Hours()/24)), b.Problem, fix))
	case b.Problem != "" && b.Configured:
		return one(warning(id, "", "The last backup failed.", b.Problem, fix))
	case b.SameDisk:
		return one(warning(id, "", "The backup is on the same disk as the mail: what takes one takes the other.", "", fix))
	case age > oldBackup && b.Configured:
		return one(warning(id, "", fmt.Sprintf("The last backup is %d hours old.", int(age.Hours())), b.Problem, fix))
	}
	return one(ok(id, "", "The last backup is from "+b.Last.Format("2006-01-02 15:04")+"."))
}

func (d *Doctor) checkLost(ctx context.Context) []check.Finding {
	const id = "run.lost"
	lost, err := d.Server.Lost(ctx)
	if err != nil {
		return one(unreadable(id, "", "The files of messages", err))
	}
	if len(lost) > 0 {
		return one(warning(id, "", fmt.Sprintf("%d files of messages belong to nobody: something was broken off, or the database was put back.", len(lost)), lost[0],
			"`mailstead check` says more; with the server stopped, `mailstead check --rebuild` brings them back."))
	}
	return one(ok(id, "", "Every file of a message belongs to somebody."))
}

// fullSoon is how long before a full disk one should know.
const fullSoon = 30 * 24 * time.Hour

// checkTrend draws a line through the free space of the last weeks.
func (d *Doctor) checkTrend(ctx context.Context) []check.Finding {
	const id = "run.disk"
	days, err := d.Server.DiskDays(ctx, d.now().Add(-fullSoon))
	if err != nil {
		return one(unreadable(id, d.Config.Data, "How the disk fills", err))
	}
	disk, err := d.Host.Disk(d.Config.Data)
	if err != nil {
		return one(unreadable(id, d.Config.Data, "The disk", err))
	}
	perDay := slope(days)
	if perDay >= 0 || len(days) < 5 {
		return one(ok(id, d.Config.Data, "The disk does not fill up."))
	}
	left := time.Duration(float64(disk.Free) / -perDay * float64(24*time.Hour))
	if left > fullSoon {
		return one(ok(id, d.Config.Data, "The disk will not be full within a month."))
	}
	return one(warning(id, d.Config.Data, fmt.Sprintf("The disk will be full in about %d days.", max(1, int(left.Hours()/24))),
		fmt.Sprintf("It loses %s a day and has %s left.", size(uint64(-perDay)), size(disk.Free)),
		"Make room, or move the data directory to a larger disk."))
}

// slope is the change of free space a day: the middle of the slopes between all
// pairs of days (Theil and Sen), which one big import or clean-up does not bend.
func slope(days []DiskDay) float64 {
	var all []float64
	for i, a := range days {
		for _, b := range days[i+1:] {
			all = append(all, (float64(b.Free)-float64(a.Free))/float64(b.Day-a.Day))
		}
	}
	return middle(all)
}
