package control

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"mailstead/account"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/message"
)

// Account is an account as people see it.
type Account struct {
	ID           int64     `json:"id"`
	Address      string    `json:"address"`
	Name         string    `json:"name,omitempty"`
	Operator     bool      `json:"operator"`
	Disabled     bool      `json:"disabled"`
	Created      time.Time `json:"created"`
	Deleted      time.Time `json:"deleted,omitzero"`
	RemovedAt    time.Time `json:"removed_at,omitzero"` // when a deleted one is gone for good
	Messages     int64     `json:"messages"`
	Bytes        int64     `json:"bytes"`
	Quota        int64     `json:"quota"` // 0 for none
	Addresses    []string  `json:"addresses,omitempty"`
	Aliases      []string  `json:"aliases,omitempty"`
	AppPasswords []AppPass `json:"app_passwords,omitempty"`
}

// Who names an account by any of its addresses.
type Who struct {
	Address string `json:"address"`
}

// find loads the account that an address belongs to.
func (o *Ops) find(ctx context.Context, address string) (account.Account, error) {
	a, err := parse(address)
	if err != nil {
		return account.Account{}, err
	}
	return o.Accounts.Find(ctx, a)
}

func parse(address string) (message.Address, error) {
	a, err := message.ParseAddress(address)
	if err != nil || a.Domain == "" {
		return a, invalid("an address has the form name@domain", "%q is not an address", address)
	}
	return a, nil
}

func (o *Ops) account(ctx context.Context, a account.Account) (Account, error) {
	u, err := o.Mail.Usage(ctx, a.ID)
	if err != nil {
		return Account{}, err
	}
	v := Account{
		ID: a.ID, Address: a.Address.Unicode(), Name: a.Name, Operator: a.Operator, Disabled: a.Disabled,
		Created: a.Created, Deleted: a.Deleted, Messages: u.Messages, Bytes: u.Bytes, Quota: u.Limit,
	}
	if !a.Deleted.IsZero() {
		v.RemovedAt = a.Deleted.Add(account.Grace)
	}
	return v, nil
}

func (o *Ops) accountList(ctx context.Context, _ None) ([]Account, error) {
	all, err := o.Accounts.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Account, 0, len(all))
	for _, a := range all {
		v, err := o.account(ctx, a)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (o *Ops) accountShow(ctx context.Context, in Who) (Account, error) {
	a, err := o.find(ctx, in.Address)
	if err != nil {
		return Account{}, err
	}
	v, err := o.account(ctx, a)
	if err != nil {
		return v, err
	}
	own, err := o.Accounts.Addresses(ctx, a.ID)
	if err != nil {
		return v, err
	}
	v.Addresses = unicode(own)
	aliases, err := o.Accounts.Aliases(ctx)
	if err != nil {
		return v, err
	}
	for _, alias := range aliases {
		for _, m := range alias.Members {
			if m == a.ID {
				v.Aliases = append(v.Aliases, alias.Address.Unicode())
			}
		}
	}
	v.AppPasswords, err = o.appPasswordList(ctx, in)
	return v, err
}

func unicode(all []message.Address) []string {
	var texts []string
	for _, a := range all {
		texts = append(texts, a.Unicode())
	}
	return texts
}

// NewAccount is what account.add takes.
type NewAccount struct {
	Address  string `json:"address"`
	Name     string `json:"name,omitempty"`
	Password string `json:"password"`
	Operator bool   `json:"operator,omitempty"`
	Quota    int64  `json:"quota,omitempty"` // bytes, 0 for none
}

// accountAdd makes the account and its mailboxes in one commit.
func (o *Ops) accountAdd(ctx context.Context, in NewAccount) (Account, error) {
	address, err := parse(in.Address)
	if err != nil {
		return Account{}, err
	}
	secret, err := o.Accounts.Secret(ctx, 0, in.Password)
	if err != nil {
		return Account{}, err
	}
	var a account.Account
	err = o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		var err error
		a, err = o.Accounts.Add(tx, account.New{Address: address, Name: in.Name, Operator: in.Operator, Password: secret})
		if err != nil {
			return err
		}
		if err := o.Mail.CreateDefaults(tx, a.ID); err != nil {
			return fmt.Errorf("make the mailboxes of %s: %w", address.Unicode(), err)
		}
		return o.Mail.SetQuota(tx, a.ID, in.Quota)
	})
	if err != nil {
		return Account{}, err
	}
	return o.account(ctx, a)
}

// Changes is what account.set takes; nil leaves a thing as it is.
type Changes struct {
	Address  string  `json:"address"`
	Name     *string `json:"name,omitempty"`
	Operator *bool   `json:"operator,omitempty"`
	Primary  string  `json:"primary,omitempty"` // one of its addresses
}

func (o *Ops) accountSet(ctx context.Context, in Changes) (Account, error) {
	var primary message.Address
	if in.Primary != "" {
		var err error
		if primary, err = parse(in.Primary); err != nil {
			return Account{}, err
		}
	}
	return o.change(ctx, in.Address, func(tx *sqlite.Tx, id int64) error {
		if in.Name != nil {
			if err := o.Accounts.SetName(tx, id, *in.Name); err != nil {
				return err
			}
		}
		if in.Operator != nil {
			if err := o.Accounts.SetOperator(tx, id, *in.Operator); err != nil {
				return err
			}
		}
		if in.Primary != "" {
			return o.Accounts.SetPrimary(tx, id, primary)
		}
		return nil
	})
}

// change runs fn on one account and tells what it is then.
func (o *Ops) change(ctx context.Context, address string, fn func(tx *sqlite.Tx, id int64) error) (Account, error) {
	a, err := o.find(ctx, address)
	if err != nil {
		return Account{}, err
	}
	if err := o.DB.Update(ctx, func(tx *sqlite.Tx) error { return fn(tx, a.ID) }); err != nil {
		return Account{}, err
	}
	if a, err = o.Accounts.Account(ctx, a.ID); err != nil {
		return Account{}, err
	}
	return o.account(ctx, a)
}

// NewPassword is what account.password takes.
type NewPassword struct {
	Address  string `json:"address"`
	Password string `json:"password"`
	Old      string `json:"old,omitempty"` // when the person changes it: proven first
}

func (o *Ops) accountPassword(ctx context.Context, in NewPassword) (Account, error) {
	who, err := o.find(ctx, in.Address)
	if err != nil {
		return Account{}, err
	}
	if in.Old != "" {
		if err := o.Accounts.ChangePassword(ctx, ownLogin(in.Address), in.Old, in.Password); err != nil {
			return Account{}, err
		}
		return o.account(ctx, who)
	}
	secret, err := o.Accounts.Secret(ctx, who.ID, in.Password)
	if err != nil {
		return Account{}, err
	}
	return o.change(ctx, in.Address, func(tx *sqlite.Tx, id int64) error {
		return o.Accounts.SetPassword(tx, id, secret)
	})
}

// SCRAM is what account.scram takes. On needs the person's own password, from
// which the keys are made; Off does not.
type SCRAM struct {
	Address  string `json:"address"`
	On       bool   `json:"on"`
	Password string `json:"password,omitempty"`
}

func (o *Ops) accountSCRAM(ctx context.Context, in SCRAM) (Account, error) {
	if !in.On {
		return o.change(ctx, in.Address, o.Accounts.ForgetSCRAM)
	}
	who, err := o.find(ctx, in.Address)
	if err != nil {
		return Account{}, err
	}
	if err := o.Accounts.SetSCRAM(ctx, ownLogin(in.Address), in.Password, true); err != nil {
		return Account{}, err
	}
	return o.account(ctx, who)
}

// ownLogin is a person's who proves the own password on this machine.
func ownLogin(address string) account.Login {
	return account.Login{Name: address, Scope: account.Web, Remote: netip.IPv6Loopback()}
}

// Disabling is what account.disable takes.
type Disabling struct {
	Address  string `json:"address"`
	Disabled bool   `json:"disabled"`
}

func (o *Ops) accountDisable(ctx context.Context, in Disabling) (Account, error) {
	return o.change(ctx, in.Address, func(tx *sqlite.Tx, id int64) error {
		return o.Accounts.SetDisabled(tx, id, in.Disabled)
	})
}

// NewQuota is what account.quota takes.
type NewQuota struct {
	Address string `json:"address"`
	Bytes   int64  `json:"bytes"` // 0 for none
}

func (o *Ops) accountQuota(ctx context.Context, in NewQuota) (Account, error) {
	if in.Bytes < 0 {
		return Account{}, invalid("", "a quota of %d bytes", in.Bytes)
	}
	return o.change(ctx, in.Address, func(tx *sqlite.Tx, id int64) error {
		return o.Mail.SetQuota(tx, id, in.Bytes)
	})
}

// NewRetention is what account.retention takes: days that mail stays in Trash and
// Junk, 0 for ever; nil leaves it as it is.
type NewRetention struct {
	Address string `json:"address"`
	Trash   *int   `json:"trash,omitempty"`
	Junk    *int   `json:"junk,omitempty"`
}

func (o *Ops) accountRetention(ctx context.Context, in NewRetention) (mailbox.Retention, error) {
	who, err := o.find(ctx, in.Address)
	if err != nil {
		return mailbox.Retention{}, err
	}
	r, err := o.Mail.Retention(ctx, who.ID)
	if err != nil {
		return mailbox.Retention{}, err
	}
	for _, set := range []struct{ from, to *int }{{in.Trash, &r.Trash}, {in.Junk, &r.Junk}} {
		if set.from == nil {
			continue
		}
		if *set.from < 0 {
			return mailbox.Retention{}, invalid("0 keeps mail for ever", "%d days", *set.from)
		}
		*set.to = *set.from
	}
	return r, o.DB.Update(ctx, func(tx *sqlite.Tx) error { return o.Mail.SetRetention(tx, who.ID, r) })
}

// OneAddress is what account.address.add and remove take.
type OneAddress struct {
	Account string `json:"account"`
	Address string `json:"address"`
}

func (o *Ops) addressAdd(ctx context.Context, in OneAddress) (Account, error) {
	a, err := parse(in.Address)
	if err != nil {
		return Account{}, err
	}
	return o.change(ctx, in.Account, func(tx *sqlite.Tx, id int64) error {
		return o.Accounts.AddAddress(tx, id, a)
	})
}

func (o *Ops) addressRemove(ctx context.Context, in OneAddress) (Account, error) {
	a, err := parse(in.Address)
	if err != nil {
		return Account{}, err
	}
	owner, err := o.Accounts.Find(ctx, a)
	if err != nil {
		return Account{}, err
	}
	return o.change(ctx, in.Account, func(tx *sqlite.Tx, id int64) error {
		if owner.ID != id {
			return invalid("", "%s is not an address of %s", in.Address, in.Account)
		}
		return o.Accounts.RemoveAddress(tx, a)
	})
}
