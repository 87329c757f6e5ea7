package queue

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// maxReturn is the largest message that RET=FULL gets back whole.
const maxReturn = 10 << 20

// report is a DSN that is written but not yet queued; nil is none.
type report struct {
	to    message.Address
	mid   string
	draft *blob.Draft
	utf8  bool
	about string // MID of the original

	signatures []byte
}

// report writes the DSN that an outcome causes. It never answers the null
// reverse-path (RFC 5321, 6.1) nor a reverse-path that nothing vouches for:
// that one is probably forged, and its owner would get our backscatter.
func (q *Queue) report(ctx context.Context, it Item, o *outcome) (*report, error) {
	e := it.Message.Envelope
	if e.ReversePath.IsZero() || !it.Message.Verified {
		return nil, nil
	}
	d := &message.DSN{
		ReportingMTA: q.o.Hostname,
		From:         message.Address{Local: "MAILER-DAEMON", Domain: message.Domain(q.o.Hostname)},
		To:           e.ReversePath,
		Date:         o.now,
		MessageID:    message.NewMessageID(q.o.Hostname),
		EnvID:        unxtext(e.EnvID),
		Arrival:      it.Message.Created,
		EightBit:     e.EightBit,
		UTF8:         e.SMTPUTF8,
	}
	failed := false
	for i := range o.ends {
		x := &o.ends[i]
		if !tells(x) {
			continue
		}
		failed = failed || x.Action == message.Failed
		host, _, _ := strings.Cut(x.RemoteMTA, " ")
		r := message.RecipientStatus{
			Final: x.Recipient, Original: unxtext(x.to.Original), Action: x.Action, Status: x.Status,
			RemoteMTA: host, Diagnostic: x.Reply, Reason: x.Reason, Attempted: o.now,
		}
		if x.Action == message.Delayed {
			r.RetryUntil = it.Message.Created.Add(q.o.Schedule.Expire)
		}
		d.Recipients = append(d.Recipients, r)
	}
	if len(d.Recipients) == 0 {
		return nil, nil
	}
	if it.Content != nil {
		d.Original = io.NewSectionReader(it.Content, 0, it.Content.Size())
		d.Full = failed && e.Return == "FULL" && it.Content.Size() <= maxReturn // RFC 3461, 5.2
	}
	draft, err := q.draft(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("write a report to %s: %w", d.To, err)
	}
	r := &report{
		to: d.To, mid: "dsn-" + strings.ToLower(rand.Text()[:16]), draft: draft, utf8: d.UTF8, about: it.Message.MID,
	}
	if q.o.Sign != nil {
		// Better a DSN without a signature than none.
		if r.signatures, err = q.o.Sign(ctx, d.From.Domain, draft, draft.Size()); err != nil {
			q.o.Log.Warn("a DSN is not signed", "qid", it.QID, "err", err)
		}
	}
	return r, nil
}

// tells applies RFC 3461, 4.1: without NOTIFY failures and delays are told.
// Relayed is told only where the next server does not promise to.
func tells(x *end) bool {
	n := x.to.Notify
	if n == 0 {
		n = message.NotifyFailure | message.NotifyDelay
	}
	switch x.Action {
	case message.Failed:
		return n&message.NotifyFailure != 0
	case message.Delayed:
		return x.warn && n&message.NotifyDelay != 0
	case message.Delivered, message.Relayed, message.Expanded:
		return n&message.NotifySuccess != 0 && !x.Notifies
	}
	return false
}

// unxtext decodes RFC 3461, 4: envelopes keep parameters as they came.
func unxtext(s string) string {
	if !strings.Contains(s, "+") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '+' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil && ' ' <= c && c != 0x7f {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// draft streams the report into the blob store.
func (q *Queue) draft(ctx context.Context, d *message.DSN) (*blob.Draft, error) {
	r, w := io.Pipe()
	go func() {
		_, err := d.WriteTo(w)
		w.CloseWithError(err)
	}()
	draft, err := q.o.Blobs.Put(ctx, r)
	r.Close()
	if err != nil {
		return nil, err
	}
	if err := draft.Settle(ctx, blob.Queue); err != nil {
		draft.Close()
		return nil, err
	}
	return draft, nil
}

func (r *report) close() {
	if r != nil {
		r.draft.Close()
	}
}

// add queues the report in the commit of the results that it tells.
func (r *report) add(tx *sqlite.Tx, q *Queue) (ev maillog.Event, err error) {
	if r == nil {
		return ev, nil
	}
	body, err := r.draft.Commit(tx)
	if err != nil {
		return ev, err
	}
	now := time.Now()
	_, err = q.Add(tx, Message{
		MID: r.mid,
		Envelope: message.Envelope{
			Recipients: []message.Recipient{{Address: r.to, Notify: message.NotifyNever}},
			SMTPUTF8:   r.utf8, EightBit: true,
		},
		Body: body, Size: int64(len(r.signatures)) + r.draft.Size(), Created: now, Prefix: r.signatures,
	})
	if err != nil {
		return ev, err
	}
	ev = maillog.Event{
		Time: now, Kind: maillog.Reported, MID: r.about, Rcpt: r.to.String(), Reason: "the report is " + r.mid, Kept: true,
	}
	return ev, trace.Add(tx, ev)
}
