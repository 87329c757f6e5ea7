package cli

import (
	"fmt"
	"io"

	"mailstead/internal/control"
)

type domainCommand struct {
	Add    domainAdd    `cmd:"" help:"Receive mail for a domain."`
	List   domainList   `cmd:"" help:"List the domains."`
	Set    domainSet    `cmd:"" help:"Change plus-addressing and catch-all of a domain."`
	Remove domainRemove `cmd:"" help:"Give a domain up."`
}

// oneDomain is the domain that a command is about.
type oneDomain struct {
	Domain string `arg:"" help:"Such as example.org."`
}

type domainAdd struct{ oneDomain }

func (domainAdd) Help() string {
	return `Mail to postmaster@, abuse@ and reports@ of it reaches the operator. The keys
that its mail is signed with are made now; dns show prints the records.

Example:
  mailstead domain add example.org`
}

func (c *domainAdd) Run(p *program) error {
	caller, err := p.found()
	if err != nil {
		return err
	}
	d, err := control.Call[control.Domain](p.ctx, caller, "domain.add", control.OneDomain{Name: c.Domain})
	if err != nil {
		return err
	}
	return p.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "Mail for %s is accepted. Give somebody an address: mailstead account add NAME@%[1]s\n", clean(d.Name))
	})
}

type domainList struct{}

func (domainList) Help() string {
	return `Example:
  mailstead domain list`
}

func (c *domainList) Run(p *program) error {
	all, err := call[[]control.Domain](p, "domain.list", nil)
	if err != nil {
		return err
	}
	return p.show(all, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "There are no domains yet: `mailstead domain add DOMAIN` adds one.")
			return
		}
		t := table{header: []string{"DOMAIN", "ADDRESSES", "PLUS", "CATCH-ALL", "SINCE"}}
		for _, d := range all {
			catchAll := d.CatchAll
			if catchAll == "" {
				catchAll = "none"
			}
			t.add(d.Name, d.Addresses, yesNo(d.Plus), catchAll, d.Created.Format(dateOnly))
		}
		t.print(p, w)
	})
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

type domainSet struct {
	oneDomain
	Plus     *bool   `negatable:"" help:"Whether name+detail@ reaches name@."`
	CatchAll *string `placeholder:"ADDRESS" help:"Account that gets mail for addresses that nobody has; none for nobody."`
}

func (domainSet) Help() string {
	return `Example:
  mailstead domain set example.org --no-plus --catch-all alice@example.org`
}

func (c *domainSet) Run(p *program) error {
	if c.Plus == nil && c.CatchAll == nil {
		return usageError{hinted{fmt.Errorf("nothing to set"), "`mailstead domain set --help` shows what there is"}}
	}
	if c.CatchAll != nil && *c.CatchAll == "none" {
		*c.CatchAll = ""
	}
	d, err := call[control.Domain](p, "domain.set", control.OneDomain{Name: c.Domain, Plus: c.Plus, CatchAll: c.CatchAll})
	if err != nil {
		return err
	}
	return p.show(d, func(w io.Writer) { fmt.Fprintf(w, "Domain %s is changed.\n", clean(d.Name)) })
}

type domainRemove struct{ oneDomain }

func (domainRemove) Help() string {
	return `Its accounts and aliases must be gone before. What was published for it in the
DNS stays there unless ` + "`mailstead dns publish DOMAIN --withdraw`" + ` took it away.

Example:
  mailstead domain remove example.org`
}

func (c *domainRemove) Run(p *program) error {
	if _, err := call[control.None](p, "domain.remove", control.OneDomain{Name: c.Domain}); err != nil {
		return err
	}
	return p.say("Mail for %s is not accepted any more.", clean(c.Domain))
}
