package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailstead/account"
	"mailstead/internal/sqlite"
	"mailstead/mailbox/importer"
	"mailstead/message"
)

// Plan is what deleting an account would do.
type Plan struct {
	Account      Account   `json:"account"`
	LastOperator bool      `json:"last_operator,omitempty"` // it is refused: somebody else must be one first
	Until        time.Time `json:"until"`                   // undelete works until then
	Addresses    []string  `json:"addresses"`
	AliasesLost  []string  `json:"aliases_lost,omitempty"`
	AliasesLess  []string  `json:"aliases_less,omitempty"`
	CatchAll     []string  `json:"catch_all,omitempty"`
	AppPasswords int       `json:"app_passwords"`
	Queued       int       `json:"queued"`
}

// PlanDeletion completes the accounts' own plan with what mail and queue know.
func (o *Ops) PlanDeletion(ctx context.Context, id int64) (account.DeletionPlan, error) {
	p, err := o.Accounts.PlanDeletion(ctx, id)
	if err != nil {
		return p, err
	}
	u, err := o.Mail.Usage(ctx, id)
	if err != nil {
		return p, err
	}
	p.Messages, p.Bytes = u.Messages, u.Bytes
	p.Queued, err = o.queued(ctx, id)
	return p, err
}

func (o *Ops) accountPlan(ctx context.Context, in Who) (Plan, error) {
	a, err := o.find(ctx, in.Address)
	if err != nil {
		return Plan{}, err
	}
	p, err := o.PlanDeletion(ctx, a.ID)
	if err != nil {
		return Plan{}, err
	}
	v, err := o.account(ctx, a)
	return Plan{
		Account: v, LastOperator: p.LastOperator, Until: p.Until, Addresses: unicode(p.Addresses), AliasesLost: unicode(p.AliasesLost),
		AliasesLess: unicode(p.AliasesLess), CatchAll: domains(p.CatchAll), AppPasswords: p.AppPasswords, Queued: p.Queued,
	}, err
}

func domains(all []message.Domain) []string {
	var texts []string
	for _, d := range all {
		texts = append(texts, d.Unicode())
	}
	return texts
}

func (o *Ops) accountDelete(ctx context.Context, in Who) (Account, error) {
	return o.change(ctx, in.Address, o.Accounts.Delete)
}

func (o *Ops) accountUndelete(ctx context.Context, in Who) (Account, error) {
	return o.change(ctx, in.Address, o.Accounts.Undelete)
}

// RemoveExpired removes the accounts whose grace is over, their mail first: a
// daily job. It goes on with the next one when one cannot be removed.
func (o *Ops) RemoveExpired(ctx context.Context) error {
	due, err := o.Accounts.Expired(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range due {
		if err := o.removeAccount(ctx, a.ID); err != nil {
			errs = append(errs, fmt.Errorf("remove deleted account %d: %w", a.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (o *Ops) removeAccount(ctx context.Context, id int64) error {
	if err := o.Mail.DeleteAccount(ctx, id); err != nil {
		return err
	}
	im := importer.Importer{DB: o.DB, Mail: o.Mail}
	return o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if err := im.Forget(tx, id); err != nil {
			return err
		}
		return o.Accounts.Remove(tx, id)
	})
}
