package control

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"mailstead/account"
	"mailstead/dns/publish"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Domain is a domain as people see it.
type Domain struct {
	Name      string    `json:"name"`
	Plus      bool      `json:"plus"`                // name+detail@ reaches name@
	CatchAll  string    `json:"catch_all,omitempty"` // address of the account
	Addresses int       `json:"addresses"`           // of accounts and aliases
	Created   time.Time `json:"created"`
}

// OneDomain is what domain.add, set and remove take; nil leaves a thing as it is.
type OneDomain struct {
	Name     string  `json:"name"`
	Plus     *bool   `json:"plus,omitempty"`
	CatchAll *string `json:"catch_all,omitempty"` // address of an account, "" for none
}

func parseDomain(name string) (message.Domain, error) {
	d, err := message.ParseDomain(strings.TrimSpace(name))
	if err != nil {
		return d, notADomain(strings.TrimSpace(name))
	}
	return d, nil
}

// notADomain finds out what was pasted in the place of a domain.
func notADomain(text string) error {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		host, _, _ := strings.Cut(rest, "/")
		host, _, _ = strings.Cut(host, ":")
		return invalid("did you mean "+host+"?", "%q is the address of a page, not a domain", text)
	}
	if _, host, ok := strings.Cut(text, "@"); ok {
		return invalid("did you mean "+host+"?", "%q is a mail address, not a domain", text)
	}
	return invalid("a domain has the form example.org", "%q is not a domain", text)
}

func (o *Ops) domainList(ctx context.Context, _ None) ([]Domain, error) {
	all, err := o.Accounts.Domains(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Domain, 0, len(all))
	for _, d := range all {
		v, err := o.domain(ctx, d)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (o *Ops) domain(ctx context.Context, d account.Domain) (Domain, error) {
	v := Domain{Name: d.Name.Unicode(), Plus: d.Plus, Created: d.Created}
	if d.CatchAll != 0 {
		a, err := o.Accounts.Account(ctx, d.CatchAll)
		if err != nil {
			return v, err
		}
		v.CatchAll = a.Address.Unicode()
	}
	var err error
	v.Addresses, err = o.Accounts.InDomain(ctx, d.Name)
	return v, err
}

func (o *Ops) domainAdd(ctx context.Context, in OneDomain) (Domain, error) {
	name, err := parseDomain(in.Name)
	if err != nil {
		return Domain{}, err
	}
	if _, err := netip.ParseAddr(string(name)); err == nil {
		return Domain{}, invalid("mail is sent to names: add the domain whose DNS leads to that address", "%s is the address of a host, not a domain", name)
	}
	return o.changeDomain(ctx, name, in, true)
}

func (o *Ops) domainSet(ctx context.Context, in OneDomain) (Domain, error) {
	name, err := parseDomain(in.Name)
	if err != nil {
		return Domain{}, err
	}
	return o.changeDomain(ctx, name, in, false)
}

// changeDomain makes the domain when it is fresh, and sets what is given.
func (o *Ops) changeDomain(ctx context.Context, name message.Domain, in OneDomain, fresh bool) (Domain, error) {
	d := account.Domain{Name: name, Plus: true}
	if !fresh {
		var err error
		if d, err = o.Accounts.Domain(ctx, name); err != nil {
			return Domain{}, err
		}
	}
	if in.Plus != nil {
		d.Plus = *in.Plus
	}
	if in.CatchAll != nil {
		d.CatchAll = 0
		if *in.CatchAll != "" {
			a, err := o.find(ctx, *in.CatchAll)
			if err != nil {
				return Domain{}, err
			}
			d.CatchAll = a.ID
		}
	}
	var keys []account.DKIMKey
	if fresh {
		var err error
		if keys, err = account.NewDKIMKeys(time.Now()); err != nil {
			return Domain{}, err
		}
	}
	err := o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if fresh {
			if err := o.Accounts.AddDomain(tx, name, keys...); err != nil {
				return err
			}
		}
		return o.Accounts.SetDomain(tx, d)
	})
	if err != nil {
		return Domain{}, err
	}
	if d, err = o.Accounts.Domain(ctx, name); err != nil {
		return Domain{}, err
	}
	return o.domain(ctx, d)
}

func (o *Ops) domainRemove(ctx context.Context, in OneDomain) (None, error) {
	name, err := parseDomain(in.Name)
	if err != nil {
		return None{}, err
	}
	return None{}, o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if err := o.Accounts.RemoveDomain(tx, name); err != nil {
			return err
		}
		// The token of its DNS provider is nothing to keep for a domain that is gone.
		for _, name := range []string{followedKey(name), publish.SettingName(string(name))} {
			if err := o.Accounts.SetSetting(tx, name, nil); err != nil {
				return err
			}
		}
		return o.Wanted.Forget(tx, name)
	})
}

// Alias is an alias as people see it.
type Alias struct {
	Address string   `json:"address"`
	Members []string `json:"members"`            // primary addresses of accounts
	BuiltIn bool     `json:"built_in,omitempty"` // reaches the operator by itself
}

// OneAlias is what alias.add and remove take.
type OneAlias struct {
	Address string   `json:"address"`
	Members []string `json:"members,omitempty"` // to remove: none means all
}

func (o *Ops) aliasList(ctx context.Context, _ None) ([]Alias, error) {
	all, err := o.Accounts.Aliases(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Alias, 0, len(all))
	for _, a := range all {
		v := Alias{Address: a.Address.Unicode(), Members: []string{}, BuiltIn: a.Role}
		for _, id := range a.Members {
			m, err := o.Accounts.Account(ctx, id)
			if err != nil {
				return nil, err
			}
			v.Members = append(v.Members, m.Address.Unicode())
		}
		list = append(list, v)
	}
	return list, nil
}

func (o *Ops) aliasAdd(ctx context.Context, in OneAlias) (None, error) {
	return None{}, o.changeAlias(ctx, in, o.Accounts.AddAlias)
}

func (o *Ops) aliasRemove(ctx context.Context, in OneAlias) (None, error) {
	return None{}, o.changeAlias(ctx, in, o.Accounts.RemoveAlias)
}

func (o *Ops) changeAlias(ctx context.Context, in OneAlias, fn func(*sqlite.Tx, message.Address, ...int64) error) error {
	a, err := parse(in.Address)
	if err != nil {
		return err
	}
	var members []int64
	for _, m := range in.Members {
		who, err := o.find(ctx, m)
		if err != nil {
			return err
		}
		members = append(members, who.ID)
	}
	return o.DB.Update(ctx, func(tx *sqlite.Tx) error { return fn(tx, a, members...) })
}
