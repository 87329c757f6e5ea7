// Package inbound is the door on port 25: mail from the world for people here.
// It decides about connections, recipients and messages, and never sends
// anything on: an address that is not ours is refused, whoever asks. What it
// accepts, smtp/local makes durable.
//
// # The order
//
//	connect   far above the rate of the network     421 4.7.0
//	MAIL      above the rate of the network         450 4.7.0, then 421
//	          room on the disk                      452 4.3.1
//	RCPT      not ours                              550 5.7.1
//	          unknown                               550 5.1.1
//	          disabled                              550 5.2.1
//	          full                                  452 4.2.2
//	message   read whole, hashed and scanned (mailbox.Receive)
//	          goes in circles                       554 5.4.6
//	          judged for every recipient            the table in verdict.go
//	          stored for all of them                250 2.0.0 ID, or 451, 452
//
// The engine (package smtp) answers what is the protocol's: size, line ends,
// sequence, too many of something.
//
// A disabled account answers 5yz, not 4yz: its sender should hear of it now and
// not after five days. A full one answers 4yz, since people make room.
package inbound

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"time"

	"mailstead/account"
	"mailstead/internal/listen"
	"mailstead/internal/maillog"
	"mailstead/mailbox"
	"mailstead/message"
	"mailstead/policy"
	"mailstead/policy/limit"
	"mailstead/smtp"
	"mailstead/smtp/local"
)

// Judge gives one verdict per recipient of the envelope.
type Judge interface {
	Judge(ctx context.Context, e policy.Evidence) []policy.Verdict
}

// Options of New.
type Options struct {
	Hostname  string
	TLS       *tls.Config // for STARTTLS; nil offers none
	Accounts  *account.Store
	Mailboxes *mailbox.Store
	Agent     *local.Agent
	Judge     Judge
	Space     *local.Space // nil: never refuses at MAIL
	Events    maillog.Sink // may be nil
	Log       *slog.Logger // may be nil
	MaxSize   int64        // 0 means smtp.DefaultMaxSize

	// Connections an hour from one IPv4 /24 or IPv6 /56, loopback exempt, after
	// a burst of a tenth of it. 0 means 6,000; less than 0 means no limit. As many
	// again are heard out and put off; the rest is turned away at once.
	Rate int
}

const defaultRate = 6000

// Door is the backend of the engine.
type Door struct {
	o        Options
	rates    limit.Table[netip.Prefix]
	patience limit.Table[netip.Prefix] // for those above rates
}

// New makes the server for port 25.
func New(o Options) *smtp.Server {
	if o.Events == nil {
		o.Events = maillog.Sinks{}
	}
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	d := &Door{o: o}
	if o.Rate > 0 {
		d.rates.Rate, d.rates.Burst = float64(o.Rate), max(1, float64(o.Rate)/10)
		d.patience.Rate, d.patience.Burst = d.rates.Rate, d.rates.Burst
	}
	cfg := o.TLS
	if cfg != nil {
		cfg = listen.Recording(cfg)
		// A ticket would let a stranger link a server's connections, and mail
		// servers seldom come back within its life.
		cfg.SessionTicketsDisabled = true
	}
	return &smtp.Server{
		Backend: d, Hostname: o.Hostname, TLS: cfg, Strict: true, MaxSize: o.MaxSize, Log: o.Log,
	}
}

// Replies of this door.
var (
	slowDown  = smtp.Reply{Code: 450, Status: "4.7.0", Text: "too many connections from your network, try again later"}
	tooFast   = smtp.Reply{Code: 421, Status: "4.7.0", Text: "too many connections from your network, slow down"}
	inCircles = smtp.Reply{Code: 554, Status: "5.4.6", Text: "message goes in circles"}
)

// maxReceived is how many servers a message may have passed (RFC 5321, 6.3).
const maxReceived = 50

// NewSession implements smtp.Backend.
func (d *Door) NewSession(ctx context.Context, p *smtp.Peer) (smtp.Session, smtp.Reply, error) {
	s := &session{d: d, p: p}
	a, now := p.Remote.Addr(), time.Now()
	if !a.IsValid() || a.IsLoopback() || d.rates.Take(listen.NetworkOf(a), 1, now) {
		return s, smtp.Reply{}, nil
	}
	// A greeting can be 421 or 554, never 450 (RFC 5321, 4.3.2): who is to come
	// again is told so at MAIL.
	if d.patience.Take(listen.NetworkOf(a), 1, now) {
		s.early = true
		return s, smtp.Reply{}, nil
	}
	d.o.Events.Record(maillog.Event{Time: now, Kind: maillog.Refused, CID: p.CID, Remote: a, Reply: tooFast.String()})
	return nil, tooFast, nil
}

// session is one connection.
type session struct {
	d      *Door
	p      *smtp.Peer
	mids   int
	early  bool // its network is above its rate
	putOff bool // and it has been told so
}

func (s *session) Hello(context.Context) (smtp.Reply, error) { return smtp.Reply{}, nil }
func (s *session) Close()                                    {}

// Mail begins a transaction. A null reverse-path is as good as any.
func (s *session) Mail(ctx context.Context, m smtp.Mail) (smtp.Transaction, smtp.Reply, error) {
	t := &transaction{s: s, env: m.Envelope, size: m.Size, began: time.Now()}
	if s.early {
		reply := slowDown
		if s.putOff {
			reply = tooFast
		}
		s.putOff = true
		t.refused("", reply, "")
		return nil, reply, nil
	}
	if !s.d.o.Space.Enough() {
		t.refused("", local.DiskFull, "")
		return nil, local.DiskFull, nil
	}
	return t, smtp.Reply{}, nil
}

// Refused implements smtp.Watcher.
func (s *session) Refused(m smtp.Mail, r smtp.Reply) {
	t := &transaction{s: s, env: m.Envelope, size: m.Size}
	t.refused("", r, "")
}

// transaction is one message.
type transaction struct {
	s      *session
	env    message.Envelope
	size   int64
	copies []local.Copy // one per recipient of env, in order
	began  time.Time
}

func (t *transaction) Close() {}

// Recipient answers for one address.
func (t *transaction) Recipient(ctx context.Context, r message.Recipient) (smtp.Reply, error) {
	for _, known := range t.env.Recipients {
		if known.Address == r.Address {
			return smtp.Reply{}, nil
		}
	}
	targets, reply, err := t.s.d.o.Agent.Resolve(ctx, r.Address, t.size)
	if err != nil {
		return smtp.Reply{}, err
	}
	if !reply.IsZero() {
		t.refused(r.Address.String(), reply, "")
		return reply, nil
	}
	t.env.Recipients = append(t.env.Recipients, r)
	t.copies = append(t.copies, local.Copy{Recipient: r, Targets: targets})
	return smtp.Reply{}, nil
}

// Data receives, judges and stores.
func (t *transaction) Data(ctx context.Context, r io.Reader) (smtp.Reply, error) {
	o := &t.s.d.o
	in, err := o.Mailboxes.Receive(ctx, r)
	if err != nil {
		return t.broken(err)
	}
	defer in.Close()
	header, err := message.ReadHeader(io.NewSectionReader(in.Draft, 0, in.Draft.Size()))
	if err != nil {
		return smtp.Reply{}, err
	}
	if t.loops(header) {
		t.refusedAll(inCircles, "")
		return inCircles, nil
	}
	verdicts := o.Judge.Judge(ctx, t.evidence(header, in.Draft.Size()))
	if reply := decide(verdicts, t.copies); !reply.IsZero() {
		t.refusedAll(reply, reasons(verdicts))
		return reply, nil
	}
	return t.store(ctx, in)
}

// store makes the message durable and names it.
func (t *transaction) store(ctx context.Context, in *mailbox.Incoming) (smtp.Reply, error) {
	o, p := &t.s.d.o, t.s.p
	t.s.mids++
	mid := p.CID + "-" + strconv.Itoa(t.s.mids)
	err := o.Agent.Deliver(ctx, local.Message{
		MID: mid, Kind: maillog.Received, CID: p.CID, Remote: p.Remote.Addr(), Envelope: t.env,
		Received: message.Received{
			Helo: p.Helo, Remote: p.Remote.Addr(), By: o.Hostname, Protocol: p.Protocol(t.env.SMTPUTF8),
			TLS: cipher(p.TLS), ID: mid, Time: time.Now(),
		},
		Auth:     message.AuthResults{ServID: o.Hostname},
		Incoming: in, Copies: t.copies, Began: t.began,
	})
	if err != nil {
		return t.broken(err)
	}
	return smtp.OK.With(mid), nil
}

// broken ends a message that did not come whole, breaks a rule of the protocol,
// or could not be stored.
func (t *transaction) broken(err error) (smtp.Reply, error) {
	if errors.Is(err, smtp.ErrCut) {
		t.refusedAll(smtp.Reply{}, smtp.ErrCut.Error())
		return smtp.Reply{}, err
	}
	if reply := smtp.Fault(err); !reply.IsZero() {
		t.refusedAll(reply, "")
		return reply, nil
	}
	reply, err := local.ReplyFor(err)
	t.refusedAll(reply.Or(smtp.LocalError), "the message could not be stored")
	return reply, err
}

func (t *transaction) evidence(h message.Header, size int64) policy.Evidence {
	p := t.s.p
	return policy.Evidence{
		Remote: p.Remote.Addr(), Helo: p.Helo, TLS: p.TLS != nil, Envelope: t.env, Header: h, Size: size,
	}
}

// loops tells a message that has passed too many servers (RFC 5321, 6.3), or
// this one too often: a recipient's own Delivered-To twice. Once may be a person
// who sends a message to himself again.
func (t *transaction) loops(h message.Header) bool {
	if h.Count("Received") > maxReceived {
		return true
	}
	seen := h.Values("Delivered-To")
	if len(seen) < 2 {
		return false
	}
	for _, c := range t.copies {
		for _, target := range c.Targets {
			n := 0
			for _, v := range seen {
				if a, err := message.ParseAddress(v); err == nil && a == target.Address {
					n++
				}
			}
			if n > 1 {
				return true
			}
		}
	}
	return false
}

// refused records that nothing was stored for one recipient.
func (t *transaction) refused(rcpt string, r smtp.Reply, why string) {
	p := t.s.p
	e := maillog.Event{
		Time: time.Now(), Kind: maillog.Refused, CID: p.CID, Remote: p.Remote.Addr(), Rcpt: rcpt,
		Reason: why, Size: t.size,
	}
	if !r.IsZero() {
		e.Reply = r.String()
	}
	if !t.env.ReversePath.IsZero() {
		e.ReversePath = t.env.ReversePath.String()
	}
	t.s.d.o.Events.Record(e)
}

func (t *transaction) refusedAll(r smtp.Reply, why string) {
	for _, rcpt := range t.env.Recipients {
		t.refused(rcpt.Address.String(), r, why)
	}
}

// cipher is for the Received field.
func cipher(st *tls.ConnectionState) string {
	if st == nil {
		return ""
	}
	return tls.VersionName(st.Version) + " " + tls.CipherSuiteName(st.CipherSuite)
}
