package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"mailstead/admin/doctor"
	"mailstead/dns"
	"mailstead/mailbox"
	"mailstead/message"
)

// nightHour is when the doctor looks by himself, on the machine's clock.
const nightHour = 4

// lookAtNight is asked every twenty minutes whether it is time; a machine that
// is off at night is looked at when it has not been for a day and a quarter.
func (a *App) lookAtNight(ctx context.Context) error {
	now := time.Now()
	if a.night.IsZero() {
		a.night = a.doctor.Server.Started
	}
	since := now.Sub(a.night)
	if !(now.Hour() == nightHour && since > 2*time.Hour) && since < 30*time.Hour {
		return nil
	}
	a.night = now
	changes, err := a.doctor.Night(ctx, time.Minute)
	if err != nil || len(changes) == 0 {
		return err
	}
	return a.tellOperators(ctx, changes)
}

// tellOperators puts a letter about changes into each operator's INBOX.
func (a *App) tellOperators(ctx context.Context, changes []doctor.Change) error {
	all, err := a.Accounts.Accounts(ctx)
	if err != nil {
		return err
	}
	subject, text := doctor.Letter(a.Config.Hostname, changes)
	var errs []error
	for _, who := range all {
		if !who.Operator || !who.Live() {
			continue
		}
		letter := message.Mail{
			FromName: "Mail server", From: message.Address{Local: "postmaster", Domain: who.Address.Domain}, To: who.Address,
			Subject: subject, Date: time.Now(), MessageID: message.NewMessageID(a.Config.Hostname), Text: text,
		}
		if err := a.putInInbox(ctx, who.ID, letter.Append(nil)); err != nil {
			errs = append(errs, fmt.Errorf("tell %s: %w", who.Address, err))
		}
	}
	return errors.Join(errs...)
}

func (a *App) putInInbox(ctx context.Context, account int64, text []byte) error {
	inbox, err := a.Mail.Mailbox(ctx, account, mailbox.Inbox)
	if err != nil {
		return err
	}
	in, err := a.Mail.Receive(ctx, bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = a.Mail.Deliver(ctx, in, account, mailbox.Placing{Mailbox: inbox.ID, Grace: true})
	return err
}

// learnNetwork finds out once a day what the server must know of its network
// before it sends: whether the resolver's word on DNSSEC counts, and whether our
// IPv6 address has a name, without which others refuse our mail.
func (a *App) learnNetwork(ctx context.Context) {
	for {
		a.Resolver.Trust(a.Resolver.SelfTest(ctx, dns.PublicNames()).Validates)
		a.noIPv6.Store(a.doctor.NamelessIPv6(ctx))
		select {
		case <-ctx.Done():
			return
		case <-time.After(24 * time.Hour):
		}
	}
}
