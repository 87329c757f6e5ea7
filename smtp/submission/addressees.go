package submission

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"mailstead/account"
	"mailstead/message"
	"mailstead/smtp"
	"mailstead/smtp/local"
)

// recipients sorts everybody: here, or onward.
func (t *handed) recipients(ctx context.Context) (smtp.Reply, error) {
	list := t.named()
	switch {
	case len(list) == 0:
		return noRecipient, nil
	case len(list) > maxRecipients:
		return TooManyRecipients, nil
	}
	home, err := t.home(ctx)
	if err != nil {
		return smtp.Reply{}, err
	}
	known := make(map[message.Address]bool)
	for _, entry := range list {
		entry.Host = home(entry.Host)
		a, err := entry.Address()
		if err != nil {
			return badRecipient.With(quoted(entry.Mailbox+"@"+entry.Host) + " is not an address"), nil
		}
		if known[a] {
			continue
		}
		known[a] = true
		r := message.Recipient{Address: a}
		if reply, err := t.sort(ctx, r); err != nil || !reply.IsZero() {
			return reply, err
		}
		t.env.Recipients = append(t.env.Recipients, r)
		t.env.SMTPUTF8 = t.env.SMTPUTF8 || a.NeedsUTF8()
	}
	t.env.SMTPUTF8 = t.env.SMTPUTF8 || t.env.ReversePath.NeedsUTF8()
	t.env.EightBit = true // nobody said that it is not
	if !t.p.rates.Take(t.l.User.ID, len(t.env.Recipients), time.Now()) {
		return busyUser, nil
	}
	return smtp.Reply{}, nil
}

// named lists whom the program and, where it wants that, the header name. A
// message that is sent on has its recipients in the Resent fields (RFC 5322, 3.6.6).
func (t *handed) named() (list []message.ImapAddress) {
	for _, text := range t.l.Recipients {
		list = append(list, message.ParseAddressList(text)...)
	}
	if !t.l.Header {
		return list
	}
	names := []string{"Resent-To", "Resent-Cc", "Resent-Bcc"}
	resent := false
	for _, name := range names {
		resent = resent || t.header.Has(name)
	}
	if !resent {
		names = []string{"To", "Cc", "Bcc"}
	}
	for _, name := range names {
		for _, body := range t.header.Values(name) {
			list = append(list, message.ParseAddressList(body)...)
		}
	}
	return list
}

// sort finds where one address leads.
func (t *handed) sort(ctx context.Context, r message.Recipient) (smtp.Reply, error) {
	o := &t.p.o
	ours, err := o.Accounts.LocalDomain(ctx, r.Address.Domain)
	if err != nil {
		return smtp.Reply{}, err
	}
	machine := strings.EqualFold(string(r.Address.Domain), o.Hostname)
	switch {
	case !ours && !machine:
		t.onward = append(t.onward, r)
		return smtp.Reply{}, nil
	case machine && ours:
		_, err := o.Accounts.Resolve(ctx, r.Address)
		machine = errors.Is(err, account.ErrUnknown)
		if err != nil && !machine && !errors.Is(err, account.ErrDisabled) {
			return smtp.Reply{}, err
		}
	}
	at := r.Address
	if machine { // a user of the machine has no mailbox
		at = message.Address{Local: "postmaster"}
	}
	targets, reply, err := o.Agent.Resolve(ctx, at, 0)
	switch {
	case err != nil:
		return smtp.Reply{}, err
	case machine && reply == local.NoAddress:
		return noOperator, nil
	case !reply.IsZero():
		return reply.With(r.Address.String() + ": " + reply.Text), nil
	}
	if machine {
		targets = slices.Clone(targets)
		for i := range targets {
			targets[i].Address = r.Address
		}
	}
	t.copies = append(t.copies, local.Copy{Recipient: r, Targets: targets})
	return smtp.Reply{}, nil
}
