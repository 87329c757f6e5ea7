package local

import (
	"context"
	"errors"
	"fmt"

	"mailstead/account"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
)

// append places everybody's copy. A full member of an alias gets it beyond the
// limit when another one has room: the sender of an alias's mail could not know
// whose mailbox holds up all the others, and the file is theirs in any case.
func (a *Agent) append(tx *sqlite.Tx, m *Message, placings []placing, how mailbox.Placing, placed func(*placing, mailbox.Placed) error) error {
	roomy := make(map[*Copy]bool)
	full := placings[:0:0]
	put := func(p *placing) error {
		how.Mailbox, how.Prefix = p.box.ID, p.prefix
		out, err := a.o.Mailboxes.Append(tx, m.Incoming, how)
		if err != nil {
			return err
		}
		roomy[p.copy] = true
		return placed(p, out)
	}
	for _, p := range placings {
		err := put(&p)
		if errors.Is(err, mailbox.ErrOverQuota) && len(p.copy.Targets) > 1 {
			full = append(full, p)
		} else if err != nil {
			return err
		}
	}
	how.Beyond = true
	for _, p := range full {
		if !roomy[p.copy] {
			return fmt.Errorf("all of %s: %w", p.copy.Recipient.Address, mailbox.ErrOverQuota)
		}
		if err := put(&p); err != nil {
			return err
		}
	}
	return nil
}

// place chooses the mailbox of every account, each account once.
func (a *Agent) place(ctx context.Context, m *Message) ([]placing, error) {
	var list []placing
	index := make(map[int64]int)
	for i := range m.Copies {
		c := &m.Copies[i]
		for _, t := range c.Targets {
			if at, ok := index[t.Account]; ok {
				if c.Junk || !list[at].copy.Junk {
					continue
				}
				list[at].copy = c // the kinder verdict
			} else {
				index[t.Account] = len(list)
				list = append(list, placing{account: t.Account, copy: c, address: t.Address})
			}
			box, err := a.choose(ctx, t, c.Junk)
			if err != nil {
				return nil, err
			}
			list[index[t.Account]].box = box
		}
	}
	return list, nil
}

// choose finds the mailbox for a target.
func (a *Agent) choose(ctx context.Context, t account.Target, junk bool) (mailbox.Mailbox, error) {
	if !junk && t.Detail == "" {
		return a.inbox(ctx, t.Account)
	}
	all, err := a.o.Mailboxes.Mailboxes(ctx, t.Account)
	if err != nil {
		return mailbox.Mailbox{}, err
	}
	for _, box := range all {
		switch {
		case box.NoSelect:
		case junk && box.Use == `\Junk`, !junk && box.Use == "" && equalFold(box.Name, t.Detail):
			return box, nil
		}
	}
	return a.inbox(ctx, t.Account)
}

// forget empties the memory of inboxes.
func (a *Agent) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.inboxes)
}

// inbox knows the account's INBOX; it cannot be deleted.
func (a *Agent) inbox(ctx context.Context, account int64) (mailbox.Mailbox, error) {
	a.mu.Lock()
	id, ok := a.inboxes[account]
	a.mu.Unlock()
	if ok {
		return mailbox.Mailbox{ID: id, Account: account, Name: "INBOX"}, nil
	}
	box, err := a.o.Mailboxes.Mailbox(ctx, account, "INBOX")
	if err != nil {
		return mailbox.Mailbox{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.inboxes) >= 10_000 {
		clear(a.inboxes)
	}
	a.inboxes[account] = box.ID
	return box, nil
}
