package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"mailstead/internal/demo"
)

type demoCommand struct {
	Once     bool `help:"End after the self-check."`
	BasePort int  `placeholder:"PORT" help:"First of eight fixed ports: SMTP, submission, submissions, IMAP, IMAPS, HTTP, HTTPS, metrics. Without it free ones are taken."`
}

func (demoCommand) Help() string {
	return `Starts a whole server on loopback, in a small world of its own with a DNS and
a remote mail server, shows mail going all the way out and back, and stays up
so that any mail program can be pointed at it. It needs no root and no network,
and forgets everything at its end unless --data names a directory.

Example:
  mailstead demo --once`
}

// demoStep and demoReady are what --json prints, an object a line.
type demoStep struct {
	Step  string  `json:"step"`
	OK    bool    `json:"ok"`
	MS    float64 `json:"ms"`
	Told  string  `json:"told,omitempty"`
	Error string  `json:"error,omitempty"`
}

type demoReady struct {
	Ready       bool          `json:"ready"`
	SMTP        string        `json:"smtp"`
	Submission  string        `json:"submission"`
	Submissions string        `json:"submissions"`
	IMAP        string        `json:"imap"`
	IMAPS       string        `json:"imaps"`
	HTTP        string        `json:"http"`
	HTTPS       string        `json:"https"`
	Page        string        `json:"page"` // for a browser; the first account may sign in
	Data        string        `json:"data"`
	Accounts    []demo.Person `json:"accounts"`
}

func (c *demoCommand) Run(p *program) error {
	if c.BasePort < 0 || c.BasePort > 65535-7 {
		return usageError{hinted{fmt.Errorf("%d cannot be the first of eight ports", c.BasePort), "a port from 1024 to 65528 needs no root"}}
	}
	out := demoOutput{p}
	out.title()
	began := time.Now()
	d, err := demo.Start(p.ctx, demo.Options{
		Data: p.flags.Data, BasePort: c.BasePort, Version: ReadVersion().Version,
		Log: slog.New(slog.NewTextHandler(p.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err := out.step("start", "the server is up: SMTP, submission and IMAP over one store, with two accounts", time.Since(began), err); err != nil {
		return err
	}
	p.ends = append(p.ends, d.Close)
	for _, s := range demo.Steps() {
		told, took, err := d.Walk(p.ctx, s)
		if err := out.step(s.Name, told, took, err); err != nil {
			return err
		}
	}
	if err := out.ready(d); err != nil || c.Once {
		return err
	}
	if !p.flags.JSON {
		io.WriteString(p.out, "\nCtrl-C ends it.\n")
	}
	select {
	case <-p.ctx.Done():
		return nil
	case err := <-d.Ended():
		return err
	}
}

// demoOutput tells the steps to a person, or to a program with --json.
type demoOutput struct{ *program }

func (o demoOutput) title() {
	if !o.flags.JSON {
		fmt.Fprint(o.out, "Mailstead: a whole mail server in a small world of its own, on loopback.\n\n")
	}
}

// step prints one line and names the failing step in its error.
func (o demoOutput) step(name, told string, took time.Duration, err error) error {
	ms := float64(took.Microseconds()) / 1e3
	if o.flags.JSON {
		line := demoStep{Step: name, OK: err == nil, MS: ms, Told: told}
		if err != nil {
			line.Told, line.Error = "", err.Error()
		}
		if e := o.line(line); e != nil {
			return e
		}
	} else if err == nil {
		for i, text := range strings.Split(told, "\n") {
			if i == 0 {
				fmt.Fprintf(o.out, "%9.1f ms  %s\n", ms, clean(text))
			} else {
				fmt.Fprintf(o.out, "%14s%s\n", "", clean(text))
			}
		}
	}
	if err != nil {
		return fmt.Errorf("step %q failed: %w", name, err)
	}
	return nil
}

func (o demoOutput) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.out, "%s\n", plain(text))
	return err
}

// ready prints how to point a mail program at the server.
func (o demoOutput) ready(d *demo.Demo) error {
	addr := func(door string) string { return d.App.Addr(door).String() }
	r := demoReady{
		Ready: true, SMTP: addr("smtp"), Submission: addr("submission"), Submissions: addr("submissions"),
		IMAP: addr("imap"), IMAPS: addr("imaps"), HTTP: addr("http"), HTTPS: addr("https"), Page: "https://" + addr("https") + "/", Data: d.App.Config.Data, Accounts: d.People,
	}
	if o.flags.JSON {
		return o.line(r)
	}
	return o.human(r)
}

func (o demoOutput) human(r demoReady) error {
	_, err := fmt.Fprintf(o.out, `
Mail goes all the way. Point any mail program at it (the certificate is of the
small world's own authority, so accept it):

  IMAP         %-18s TLS        or %s with STARTTLS
  submission   %-18s TLS        or %s with STARTTLS
  port 25      %-18s
  status page  %-18s (for a browser; sign in as %s)
  data         %s

`, r.IMAPS, r.IMAP, r.Submissions, r.Submission, r.SMTP, r.Page, r.Accounts[0].Address, r.Data)
	for _, a := range r.Accounts {
		if err == nil {
			_, err = fmt.Fprintf(o.out, "  %-26s password %s\n", a.Address, a.Password)
		}
	}
	return err
}
