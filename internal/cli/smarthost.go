package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"mailstead/internal/control"
)

type smarthostCommand struct {
	Show   smarthostShow   `cmd:"" help:"Which way mail leaves."`
	Set    smarthostSet    `cmd:"" help:"Hand all mail to one server."`
	Remove smarthostRemove `cmd:"" help:"Send to each domain's own servers again."`
}

type smarthostShow struct{}

func (smarthostShow) Help() string {
	return `Example:
  mailstead smarthost show`
}

func (c *smarthostShow) Run(p *program) error {
	s, err := call[control.SmartHost](p, "smarthost.show", nil)
	if err != nil {
		return err
	}
	return p.show(s, func(w io.Writer) {
		if s.Host == "" {
			fmt.Fprintln(w, "Mail goes to each domain's own servers.")
			return
		}
		printSmartHost(w, s)
	})
}

func printSmartHost(w io.Writer, s control.SmartHost) {
	way := "STARTTLS"
	if s.ImplicitTLS {
		way = "TLS"
	}
	fmt.Fprintf(w, "All mail goes to %s, port %d, by %s, signed in as %s.\n", clean(s.Host), s.Port, way, clean(s.Username))
	if len(s.Include) > 0 {
		fmt.Fprintf(w, "The SPF records of all domains include %s.\n", clean(strings.Join(s.Include, ", ")))
	}
	for _, n := range s.Notes {
		fmt.Fprintln(w, clean(n))
	}
}

type smarthostSet struct {
	Host         string    `arg:"" help:"Such as smtp.example.net or smtp.example.net:465, as its operator tells."`
	User         string    `required:"" placeholder:"NAME" help:"Whom it knows you as."`
	PasswordFile string    `placeholder:"FILE" help:"Read its password from the first line of FILE (- for standard input), instead of asking."`
	ImplicitTLS  *bool     `name:"implicit-tls" negatable:"" help:"TLS from the start, not STARTTLS; without it, port 465 says so."`
	Include      *[]string `placeholder:"DOMAIN" help:"Whose SPF record yours includes; none for none. Without it, it is looked for."`
	Untried      bool      `help:"Keep it without signing in there first."`
}

func (smarthostSet) Help() string {
	return `For a machine whose port 25 is closed on the way out, or whose address others do
not trust. TLS with a valid certificate and a password are demanded: without them
mail waits in the queue and is never sent in clear. It is tried first, and a
running server takes it at once. Receiving stays as it is.

Others see your mail come from its servers, so that the SPF record of each domain
has to include its own: publish them afterwards.

Examples:
  mailstead smarthost set smtp.example.net --user you@example.net
  mailstead smarthost set smtp.example.net:465 --user you --password-file /root/smarthost
  mailstead smarthost set smtp.example.net --user you --include spf.example.net`
}

func (c *smarthostSet) Run(p *program) error {
	password, err := c.password(p)
	if err != nil {
		return err
	}
	in := control.SmartHostChange{
		Host: c.Host, ImplicitTLS: c.ImplicitTLS, Username: c.User, Password: password, Include: c.Include, Untried: c.Untried,
	}
	if c.Include != nil && len(*c.Include) == 1 && (*c.Include)[0] == "none" {
		in.Include = &[]string{}
	}
	s, err := call[control.SmartHost](p, "smarthost.set", in)
	if err != nil {
		return err
	}
	return p.show(s, func(w io.Writer) {
		printSmartHost(w, s)
		if len(s.Include) > 0 {
			fmt.Fprintln(w, "Publish that now: `mailstead dns publish DOMAIN`, or `mailstead dns show` to copy.")
		}
		fmt.Fprintln(w, "`mailstead queue retry all` sends what waits now.")
	})
}

func (c *smarthostSet) password(p *program) (string, error) {
	if c.PasswordFile != "" {
		return firstLine(p, c.PasswordFile)
	}
	if !isTerminal(p.in) {
		return "", hinted{errors.New("the smart host's password is needed"), "give it with --password-file, or run this in a terminal"}
	}
	return p.secret(fmt.Sprintf("Password of %s at %s: ", clean(c.User), clean(c.Host)))
}

type smarthostRemove struct{}

func (smarthostRemove) Help() string {
	return `Its SPF leaves the records of your domains; publish them afterwards.

Example:
  mailstead smarthost remove`
}

func (c *smarthostRemove) Run(p *program) error {
	was, err := call[control.SmartHost](p, "smarthost.remove", nil)
	if err != nil {
		return err
	}
	return p.say("Mail goes to each domain's own servers again, not to %s. Publish the records now: `mailstead dns publish DOMAIN`.", clean(was.Host))
}
