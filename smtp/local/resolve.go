package local

import (
	"context"
	"errors"
	"strings"

	"mailstead/account"
	"mailstead/message"
	"mailstead/smtp"
)

// What doors say of an address.
var (
	NoRelay   = smtp.Reply{Code: 550, Status: "5.7.1", Text: "relaying denied: this address is not served here"}
	NoAddress = smtp.Reply{Code: 550, Status: "5.1.1", Text: "no such address here"}
	Disabled  = smtp.Reply{Code: 550, Status: "5.2.1", Text: "this account is disabled"}
)

// Resolve finds the accounts behind an address that can take a message of size
// octets (0: not known). A Reply that is not zero refuses the address. An alias
// is full only when everybody behind it is.
func (a *Agent) Resolve(ctx context.Context, address message.Address, size int64) ([]account.Target, smtp.Reply, error) {
	targets, err := a.o.Accounts.Resolve(ctx, address)
	if errors.Is(err, account.ErrNotLocal) && a.Keeper(address) {
		targets, err = a.o.Accounts.Resolve(ctx, message.Address{Local: "postmaster"})
	}
	switch {
	case errors.Is(err, account.ErrNotLocal):
		return nil, NoRelay, nil
	case errors.Is(err, account.ErrUnknown):
		return nil, NoAddress, nil
	case errors.Is(err, account.ErrDisabled):
		return nil, Disabled, nil
	case err != nil:
		return nil, smtp.Reply{}, err
	}
	for _, target := range targets {
		u, err := a.o.Mailboxes.Usage(ctx, target.Account)
		if err != nil {
			return nil, smtp.Reply{}, err
		}
		if !u.Full(max(size, 1)) {
			return targets, smtp.Reply{}, nil
		}
	}
	return nil, OverQuota, nil
}

// Keeper tells an address of whoever keeps this server, at the name that it gives
// itself (RFC 5321, 4.5.1). That name need not be a domain of ours; who answers
// one of our DSNs writes there.
func (a *Agent) Keeper(address message.Address) bool {
	if !strings.EqualFold(string(address.Domain), a.o.Hostname) {
		return false
	}
	switch strings.ToLower(address.Local) {
	case "postmaster", "mailer-daemon", "abuse":
		return true
	}
	return false
}
