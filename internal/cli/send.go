package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"mailstead/internal/app"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/smtp"
	"mailstead/smtp/submission"
)

// sendCommand is sendmail as scripts call it. Its arguments are not kong's: each
// is one letter, with what belongs to it behind it or in the next argument.
type sendCommand struct {
	Args []string `arg:"" optional:"" name:"OPTION-OR-ADDRESS" help:"Options of sendmail, then addresses."`
}

func (sendCommand) Help() string {
	return `Reads a message from standard input and hands it to the server. It is what
scripts, cron and other programs call as sendmail; any user of the machine may,
through a socket of its own. The message is on stable storage before exit 0.

Addresses without a domain (root, cron) and those of this machine reach the
operators; From, Date and Message-ID are added where they are missing. Users
other than root write as addresses of this server's domains or of its host.

Options:
` + sendOptionText() + `
Exit status is that of sysexits.h: 0 accepted, 64 wrong usage, 65 the message
cannot be sent as it is, 67 no such address here, 75 try again later, 77 not
allowed, 78 not set up. Called as sendmail, mailq and newaliases the program is
` + "`send`, `send -bp` and `send -bi`" + `.

Example:
  printf 'To: root\nSubject: disk\n\nIt is full.\n' | mailstead send -t -i`
}

// Arguments are those of the program, which is a command of its own under the
// names that the world calls it by.
func Arguments(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	named := map[string][]string{
		"sendmail":   {"send"},
		"mailq":      {"send", "-bp"},
		"newaliases": {"send", "-bi"},
	}[filepath.Base(argv[0])]
	return append(named, argv[1:]...)
}

// Exit statuses of sysexits(3).
const (
	exUsage    = 64
	exDataErr  = 65
	exNoUser   = 67
	exTempFail = 75
	exNoPerm   = 77
	exConfig   = 78
)

// ended is an error with its own exit status.
type ended struct {
	error
	status int
}

func (e ended) Unwrap() error { return e.error }

func (c *sendCommand) Run(p *program) error {
	o, err := parseSend(c.Args)
	if err != nil {
		return ended{hinted{err, "`mailstead send --help` shows what there is"}, exUsage}
	}
	if o.config != "" {
		p.flags.ConfigFile = o.config
	}
	if o.data != "" {
		p.flags.Data = o.data
	}
	p.flags.JSON = p.flags.JSON || o.json
	switch {
	case o.help:
		_, err := fmt.Fprintf(p.out, "Usage: mailstead send [OPTION...] [ADDRESS...]\n\n%s\n", c.Help())
		return err
	case o.mode == 'p':
		return (&queueList{}).Run(p)
	case o.mode == 'i':
		return p.say("Aliases live in the database: there is nothing to rebuild. `mailstead alias list` shows them.")
	case o.mode == 'd':
		return ended{hinted{errors.New("this is not how the server is started"), "`mailstead serve` runs it, `systemctl start mailstead` where systemd does"}, exUsage}
	case o.mode != 'm':
		return ended{hinted{fmt.Errorf("-b%c is not done here", o.mode), "submit by SMTP on port 465 or 587, or hand the message to `mailstead send -t`"}, exUsage}
	case o.flush:
		return (&queueRetry{manyItems{Number: "all"}}).Run(p)
	case len(o.letter.Recipients) == 0 && !o.letter.Header:
		return ended{hinted{errors.New("nobody is named to send this to"), "name the recipients, or take those of the message with -t"}, exUsage}
	}
	return o.send(p)
}

func (o *sendOptions) send(p *program) error {
	cfg, err := p.config()
	if err != nil {
		return ended{err, exConfig}
	}
	if o.letter.Name == "" {
		o.letter.Name = authorName()
	}
	text, err := readLetter(p.in, !o.dots)
	if errors.Is(err, errLongLetter) {
		return ended{hinted{err, "nothing was sent; send a link to where it lies"}, exDataErr}
	}
	if err != nil {
		return ended{fmt.Errorf("read the message: %w", err), exTempFail}
	}
	defer text.Close()
	sent, err := handIn(p, cfg, o.letter, text)
	if err != nil {
		var e ended
		if errors.As(err, &e) {
			return err
		}
		return ended{err, exTempFail}
	}
	if r := sent.Refused(); !r.IsZero() {
		return refusedLetter(r)
	}
	if !p.flags.JSON && !o.verbose {
		return nil
	}
	return p.show(sent, func(w io.Writer) { fmt.Fprintf(w, "Accepted as %s.\n", clean(sent.MID)) })
}

// authorName is the full name of who calls.
func authorName() string {
	if name := os.Getenv("NAME"); name != "" {
		return name
	}
	u, err := user.Current()
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(u.Name, ",")
	return name
}

// refusedLetter gives a refusal its exit status and the next step.
func refusedLetter(r smtp.Reply) error {
	status, hint := exDataErr, ""
	switch {
	case r.Code/100 == 4:
		status, hint = exTempFail, "nothing was sent; try again later"
	case r.Status == "5.1.1" || r.Status == "5.2.1":
		status, hint = exNoUser, "nothing was sent, to nobody; `mailstead account list` and `mailstead alias list` show who is here"
	case r.Status == "5.7.1":
		status, hint = exNoPerm, "write as an address of this server, or leave From and -f out"
	case r.Code == 501 || r.Status == "5.5.1":
		status = exUsage
	}
	return ended{hinted{errors.New(r.Text), hint}, status}
}

// patience is how long a letter waits for a server that is being started anew.
const patience = 10 * time.Second

// handIn gives the letter to the server, or, where none runs and we may, puts it
// into the stores.
func handIn(p *program, cfg config.Config, l submission.Letter, text *letterText) (control.Sent, error) {
	places := control.Letterboxes(cfg.Data, p.flags.Data == "" && p.flags.ConfigFile == "")
	for end := time.Now().Add(patience); ; {
		for _, place := range places {
			sent, err := control.Hand(p.ctx, place, l, text.reader(), text.size)
			if !errors.Is(err, control.ErrNoServer) {
				return sent, err
			}
		}
		sent, again, err := handOver(p, cfg, l, text)
		if err == nil || !again || time.Now().After(end) {
			return sent, err
		}
		select {
		case <-p.ctx.Done():
			return sent, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

var errServerAway = errors.New("the mail server is not running")

// handOver works without a server. again says that one may be about to come.
func handOver(p *program, cfg config.Config, l submission.Letter, text *letterText) (sent control.Sent, again bool, err error) {
	const start = "nothing was sent; `systemctl start mailstead` starts it, `mailstead doctor` says what is wrong"
	_, err = os.Stat(filepath.Join(cfg.Data, "mailstead.db"))
	switch {
	case errors.Is(err, os.ErrPermission):
		_, gone := os.Stat(control.RuntimeDir)
		return sent, gone == nil, hinted{errServerAway, start}
	case err != nil:
		return sent, false, ended{hinted{errors.New("no mail server is set up on this machine"), "nothing was sent; set one up first"}, exTempFail}
	case cfg.Hostname == "":
		return sent, false, ended{&app.HostnameError{}, exConfig}
	}
	s, done, err := openStores(p.ctx, cfg, slog.LevelWarn)
	if err != nil {
		var locked *app.LockedError
		return sent, errors.As(err, &locked), err
	}
	sent, err = submit(p.ctx, s, l, text)
	return sent, false, errors.Join(err, done())
}

func submit(ctx context.Context, s *app.Stores, l submission.Letter, text *letterText) (control.Sent, error) {
	l.User = control.UserOf(os.Getuid())
	mid, refused, err := s.Pickup().Submit(ctx, l, text.reader())
	if err != nil || refused.IsZero() {
		return control.Sent{MID: mid}, err
	}
	return control.Sent{Reply: refused.String()}, nil
}
