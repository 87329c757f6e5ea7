// Package admin is the pages for who looks after the server. It is the same
// door as the command line, for a browser: what a page shows comes from the
// operations of internal/control, in the forms that people read; layout, sign-in
// and headers are internal/webui's.
//
//	browser ─▶ webui ─▶ page_NAME.go ─▶ a few operations ─▶ internal/control
//	                        └─▶ Lookout: looks behind the page's back, for up to 20 seconds
//
// A page is one file, page_NAME.go, with a template of that name in pages; site.go
// lists them. A page may call the operations in its list and no others: whoever
// steals an operator's session must not be able to name a program that the server
// runs (the DNS provider "exec") or a file that it reads.
//
// Nothing here is public: every page and action is for operators.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"mailstead/account"
	"mailstead/internal/control"
	"mailstead/internal/maillog"
	"mailstead/internal/webui"
)

// Gate lets people in by their own passwords. It implements webui.Accounts.
type Gate struct {
	Accounts *account.Store
	Events   maillog.Sink // nil for none
}

// SignIn implements webui.Accounts. Guessing is throttled by the account room,
// together with that at all other doors.
func (g *Gate) SignIn(ctx context.Context, name, password string, from netip.Addr) (webui.Visitor, error) {
	began := time.Now()
	a, err := g.Accounts.CheckOwnPassword(ctx, account.Login{Name: name, Scope: account.Web, Remote: from}, password)
	said := "200 signed in on the pages"
	switch {
	case errors.Is(err, account.ErrThrottled):
		said, err = "429 too many attempts", webui.ErrTooMany
	case errors.Is(err, account.ErrBadCredentials):
		said, err = "401 wrong address or password", webui.ErrWrong
	case errors.Is(err, account.ErrDisabled):
		said, err = "403 the account is closed", webui.ErrClosed
	case err != nil:
		return webui.Visitor{}, fmt.Errorf("sign in: %w", err)
	}
	if g.Events != nil {
		g.Events.Record(maillog.Event{
			Time: began, Kind: maillog.Login, Account: a.ID, Remote: from, Rcpt: name, Reply: said, Dur: time.Since(began),
		})
	}
	if err != nil {
		return webui.Visitor{}, err
	}
	return visitor(a), nil
}

// Visitor implements webui.Accounts.
func (g *Gate) Visitor(ctx context.Context, id int64) (webui.Visitor, error) {
	a, err := g.Accounts.Account(ctx, id)
	if errors.Is(err, account.ErrUnknown) || err == nil && !a.Live() {
		return webui.Visitor{}, webui.ErrClosed
	}
	return visitor(a), err
}

func visitor(a account.Account) webui.Visitor {
	return webui.Visitor{Account: a.ID, Address: a.Address.Unicode(), Operator: a.Operator}
}

// only is a Caller that knows the operations in its list and no others.
type only struct {
	control.Caller
	names []string
}

// Do implements control.Caller.
func (o only) Do(ctx context.Context, name string, in, out any) error {
	if !slices.Contains(o.names, name) {
		return &control.Error{Kind: control.NotFound, Text: fmt.Sprintf("no page may do %q", name)}
	}
	return o.Caller.Do(ctx, name, in, out)
}

// Stream implements control.Caller.
func (o only) Stream(_ context.Context, name string, _ any, _ io.Reader, _ io.Writer) error {
	return &control.Error{Kind: control.NotFound, Text: fmt.Sprintf("no page may do %q", name)}
}
