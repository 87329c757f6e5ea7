package cli

import (
	"fmt"
	"io"
	"strings"

	"mailstead/internal/control"
)

type accountDelete struct {
	who
	DryRun bool   `help:"Only say what would happen."`
	Export string `placeholder:"DIR" help:"Write its mail into DIR first, as mailstead export does."`
	Yes    bool   `help:"Do not ask."`
}

func (accountDelete) Help() string {
	return `The account is closed at once and removed with its mail after 30 days; until
then "mailstead account undelete" takes it back as it was.

Examples:
  mailstead account delete bob@example.org --dry-run
  mailstead account delete bob@example.org --export mail-of-bob`
}

func (c *accountDelete) Run(p *program) error {
	plan, err := call[control.Plan](p, "account.plan", c.in())
	if err != nil {
		return err
	}
	if c.DryRun || plan.LastOperator && !c.Yes {
		err := p.show(plan, func(w io.Writer) { printPlan(w, plan) })
		if err == nil && plan.LastOperator {
			return errFindings
		}
		return err
	}
	if !c.Yes {
		if p.flags.JSON && !isTerminal(p.in) { // the plan, for who asks the person
			if err := p.show(plan, nil); err != nil {
				return err
			}
		} else {
			printPlan(p.err, plan)
		}
		if c.Export == "" && plan.Account.Messages > 0 && isTerminal(p.in) {
			if c.Export, err = p.line("\nExport the mail first? Folder to write into (empty: no): "); err != nil {
				return err
			}
		}
		err := p.confirm(fmt.Sprintf("\nType %s to delete it: ", clean(plan.Account.Address)), plan.Account.Address,
			"--dry-run says what would happen, --yes does it without asking")
		if err != nil {
			return err
		}
	}
	if c.Export != "" {
		// To standard error, so that --json stays one value.
		quiet := *p
		quiet.out = p.err
		if err := (&exportCommand{Account: c.Address, Dir: c.Export, Format: "maildir"}).Run(&quiet); err != nil {
			return fmt.Errorf("export the mail, nothing was deleted: %w", err)
		}
	}
	a, err := call[control.Account](p, "account.delete", c.in())
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) {
		fmt.Fprintf(w, "Account %s is deleted. Until %s `mailstead account undelete %[1]s` takes it back.\n",
			clean(a.Address), a.RemovedAt.Format(dateOnly))
	})
}

// printPlan says what deleting an account does.
func printPlan(w io.Writer, plan control.Plan) {
	a := plan.Account
	if plan.LastOperator {
		fmt.Fprintf(w, "%s cannot be deleted: it is the last operator. Make somebody else one first: mailstead account set ADDRESS --operator\n", clean(a.Address))
		return
	}
	fmt.Fprintf(w, "Deleting %s means:\n", clean(a.Address))
	say := func(format string, args ...any) { fmt.Fprintf(w, "  - "+format+"\n", args...) }
	say("it is closed at once: no logins, its sessions end;")
	say("mail to %s is refused as unknown;", clean(strings.Join(plan.Addresses, ", ")))
	if len(plan.AliasesLost) > 0 {
		say("so is mail to %s, which %s to nobody else;", clean(strings.Join(plan.AliasesLost, ", ")), verb(len(plan.AliasesLost), "leads", "lead"))
	}
	if len(plan.AliasesLess) > 0 {
		say("%s %s on with the other members;", clean(strings.Join(plan.AliasesLess, ", ")), verb(len(plan.AliasesLess), "goes", "go"))
	}
	if len(plan.CatchAll) > 0 {
		say("%s %s no catch-all any more;", clean(strings.Join(plan.CatchAll, ", ")), verb(len(plan.CatchAll), "has", "have"))
	}
	if plan.Queued > 0 {
		say("%s of it in the queue %s still sent, but it will not hear of failures;", plural(plan.Queued, "message", "messages"), verb(plan.Queued, "is", "are"))
	}
	if plan.AppPasswords > 0 {
		say("its %s no longer;", plural(plan.AppPasswords, "app password works", "app passwords work"))
	}
	say("its %s (%s) %s kept until %s, then removed for good.", plural(a.Messages, "message", "messages"), bytesText(a.Bytes), verb(int(a.Messages), "is", "are"), plan.Until.Format(dateOnly))
	if a.Messages > 0 {
		fmt.Fprintf(w, "To keep the mail, export it: mailstead export %s mail-of-%[1]s\n", clean(a.Address))
	}
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

type accountUndelete struct{ who }

func (accountUndelete) Help() string {
	return `Example:
  mailstead account undelete bob@example.org`
}

func (c *accountUndelete) Run(p *program) error {
	a, err := call[control.Account](p, "account.undelete", c.in())
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) { fmt.Fprintf(w, "Account %s is back as it was.\n", clean(a.Address)) })
}
