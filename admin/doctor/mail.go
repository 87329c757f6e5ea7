package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstead/dns/check"
	"mailstead/message"
)

// mailChecks are about mail that must reach a person.
func (d *Doctor) mailChecks() []check.Check {
	s := d.Server
	return []check.Check{
		{ID: "mail.duty", Title: "whether postmaster@ and abuse@ reach a person", Run: when(s.Domains != nil && s.Reaches != nil, d.checkDuty)},
		{ID: "mail.self", Title: "whether our own door takes mail for us", Run: when(s.Domains != nil && s.Doors != nil && s.Connect != nil, d.checkSelf)},
		{ID: onRequest, Title: "a message to the operator, from port 25 into INBOX and away (only when asked for)", Run: when(s.Operators != nil && s.Take != nil && s.Doors != nil && s.Connect != nil, d.checkDelivery)},
		{ID: "mail.incoming", Title: "whether mail from the world has come", Run: when(s.LastReceived != nil, d.checkIncoming)},
	}
}

// onRequest is the check that is run only by its own name: it puts a message into
// somebody's INBOX for a moment, of which a telephone may tell at night.
const onRequest = "mail.delivery"

// checkDelivery sends a message to the first operator as a stranger does, finds
// it in INBOX, and takes it away.
func (d *Doctor) checkDelivery(ctx context.Context) []check.Finding {
	const id, fix = onRequest, "`mailstead trace ADDRESS` tells what became of it."
	people, err := d.Server.Operators(ctx)
	at := slices.IndexFunc(d.Server.Doors(), func(o Door) bool { return o.Name == "smtp" })
	switch {
	case err != nil:
		return one(unreadable(id, "", "Who the operator is", err))
	case len(people) == 0 || at < 0:
		return one(problem(id, "", "There is nobody to write to, or no door for mail.", "", "mailstead account set ADDRESS --operator"))
	}
	to := people[0]
	letter := message.Mail{
		FromName: "Mail server", From: message.Address{Local: "postmaster", Domain: to.Domain}, To: to, Subject: "A test of this mail server",
		Date: time.Now(), MessageID: message.NewMessageID(d.Config.Hostname), Text: "It is taken away again at once.\n",
	}
	began := time.Now()
	reply, err := d.send(ctx, d.Server.Doors()[at], to.String(), letter.Append(nil))
	switch {
	case err != nil:
		return one(problem(id, to.String(), "Our door broke off when it was given a message.", err.Error(), fix))
	case !strings.HasPrefix(reply, "2"):
		return one(problem(id, to.String(), fmt.Sprintf("Our own server does not take a message for %s.", to), reply, fix))
	}
	found, err := d.Server.Take(ctx, to, letter.MessageID)
	switch {
	case err != nil:
		return one(problem(id, to.String(), fmt.Sprintf("The INBOX of %s could not be read.", to), err.Error(), fix))
	case !found:
		return one(problem(id, to.String(), fmt.Sprintf("A message for %s was accepted and is not in INBOX.", to), reply, fix))
	}
	return one(ok(id, to.String(), fmt.Sprintf("A message for %s was accepted and in INBOX after %v.", to, time.Since(began).Round(time.Millisecond))))
}

// quiet is how long no message from the world is no reason to wonder.
const quiet = 14 * 24 * time.Hour

// checkIncoming: whether port 25 is open on the way in shows by what comes. No
// third party is asked to try it.
func (d *Doctor) checkIncoming(ctx context.Context) []check.Finding {
	const id, fix = "mail.incoming", "Send a message from an old address of yours now. If it does not come within minutes, port 25 is closed on the way in: look at the firewall of the provider and at the forwarding of the router."
	last, err := d.Server.LastReceived(ctx)
	switch {
	case err != nil:
		return one(unreadable(id, "", "What came from the world", err))
	case last.IsZero():
		return one(info(id, "", "No message from the world has come yet, so that it is not known whether port 25 can be reached.", "", fix))
	case d.now().Sub(last) > quiet:
		return one(info(id, "", fmt.Sprintf("No message from the world has come for %d days.", int(d.now().Sub(last).Hours()/24)), "", fix))
	}
	return one(ok(id, "", "Mail from the world comes."))
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
