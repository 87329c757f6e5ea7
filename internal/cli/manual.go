package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"

	"mailstead/internal/config"
)

type manualCommand struct {
	Page string `arg:"" optional:"" default:"mailstead" enum:"mailstead,mailstead.toml,sendmail" help:"mailstead, mailstead.toml or sendmail."`
}

func (manualCommand) Help() string {
	return `Prints a page of the manual as man(1) reads it. It is made of the same words as
--help, so that it fits this very program. The package installs all of them.

Example:
  mailstead manual | man -l -`
}

func (c *manualCommand) Run(p *program) error {
	app, err := model()
	if err != nil {
		return err
	}
	m := &manual{w: p.out, version: ReadVersion().Version}
	switch c.Page {
	case "mailstead":
		m.program(app)
	case "mailstead.toml":
		m.configuration()
	case "sendmail":
		m.sendmail()
	}
	return nil
}

// manual writes roff, in the macros of man(7).
type manual struct {
	w       io.Writer
	version string
}

func (m *manual) title(name string, section int, about string) {
	fmt.Fprintf(m.w, ".TH %s %d \"\" \"Mailstead %s\" Mailstead\n.SH NAME\n%s \\- %s\n", strings.ToUpper(name), section, roff(m.version), roff(name), roff(about))
}

func (m *manual) program(app *kong.Application) {
	m.title("mailstead", 1, "a whole mail server in one program")
	fmt.Fprintf(m.w, ".SH SYNOPSIS\n\\fBmailstead\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR ...]\n.SH DESCRIPTION\n")
	m.text("One program is the whole server: it receives, delivers, keeps and sends mail, and is " +
		"the command line that everything is changed with. A command speaks to the running " +
		"server through a socket in the data directory, and works on that directory itself while none runs.")
	fmt.Fprint(m.w, ".SH OPTIONS\nEvery command has these.\n")
	for _, group := range app.AllFlags(true) {
		for _, f := range group {
			m.flag(f)
		}
	}
	fmt.Fprint(m.w, ".SH COMMANDS\n")
	for _, c := range app.Children {
		m.command(c)
	}
	fmt.Fprint(m.w, ".SH EXIT STATUS\n")
	m.text("0: done. 1: not done, or there are findings. 2: wrong usage. send has those of sysexits(3).")
	m.files("/etc/mailstead/mailstead.toml", "what the server must know before it starts", "/var/lib/mailstead", "everything that is kept", "/run/mailstead/send.sock", "where programs of this machine hand in mail")
	m.see("mailstead.toml(5)", "sendmail(8)")
}

// command writes one, and those below it.
func (m *manual) command(c *kong.Node) {
	if c.Type != kong.CommandNode || c.Hidden {
		return
	}
	if c.Leaf() {
		line := c.FullPath()
		for _, a := range c.Positional {
			line += " " + a.Summary()
		}
		fmt.Fprintf(m.w, ".SS %s\n", roff(line))
	} else {
		fmt.Fprintf(m.w, ".SS %s\n", roff(c.FullPath()))
	}
	m.text(c.Help)
	if c.Detail != "" {
		fmt.Fprint(m.w, ".PP\n")
		m.text(c.Detail)
	}
	for _, f := range c.Flags {
		if !f.Hidden {
			m.flag(f)
		}
	}
	for _, sub := range c.Children {
		m.command(sub)
	}
}

func (m *manual) flag(f *kong.Flag) {
	name := "--" + f.Name
	if f.Short != 0 {
		name = "-" + string(f.Short) + ", " + name
	}
	if !f.IsBool() {
		name += "=" + f.FormatPlaceHolder()
	}
	fmt.Fprintf(m.w, ".TP\n\\fB%s\\fR\n%s\n", roff(name), roffLine(f.Help))
}

func (m *manual) configuration() {
	m.title("mailstead.toml", 5, "what the mail server must know before it starts")
	fmt.Fprint(m.w, ".SH DESCRIPTION\n")
	m.text("The server reads this file once, when it starts. It holds only what must be known before the " +
		"database can be opened; domains, accounts and settings are changed by mailstead(1) while it runs. " +
		"Every key has a default. A key that is not known is an error. `mailstead config --check` says what is wrong with a file.")
	fmt.Fprint(m.w, ".SH KEYS\n.nf\n")
	for line := range strings.Lines(config.Example()) {
		fmt.Fprintf(m.w, "%s\n", roffLine(strings.TrimRight(line, "\n")))
	}
	fmt.Fprint(m.w, ".fi\n")
	m.files(config.Path, "where the file is looked for")
	m.see("mailstead(1)")
}

func (m *manual) sendmail() {
	m.title("sendmail", 8, "hand in a message to the mail server")
	fmt.Fprintf(m.w, ".SH SYNOPSIS\n\\fBsendmail\\fR [\\fIOPTION\\fR ...] [\\fIADDRESS\\fR ...]\n.br\n\\fBmailq\\fR\n.br\n\\fBnewaliases\\fR\n.SH DESCRIPTION\n")
	m.text(sendCommand{}.Help())
	m.see("mailstead(1)")
}

func (m *manual) files(pairs ...string) {
	fmt.Fprint(m.w, ".SH FILES\n")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(m.w, ".TP\n\\fI%s\\fR\n%s\n", roff(pairs[i]), roffLine(pairs[i+1]))
	}
}

func (m *manual) see(pages ...string) {
	fmt.Fprintf(m.w, ".SH SEE ALSO\n%s\n", roff(strings.Join(pages, ", ")))
}

// text writes paragraphs as help has them: what is indented stands as it is, the
// rest is filled.
func (m *manual) text(s string) {
	as := false
	for line := range strings.Lines(strings.TrimSpace(s)) {
		line = strings.TrimRightFunc(line, unicode.IsSpace)
		indented := strings.HasPrefix(line, " ")
		switch {
		case line == "":
			if as {
				fmt.Fprint(m.w, ".fi\n.RE\n")
				as = false
			}
			fmt.Fprint(m.w, ".PP\n")
			continue
		case indented && !as:
			fmt.Fprint(m.w, ".RS 2\n.nf\n")
		case !indented && as:
			fmt.Fprint(m.w, ".fi\n.RE\n.PP\n")
		}
		as = indented
		fmt.Fprintf(m.w, "%s\n", roffLine(strings.TrimPrefix(line, "  ")))
	}
	if as {
		fmt.Fprint(m.w, ".fi\n.RE\n")
	}
}

// roff escapes text inside a line.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\"", `\(dq`).Replace(s)
	var b strings.Builder
	for i, part := range strings.Split(s, "`") { // code
		switch {
		case i == 0:
		case i%2 == 1:
			b.WriteString(`\fB`)
		default:
			b.WriteString(`\fR`)
		}
		b.WriteString(part)
	}
	return b.String()
}

// roffLine escapes a whole line, which may not begin as a request does.
func roffLine(s string) string {
	s = roff(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}
