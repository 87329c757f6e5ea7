package cli

import (
	"fmt"
	"io"
	"time"

	"mailstead/account"
	"mailstead/dns/zone"
	"mailstead/internal/control"
	"mailstead/message"
)

type dnsKeys struct{ domainOrAll }

func (dnsKeys) Help() string {
	return `A next key signs once all name servers of the domain have shown its record for
its time to live; one of before stays published for a week, for mail on its way.

Example:
  mailstead dns keys example.org`
}

func (c *dnsKeys) Run(p *program) error {
	all, err := call[[]control.DKIMKeys](p, "dns.keys", control.DNSQuery{Domain: c.Domain})
	if err != nil {
		return err
	}
	return p.show(all, func(w io.Writer) {
		for i, d := range all {
			if i > 0 {
				fmt.Fprintln(w)
			}
			printKeys(p, w, d)
		}
	})
}

func printKeys(p *program, w io.Writer, d control.DKIMKeys) {
	fmt.Fprintf(w, "%s\n", p.paint(bold, "DKIM keys of "+clean(d.Domain)))
	t := table{header: []string{"SELECTOR", "ALGORITHM", "STATE", "SINCE", ""}}
	for _, k := range d.Keys {
		look := map[account.KeyState]colour{account.KeySigning: green, account.KeyNext: yellow}[k.State]
		t.add(k.Selector, k.Algorithm, cell{string(k.State), look}, k.Since.Local().Format(dateOnly), keyText(k))
	}
	t.print(p, w)
}

// keyText is what a key waits for.
func keyText(k control.DKIMKey) string {
	switch {
	case k.State == account.KeyNext && k.Seen == nil:
		return "waits for its record"
	case k.State == account.KeyNext:
		return "its record is there; signs from " + k.Until.Local().Format(time.DateTime)
	case k.State == account.KeyRetired:
		return "published until " + k.Until.Local().Format(dateOnly)
	case k.State == account.KeyWithdrawn:
		return "its record is to go"
	}
	return ""
}

type dnsRoll struct {
	oneDomain
	Cancel bool `help:"Forget the next keys; those of today go on signing."`
}

func (dnsRoll) Help() string {
	return `Makes new keys and their records. The server goes on by itself: it signs with the
old keys until all name servers have shown the new records for their time to live,
then with the new ones, and keeps the old records for a week. Where the domain is
published by Mailstead the records come and go by themselves, else they are printed.

Example:
  mailstead dns roll example.org`
}

func (c *dnsRoll) Run(p *program) error {
	d, err := call[control.DKIMKeys](p, "dns.roll", control.DNSRoll{Domain: c.Domain, Cancel: c.Cancel})
	if err != nil {
		return err
	}
	return p.show(d, func(w io.Writer) {
		printKeys(p, w, d)
		if d.Trouble != "" {
			fmt.Fprintf(w, "%s not published yet: %s\n", p.paint(yellow, "note:"), clean(d.Trouble))
		}
		switch {
		case c.Cancel:
			fmt.Fprintln(w, "The next keys are forgotten. Where you have pasted their records, take them out.")
			return
		case d.Published:
			fmt.Fprintln(w, "The records of the next keys are published. The server does the rest.")
			return
		}
		name, err := message.ParseDomain(d.Domain)
		if err != nil { // it was ours a moment ago
			return
		}
		fmt.Fprintf(w, "Publish these records; the server does the rest when it sees them.\n\n")
		var list []zone.Record
		var v control.DomainRecords
		for _, k := range d.Keys {
			if k.State == account.KeyNext && k.Record != nil {
				list = append(list, *k.Record)
				v.Forms = append(v.Forms, k.Record.Form(name))
			}
		}
		v.Records = list
		printForms(p, w, v)
	})
}
