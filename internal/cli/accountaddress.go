package cli

import (
	"fmt"
	"io"

	"mailstead/internal/control"
)

type addressCommand struct {
	Add    addressAdd    `cmd:"" help:"Give an account one more address."`
	Remove addressRemove `cmd:"" help:"Take an address from an account."`
}

// oneAddress is an account and an address of it.
type oneAddress struct {
	Account string `arg:"" help:"Any address of the account."`
	Address string `arg:"" help:"The address that it gets or loses."`
}

func (o oneAddress) in() control.OneAddress { return control.OneAddress(o) }

type addressAdd struct{ oneAddress }

func (addressAdd) Help() string {
	return `The account may log in and send with it. For an address of several people see
"mailstead alias".

Example:
  mailstead account address add alice@example.org a.liddell@example.org`
}

func (c *addressAdd) Run(p *program) error {
	a, err := call[control.Account](p, "account.address.add", c.in())
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) {
		fmt.Fprintf(w, "%s reaches %s too.\n", clean(c.Address), clean(a.Address))
	})
}

type addressRemove struct{ oneAddress }

func (addressRemove) Help() string {
	return `Example:
  mailstead account address remove alice@example.org a.liddell@example.org`
}

func (c *addressRemove) Run(p *program) error {
	a, err := call[control.Account](p, "account.address.remove", c.in())
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) {
		fmt.Fprintf(w, "%s is no address of %s any more.\n", clean(c.Address), clean(a.Address))
	})
}
