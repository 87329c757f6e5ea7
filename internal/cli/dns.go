package cli

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/control"
	"mailstead/message"
)

type dnsCommand struct {
	Show    dnsShow    `cmd:"" help:"The records that a domain needs, to publish or to copy."`
	Check   dnsCheck   `cmd:"" help:"Compare them with what the DNS says, and say what to do."`
	Address dnsAddress `cmd:"" help:"The mail host's public addresses, for a machine behind a router."`
	Policy  dnsPolicy  `cmd:"" help:"Change what the records say: DMARC, MTA-STS, who gets reports."`

	Publish   dnsPublish   `cmd:"" help:"Publish them at the DNS provider; shows the difference first."`
	Undo      dnsUndo      `cmd:"" help:"Take the last publishing back."`
	Keys      dnsKeys      `cmd:"" help:"The keys that mail is signed with (DKIM), and those that come and go."`
	Roll      dnsRoll      `cmd:"" help:"Change the DKIM keys of a domain, without a gap."`
	Providers dnsProviders `cmd:"" help:"DNS providers that can be published at, and what their tokens need."`
}

// domainOrAll is the domain that a command is about, or all of ours.
type domainOrAll struct {
	Domain string `arg:"" optional:"" help:"Such as example.org; without it all domains."`
}

type dnsShow struct {
	domainOrAll
	Format  string `enum:"table,zone,form" default:"table" help:"table; zone: part of a zone file (BIND, knot, NSD); form: lines to copy into the web form of a provider."`
	Offline bool   `help:"Do not look for an SPF record that is there already."`
}

func (dnsShow) Help() string {
	return `An SPF record that the domain has already is kept, with ours added to it.
Records marked optional make mail safer or easier; it flows without them.

Examples:
  mailstead dns show example.org
  mailstead dns show example.org --format form
  mailstead dns show example.org --format zone >> example.org.zone`
}

func (c *dnsShow) Run(p *program) error {
	all, err := call[[]control.DomainRecords](p, "dns.show", control.DNSQuery{Domain: c.Domain, Offline: c.Offline})
	if err != nil {
		return err
	}
	return p.show(all, func(w io.Writer) {
		for i, d := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			switch c.Format {
			case "zone":
				printZone(w, d)
			case "form":
				printForms(p, w, d)
			default:
				printRecords(p, w, d)
			}
		}
	})
}

func printZone(w io.Writer, d control.DomainRecords) {
	zone.WriteFile(w, message.Domain(d.Domain), d.Records)
	for _, n := range d.Notes {
		fmt.Fprintf(w, "; %s\n", clean(n))
	}
}

// printRecords prints a table; long data goes to the end of the line.
func printRecords(p *program, w io.Writer, d control.DomainRecords) {
	fmt.Fprintf(w, "%s\n", p.paint(bold, "Records of "+clean(message.Domain(d.Domain).Unicode())))
	printTable(p, w, d.Records)
	if len(d.Outside) > 0 {
		fmt.Fprintf(w, "\n%s\n", p.paint(bold, "Records of the mail host "+clean(d.Host)+", which is in another zone"))
		printTable(p, w, d.Outside)
	}
	fmt.Fprintf(w, "\n%s\n", p.paint(bold, "DMARC, step by step"))
	for _, s := range d.Plan {
		fmt.Fprintf(w, "  from %s  p=%s: %s\n", s.From.Format(dateOnly), s.Policy, s.Why)
	}
	if d.Due != "" {
		fmt.Fprintf(w, "  The time for p=%s has come: mailstead dns policy %s --dmarc %[1]s\n", d.Due, clean(d.Domain))
	}
	for _, n := range d.Notes {
		fmt.Fprintf(w, "%s %s\n", p.paint(dim, "note:"), clean(n))
	}
}

func printTable(p *program, w io.Writer, records []zone.Record) {
	t := table{header: []string{"NAME", "TYPE", "TTL", "", "DATA"}}
	for _, r := range records {
		optional := ""
		if r.Optional {
			optional = "optional"
		}
		t.add(r.Name, r.Type, int(r.TTL.Seconds()), cell{optional, dim}, r.Data)
	}
	t.print(p, w)
}

// printForms prints each record as the fields of a form, the value alone on its
// line so that it can be copied whole.
func printForms(p *program, w io.Writer, d control.DomainRecords) {
	for i, f := range d.Forms {
		r := d.Records[i]
		head := clean(r.Purpose)
		if r.Optional {
			head += " (optional)"
		}
		fmt.Fprintf(w, "%s\n", p.paint(dim, "# "+head))
		fmt.Fprintf(w, "Name:     %s\nType:     %s\nTTL:      %d\n", clean(f.Name), f.Type, f.TTL)
		if f.Priority != nil {
			fmt.Fprintf(w, "Priority: %s\n", strconv.Itoa(*f.Priority))
		}
		fmt.Fprintf(w, "Value:    %s\n\n", clean(f.Value))
	}
	for _, n := range d.Notes {
		fmt.Fprintf(w, "%s %s\n", p.paint(dim, "note:"), clean(n))
	}
}

type dnsPolicy struct {
	oneDomain
	Dmarc   *string   `placeholder:"POLICY" help:"What others do with forged mail: none, quarantine, reject."`
	MtaSts  *string   `placeholder:"MODE" help:"Whether others must use TLS to us: none, testing, enforce."`
	Reports *string   `placeholder:"ADDRESS" help:"Who gets the reports; default for reports@ the domain."`
	Include *[]string `placeholder:"DOMAIN" help:"Domains whose SPF is included, such as a smart host's; none for none."`
}

func (dnsPolicy) Help() string {
	return `The records change in what dns show prints; publish them afterwards.

Example:
  mailstead dns policy example.org --dmarc quarantine --mta-sts enforce`
}

func (c *dnsPolicy) Run(p *program) error {
	if c.Dmarc == nil && c.MtaSts == nil && c.Reports == nil && c.Include == nil {
		return usageError{hinted{fmt.Errorf("nothing to change"), "`mailstead dns policy --help` shows what there is"}}
	}
	if c.Reports != nil && *c.Reports == "default" {
		*c.Reports = ""
	}
	if c.Include != nil && len(*c.Include) == 1 && (*c.Include)[0] == "none" {
		*c.Include = []string{}
	}
	d, err := call[control.DomainRecords](p, "dns.policy", control.DNSChoices{
		Domain: c.Domain, DMARC: c.Dmarc, MTASTS: c.MtaSts, Reports: c.Reports, Include: c.Include,
	})
	if err != nil {
		return err
	}
	return p.show(d, func(w io.Writer) {
		fmt.Fprintf(w, "The records of %s are changed here; now publish them: mailstead dns show %[1]s\n", clean(c.Domain))
	})
}

type dnsCheck struct {
	domainOrAll
	Only     []string `placeholder:"ID" help:"Look at this alone, such as dns.spf."`
	Resolver []string `placeholder:"ADDRESS" help:"Ask this resolver instead of the system's; two show what each remembers."`
	All      bool     `short:"a" help:"Show what is well too."`
}

func (dnsCheck) Help() string {
	return `Asks the name servers of the domain what is published, and the resolvers what the
world sees; evaluates SPF, matches the DKIM keys, fetches the MTA-STS policy and
looks at the mail host's key. It changes nothing and takes less than 20 seconds a
domain. The exit status is 1 when there is a problem or a warning.

Examples:
  mailstead dns check example.org
  mailstead dns check example.org --only dns.spf`
}

func (c *dnsCheck) Run(p *program) error {
	found, err := call[[]check.Finding](p, "dns.check", control.DNSCheck{Domain: c.Domain, Only: c.Only, Resolvers: c.Resolver})
	if err != nil {
		return err
	}
	if err := p.show(found, func(w io.Writer) { printFindings(p, w, found, c.All || len(c.Only) > 0) }); err != nil {
		return err
	}
	if worst := check.Worst(found); worst == check.Problem || worst == check.Warning {
		return errFindings
	}
	return nil
}

type dnsAddress struct {
	Address []netip.Addr `arg:"" optional:"" help:"Public addresses of the mail host; without one they are shown."`
	Own     bool         `help:"Take those of this machine's interfaces again."`
}

func (dnsAddress) Help() string {
	return `A machine behind a router has no public address of its own, so that the records
of the mail host lack it until it is named here.

Examples:
  mailstead dns address
  mailstead dns address 192.0.2.25 2001:db8::25`
}

func (c *dnsAddress) Run(p *program) error {
	h, err := call[control.HostAddresses](p, "dns.address", control.HostAddresses{Set: c.Own || len(c.Address) > 0, Addresses: c.Address})
	if err != nil {
		return err
	}
	return p.show(h, func(w io.Writer) {
		if len(h.Addresses) == 0 {
			fmt.Fprintln(w, "This machine has no public address; `mailstead dns address ADDRESS` names one.")
		}
		for _, a := range h.Addresses {
			fmt.Fprintln(w, a)
		}
	})
}
