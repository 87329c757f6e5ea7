package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mailstead/dns/publish"
	"mailstead/internal/control"
	"mailstead/message"
)

type dnsPublish struct {
	oneDomain
	Provider        string   `placeholder:"NAME" help:"Who hosts the DNS; asks for the credentials, tries and keeps them. dns providers lists the names."`
	CredentialsFile string   `placeholder:"FILE" help:"Read the credentials from FILE (- for standard input), lines of KEY=VALUE or a JSON object, instead of asking."`
	Take            []string `placeholder:"NAME/TYPE" help:"Replace somebody else's records of this set; undo brings them back."`
	Withdraw        bool     `help:"Remove all that was published for the domain; what our SPF record replaced comes back."`
	DryRun          bool     `help:"Only show the difference."`
	Yes             bool     `help:"Do not ask."`
}

func (dnsPublish) Help() string {
	return `Shows the difference first. Only records that Mailstead published are changed or
removed; an SPF record that is there already is merged with ours. What stands in
the way of ours is shown as a conflict and left alone, unless --take names it.

Examples:
  mailstead dns publish example.org --provider cloudflare
  mailstead dns publish example.org --take example.org/MX
  mailstead dns publish example.org --provider gandi --credentials-file /root/gandi --yes`
}

func (c *dnsPublish) Run(p *program) error {
	if err := c.access(p); err != nil {
		return err
	}
	in := control.DNSPlan{Domain: c.Domain, Take: c.Take, Withdraw: c.Withdraw}
	d, err := call[publish.Diff](p, "dns.plan", in)
	if err != nil {
		return err
	}
	if d.Empty() && !d.Unfinished || c.DryRun {
		err := p.show(d, func(w io.Writer) { printDiff(p, w, d) })
		return errors.Join(err, open(d))
	}
	if !c.Yes && !d.Empty() {
		printDiff(p, p.err, d)
		if err := p.confirm("\nType yes to publish: ", "yes", "--dry-run only shows the difference, --yes publishes without asking"); err != nil {
			return err
		}
	}
	in.Digest = d.Digest
	d, err = call[publish.Diff](p, "dns.publish", in)
	if err != nil {
		return err
	}
	err = p.show(d, func(w io.Writer) {
		if c.Yes {
			printDiff(p, w, d)
		}
		done := "Published at"
		if c.Withdraw {
			done = "Withdrawn from"
		}
		fmt.Fprintf(w, "%s %s. `mailstead dns undo %s` takes it back.\n", done, providerTitle(d.Provider), clean(c.Domain))
	})
	return errors.Join(err, open(d))
}

// open makes conflicts that mail needs solved a finding.
func open(d publish.Diff) error {
	for _, c := range d.Changes {
		if c.Action == publish.Conflict && !c.Optional {
			return errFindings
		}
	}
	return nil
}

// access gives the server the credentials, where some were named.
func (c *dnsPublish) access(p *program) error {
	if c.Provider == "" {
		if c.CredentialsFile != "" {
			return usageError{hinted{errors.New("whose credentials are these?"), "name it with --provider"}}
		}
		return nil
	}
	info, ok := publish.Lookup(c.Provider)
	if !ok {
		return usageError{hinted{fmt.Errorf("there is no DNS provider %q", c.Provider), "`mailstead dns providers` lists them"}}
	}
	cred, err := c.credentials(p, info)
	if err != nil {
		return err
	}
	a, err := call[control.DNSAccessed](p, "dns.access", control.DNSAccess{Domain: c.Domain, Provider: c.Provider, Credentials: cred})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.err, "%s lets us in: %s is in its zone %s.\n", info.Title, clean(a.Domain), clean(a.Zone))
	if a.Note != "" {
		fmt.Fprintf(p.err, "%s %s\n", p.paint(yellow, "note:"), clean(a.Note))
	}
	return nil
}

func (c *dnsPublish) credentials(p *program, info publish.Info) (map[string]string, error) {
	if c.CredentialsFile != "" {
		return readCredentials(p, c.CredentialsFile)
	}
	if !isTerminal(p.in) {
		return nil, hinted{fmt.Errorf("%s needs credentials", info.Title), "give them with --credentials-file, or run this in a terminal"}
	}
	fmt.Fprintf(p.err, "A token for %s: %s.\n", info.Title, info.ScopeHelp)
	cred := map[string]string{}
	for _, f := range info.Fields {
		question := f.Title
		switch {
		case f.Default != "":
			question += " [" + f.Default + "]"
		case f.Optional:
			question += " (empty for none)"
		}
		if f.Help != "" {
			fmt.Fprintln(p.err, f.Help)
		}
		ask := p.line
		if f.Secret {
			ask = p.secret
		}
		text, err := ask(question + ": ")
		if err != nil {
			return nil, err
		}
		if text = strings.TrimSpace(text); text != "" {
			cred[f.Name] = text
		}
	}
	return cred, nil
}

// readCredentials reads lines of KEY=VALUE, or a JSON object.
func readCredentials(p *program, name string) (map[string]string, error) {
	var r io.Reader = p.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read the credentials: %w", err)
		}
		defer f.Close()
		r = f
	}
	text, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("read the credentials: %w", err)
	}
	cred := map[string]string{}
	if json.Unmarshal(text, &cred) == nil {
		return cred, nil
	}
	for s := bufio.NewScanner(strings.NewReader(string(text))); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, hinted{fmt.Errorf("%s: a line is not KEY=VALUE", name), "such as token=…"}
		}
		cred[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"`)
	}
	return cred, nil
}

func providerTitle(name string) string {
	if info, ok := publish.Lookup(name); ok {
		return info.Title
	}
	return clean(name)
}

// printDiff shows a difference: what goes with -, what comes with +.
func printDiff(p *program, w io.Writer, d publish.Diff) {
	fmt.Fprintf(w, "%s\n", p.paint(bold, fmt.Sprintf("%s at %s (zone %s)", clean(message.Domain(d.Domain).Unicode()), providerTitle(d.Provider), clean(d.Zone))))
	for _, c := range d.Changes {
		if c.Action == publish.Keep {
			continue
		}
		look := map[publish.Action]colour{publish.Add: green, publish.Conflict: red, publish.Elsewhere: dim}[c.Action]
		if look == "" {
			look = yellow
		}
		fmt.Fprintf(w, "%s  %s\n", p.paint(look, fmt.Sprintf("%-9s", c.Action)), clean(c.Sentence))
		for _, r := range c.Removes {
			fmt.Fprintf(w, "  %s\n", p.paint(red, "- "+clean(r.Text())))
		}
		for _, r := range c.Adds {
			fmt.Fprintf(w, "  %s\n", p.paint(green, "+ "+clean(r.Text())))
		}
		for _, r := range c.Foreign {
			fmt.Fprintf(w, "  %s\n", p.paint(dim, "= "+clean(r.Text())))
		}
	}
	if n := d.Count(publish.Keep); n > 0 {
		fmt.Fprintf(w, "%s there already.\n", plural(n, "set is", "sets are"))
	}
	switch n := d.Count(publish.Conflict); {
	case n > 0:
		fmt.Fprintf(w, "%s left alone; --take NAME/TYPE replaces what stands there.\n", plural(n, "conflict is", "conflicts are"))
	case d.Empty():
		fmt.Fprintln(w, "There is nothing to change.")
	}
}

type dnsUndo struct {
	oneDomain
	DryRun bool `help:"Only show what would change."`
	Yes    bool `help:"Do not ask."`
}

func (dnsUndo) Help() string {
	return `Takes back the last dns publish: what it added goes, what stood there comes back.
Run again, it takes back the one before.

Example:
  mailstead dns undo example.org`
}

func (c *dnsUndo) Run(p *program) error {
	d, err := call[publish.Diff](p, "dns.undo", control.DNSUndo{Domain: c.Domain, DryRun: true})
	if err != nil {
		return err
	}
	if c.DryRun {
		return p.show(d, func(w io.Writer) { printDiff(p, w, d) })
	}
	if !c.Yes {
		printDiff(p, p.err, d)
		if err := p.confirm("\nType yes to take it back: ", "yes", "--dry-run only shows it, --yes does not ask"); err != nil {
			return err
		}
	}
	if d, err = call[publish.Diff](p, "dns.undo", control.DNSUndo{Domain: c.Domain}); err != nil {
		return err
	}
	return p.show(d, func(w io.Writer) {
		if c.Yes {
			printDiff(p, w, d)
		}
		fmt.Fprintf(w, "The last change of %s is taken back.\n", clean(c.Domain))
	})
}

type dnsProviders struct {
	Name string `arg:"" optional:"" help:"Show one, with what its token needs."`
}

func (dnsProviders) Help() string {
	return `Example:
  mailstead dns providers cloudflare`
}

func (c *dnsProviders) Run(p *program) error {
	all := publish.Providers()
	if c.Name != "" {
		info, ok := publish.Lookup(c.Name)
		if !ok {
			return usageError{hinted{fmt.Errorf("there is no DNS provider %q", c.Name), "`mailstead dns providers` lists them"}}
		}
		return p.show(info, func(w io.Writer) {
			fmt.Fprintf(w, "%s\n\n%s.\n\nCredentials:\n", p.paint(bold, info.Title), info.ScopeHelp)
			for _, f := range info.Fields {
				fmt.Fprintf(w, "  %s\n", strings.TrimSuffix(strings.TrimSpace(f.Name+"  "+f.Title+". "+f.Help), " "))
			}
			if len(info.Without) > 0 {
				fmt.Fprintf(w, "\nIt holds no %s records; mail works without them.\n", strings.Join(info.Without, " and "))
			}
		})
	}
	return p.show(all, func(w io.Writer) {
		t := table{header: []string{"NAME", "PROVIDER", "CREDENTIALS"}}
		for _, info := range all {
			var fields []string
			for _, f := range info.Fields {
				fields = append(fields, f.Name)
			}
			t.add(info.Name, info.Title, strings.Join(fields, ", "))
		}
		t.print(p, w)
		fmt.Fprintln(w, "`mailstead dns providers NAME` says what a token needs.")
	})
}
