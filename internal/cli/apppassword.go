package cli

import (
	"fmt"
	"io"
	"strings"

	"mailstead/internal/control"
)

type appPasswordCommand struct {
	Add    appPasswordAdd    `cmd:"" help:"Make an app password and print it, once."`
	List   appPasswordList   `cmd:"" help:"List an account's app passwords."`
	Revoke appPasswordRevoke `cmd:"" help:"Revoke an app password."`
}

type appPasswordAdd struct {
	who
	Name  string   `arg:"" help:"What it is for, such as phone."`
	Scope []string `default:"imap,smtp" help:"Doors that it opens: imap, smtp, pop, sieve (default: imap,smtp)."`
}

func (appPasswordAdd) Help() string {
	return `Example:
  mailstead account app-password add alice@example.org phone --scope imap,smtp`
}

func (c *appPasswordAdd) Run(p *program) error {
	a, err := call[control.AppPass](p, "app-password.add", control.OneAppPass{Address: c.Address, Name: c.Name, Scope: c.Scope})
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) {
		fmt.Fprintf(w, "Password of %s for %s: %s\nIt is shown this once only.\n",
			clean(c.Address), clean(a.Name), p.paint(bold, a.Password))
	})
}

type appPasswordList struct{ who }

func (appPasswordList) Help() string {
	return `Example:
  mailstead account app-password list alice@example.org`
}

func (c *appPasswordList) Run(p *program) error {
	all, err := call[[]control.AppPass](p, "app-password.list", c.in())
	if err != nil {
		return err
	}
	return p.show(all, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintf(w, "%s has no app passwords.\n", clean(c.Address))
			return
		}
		appPasswordTable(all).print(p, w)
	})
}

func appPasswordTable(all []control.AppPass) *table {
	t := &table{header: []string{"NAME", "FOR", "MADE", "LAST USED"}}
	for _, a := range all {
		t.add(a.Name, strings.Join(a.Scope, ", "), a.Created.Format(dateOnly), ago(a.LastUsed))
	}
	return t
}

type appPasswordRevoke struct {
	who
	Name string `arg:"" help:"Name of the app password."`
}

func (appPasswordRevoke) Help() string {
	return `Example:
  mailstead account app-password revoke alice@example.org phone`
}

func (c *appPasswordRevoke) Run(p *program) error {
	_, err := call[control.None](p, "app-password.revoke", control.OneAppPass{Address: c.Address, Name: c.Name})
	if err != nil {
		return err
	}
	return p.say("The app password %s of %s is revoked.", clean(c.Name), clean(c.Address))
}
