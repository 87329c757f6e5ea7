package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/mailbox"
)

type accountCommand struct {
	Add         accountAdd         `cmd:"" help:"Make an account with its mailboxes."`
	List        accountList        `cmd:"" help:"List all accounts."`
	Show        accountShow        `cmd:"" help:"Show one account with its addresses and app passwords."`
	Set         accountSet         `cmd:"" help:"Change the name, the primary address, or who is an operator."`
	Password    accountPassword    `cmd:"" help:"Give an account a new password."`
	SCRAM       accountSCRAM       `cmd:"" name:"scram" help:"Whether SCRAM proves the account's own password."`
	Disable     accountDisable     `cmd:"" help:"Close an account for logins and new mail; what it holds stays."`
	Enable      accountEnable      `cmd:"" help:"Open a disabled account again."`
	Delete      accountDelete      `cmd:"" help:"Delete an account: says first what happens; 30 days to take it back."`
	Undelete    accountUndelete    `cmd:"" help:"Take a deleted account back."`
	Quota       accountQuota       `cmd:"" help:"Limit how much mail an account holds."`
	Retention   accountRetention   `cmd:"" help:"How long mail stays in Trash and Junk."`
	Address     addressCommand     `cmd:"" help:"Further addresses of an account."`
	AppPassword appPasswordCommand `cmd:"" help:"Passwords for single programs, revoked one by one."`
}

// who is the account that a command is about.
type who struct {
	Address string `arg:"" help:"Any address of the account."`
}

func (w who) in() control.Who { return control.Who{Address: w.Address} }

type accountAdd struct {
	Address string `arg:"" help:"The address; more can be added later."`
	passwordFlag
	Name     string `help:"Display name."`
	Operator bool   `help:"Gets mail to postmaster@, abuse@ and reports@. The first account always does."`
	Quota    string `placeholder:"SIZE" help:"Limit of what it holds, such as \"5 GB\"."`
}

func (accountAdd) Help() string {
	return `Example:
  mailstead account add alice@example.org --name "Alice Liddell"`
}

// added is what account add prints with --json.
type added struct {
	control.Account
	Password string `json:"password,omitempty"` // when it was made
}

func (c *accountAdd) Run(p *program) error {
	in := control.NewAccount{Address: c.Address, Name: c.Name, Operator: c.Operator}
	if c.Quota != "" {
		size, err := config.ParseSize(c.Quota)
		if err != nil {
			return usageError{err}
		}
		in.Quota = int64(size)
	}
	caller, err := p.ask()
	if err != nil {
		return err
	}
	var made bool
	if in.Password, made, err = c.password(p, c.Address); err != nil {
		return err
	}
	a, err := control.Call[control.Account](p.ctx, caller, "account.add", in)
	if err != nil {
		return err
	}
	out := added{Account: a}
	if made {
		out.Password = in.Password
	}
	return p.show(out, func(w io.Writer) {
		fmt.Fprintf(w, "Account %s is ready.\n", clean(a.Address))
		if made {
			fmt.Fprintf(w, "Password: %s\nIt is shown this once only.\n", p.paint(bold, in.Password))
		}
		if a.Operator && !c.Operator {
			fmt.Fprintln(w, "As the first one it is the operator: mail to postmaster@, abuse@ and reports@ reaches it.")
		}
	})
}

type accountList struct{}

func (accountList) Help() string {
	return `Example:
  mailstead account list`
}

func (c *accountList) Run(p *program) error {
	all, err := call[[]control.Account](p, "account.list", nil)
	if err != nil {
		return err
	}
	return p.show(all, func(w io.Writer) {
		if len(all) == 0 {
			fmt.Fprintln(w, "There are no accounts yet: `mailstead account add ADDRESS` makes one.")
			return
		}
		t := table{header: []string{"ADDRESS", "NAME", "MESSAGES", "SIZE", "QUOTA", "STATE"}}
		for _, a := range all {
			t.add(a.Address, a.Name, a.Messages, bytesText(a.Bytes), quotaText(a.Quota), accountState(a))
		}
		t.print(p, w)
	})
}

func quotaText(n int64) string {
	if n == 0 {
		return "none"
	}
	return bytesText(n)
}

// accountState says in a word what is special about an account.
func accountState(a control.Account) cell {
	switch {
	case !a.Deleted.IsZero():
		return cell{"deleted, gone " + until(a.RemovedAt), red}
	case a.Disabled:
		return cell{"disabled", yellow}
	case a.Operator:
		return cell{"operator", green}
	}
	return cell{}
}

type accountShow struct{ who }

func (accountShow) Help() string {
	return `Example:
  mailstead account show alice@example.org`
}

func (c *accountShow) Run(p *program) error {
	a, err := call[control.Account](p, "account.show", c.in())
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) {
		var l list
		l.add("Address", "%s", a.Address)
		if len(a.Addresses) > 1 {
			l.add("Also", "%s", strings.Join(a.Addresses[1:], ", "))
		}
		if len(a.Aliases) > 0 {
			l.add("Aliases", "%s", strings.Join(a.Aliases, ", "))
		}
		if a.Name != "" {
			l.add("Name", "%s", a.Name)
		}
		l.add("Number", "%d", a.ID)
		if s := accountState(a); s.text != "" {
			l.add("State", "%s", s.text)
		}
		l.add("Holds", "%s, %s; quota %s", plural(a.Messages, "message", "messages"), bytesText(a.Bytes), quotaText(a.Quota))
		l.add("Since", "%s", a.Created.Format(dateTime))
		l.print(p, w)
		if len(a.AppPasswords) > 0 {
			fmt.Fprintln(w, "\nApp passwords")
			appPasswordTable(a.AppPasswords).print(p, w)
		}
	})
}

type accountSet struct {
	who
	Name     *string `help:"Display name."`
	Primary  string  `placeholder:"ADDRESS" help:"Make one of its addresses the primary one."`
	Operator *bool   `negatable:"" help:"Whether it gets mail to postmaster@, abuse@ and reports@."`
}

func (accountSet) Help() string {
	return `Example:
  mailstead account set bob@example.org --name "Bob" --operator`
}

func (c *accountSet) Run(p *program) error {
	if c.Name == nil && c.Primary == "" && c.Operator == nil {
		return usageError{hinted{fmt.Errorf("nothing to set"), "`mailstead account set --help` shows what there is"}}
	}
	a, err := call[control.Account](p, "account.set", control.Changes{Address: c.Address, Name: c.Name, Primary: c.Primary, Operator: c.Operator})
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) { fmt.Fprintf(w, "Account %s is changed.\n", clean(a.Address)) })
}

type accountPassword struct {
	who
	passwordFlag
	OldPasswordFile string `placeholder:"FILE" help:"Change it as the person does: the old password, in the first line of FILE, is proven first."`
}

func (accountPassword) Help() string {
	return `App passwords go on; logged-in mail programs must log in again.

Example:
  mailstead account password alice@example.org --password-file new-password.txt`
}

func (c *accountPassword) Run(p *program) error {
	a, err := call[control.Account](p, "account.show", c.in())
	if err != nil {
		return err
	}
	password, made, err := c.password(p, a.Address)
	if err != nil {
		return err
	}
	in := control.NewPassword{Address: c.Address, Password: password}
	if c.OldPasswordFile != "" {
		if in.Old, err = firstLine(p, c.OldPasswordFile); err != nil {
			return err
		}
	}
	a, err = call[control.Account](p, "account.password", in)
	if err != nil {
		return err
	}
	out := added{Account: a}
	if made {
		out.Password = password
	}
	return p.show(out, func(w io.Writer) {
		fmt.Fprintf(w, "The password of %s is changed.\n", clean(a.Address))
		if made {
			fmt.Fprintf(w, "Password: %s\nIt is shown this once only.\n", p.paint(bold, password))
		}
	})
}

type accountSCRAM struct {
	who
	State        string `arg:"" enum:"on,off" help:"on or off."`
	PasswordFile string `placeholder:"FILE" help:"For on: the account's own password, in the first line of FILE (- for standard input)."`
}

func (accountSCRAM) Help() string {
	return `Off keeps nothing of the account's own password but argon2id: programs that
know no mechanism beside SCRAM then need an app password. A new password is on again.

Examples:
  mailstead account scram alice@example.org off
  mailstead account scram alice@example.org on --password-file password.txt`
}

func (c *accountSCRAM) Run(p *program) error {
	in := control.SCRAM{Address: c.Address, On: c.State == "on"}
	var err error
	switch {
	case !in.On:
	case c.PasswordFile != "":
		in.Password, err = firstLine(p, c.PasswordFile)
	case isTerminal(p.in):
		in.Password, err = p.secret("Password of " + clean(c.Address) + ": ")
	default:
		err = hinted{errors.New("the account's own password is needed"), "--password-file names the file that it is in"}
	}
	if err != nil {
		return err
	}
	a, err := call[control.Account](p, "account.scram", in)
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) {
		fmt.Fprintf(w, "SCRAM is %s for the password of %s; app passwords go on with it.\n", c.State, clean(a.Address))
	})
}

type accountDisable struct{ who }

func (accountDisable) Help() string {
	return `New mail for it is refused (550 5.2.1) and its sessions end.

Example:
  mailstead account disable bob@example.org`
}

func (c *accountDisable) Run(p *program) error { return setDisabled(p, c.Address, true, "disabled") }

type accountEnable struct{ who }

func (accountEnable) Help() string {
	return `Example:
  mailstead account enable bob@example.org`
}

func (c *accountEnable) Run(p *program) error { return setDisabled(p, c.Address, false, "enabled") }

func setDisabled(p *program, address string, disabled bool, word string) error {
	a, err := call[control.Account](p, "account.disable", control.Disabling{Address: address, Disabled: disabled})
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) { fmt.Fprintf(w, "Account %s is %s.\n", clean(a.Address), word) })
}

type accountQuota struct {
	who
	Size string `arg:"" help:"Such as \"5 GB\", or none."`
}

func (accountQuota) Help() string {
	return `Example:
  mailstead account quota bob@example.org "5 GB"`
}

func (c *accountQuota) Run(p *program) error {
	var size config.Size
	if c.Size != "none" {
		var err error
		if size, err = config.ParseSize(c.Size); err != nil {
			return usageError{err}
		}
	}
	a, err := call[control.Account](p, "account.quota", control.NewQuota{Address: c.Address, Bytes: int64(size)})
	if err != nil {
		return err
	}
	return p.show(a, func(w io.Writer) {
		fmt.Fprintf(w, "The quota of %s is %s; it holds %s.\n", clean(a.Address), quotaText(a.Quota), bytesText(a.Bytes))
	})
}

type accountRetention struct {
	who
	Trash *int `placeholder:"DAYS" help:"Days that mail stays in Trash; 0 for ever."`
	Junk  *int `placeholder:"DAYS" help:"Days that mail stays in Junk; 0 for ever."`
}

func (accountRetention) Help() string {
	return `Without --trash and --junk it says how it is; 30 days each from the start.

Example:
  mailstead account retention bob@example.org --trash 90 --junk 14`
}

func (c *accountRetention) Run(p *program) error {
	r, err := call[mailbox.Retention](p, "account.retention", control.NewRetention{Address: c.Address, Trash: c.Trash, Junk: c.Junk})
	if err != nil {
		return err
	}
	return p.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "Mail stays in Trash %s, in Junk %s.\n", daysText(r.Trash), daysText(r.Junk))
	})
}

func daysText(n int) string {
	if n == 0 {
		return "for ever"
	}
	return plural(int64(n), "day", "days")
}
