package submission

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"mailstead/internal/maillog"
	"mailstead/mailbox"
	"mailstead/message"
	"mailstead/smtp"
	"mailstead/smtp/local"
	"mailstead/smtp/queue"
)

// transaction is one message.
type transaction struct {
	s      *session
	env    message.Envelope
	size   int64
	copies []local.Copy        // for addresses here
	onward []message.Recipient // through the queue
	author message.Domain      // of the first author in From
	began  time.Time
}

func (t *transaction) Close() {}

// Recipient sorts one address: here, or onward.
func (t *transaction) Recipient(ctx context.Context, r message.Recipient) (smtp.Reply, error) {
	if t.s.ended.Load() {
		return sessionEnded, nil
	}
	for _, known := range t.env.Recipients {
		if known.Address == r.Address {
			return smtp.Reply{}, nil
		}
	}
	reply, err := t.sort(ctx, r)
	if err != nil {
		return smtp.Reply{}, err
	}
	if !reply.IsZero() {
		t.refused(r.Address.String(), reply)
		return reply, nil
	}
	t.env.Recipients = append(t.env.Recipients, r)
	return smtp.Reply{}, nil
}

func (t *transaction) sort(ctx context.Context, r message.Recipient) (smtp.Reply, error) {
	d := t.s.d
	keeper := r.Address.Domain == "" || d.o.Agent.Keeper(r.Address) // postmaster
	here := keeper
	if !here {
		var err error
		if here, err = d.o.Accounts.LocalDomain(ctx, r.Address.Domain); err != nil {
			return smtp.Reply{}, err
		}
	}
	if !here {
		if !d.rates.Take(t.s.who.ID, 1, time.Now()) {
			return tooMany, nil
		}
		t.onward = append(t.onward, r)
		return smtp.Reply{}, nil
	}
	targets, reply, err := d.o.Agent.Resolve(ctx, r.Address, t.size)
	if err != nil || !reply.IsZero() {
		return reply, err
	}
	if r.Notify&message.NotifySuccess != 0 && !keeper {
		// The queue makes the DSN that was asked for, and brings it to local.Queued.
		t.onward = append(t.onward, r)
		return smtp.Reply{}, nil
	}
	t.copies = append(t.copies, local.Copy{Recipient: r, Targets: targets})
	return smtp.Reply{}, nil
}

// Data mends, receives and stores.
func (t *transaction) Data(ctx context.Context, r io.Reader) (smtp.Reply, error) {
	o := &t.s.d.o
	header, body, err := readHeader(message.NormalizeLineEnds(r))
	if errors.Is(err, errBigHeader) {
		t.refusedAll(bigHeader)
		return bigHeader, nil
	} else if err != nil {
		return t.broken(err)
	}
	if reply, err := t.mayWrite(ctx, header); err != nil || !reply.IsZero() {
		if err == nil {
			t.refusedAll(reply)
		}
		return reply, err
	}
	in, err := o.Mailboxes.Receive(ctx, edited(header, body, o.Hostname, t.began))
	if err != nil {
		return t.broken(err)
	}
	defer in.Close()
	return t.store(ctx, in)
}

// mayWrite holds the authors. A message has one From field (RFC 5322, 3.6).
func (t *transaction) mayWrite(ctx context.Context, h message.Header) (smtp.Reply, error) {
	if h.Count("From") != 1 {
		return noAuthor, nil
	}
	authors := 0
	for _, a := range h.Addresses("From") {
		if !a.HasMailbox || !a.HasHost { // the boundaries of a group
			continue
		}
		address, err := a.Address()
		if err != nil {
			return noAuthor, nil
		}
		if authors++; authors == 1 {
			t.author = address.Domain
		}
		ok, err := t.s.d.o.Accounts.MaySend(ctx, t.s.who.ID, address)
		if err != nil {
			return smtp.Reply{}, err
		}
		if !ok {
			return notAuthor.With("your account may not write as " + address.String() + ", which is in From"), nil
		}
	}
	if authors == 0 {
		return noAuthor, nil
	}
	return smtp.Reply{}, nil
}

// store makes all of it durable and names it.
func (t *transaction) store(ctx context.Context, in *mailbox.Incoming) (smtp.Reply, error) {
	s, o := t.s, &t.s.d.o
	s.mids++
	mid := s.p.CID + "-" + strconv.Itoa(s.mids)
	received := message.Received{
		By: o.Hostname, Protocol: s.p.Protocol(t.env.SMTPUTF8), ID: mid, Time: time.Now(),
	}
	m := local.Message{
		MID: mid, Kind: maillog.Submitted, CID: s.p.CID, Account: s.who.ID, Remote: s.p.Remote.Addr(),
		Envelope: t.env, Received: received, Incoming: in, Copies: t.copies, Began: t.began,
	}
	if len(t.onward) > 0 {
		env := t.env
		env.Recipients = t.onward
		m.Onward = &queue.Message{MID: mid, Account: s.who.ID, Envelope: env, Prefix: received.Append(nil)}
		if o.Sign != nil {
			signatures, err := o.Sign(ctx, t.author, in.Draft, in.Draft.Size())
			if err != nil {
				return t.broken(err)
			}
			m.Onward.Prefix = append(m.Onward.Prefix, signatures...)
		}
	}
	err := o.Agent.Deliver(ctx, m)
	if err != nil {
		return t.broken(err)
	}
	return smtp.OK.With(mid), nil
}

// broken ends a message that did not come whole, breaks a rule of the protocol,
// or could not be stored.
func (t *transaction) broken(err error) (smtp.Reply, error) {
	if errors.Is(err, smtp.ErrCut) {
		t.refusedAll(smtp.Reply{})
		return smtp.Reply{}, err
	}
	if reply := smtp.Fault(err); !reply.IsZero() {
		t.refusedAll(reply)
		return reply, nil
	}
	reply, err := local.ReplyFor(err)
	t.refusedAll(reply.Or(smtp.LocalError))
	return reply, err
}

// refused records that nothing was stored for one recipient.
func (t *transaction) refused(rcpt string, r smtp.Reply) {
	p := t.s.p
	e := maillog.Event{
		Time: time.Now(), Kind: maillog.Refused, CID: p.CID, Account: t.s.who.ID, Remote: p.Remote.Addr(),
		Rcpt: rcpt, Size: t.size,
	}
	if r.IsZero() {
		e.Reason = smtp.ErrCut.Error()
	} else {
		e.Reply = r.String()
	}
	if !t.env.ReversePath.IsZero() {
		e.ReversePath = t.env.ReversePath.String()
	}
	t.s.d.o.Events.Record(e)
}

func (t *transaction) refusedAll(r smtp.Reply) {
	for _, rcpt := range t.env.Recipients {
		t.refused(rcpt.Address.String(), r)
	}
}
