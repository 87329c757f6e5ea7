package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailstead/dns/check"
	"mailstead/message"
)

// mailChecks are about mail that must reach a person.
func (d *Doctor) mailChecks() []check.Check {
	s := d.Server
	return []check.Check{
		{ID: "mail.duty", Title: "whether postmaster@ and abuse@ reach a person", Run: when(s.Domains != nil && s.Reaches != nil, d.checkDuty)},
		{ID: "mail.self", Title: "whether our own door takes mail for us", Run: when(s.Domains != nil && s.Doors != nil && s.Connect != nil, d.checkSelf)},
	}
}

// checkDuty: RFC 5321, 4.5.1, and RFC 2142 want somebody behind these.
func (d *Doctor) checkDuty(ctx context.Context) []check.Finding {
	const id = "mail.duty"
	domains, err := d.Server.Domains(ctx)
	if err != nil {
		return one(unreadable(id, "", "The domains", err))
	}
	var found []check.Finding
	for _, domain := range domains {
		for _, name := range []string{"postmaster", "abuse"} {
			a := message.Address{Local: name, Domain: domain}
			who, err := d.Server.Reaches(ctx, a)
			if err == nil && len(who) > 0 {
				continue
			}
			evidence := ""
			if err != nil {
				evidence = err.Error()
			}
			found = append(found, problem(id, a.String(), fmt.Sprintf("Nobody reads %s, where others tell of trouble.", a), evidence,
				fmt.Sprintf("mailstead alias add %s ADDRESS, or make somebody the operator: mailstead account set ADDRESS --operator", a)))
		}
	}
	if found == nil {
		found = one(ok(id, "", "postmaster@ and abuse@ reach a person."))
	}
	return found
}

// checkSelf asks our port 25, as a stranger does, for an address of each domain.
func (d *Doctor) checkSelf(ctx context.Context) []check.Finding {
	const id = "mail.self"
	doors := d.Server.Doors()
	at := slices.IndexFunc(doors, func(o Door) bool { return o.Name == "smtp" })
	if at < 0 {
		return one(info(id, "", "The door for mail from others is switched off.", "listen.smtp is empty.", ""))
	}
	domains, err := d.Server.Domains(ctx)
	if err != nil {
		return one(unreadable(id, "", "The domains", err))
	}
	var found []check.Finding
	for _, domain := range domains {
		a := message.Address{Local: "postmaster", Domain: domain}
		reply, err := d.rcpt(ctx, doors[at], a.String())
		switch {
		case err != nil:
			found = append(found, problem(id, string(domain), fmt.Sprintf("Our door for mail broke off when it was asked for %s.", a), err.Error(), "Look into the server's log."))
		case !strings.HasPrefix(reply, "2"):
			found = append(found, problem(id, string(domain), fmt.Sprintf("Our own server does not take mail for %s.", a), reply, "`mailstead domain list` and the server's log say more."))
		}
	}
	if found == nil {
		found = one(ok(id, "", "Our door takes mail for every domain of ours."))
	}
	return found
}
