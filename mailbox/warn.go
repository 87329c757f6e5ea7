package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// A warning comes at warnAt percent of the limit and not again before usage has
// been under 80 percent (see discharge).
const warnAt = 90

// noLimit is a share of the limit for what must not fail because of it: the
// notice that tells of it, and mail that was kept before.
const noLimit = 1 << 30

// Correspondents are the two ends of a notice that the server writes.
type Correspondents struct{ From, To message.Address }

// WarnQuota puts a notice into the INBOX of each account that has come to 90% of
// its limit since the last one, and returns how many. It is a job of every few
// minutes; that the notice was given is noted in the commit that keeps it.
func (s *Store) WarnQuota(ctx context.Context, who func(ctx context.Context, account int64) (Correspondents, error)) (n int, err error) {
	accounts, err := s.ids(ctx, `SELECT account FROM mail_account WHERE quota > 0 AND warned = 0 AND bytes * 100 >= quota * ?`, warnAt)
	if err != nil {
		return 0, fmt.Errorf("warn of quota: %w", err)
	}
	var failures []error
	for _, a := range accounts {
		c, err := who(ctx, a)
		given := false
		if err == nil {
			given, err = s.warn(ctx, a, c)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("warn account %d of quota: %w", a, err))
		}
		if given {
			n++
		}
	}
	return n, errors.Join(failures...)
}

// warn gives one account its notice.
func (s *Store) warn(ctx context.Context, account int64, c Correspondents) (bool, error) {
	u, err := s.Usage(ctx, account)
	if err != nil {
		return false, err
	}
	in, err := s.Receive(ctx, bytes.NewReader(quotaNotice(u, c, time.Now())))
	if err != nil {
		return false, err
	}
	defer in.Close()
	if err := in.Draft.Settle(ctx, account); err != nil {
		return false, err
	}
	return update(ctx, s.db, func(tx *sqlite.Tx) (bool, error) { return s.keepNotice(tx, in, account) })
}

// keepNotice appends the notice unless it has become needless.
func (s *Store) keepNotice(tx *sqlite.Tx, in *Incoming, account int64) (bool, error) {
	r, err := tx.Exec(`UPDATE mail_account SET warned = 1
		WHERE account = ? AND quota > 0 AND warned = 0 AND bytes * 100 >= quota * ?`, account, warnAt)
	if err != nil {
		return false, err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	inbox, err := s.byName(tx, account, Inbox)
	if err != nil {
		return false, err
	}
	body, err := in.Draft.Commit(tx)
	if err != nil {
		return false, err
	}
	_, err = s.append(tx, in, Placing{Mailbox: inbox.ID, Body: body}, noLimit)
	return err == nil, err
}

func quotaNotice(u Usage, c Correspondents, now time.Time) []byte {
	percent := u.Bytes * 100 / u.Limit
	return message.Mail{
		From: c.From, To: c.To, FromName: "Mail server",
		Subject:   fmt.Sprintf("Your mail is at %d%% of its limit", percent),
		Date:      now,
		MessageID: message.NewMessageID(string(c.From.Domain)),
		Text: fmt.Sprintf(`Your mail takes %s of the %s that you may keep (%d%%).

When the limit is reached, new mail is turned away and its senders are asked
to try again later, until there is room.

What makes room: delete large messages you no longer need, then empty Trash.
Or ask the operator of %s for a higher limit.

This notice comes once; it comes again only after your mail has been under
80%% of the limit.
`, mebibytes(u.Bytes), mebibytes(u.Limit), percent, c.From.Domain.Unicode()),
	}.Append(nil)
}

func mebibytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
