package control

import (
	"context"
	"strings"
	"time"

	"mailstead/account"
	"mailstead/internal/sqlite"
)

// AppPass is an app password as people see it.
type AppPass struct {
	Name     string    `json:"name"`
	Scope    []string  `json:"scope"` // imap, smtp, pop, sieve
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used,omitzero"`
	Password string    `json:"password,omitempty"` // of a new one, this once
}

// OneAppPass is what app-password.add and revoke take.
type OneAppPass struct {
	Address string   `json:"address"`
	Name    string   `json:"name"`
	Scope   []string `json:"scope,omitempty"`
}

func (o *Ops) appPasswordList(ctx context.Context, in Who) ([]AppPass, error) {
	a, err := o.find(ctx, in.Address)
	if err != nil {
		return nil, err
	}
	all, err := o.Accounts.AppPasswords(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	list := make([]AppPass, 0, len(all))
	for _, p := range all {
		list = append(list, AppPass{Name: p.Name, Scope: strings.Split(p.Scope.String(), ","), Created: p.Created, LastUsed: p.LastUsed})
	}
	return list, nil
}

func (o *Ops) appPasswordAdd(ctx context.Context, in OneAppPass) (AppPass, error) {
	a, err := o.find(ctx, in.Address)
	if err != nil {
		return AppPass{}, err
	}
	scope, err := account.ParseScope(strings.Join(in.Scope, ","))
	if err != nil {
		return AppPass{}, err
	}
	secret, err := o.Accounts.NewAppSecret(ctx, a.ID)
	if err != nil {
		return AppPass{}, err
	}
	err = o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		_, err := o.Accounts.AddAppPassword(tx, a.ID, in.Name, scope, secret)
		return err
	})
	if err != nil {
		return AppPass{}, err
	}
	return AppPass{Name: in.Name, Scope: strings.Split(scope.String(), ","), Created: time.Now().Truncate(time.Second), Password: secret.Text}, nil
}

func (o *Ops) appPasswordRevoke(ctx context.Context, in OneAppPass) (None, error) {
	a, err := o.find(ctx, in.Address)
	if err != nil {
		return None{}, err
	}
	return None{}, o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		return o.Accounts.RevokeAppPassword(tx, a.ID, in.Name)
	})
}
