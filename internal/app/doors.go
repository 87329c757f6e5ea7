package app

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"mailstead/admin"
	"mailstead/imap"
	"mailstead/internal/control"
	"mailstead/internal/listen"
	"mailstead/internal/maillog"
	"mailstead/message"
	"mailstead/policy/judge"
	"mailstead/smtp/inbound"
	"mailstead/smtp/local"
	"mailstead/smtp/outbound"
	"mailstead/smtp/queue"
	"mailstead/smtp/submission"
)

// compose makes the doors over the stores.
func (a *App) compose() error {
	cfg, log, cert := a.Config, a.Log, a.cert
	events := maillog.Sinks{maillog.Log{Logger: log}, a.Trace, &a.events}
	agent := local.New(local.Options{
		DB: a.DB, Accounts: a.Accounts, Mailboxes: a.Mail, Queue: a.Queue, Events: events, Hostname: cfg.Hostname, Log: log,
	})
	a.out = &outbound.Outbound{
		Hostname: cfg.Hostname, Resolver: a.Resolver, Dial: a.o.Dial, Port: a.o.Port, Roots: a.o.Roots, Own: a.own(), NoIPv6: a.noIPv6.Load,
		SmartHost: a.smartHost,
	}
	a.route = a.routes(local.Queued{Agent: agent}, a.out)

	a.box = a.letterbox(agent, events)
	size := int64(cfg.Limit)
	space := &local.Space{Dir: cfg.Data, MaxSize: size}
	mx := inbound.New(inbound.Options{
		Hostname: cfg.Hostname, TLS: cert.Config(), Accounts: a.Accounts, Mailboxes: a.Mail, Agent: agent,
		Judge: &judge.Judge{}, Space: space, Events: events, Log: log, MaxSize: size,
	})
	msa := submission.New(submission.Options{
		Hostname: cfg.Hostname, TLS: cert.Config(), Accounts: a.Accounts, Mailboxes: a.Mail, Agent: agent,
		Space: space, Events: events, Log: log, MaxSize: size, Sign: a.Signer().Sign,
	})
	reader := &imap.Server{
		Mailboxes: a.Mail, Accounts: a.Accounts, TLS: cert.Config(), Version: a.o.Version,
		MaxMessage: size, Log: log, Events: events,
	}
	for _, door := range cfg.Listen.Absent() {
		log.Warn("this version has no such door: it stays closed", "door", door)
	}
	for _, d := range []struct {
		name    string
		addrs   []string
		tls     *tls.Config
		handler listen.Handler
		busy    string
	}{
		{"smtp", cfg.Listen.SMTP, nil, mx, "421 4.3.2 too many connections, come back later"},
		{"submission", cfg.Listen.Submission, nil, msa, "421 4.3.2 too many connections, come back later"},
		{"submissions", cfg.Listen.Submissions, cert.Config(), msa, ""},
		{"imap", cfg.Listen.IMAP, nil, reader, "* BYE [LIMIT] too many connections, come back later"},
		{"imaps", cfg.Listen.IMAPS, cert.Config(), reader, ""},
	} {
		if len(d.addrs) == 0 {
			continue
		}
		a.doors = append(a.doors, &listen.Server{
			Name: d.name, Addrs: d.addrs, TLS: d.tls, Handler: d.handler, Busy: d.busy, Log: log,
		})
	}
	ops := a.Ops(a.o.Version)
	ops.Started = time.Now()
	a.doctor = a.attend()
	ops.Doctor = a.doctor
	ops.Certificates, ops.Certify = a.cert, a.certify
	ops.Doors = func() map[string]string {
		doors := map[string]string{}
		for _, d := range a.openDoors() {
			doors[d.Name] = d.Addr
		}
		return doors
	}
	a.socket = &control.Server{Ops: ops, Log: log}
	a.lookout = admin.NewLookout(ops, log)
	for _, d := range []*listen.Server{
		a.webDoor("http", cfg.Listen.HTTP, nil, http.HandlerFunc(toHTTPS)),
		a.webDoor("https", cfg.Listen.HTTPS, cert.WebConfig(), a.site(ops, events)),
		a.webDoor("metrics", cfg.Listen.Metrics, nil, nil),
	} {
		if d != nil {
			a.doors = append(a.doors, d)
		}
	}
	return nil
}

// own is where mail comes back to us. A server that receives at loopback
// addresses alone has other servers beside it there; any other takes all of
// loopback for itself, which is outbound's own answer.
func (a *App) own() func() []netip.Addr {
	if a.o.Own != nil {
		return a.o.Own
	}
	var list []netip.Addr
	for _, at := range a.Config.Listen.SMTP {
		p, err := netip.ParseAddrPort(at)
		if err != nil || !p.Addr().IsLoopback() {
			return nil
		}
		list = append(list, p.Addr())
	}
	if list == nil {
		return nil
	}
	return func() []netip.Addr { return list }
}

// routes says who delivers what the queue holds: our own domains by the
// delivery agent, all others by outbound.
func (a *App) routes(here, elsewhere queue.Deliverer) func(message.Domain) queue.Deliverer {
	return func(d message.Domain) queue.Deliverer {
		ours, err := a.Accounts.LocalDomain(context.Background(), d)
		switch {
		case err != nil:
			return unknown{err}
		case ours, strings.EqualFold(string(d), a.Config.Hostname): // whoever keeps it, see Agent.Keeper
			return here
		}
		return elsewhere
	}
}

// unknown delays everything: whether a domain is ours could not be told.
type unknown struct{ err error }

func (u unknown) Deliver(_ context.Context, it queue.Item) (results []queue.Result) {
	for _, r := range it.Message.Envelope.Recipients {
		results = append(results, queue.Result{
			Recipient: r.Address, Action: message.Delayed, Status: "4.3.0", Reason: "our own tables could not be read", Err: u.err,
		})
	}
	return results
}
