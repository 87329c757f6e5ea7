package submission

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"mailstead/internal/maillog"
	"mailstead/mailbox"
	"mailstead/message"
	"mailstead/policy/limit"
	"mailstead/smtp"
	"mailstead/smtp/local"
	"mailstead/smtp/queue"
)

// Pickup takes what programs of this machine hand in: cron, scripts, what calls
// sendmail. It is told who the kernel says they are, and knows no socket.
//
//	an address without a domain, or at a name of this machine   is at our host's name
//	a recipient there                                           the operators
//	a recipient in a domain of ours                             its mailbox; unknown: 550
//	a recipient elsewhere                                       the queue, signed
//	no reverse-path, or one at our host's name                  postmaster there: reports reach the operators
//	reverse-path and From                                       of our domains or our host; others by root alone: 550
//
// All recipients get the message, or none does. Of the names of this machine
// those are meant that are no domain of ours.
type Pickup struct {
	o     PickupOptions
	rates limit.Table[int]
	began time.Time
	count atomic.Int64
}

// PickupOptions of NewPickup. Options' Hostname, Accounts, Mailboxes, Agent,
// Space, Events, Log, MaxSize, Sign and Rate mean the same here.
type PickupOptions struct {
	Options
	Names   []string           // what this machine is called beside Hostname; also "localhost"
	Origins []string           // further domains that users write as: /etc/mailname
	Trusted func(uid int) bool // may write as anybody; nil: root
}

// NewPickup makes one.
func NewPickup(o PickupOptions) *Pickup {
	if o.Events == nil {
		o.Events = maillog.Sinks{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	if o.MaxSize == 0 {
		o.MaxSize = smtp.DefaultMaxSize
	}
	if o.Trusted == nil {
		o.Trusted = func(uid int) bool { return uid == 0 }
	}
	p := &Pickup{o: o, began: time.Now()}
	if o.Rate > 0 {
		p.rates.Rate, p.rates.Burst = float64(o.Rate), 2*float64(o.Rate)
	}
	return p
}

// MaxSize is the size limit.
func (p *Pickup) MaxSize() int64 { return p.o.MaxSize }

// User is who hands in, as the kernel tells it.
type User struct {
	ID   int
	Name string // login name; "" when it has none
}

func (u User) login() string {
	if u.Name == "" {
		return "uid" + strconv.Itoa(u.ID)
	}
	return u.Name
}

func (u User) String() string { return fmt.Sprintf("%s of this machine (uid %d)", u.login(), u.ID) }

// Letter is one message with what its program said of it.
type Letter struct {
	User       User     `json:"-"`
	Sender     *string  `json:"sender,omitempty"`     // reverse-path; "" is the null one, nil that of the user
	Name       string   `json:"name,omitempty"`       // of the author, where From is missing
	Recipients []string `json:"recipients,omitempty"` // addresses, or lists of them
	Header     bool     `json:"header,omitempty"`     // take those in To, Cc and Bcc too
}

// Refusals of Pickup.
var (
	noRecipient  = smtp.Reply{Code: 554, Status: "5.5.1", Text: "nobody is named to send this to"}
	badRecipient = smtp.Reply{Code: 501, Status: "5.1.3", Text: "not an address"}
	badReverse   = smtp.Reply{Code: 501, Status: "5.1.7", Text: "the sender is not an address"}
	foreign      = smtp.Reply{Code: 550, Status: "5.7.1", Text: "only root may write as an address that is not of this server"}
	noOperator   = smtp.Reply{Code: 451, Status: "4.3.5", Text: "there is no account yet that mail for this machine's users could reach"}
	busyUser     = smtp.Reply{Code: 450, Status: "4.7.0", Text: "this user has written to too many recipients, try again later"}
	largeMail    = smtp.Reply{Code: 552, Status: "5.3.4", Text: "the message is too big"}
)

// TooManyRecipients refuses for good, unlike 452 in a session, where the others
// may be named in the next transaction: here all get the message, or none.
var TooManyRecipients = smtp.Reply{Code: 550, Status: "5.5.3", Text: "too many recipients: 1000 is the most for one message"}

const maxRecipients = 1000 // RFC 5321, 4.5.3.1.8 asks for 100 at least

// handed is one letter on its way through.
type handed struct {
	p      *Pickup
	l      Letter
	mid    string
	env    message.Envelope
	copies []local.Copy
	onward []message.Recipient
	author message.Domain
	header message.Header
	began  time.Time
}

// Submit makes the letter durable for all its recipients, or for none. mid is our
// id of it. A Reply that is not zero refuses it; an error is ours, or r's.
func (p *Pickup) Submit(ctx context.Context, l Letter, r io.Reader) (mid string, refused smtp.Reply, err error) {
	t := &handed{p: p, l: l, began: time.Now()}
	t.mid = fmt.Sprintf("send-%x-%d", p.began.UnixMilli(), p.count.Add(1))
	refused, err = t.submit(ctx, &capped{r: r, left: p.o.MaxSize})
	switch {
	case errors.Is(err, errTooBig):
		refused, err = largeMail, nil
	case err != nil:
		if reply, other := local.ReplyFor(err); other == nil {
			refused, err = reply, nil
		}
	}
	if err != nil || !refused.IsZero() {
		t.record(refused, err)
		return "", refused, err
	}
	return t.mid, smtp.Reply{}, nil
}

func (t *handed) submit(ctx context.Context, r io.Reader) (smtp.Reply, error) {
	o := &t.p.o
	if !o.Space.Enough() {
		return local.DiskFull, nil
	}
	header, body, err := readHeader(message.NormalizeLineEnds(r))
	if errors.Is(err, errBigHeader) {
		return bigHeader, nil
	} else if err != nil {
		return smtp.Reply{}, err
	}
	t.header = header
	for _, step := range []func(context.Context) (smtp.Reply, error){t.sender, t.authors, t.recipients} {
		if reply, err := step(ctx); err != nil || !reply.IsZero() {
			return reply, err
		}
	}
	in, err := o.Mailboxes.Receive(ctx, edited(t.header, body, o.Hostname, t.began))
	if err != nil {
		return smtp.Reply{}, err
	}
	defer in.Close()
	return smtp.Reply{}, t.store(ctx, in)
}

// home gives an address of this machine its host, for mail: our name. A name of
// this machine that is a domain of ours stays.
func (t *handed) home(ctx context.Context) (func(host string) string, error) {
	o := &t.p.o
	names := map[string]bool{"": true, "localhost": true, "localhost.localdomain": true}
	for _, name := range o.Names {
		d, err := message.ParseDomain(name)
		if err != nil {
			continue
		}
		ours, err := o.Accounts.LocalDomain(ctx, d)
		if err != nil {
			return nil, err
		}
		names[string(d)] = !ours
	}
	return func(host string) string {
		if names[strings.ToLower(strings.TrimSuffix(host, "."))] {
			return o.Hostname
		}
		return host
	}, nil
}

// may tells whether the user may write as an address in this domain.
func (t *handed) may(ctx context.Context, d message.Domain) (bool, error) {
	o := &t.p.o
	if o.Trusted(t.l.User.ID) || strings.EqualFold(string(d), o.Hostname) {
		return true, nil
	}
	for _, name := range o.Origins {
		if origin, err := message.ParseDomain(name); err == nil && origin == d {
			return true, nil
		}
	}
	return o.Accounts.LocalDomain(ctx, d)
}

// sender makes the reverse-path. At our host's own name nobody has a mailbox, so
// that reports about such mail would be lost: it comes from postmaster there.
func (t *handed) sender(ctx context.Context) (smtp.Reply, error) {
	o := &t.p.o
	if t.l.Sender != nil && *t.l.Sender == "" {
		return smtp.Reply{}, nil // the null reverse-path
	}
	text := t.l.User.login()
	if t.l.Sender != nil {
		text = *t.l.Sender
	}
	a, err := t.address(ctx, text)
	if err != nil {
		return smtp.Reply{}, err
	}
	if a.IsZero() {
		return badReverse.With("the sender " + quoted(text) + " is not an address"), nil
	}
	ok, err := t.may(ctx, a.Domain)
	if err != nil {
		return smtp.Reply{}, err
	}
	if !ok {
		return foreign.With("only root may send as " + a.String() + ", which is not of this server"), nil
	}
	if strings.EqualFold(string(a.Domain), o.Hostname) {
		if targets, err := o.Accounts.Resolve(ctx, a); err != nil || len(targets) == 0 {
			a.Local = "postmaster"
		}
	}
	t.env.ReversePath = a
	return smtp.Reply{}, nil
}

// address reads one address; the zero one is none.
func (t *handed) address(ctx context.Context, text string) (message.Address, error) {
	home, err := t.home(ctx)
	if err != nil {
		return message.Address{}, err
	}
	list := message.ParseAddressList(text)
	if len(list) != 1 {
		return message.Address{}, nil
	}
	list[0].Host = home(list[0].Host)
	a, err := list[0].Address()
	if err != nil {
		return message.Address{}, nil // what is no address, is told as such
	}
	return a, nil
}

// authors completes the addresses in the header, adds From where it is missing,
// and holds who may write as whom.
func (t *handed) authors(ctx context.Context) (smtp.Reply, error) {
	home, err := t.home(ctx)
	if err != nil {
		return smtp.Reply{}, err
	}
	t.complete(home)
	if t.header.Count("From") != 1 {
		return noAuthor, nil
	}
	for _, a := range t.header.Addresses("From") {
		address, err := a.Address()
		if err != nil {
			return noAuthor, nil
		}
		if t.author == "" {
			t.author = address.Domain
		}
		ok, err := t.may(ctx, address.Domain)
		if err != nil {
			return smtp.Reply{}, err
		}
		if !ok {
			return foreign.With("only root may write as " + address.String() + ", which is in From and not of this server"), nil
		}
	}
	if t.author == "" {
		return noAuthor, nil
	}
	return smtp.Reply{}, nil
}

// complete gives the header's addresses their hosts. An empty From is as none.
func (t *handed) complete(home func(string) string) {
	fields := make([]message.Field, 0, len(t.header.Fields)+1)
	from := false
	for _, f := range t.header.Fields {
		switch strings.ToLower(f.Name) {
		case "from":
			if f.Body() == "" {
				continue
			}
			from = true
			f = f.Rehost(home)
		case "sender", "reply-to", "to", "cc", "bcc", "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc":
			f = f.Rehost(home)
		}
		fields = append(fields, f)
	}
	if !from {
		a := message.Address{Local: t.l.User.login(), Domain: message.Domain(t.p.o.Hostname)}
		fields = append(fields, message.Field{Name: "From", Raw: []byte("From: " + message.FormatMailbox(t.l.Name, a.String()) + "\r\n")})
	}
	t.header.Fields = fields
}

// store makes all of it durable.
func (t *handed) store(ctx context.Context, in *mailbox.Incoming) error {
	o := &t.p.o
	received := message.Received{By: o.Hostname, ID: t.mid, Time: time.Now()}
	m := local.Message{
		MID: t.mid, Kind: maillog.Submitted, Host: t.l.User.String(), Envelope: t.env, Received: received,
		Incoming: in, Copies: t.copies, Began: t.began,
	}
	if len(t.onward) > 0 {
		env := t.env
		env.Recipients = t.onward
		m.Onward = &queue.Message{MID: t.mid, Verified: true, Envelope: env, Prefix: received.Append(nil)}
		if o.Sign != nil {
			signatures, err := o.Sign(ctx, t.author, in.Draft, in.Draft.Size())
			if err != nil {
				return err
			}
			m.Onward.Prefix = append(m.Onward.Prefix, signatures...)
		}
	}
	return o.Agent.Deliver(ctx, m)
}

// record tells that nothing was stored.
func (t *handed) record(r smtp.Reply, err error) {
	e := maillog.Event{Time: time.Now(), Kind: maillog.Refused, MID: t.mid, Host: t.l.User.String(), Dur: time.Since(t.began)}
	if !t.env.ReversePath.IsZero() {
		e.ReversePath = t.env.ReversePath.String()
	}
	if err != nil {
		e.Err = err.Error()
	} else {
		e.Reply = r.String()
	}
	t.p.o.Events.Record(e)
}

var errTooBig = errors.New("message too big")

// capped ends a message that is larger than may be.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errTooBig
	}
	return n, err
}

// quoted shows what somebody typed in a reply.
func quoted(s string) string { return strconv.QuoteToASCII(s[:min(len(s), 100)]) }
