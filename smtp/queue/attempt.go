package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// waiting is a row of queue_recipient that takes part in an attempt.
type waiting struct {
	id       int64
	to       message.Recipient
	warned   bool
	attempts int
}

// attempt is one try of one Item, from its rows to the commit of its results.
func (q *Queue) attempt(ctx context.Context, e *entry) {
	var next time.Time
	defer func() { q.ended(e, next) }()
	start := time.Now()
	it, rows, err := q.read(ctx, e.key)
	if err != nil {
		q.o.Log.Warn("queue item cannot be read", "qid", e.qid, "err", err)
		next = start.Add(time.Minute)
		return
	}
	if len(rows) == 0 {
		return
	}
	body, err := q.o.Blobs.Open(ctx, it.Message.Body)
	var results []Result
	if err != nil {
		results = delayAll(it, "4.3.0", "the message's file cannot be read", err)
	} else {
		it.Content = &content{prefix: it.Message.Prefix, body: body}
		defer it.Content.Close()
		results = q.deliver(ctx, it)
	}
	o := q.decide(it, rows, results, start)
	if ctx.Err() != nil { // shut down: only ends are kept, the rest begins anew
		o.onlyFinal()
	}
	next = q.settle(ctx, it, o)
}

// deliver calls the Deliverer; a panic in it is a delay.
func (q *Queue) deliver(ctx context.Context, it Item) (results []Result) {
	defer func() {
		if v := recover(); v != nil {
			q.o.Log.Error("delivery panicked", "qid", it.QID, "err", v, "stack", string(debug.Stack()))
			results = delayAll(it, "4.3.0", "an error in this server", fmt.Errorf("panic: %v", v))
		}
	}()
	d := q.o.Route(it.Destination)
	if d == nil {
		return delayAll(it, "4.4.4", "there is no route to "+it.Destination.Unicode(), nil)
	}
	return d.Deliver(ctx, it)
}

func delayAll(it Item, status, reason string, err error) []Result {
	var all []Result
	for _, r := range it.Message.Envelope.Recipients {
		all = append(all, Result{Recipient: r.Address, Action: message.Delayed, Status: status, Reason: reason, Err: err})
	}
	return all
}

// read loads an Item. No rows: it has ended, or all of it is held.
func (q *Queue) read(ctx context.Context, k key) (it Item, rows []waiting, err error) {
	err = q.db.View(ctx, func(tx *sqlite.Tx) error {
		it = Item{QID: k.qid, Destination: k.destination}
		rows = nil
		if it.Message, err = readMessage(tx, k.qid); errors.Is(err, sqlite.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
		r, err := tx.Query(`SELECT id, address, original, notify, warned, attempts FROM queue_recipient
			WHERE message = ? AND destination = ? AND held = 0 ORDER BY id`, k.qid, string(k.destination))
		if err != nil {
			return err
		}
		defer r.Close()
		for r.Next() {
			var w waiting
			var address string
			if err := r.Scan(&w.id, &address, &w.to.Original, &w.to.Notify, &w.warned, &w.attempts); err != nil {
				return err
			}
			if w.to.Address, err = message.ParseAddress(address); err != nil {
				return err
			}
			rows = append(rows, w)
			it.Message.Envelope.Recipients = append(it.Message.Envelope.Recipients, w.to)
			it.Attempts = w.attempts
		}
		return r.Err()
	})
	return it, rows, err
}

// readMessage loads a message's row, without recipients.
func readMessage(tx *sqlite.Tx, qid int64) (m Message, err error) {
	var reverse string
	var body, created int64
	e := &m.Envelope
	err = tx.QueryRow(`SELECT mid, account, verified, reverse_path, smtputf8, eightbit, envid, ret, body, prefix, size, created
		FROM queue_message WHERE id = ?`, qid).Scan(&m.MID, &m.Account, &m.Verified, &reverse, &e.SMTPUTF8, &e.EightBit,
		&e.EnvID, &e.Return, &body, &m.Prefix, &m.Size, &created)
	if err != nil {
		return m, err
	}
	m.Body, m.Created = blob.ID(body), time.UnixMilli(created)
	if reverse != "" {
		e.ReversePath, err = message.ParseAddress(reverse)
	}
	return m, err
}

// end is what is decided about one recipient.
type end struct {
	waiting
	Result
	next time.Time // of the next attempt; zero when this was the last
	warn bool      // this result is told in a DSN "delayed"
}

// outcome is what one attempt changes.
type outcome struct {
	ends  []end
	start time.Time
	now   time.Time
}

// decide joins rows and results and applies the schedule. A recipient that a
// Deliverer forgot is delayed.
func (q *Queue) decide(it Item, rows []waiting, results []Result, start time.Time) *outcome {
	o := &outcome{start: start, now: time.Now()}
	for _, w := range rows {
		x := end{waiting: w, Result: Result{
			Recipient: w.to.Address, Action: message.Delayed, Status: "4.3.0", Reason: "the delivery gave no result",
		}}
		for _, r := range results {
			if r.Recipient == w.to.Address {
				x.Result = r
				break
			}
		}
		if !x.final() {
			q.delay(it, &x, o.now)
		}
		o.ends = append(o.ends, x)
	}
	return o
}

// delay sets the next attempt, or turns the last delay into a failure.
func (q *Queue) delay(it Item, x *end, now time.Time) {
	s := q.o.Schedule
	next, again := s.next(x.attempts+1, it.Message.Created, now)
	if !again {
		x.Action = message.Failed
		x.Reason = fmt.Sprintf("not delivered within %s: %s", plainTime(s.Expire), x.Reason)
		if x.Status == "" || x.Reply == "" {
			x.Status = "4.4.7" // RFC 3463: delivery time expired
		}
		return
	}
	x.next = next
	x.warn = !x.warned && !now.Before(it.Message.Created.Add(s.Warn))
}

// plainTime says "5 days" or "4 hours".
func plainTime(d time.Duration) string {
	if days := d.Hours() / 24; days >= 2 {
		return fmt.Sprintf("%.0f days", days)
	}
	return fmt.Sprintf("%.0f hours", d.Hours())
}

// onlyFinal drops delays, so that an attempt cut short by a shutdown counts for
// nothing.
func (o *outcome) onlyFinal() {
	kept := o.ends[:0]
	for _, x := range o.ends {
		if x.final() && x.Status != "4.4.7" {
			kept = append(kept, x)
		}
	}
	o.ends = kept
}

// settle commits an outcome, with the DSN that it causes. It returns when the
// Item is due next, zero when it has ended.
func (q *Queue) settle(ctx context.Context, it Item, o *outcome) time.Time {
	var next time.Time
	for _, x := range o.ends {
		if !x.next.IsZero() && (next.IsZero() || x.next.Before(next)) {
			next = x.next
		}
	}
	if len(o.ends) == 0 {
		return o.now.Add(time.Minute)
	}
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		err := q.commit(it, o)
		if err == nil {
			return next
		}
		// What was delivered must not be sent again only because a disk is full
		// for a while: the result waits here for its commit.
		q.o.Log.Error("delivery result cannot be stored yet", "qid", it.QID, "err", err)
		if errors.Is(err, sqlite.ErrFailed) || errors.Is(err, sqlite.ErrClosed) {
			return o.now.Add(time.Minute)
		}
		select {
		case <-ctx.Done():
			return o.now.Add(time.Minute)
		case <-time.After(pause):
		}
	}
}

// commit writes rows, trace, DSN and reference in one transaction. It does not
// look at the attempt's context: results are kept at shutdown too.
func (q *Queue) commit(it Item, o *outcome) error {
	ctx := context.Background()
	report, err := q.report(ctx, it, o)
	if err != nil {
		return err
	}
	defer report.close()
	var events []maillog.Event
	err = q.db.Update(ctx, func(tx *sqlite.Tx) error {
		events = events[:0]
		live := false
		for i := range o.ends {
			changed, err := writeEnd(tx, &o.ends[i])
			if err != nil {
				return err
			}
			if !changed { // deleted by an operator meanwhile
				continue
			}
			live = true
			ev := o.event(it, &o.ends[i])
			if err := trace.Add(tx, ev); err != nil {
				return err
			}
			events = append(events, ev)
		}
		if !live {
			return nil
		}
		if err := q.dropIfDone(tx, it.QID, it.Message.Body); err != nil {
			return err
		}
		ev, err := report.add(tx, q)
		if err == nil && ev.Kind != "" {
			events = append(events, ev)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("store a delivery result: %w", err)
	}
	for _, ev := range events {
		q.o.Events.Record(ev)
	}
	return nil
}

// writeEnd changes one recipient's row; false when there is none any more.
func writeEnd(tx *sqlite.Tx, x *end) (bool, error) {
	var r sqlite.Result
	var err error
	if x.next.IsZero() {
		r, err = tx.Exec(`DELETE FROM queue_recipient WHERE id = ?`, x.id)
	} else {
		r, err = tx.Exec(`UPDATE queue_recipient SET attempts = ?, next = ?, warned = ?, status = ?, reply = ?, host = ?, reason = ?
			WHERE id = ?`, x.attempts+1, x.next.UnixMilli(), x.warned || x.warn,
			x.Status, maillog.Clean(x.Reply, 1000), maillog.Clean(x.RemoteMTA, 300), maillog.Clean(x.Reason, 1000), x.id)
	}
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// dropIfDone deletes a message without recipients and lets its body go.
func (q *Queue) dropIfDone(tx *sqlite.Tx, qid int64, body blob.ID) error {
	r, err := tx.Exec(`DELETE FROM queue_message WHERE id = ?1
		AND NOT EXISTS (SELECT 1 FROM queue_recipient WHERE message = ?1)`, qid)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return q.o.Blobs.Unref(tx, body, blob.Queue)
}

// event tells one recipient's end.
func (o *outcome) event(it Item, x *end) maillog.Event {
	e := maillog.Event{
		Time: o.now, MID: it.Message.MID, QID: it.QID, Account: it.Message.Account,
		ReversePath: pathText(it.Message.Envelope.ReversePath), Rcpt: x.Recipient.String(),
		Host: x.RemoteMTA, Reply: x.Reply, Reason: x.Reason, Dur: o.now.Sub(o.start), Next: x.next, Kept: true,
	}
	switch x.Action {
	case message.Delivered:
		e.Kind = maillog.Delivered
	case message.Failed:
		e.Kind = maillog.Failed
	case message.Delayed:
		e.Kind = maillog.Deferred
	default:
		e.Kind = maillog.Relayed
	}
	if x.Err != nil {
		e.Err = x.Err.Error()
	}
	return e
}
