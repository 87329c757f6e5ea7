// Package submission is the door for people's own programs on ports 465 and 587
// (RFC 6409, 8314): mail from an account for anybody. It proves who speaks,
// holds who may send as whom, mends what programs leave out, and makes mail for
// people here and mail for the world durable in one commit. It does not deliver
// to the world: smtp/queue does.
//
// # The order
//
//	before TLS        MAIL 530 5.7.0, AUTH 538 5.7.11
//	before AUTH       MAIL 530 5.7.0
//	MAIL              the reverse-path belongs to the account    553 5.7.1
//	                  room on the disk                           452 4.3.1
//	RCPT here         unknown, disabled, full                    550, 452
//	RCPT elsewhere    rate of the account                        450 4.7.0
//	message           header mended while it streams, see edit.go
//	                  From belongs to the account                550 5.7.1
//	                  stored and queued                          250 2.0.0 ID
//
// # Who may send as whom
//
// An account sends with its own addresses, those of its aliases, and any detail
// of them, as reverse-path and as every author of From. The null reverse-path is
// allowed, because programs need it for disposition notifications (RFC 8098, 3);
// From is held all the same.
//
// # What is told to the world
//
// The Received field names us, the protocol and our id of the message, not the
// client: where somebody was when he wrote a letter is nobody's business. The
// trace knows it.
//
// # Signatures
//
// "As received" means after these edits; the edited message is what is signed,
// in the name of its first author's domain, and the signatures are fields of the
// prefix that transaction.store makes for the queue. What stays here is not
// signed: nobody would ask.
package submission

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"mailstead/account"
	"mailstead/internal/listen"
	"mailstead/internal/maillog"
	"mailstead/mailbox"
	"mailstead/message"
	"mailstead/policy/limit"
	"mailstead/smtp"
	"mailstead/smtp/local"
)

// Options of New.
type Options struct {
	Hostname  string
	TLS       *tls.Config // for STARTTLS on 587; 465 has its TLS from the listener
	Accounts  *account.Store
	Mailboxes *mailbox.Store
	Agent     *local.Agent
	Space     *local.Space // nil: never refuses at MAIL
	Events    maillog.Sink // may be nil
	Log       *slog.Logger // may be nil
	MaxSize   int64        // 0 means smtp.DefaultMaxSize

	// Sign gives the DKIM-Signature fields for a message by an author of a domain;
	// nil signs nothing.
	Sign func(ctx context.Context, author message.Domain, r io.ReaderAt, size int64) ([]byte, error)

	// Recipients elsewhere that an account may write to in an hour, after a
	// burst of twice as many; recipients here are not counted. 0 means 1,000;
	// less than 0 means no limit.
	Rate int
}

const defaultRate = 1000

// Door is the backend of the engine.
type Door struct {
	o     Options
	rates limit.Table[int64] // by account
}

// New makes the server for ports 465 and 587.
func New(o Options) *smtp.Server {
	if o.Events == nil {
		o.Events = maillog.Sinks{}
	}
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	d := &Door{o: o}
	if o.Rate > 0 {
		d.rates.Rate, d.rates.Burst = float64(o.Rate), 2*float64(o.Rate)
	}
	return &smtp.Server{
		Backend: d, Hostname: o.Hostname, TLS: listen.Recording(o.TLS), MaxSize: o.MaxSize, Log: o.Log,
		RequireTLS: true, RequireAuth: true, DSN: true,
	}
}

// Replies of this door.
var (
	notYours     = smtp.Reply{Code: 553, Status: "5.7.1", Text: "your account may not send as this address"}
	notAuthor    = smtp.Reply{Code: 550, Status: "5.7.1", Text: "your account may not write as the address in From"}
	noAuthor     = smtp.Reply{Code: 550, Status: "5.6.0", Text: "the message needs one From field with an address"}
	bigHeader    = smtp.Reply{Code: 552, Status: "5.3.4", Text: "the header is too big"}
	tooMany      = smtp.Reply{Code: 450, Status: "4.7.0", Text: "your account has written to too many recipients, try again later"}
	isDisabled   = smtp.Reply{Code: 535, Status: "5.7.13", Text: "this account is disabled"}
	sessionEnded = smtp.Reply{Code: 421, Status: "4.7.0", Text: "the account has changed, log in again"}
)

// NewSession implements smtp.Backend.
func (d *Door) NewSession(ctx context.Context, p *smtp.Peer) (smtp.Session, smtp.Reply, error) {
	return &session{d: d, p: p}, smtp.Reply{}, nil
}

// session is one connection.
type session struct {
	d       *Door
	p       *smtp.Peer
	who     account.Account // once proven
	release func()          // of account.Hold
	ended   atomic.Bool     // the account was disabled or changed its passwords
	mids    int
}

func (s *session) Hello(context.Context) (smtp.Reply, error) { return smtp.Reply{}, nil }

func (s *session) Close() {
	if s.release != nil {
		s.release()
	}
}

// Password implements smtp.Authenticator.
func (s *session) Password(ctx context.Context, name, password string) (smtp.Reply, error) {
	who, err := s.d.o.Accounts.CheckPassword(ctx, s.login(name), password)
	return s.proven(name, who, err)
}

// SCRAM implements smtp.Authenticator.
func (s *session) SCRAM(ctx context.Context, bindings map[string][]byte) smtp.Exchange {
	return &exchange{s: s, x: s.d.o.Accounts.SCRAM(ctx, s.login(""), bindings)}
}

func (s *session) login(name string) account.Login {
	return account.Login{Name: name, Scope: account.SMTP, Remote: s.p.Remote.Addr()}
}

// exchange turns account's errors into replies.
type exchange struct {
	s *session
	x *account.SCRAM
}

func (e *exchange) Next(response []byte) ([]byte, bool, smtp.Reply, error) {
	challenge, done, err := e.x.Next(response)
	if err == nil && !done {
		return challenge, false, smtp.Reply{}, nil
	}
	refusal, err := e.s.proven(e.x.Name(), e.x.Account(), err)
	return challenge, done, refusal, err
}

// proven ends a login, well or not, and records it.
func (s *session) proven(name string, who account.Account, err error) (smtp.Reply, error) {
	var refusal smtp.Reply
	switch {
	case err == nil:
		s.who = who
		s.release = s.d.o.Accounts.Hold(who.ID, s.p.Remote.Addr(), func() { s.ended.Store(true) })
	case errors.Is(err, account.ErrDisabled):
		refusal = isDisabled
	case errors.Is(err, account.ErrThrottled):
		refusal = smtp.Throttled
	case errors.Is(err, account.ErrBadCredentials):
		refusal = smtp.BadCredentials
	default:
		return smtp.Reply{}, err
	}
	s.d.o.Events.Record(maillog.Event{
		Time: time.Now(), Kind: maillog.Login, CID: s.p.CID, Account: who.ID, Remote: s.p.Remote.Addr(),
		Rcpt: name, Reply: refusal.Or(smtp.Authenticated).String(),
	})
	return refusal, nil
}

// Refused implements smtp.Watcher.
func (s *session) Refused(m smtp.Mail, r smtp.Reply) {
	t := &transaction{s: s, env: m.Envelope, size: m.Size}
	t.refused("", r)
}

// Mail holds the reverse-path.
func (s *session) Mail(ctx context.Context, m smtp.Mail) (smtp.Transaction, smtp.Reply, error) {
	t := &transaction{s: s, env: m.Envelope, size: m.Size, began: time.Now()}
	reply, err := s.mayBegin(ctx, m.Envelope.ReversePath)
	if err != nil {
		return nil, smtp.Reply{}, err
	}
	if !reply.IsZero() {
		t.refused("", reply)
		return nil, reply, nil
	}
	return t, smtp.Reply{}, nil
}

func (s *session) mayBegin(ctx context.Context, reverse message.Address) (smtp.Reply, error) {
	if s.ended.Load() {
		return sessionEnded, nil
	}
	if !s.d.o.Space.Enough() {
		return local.DiskFull, nil
	}
	if reverse.IsZero() {
		return smtp.Reply{}, nil
	}
	ok, err := s.d.o.Accounts.MaySend(ctx, s.who.ID, reverse)
	if err != nil || ok {
		return smtp.Reply{}, err
	}
	return notYours.With("your account may not send as " + reverse.String()), nil
}
