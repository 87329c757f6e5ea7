// Package cli is the command line: one file per subcommand, each a struct whose
// fields are its arguments and whose Run does the work. It decides nothing: a
// command asks internal/control, through the socket of a running server or on
// the stores themselves, and says the answer to a person, or with --json to a
// program.
//
// Conventions, the same for all:
//
//	exit status   0 done, 1 not done or findings, 2 wrong usage
//	standard out  what was asked for; with --json one value (lines where told)
//	standard err  questions, progress, `error:` and `hint:`
//	passwords     from a prompt, from --password-file, or made and printed once;
//	              never from an argument, which every user of a machine can read
//
// Text from outside (addresses, names, replies of other servers) passes clean
// before it reaches a terminal.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// root is the whole command line, in the order in which help shows it. Each
// command's struct stands in the file of its name: to add one, write the struct
// with its Run(*program) error and Help() string, and a line here.
type root struct {
	globals

	Setup       setupCommand       `cmd:"" help:"From nothing to working mail in three questions."`
	Demo        demoCommand        `cmd:"" help:"A whole server in a small world of its own, on loopback: watch mail go all the way."`
	Serve       serveCommand       `cmd:"" help:"Run the server."`
	Account     accountCommand     `cmd:"" help:"People: add, list, show, change, delete; their app passwords and addresses."`
	Domain      domainCommand      `cmd:"" help:"Domains that mail is received for."`
	DNS         dnsCommand         `cmd:"" name:"dns" help:"The records of the domains in the DNS."`
	Alias       aliasCommand       `cmd:"" help:"Addresses that lead to several people."`
	Send        sendCommand        `cmd:"" passthrough:"" help:"Hand in a message, as sendmail does: for cron, scripts and other programs of this machine."`
	Queue       queueCommand       `cmd:"" help:"Mail on its way out."`
	Smarthost   smarthostCommand   `cmd:"" name:"smarthost" help:"One server that takes all mail, where port 25 is closed on the way out."`
	Import      importCommand      `cmd:"" help:"Bring mail from mbox, Maildir or message files."`
	Export      exportCommand      `cmd:"" help:"Write an account's mail into files."`
	Trace       traceCommand       `cmd:"" help:"What happened to a message or an address, in plain words."`
	Backup      backupCommand      `cmd:"" help:"Copy everything to another disk, now or every night."`
	Restore     restoreCommand     `cmd:"" help:"Bring a backup back: everything, one account, or one mailbox."`
	Check       checkCommand       `cmd:"" help:"Whether everything that is kept is whole."`
	Upgrade     upgradeCommand     `cmd:"" help:"What an upgrade left, and the way back."`
	Certificate certificateCommand `cmd:"" help:"Certificates: which are shown, where they come from."`
	Doctor      doctorCommand      `cmd:"" help:"What is wrong, or soon will be, and what to do about it."`
	Config      configCommand      `cmd:"" help:"Print mailstead.toml with every key and its default, or check yours."`
	Manual      manualCommand      `cmd:"" help:"Print a page of the manual, for man."`
	Completion  completionCommand  `cmd:"" help:"Print a script that lets a shell complete this command line."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// globals are the flags that every command has.
type globals struct {
	ConfigFile string `name:"config" placeholder:"FILE" help:"Configuration file (default: /etc/mailstead/mailstead.toml, if it is there)."`
	Data       string `placeholder:"DIR" help:"Data directory, instead of the configuration's."`
	JSON       bool   `help:"Print JSON."`
}

// exit statuses.
const (
	done     = 0
	findings = 1
	usage    = 2
)

// errNoData: nothing has been set up in the data directory yet.
var errNoData = errors.New("there is no mail server's data")

// errFindings ends a command that worked and found something: its output has
// said what, so that nothing more is printed.
var errFindings = errors.New("findings")

// Main runs the command line and gives the exit status.
func Main(args []string, in *os.File, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &program{ctx: ctx, in: in, out: out, err: errOut}
	return p.main(args)
}

// exited carries kong's wish to end (after --help) out of its depth.
type exited int

func (p *program) main(args []string) (status int) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exited:
			status = int(r)
		default:
			panic(r)
		}
	}()
	var r root
	parser, err := newParser(p, &r)
	if err != nil {
		p.complain(err)
		return usage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		p.complain(hinted{err, "`mailstead" + path(err) + " --help` shows how"})
		return usage
	}
	p.flags = r.globals
	err = ctx.Run()
	if e := p.close(); err == nil {
		err = e
	}
	switch {
	case err == nil:
		return done
	case errors.Is(err, errFindings):
		return findings
	}
	p.complain(err)
	var e ended
	if errors.As(err, &e) {
		return e.status
	}
	var u usageError
	if errors.As(err, &u) {
		return usage
	}
	return findings
}

func newParser(p *program, r *root) (*kong.Kong, error) {
	return kong.New(r,
		kong.Name("mailstead"),
		kong.Description("A whole mail server in one program."),
		kong.Writers(p.out, p.err),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Bind(p),
	)
}

// path is the command that a wrong command line got to: " account add".
func path(err error) string {
	var e *kong.ParseError
	if !errors.As(err, &e) || e.Context == nil {
		return ""
	}
	text := ""
	for _, step := range e.Context.Path {
		if step.Command != nil {
			text += " " + step.Command.Name
		}
	}
	return text
}

// usageError is a wrong command line that kong could not see.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// hinted gives an error its next step.
type hinted struct {
	error
	next string
}

func (h hinted) Hint() string  { return h.next }
func (h hinted) Unwrap() error { return h.error }

// complain says an error and what to do about it.
func (p *program) complain(err error) {
	fmt.Fprintf(p.err, "%s %s\n", p.paint(red, "error:"), clean(err.Error()))
	var h interface{ Hint() string }
	if errors.As(err, &h) && h.Hint() != "" {
		fmt.Fprintf(p.err, "%s %s\n", p.paint(dim, "hint:"), clean(h.Hint()))
	}
}
