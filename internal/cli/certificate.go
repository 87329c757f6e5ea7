package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"mailstead/acme"
	"mailstead/internal/control"
)

type certificateCommand struct {
	List   certificateList   `cmd:"" help:"The certificates that are shown, and why one is missing."`
	Set    certificateSet    `cmd:"" help:"Where certificates come from."`
	Obtain certificateObtain `cmd:"" help:"Get missing certificates now, and wait for them."`
	Roll   certificateRoll   `cmd:"" help:"Take the next key of a name into use."`
}

type certificateList struct{}

func (certificateList) Help() string {
	return `Shows each name's certificate, who issued it and until when it is good; for a name
without one the reason, and what to do. The exit status is 1 while one is missing.

Example:
  mailstead certificate list`
}

func (c *certificateList) Run(p *program) error {
	v, err := call[control.Certificates](p, "certificate.show", nil)
	if err != nil {
		return err
	}
	return p.showCertificates(v)
}

// showCertificates prints them; a name without one is a finding.
func (p *program) showCertificates(v control.Certificates) error {
	if err := p.show(v, func(w io.Writer) { p.printCertificates(w, v) }); err != nil {
		return err
	}
	for _, n := range v.Names {
		if n.Problem != nil {
			return errFindings
		}
	}
	return nil
}

func (p *program) printCertificates(w io.Writer, v control.Certificates) {
	switch {
	case !v.Settings.Enabled:
		fmt.Fprintln(w, "Certificates of a CA are switched off: `mailstead certificate set --on` gets them from Let's Encrypt.")
	case v.Settings.CA == "":
		fmt.Fprintln(w, "Certificates come from Let's Encrypt.")
	default:
		fmt.Fprintf(w, "Certificates come from %s.\n", clean(v.Settings.CA))
	}
	if !v.Running {
		fmt.Fprintln(w, "No server runs: it would know more.")
		return
	}
	fmt.Fprintln(w)
	t := table{header: []string{"NAME", "FROM", "UNTIL"}}
	for _, n := range v.Names {
		until := ""
		if !n.NotAfter.IsZero() {
			until = n.NotAfter.Local().Format(dateOnly)
		}
		t.add(n.Name, originText(n), until)
	}
	t.print(p, w)
	for _, n := range v.Names {
		if n.Problem != nil {
			fmt.Fprintf(w, "\n%s: %s\n%s\n", clean(n.Name), clean(n.Problem.Sentence), clean(n.Problem.Fix))
			if n.Problem.Kind != acme.DNSProblem { // whose sentence says all
				indented(w, "seen: ", n.Problem.Evidence)
			}
		}
		if n.HeldBack != "" {
			fmt.Fprintf(w, "\n%s: the next key is held back: %s.\n", clean(n.Name), clean(n.HeldBack))
		}
	}
	if v.Account != "" {
		fmt.Fprintf(w, "\nThe account, for CAA records: %s\n", clean(v.Account))
	}
}

func originText(n acme.Status) string {
	switch n.Origin {
	case acme.FromACME:
		return n.Issuer
	case acme.FromFiles:
		return "your own files"
	case acme.SelfMade:
		return "self-signed"
	}
	return "not yet"
}

type certificateSet struct {
	On        bool    `help:"Get certificates from a CA. You agree to its terms by that."`
	Off       bool    `help:"Get none any more; what was obtained is not shown either."`
	CA        *string `name:"ca" placeholder:"URL" help:"Its ACME directory; \"\" is Let's Encrypt's."`
	Staging   *string `placeholder:"URL" help:"The directory of its dry runs; \"\" is Let's Encrypt's, for its own CA."`
	RootsFile string  `placeholder:"FILE" help:"PEM: what the CA's own server is verified with, for a CA within your walls."`
	Email     *string `help:"Where the CA may write to."`
	Challenge *string `help:"http, tls-alpn or dns; \"\" takes what is possible."`
	KeyDays   *int    `help:"Roll keys that are so old; 0: only by hand."`
}

func (certificateSet) Help() string {
	return `Examples:
  mailstead certificate set --on --email you@example.org
  mailstead certificate set --challenge dns`
}

func (c *certificateSet) Run(p *program) error {
	in := control.CertificateChange{
		CA: c.CA, Staging: c.Staging, Email: c.Email, Challenge: c.Challenge, KeyDays: c.KeyDays,
	}
	if c.On || c.Off {
		in.Enabled = &c.On
	}
	if c.On && c.Off {
		return usageError{fmt.Errorf("--on and --off contradict each other")}
	}
	if c.RootsFile != "" {
		text, err := os.ReadFile(c.RootsFile)
		if err != nil {
			return err
		}
		roots := string(text)
		in.Roots = &roots
	}
	v, err := call[control.Certificates](p, "certificate.set", in)
	if err != nil {
		return err
	}
	return p.show(v, func(w io.Writer) { p.printCertificates(w, v) })
}

type certificateObtain struct {
	Name  []string `arg:"" optional:"" help:"Without a name: all."`
	Again bool     `help:"New ones, though the old are good."`
}

func (certificateObtain) Help() string {
	return `The server does so by itself; this is for those who do not want to wait. A CA
leaves alone who asks too often.

Example:
  mailstead certificate obtain mta-sts.example.org`
}

func (c *certificateObtain) Run(p *program) error {
	v, err := call[control.Certificates](p, "certificate.obtain", control.CertificateNames{Names: c.Name, Again: c.Again})
	if err != nil {
		return err
	}
	if len(c.Name) > 0 { // the others were not asked for
		v.Names = slices.DeleteFunc(v.Names, func(s acme.Status) bool {
			return !slices.ContainsFunc(c.Name, func(n string) bool { return strings.EqualFold(strings.TrimSuffix(n, "."), s.Name) })
		})
	}
	return p.showCertificates(v)
}

type certificateRoll struct {
	Name []string `arg:"" help:"Such as the host's name."`
}

func (certificateRoll) Help() string {
	return `A name keeps its key over all renewals, so that its TLSA records stay right. This
takes the next key into use, whose record ` + "`mailstead dns show`" + ` has listed for long;
it is refused while the world does not see that record.

Example:
  mailstead certificate roll mail.example.org`
}

func (c *certificateRoll) Run(p *program) error {
	v, err := call[control.Certificates](p, "certificate.roll", control.CertificateNames{Names: c.Name})
	if err != nil {
		return err
	}
	return p.show(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s: the next key is in use. Where Mailstead publishes your records the new TLSA records follow by themselves; else: `mailstead dns show`.\n", clean(strings.Join(c.Name, ", ")))
	})
}
