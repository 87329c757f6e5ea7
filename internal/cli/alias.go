package cli

import (
	"io"
	"strings"

	"mailstead/internal/control"
)

type aliasCommand struct {
	Add    aliasAdd    `cmd:"" help:"Make an alias, or add people to one."`
	List   aliasList   `cmd:"" help:"List the aliases."`
	Remove aliasRemove `cmd:"" help:"Remove people from an alias, or the whole alias."`
}

type aliasAdd struct {
	Alias   string   `arg:"" help:"The address."`
	Members []string `arg:"" help:"Addresses of the accounts that get its mail."`
}

func (aliasAdd) Help() string {
	return `Its members may send in its name too.

Example:
  mailstead alias add family@example.org alice@example.org bob@example.org`
}

func (c *aliasAdd) Run(p *program) error {
	if _, err := call[control.None](p, "alias.add", control.OneAlias{Address: c.Alias, Members: c.Members}); err != nil {
		return err
	}
	return p.say("Mail to %s reaches %s.", clean(c.Alias), clean(strings.Join(c.Members, ", ")))
}

type aliasList struct{}

func (aliasList) Help() string {
	return `Example:
  mailstead alias list`
}

func (c *aliasList) Run(p *program) error {
	all, err := call[[]control.Alias](p, "alias.list", nil)
	if err != nil {
		return err
	}
	return p.show(all, func(w io.Writer) {
		t := table{header: []string{"ALIAS", "REACHES"}}
		for _, a := range all {
			reaches := strings.Join(a.Members, ", ")
			switch {
			case a.BuiltIn && reaches == "":
				reaches = "nobody: there is no operator yet"
			case a.BuiltIn:
				reaches += " (operator)"
			}
			t.add(a.Address, reaches)
		}
		t.print(p, w)
	})
}

type aliasRemove struct {
	Alias   string   `arg:"" help:"The address."`
	Members []string `arg:"" optional:"" help:"Who leaves it; without names the whole alias goes."`
}

func (aliasRemove) Help() string {
	return `Example:
  mailstead alias remove family@example.org bob@example.org`
}

func (c *aliasRemove) Run(p *program) error {
	if _, err := call[control.None](p, "alias.remove", control.OneAlias{Address: c.Alias, Members: c.Members}); err != nil {
		return err
	}
	if len(c.Members) == 0 {
		return p.say("The alias %s is removed.", clean(c.Alias))
	}
	return p.say("Mail to %s does not reach %s any more.", clean(c.Alias), clean(strings.Join(c.Members, ", ")))
}
