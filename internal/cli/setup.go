package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"mailstead/admin/setup"
	"mailstead/dns/check"
	"mailstead/internal/config"
	"mailstead/internal/control"
)

type setupCommand struct {
	Answers      string   `placeholder:"FILE" help:"Take the answers from FILE (TOML, - for standard input) and ask nothing."`
	Domain       string   `placeholder:"DOMAIN" help:"Your domain, such as example.org."`
	Address      string   `placeholder:"ADDRESS" help:"Your address in it; the part before the @ is enough."`
	PasswordFile string   `placeholder:"FILE" help:"Read its password from the first line of FILE. Without it one is made and shown once, unless you are asked."`
	Dns          string   `name:"dns" placeholder:"NAME" help:"Your DNS provider (dns providers lists them), or paste to enter the records by hand."`
	Credentials  string   `name:"credentials-file" placeholder:"FILE" help:"What the DNS provider lets you in with: lines of KEY=VALUE."`
	Hostname     string   `placeholder:"NAME" help:"What this machine is called by others; mail. and the domain without it."`
	Set          []string `sep:"none" placeholder:"KEY=VALUE" help:"Any other answer; --example lists the keys. No secrets: others see a command line."`
	Yes          bool     `help:"Ask nothing: take the defaults for what is not given."`
	Example      bool     `help:"Print a file of answers with every key, and do nothing."`
}

func (setupCommand) Help() string {
	return `Asks three things: your domain, your address, and whether a token of your DNS
provider is there or you enter the records by hand. The rest is done for you:
configuration, server, account, records, certificates, a message sent and read.

Whatever is in the way is told with what to do about it, and set-up goes on. Run
it again at any time: it goes on where it stopped and asks nothing twice; when all
is done it looks at everything once more. It gets certificates from Let's Encrypt
and agrees to its terms for you (--set certificates=no leaves that out).

ACCESSIBLE=1 asks line by line, for screen readers and plain terminals. The exit
status is 0 when all is well, 1 when something is left to do, 2 for wrong answers.

Examples:
  mailstead setup
  mailstead setup --domain example.org --address you --dns paste
  mailstead setup --answers answers.toml --json
  mailstead setup --example > answers.toml`
}

func (c *setupCommand) Run(p *program) error {
	if c.Example {
		_, err := io.WriteString(p.out, setup.Example())
		return err
	}
	given, err := c.given(p)
	if err != nil {
		return usageError{err}
	}
	cfg, err := p.setupConfig()
	if err != nil {
		return err
	}
	server := &setupServer{p: p}
	out := &setupPrinter{p: p}
	o := setup.Options{
		Config: cfg, ConfigFile: p.flags.ConfigFile, Given: given, Server: server, Tell: out.tell,
		Password: makePassword, Seen: func(found []check.Finding) []check.Finding {
			if server.separate && os.Geteuid() == 0 {
				return p.seenByRoot(found)
			}
			return found
		},
	}
	if o.ConfigFile == "" {
		o.ConfigFile = config.Path
	}
	if p.flags.Data != "" {
		o.Data = cfg.Data
	}
	if c.Answers == "" && !c.Yes && isTerminal(p.in) && !p.flags.JSON {
		o.Ask = p.asker()
	}
	p.ends = append(p.ends, func() error { return server.Close(context.WithoutCancel(p.ctx)) })
	return c.walk(p, o, out, server)
}

func (c *setupCommand) walk(p *program, o setup.Options, out *setupPrinter, server *setupServer) error {
	r, err := setup.New(o)
	var wrong *setup.Mistake
	if errors.As(err, &wrong) {
		return usageError{err}
	}
	if err != nil {
		return explainOpen(err, o.Config)
	}
	if o.Ask != nil && !r.Finished() {
		fmt.Fprint(p.err, "Three questions, and the rest is done for you; Ctrl-C leaves, and `mailstead setup` goes on there.\n"+
			"Certificates come from Let's Encrypt, to whose terms you agree: letsencrypt.org/repository\n\n")
	}
	ok, err := r.Walk(p.ctx)
	switch {
	case errors.As(err, &wrong):
		return usageError{err}
	case errors.Is(err, errAskedAway), errors.Is(err, context.Canceled):
		return hinted{errors.New("set-up was left"), "`mailstead setup` goes on here"}
	case err != nil:
		return err
	}
	out.end(ok, server.keep())
	if !ok {
		return errFindings
	}
	return nil
}

// setupConfig reads the configuration; a file that is named and not there yet is
// going to be written.
func (p *program) setupConfig() (config.Config, error) {
	name := p.flags.ConfigFile
	if name == "" {
		return p.config()
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		return p.config()
	}
	cfg, err := config.Parse(name, "")
	if err == nil && p.flags.Data != "" {
		cfg.Data, err = filepath.Abs(p.flags.Data)
	}
	return cfg, err
}

// given collects the answers of the file and of the flags, which go before it.
func (c *setupCommand) given(p *program) (map[string]string, error) {
	given := map[string]string{}
	if c.Answers != "" {
		text, name, err := readAnswers(p, c.Answers)
		if err != nil {
			return nil, err
		}
		if given, err = setup.ReadAnswers(name, text); err != nil {
			return nil, err
		}
	}
	for _, kv := range c.Set {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return nil, hinted{fmt.Errorf("--set %s has no =", kv), "write --set KEY=VALUE"}
		}
		if _, err := setup.ReadAnswers("--set", fmt.Sprintf("%s = %q", tomlKey(key), value)); err != nil {
			return nil, err
		}
		given[strings.TrimSpace(key)] = value
	}
	for key, value := range map[string]string{"domain": c.Domain, "address": c.Address, "dns": c.Dns, "hostname": c.Hostname} {
		if value != "" {
			given[key] = value
		}
	}
	if c.PasswordFile != "" {
		password, err := firstLine(p, c.PasswordFile)
		if err != nil {
			return nil, err
		}
		given["password"] = password
	}
	if c.Credentials != "" {
		cred, err := readCredentials(p, c.Credentials)
		if err != nil {
			return nil, err
		}
		for key, value := range cred {
			given["credentials."+key] = value
		}
	}
	return given, nil
}

// tomlKey quotes what TOML would take apart: the names in tables may have dots.
func tomlKey(key string) string {
	table, name, ok := strings.Cut(strings.TrimSpace(key), ".")
	if !ok {
		return table
	}
	return fmt.Sprintf("%s.%q", table, name)
}

func readAnswers(p *program, file string) (text, name string, err error) {
	r := io.Reader(p.in)
	if name = "standard input"; file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", "", hinted{fmt.Errorf("read the answers: %w", err), "`mailstead setup --example` prints a file of answers"}
		}
		defer f.Close()
		r, name = f, file
	}
	b, err := io.ReadAll(io.LimitReader(r, 1<<20))
	return string(b), name, err
}

// setupPrinter says what happens: an object a step with --json, lines otherwise.
type setupPrinter struct {
	p        *program
	settings *setup.Settings
	password any
}

func (o *setupPrinter) tell(e setup.Event) {
	lively := !o.p.flags.JSON && o.p.colours() && !o.p.plainAsking()
	if lively {
		fmt.Fprint(o.p.err, clearLine)
	}
	if !e.Ended {
		if lively {
			fmt.Fprintf(o.p.err, "%s", o.p.paint(dim, "… "+clean(e.Title)))
		}
		return
	}
	if s, ok := e.Data.(setup.Settings); ok {
		o.settings = &s
	}
	if e.Step == "account" && e.Data != nil {
		o.password = e.Data
	}
	if o.p.flags.JSON {
		o.line(e)
		return
	}
	mark := o.p.paint(green, "✓")
	if !e.OK {
		mark = o.p.paint(yellow, "!")
	}
	fmt.Fprintf(o.p.out, "%s %s\n", mark, o.p.paint(bold, clean(e.Title)))
	for _, l := range e.Lines {
		fmt.Fprintf(o.p.out, "  %s\n", clean(l))
	}
	if all, ok := e.Data.([]control.DomainRecords); ok {
		for _, d := range all {
			printForms(o.p, o.p.out, d)
		}
	}
	for _, severity := range []check.Severity{check.Problem, check.Warning, check.Info} {
		for _, f := range e.Findings {
			if f.Muted == "" && f.Severity == severity {
				printFinding(o.p, o.p.out, f)
			}
		}
	}
	if e.Step == "programs" && o.settings != nil && o.settings.Page != "" && lively {
		printQR(o.p.out, o.settings.Page)
	}
}

func (o *setupPrinter) line(v any) {
	text, err := json.Marshal(v)
	if err == nil {
		fmt.Fprintf(o.p.out, "%s\n", plain(text))
	}
}

// end says how it stands, and how it stays so.
func (o *setupPrinter) end(ok bool, keep string) {
	if o.p.flags.JSON {
		o.line(struct {
			Ready    bool            `json:"ready"`
			Keep     string          `json:"keep_running,omitempty"`
			Account  any             `json:"account,omitempty"`
			Settings *setup.Settings `json:"settings,omitempty"`
		}{ok, keep, o.password, o.settings})
		return
	}
	fmt.Fprintln(o.p.out)
	if ok {
		fmt.Fprintln(o.p.out, o.p.paint(green, "All is well."))
	} else {
		fmt.Fprintln(o.p.out, "Something is left to do, as told above. `mailstead setup` looks again and asks nothing twice.")
	}
	if keep != "" {
		fmt.Fprintln(o.p.out, keep)
	}
}
