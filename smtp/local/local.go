// Package local is the delivery agent (the MDA of RFC 5598): it takes a message
// that a door has received and judged, and makes it durable for everybody at
// once. It does not decide whether a message is wanted, and it speaks no
// protocol.
//
// # How data passes
//
// A door gives a Message: what was received (mailbox.Incoming), the envelope,
// one Copy for each address with the accounts behind it, and what is to go on
// through the queue. Deliver makes each account's prefix, settles the body for
// all owners, and runs one transaction: the body, a placement for each account,
// the queue's rows, the trace. When it returns nil, all of it is on stable
// storage and the door may answer 250; otherwise none of it is.
//
// The queue comes back here with mail for our own addresses (DSNs, and mail that
// asked to be told of its delivery): see Queued.
//
// # Rules
//
//	an account reached twice       one copy, the kinder verdict, the first address
//	verdict junk                   the mailbox whose special use is \Junk, else INBOX
//	address with a detail          the mailbox of that name if there is one without a
//	                               special use (a stranger chooses the name), else INBOX
//	quota                          may be crossed once, to 110%; beyond, nothing is
//	                               stored for anybody and the sender tries again
//	alias with a full member       that one gets it beyond the quota, while another has room
//
// The prefix is Return-Path, Delivered-To, the verdict where it has reasons,
// Authentication-Results, Received; see prefix.go.
package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"mailstead/account"
	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/message"
	"mailstead/smtp/queue"
)

// Options of New.
type Options struct {
	DB        *sqlite.DB
	Accounts  *account.Store
	Mailboxes *mailbox.Store
	Queue     *queue.Queue // for Message.Onward
	Events    maillog.Sink // after the commits; may be nil
	Hostname  string       // our name in what is written into messages
	Log       *slog.Logger // may be nil
}

// Agent is the delivery agent.
type Agent struct {
	o Options

	mu      sync.Mutex
	inboxes map[int64]int64 // under mu: account → its INBOX, which never changes
}

// New makes an agent.
func New(o Options) *Agent {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Events == nil {
		o.Events = maillog.Sinks{}
	}
	return &Agent{o: o, inboxes: make(map[int64]int64)}
}

// UseQueue gives the agent its queue, which is made after it: the queue delivers
// to the agent. Call it before the first Deliver.
func (a *Agent) UseQueue(q *queue.Queue) { a.o.Queue = q }

// Message is one message with all that is to become of it.
type Message struct {
	MID      string
	Kind     string // maillog.Received or maillog.Submitted; "" leaves the events to the queue
	CID      string
	Account  int64 // who submitted it
	Remote   netip.Addr
	Host     string // who that was, in words, where there is no Remote
	Reply    string // what the door will say
	Envelope message.Envelope
	Received message.Received    // For is filled in
	Auth     message.AuthResults // not written when ServID is ""
	Incoming *mailbox.Incoming
	Copies   []Copy
	Onward   *queue.Message // Body is filled in; nil for none
	Began    time.Time      // of the transaction, for Dur
}

// Copy is the message for one address.
type Copy struct {
	Recipient message.Recipient
	Targets   []account.Target
	Junk      bool
	Verdict   string // a word for the header, "" writes none
	Reasons   []Reason
}

// Reason is a named step of a verdict.
type Reason struct{ Name, Text string }

// placing is one account's copy with its way.
type placing struct {
	account int64
	box     mailbox.Mailbox
	copy    *Copy
	address message.Address
	prefix  []byte
}

// Deliver makes m durable for everybody, or for nobody. Errors are those of
// ReplyFor; any other is ours.
func (a *Agent) Deliver(ctx context.Context, m Message) error {
	if err := a.deliver(ctx, &m); err != nil {
		return fmt.Errorf("deliver %s: %w", m.MID, err)
	}
	return nil
}

func (a *Agent) deliver(ctx context.Context, m *Message) error {
	if err := m.Incoming.Draft.Settle(ctx, m.owners()...); err != nil {
		return err
	}
	events, err := a.keep(ctx, m)
	if errors.Is(err, mailbox.ErrNotExist) { // a mailbox went between choosing and placing
		a.forget()
		events, err = a.keep(ctx, m)
	}
	if err != nil {
		return err
	}
	for _, e := range events {
		a.o.Events.Record(e)
	}
	return nil
}

// owners are the folders that a large body gets a name in.
func (m *Message) owners() []int64 {
	var owners []int64
	for _, c := range m.Copies {
		for _, t := range c.Targets {
			owners = append(owners, t.Account)
		}
	}
	if m.Onward != nil {
		owners = append(owners, blob.Queue)
	}
	return owners
}

// keep chooses the mailboxes and commits. When ctx ends first, the transaction
// may still be running: it writes nothing that the caller looks at then.
func (a *Agent) keep(ctx context.Context, m *Message) ([]maillog.Event, error) {
	placings, err := a.place(ctx, m)
	if err != nil {
		return nil, err
	}
	for i := range placings {
		p := &placings[i]
		p.prefix = a.prefix(m, p, len(placings) == 1 && m.Onward == nil)
	}
	var events []maillog.Event
	err = a.o.DB.Update(ctx, func(tx *sqlite.Tx) (err error) {
		events, err = a.commit(tx, m, placings)
		return err
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// commit is the transaction. It may run twice.
func (a *Agent) commit(tx *sqlite.Tx, m *Message, placings []placing) ([]maillog.Event, error) {
	body, err := m.Incoming.Draft.Commit(tx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	events := make([]maillog.Event, 0, len(placings)+1)
	add := func(e maillog.Event) error {
		if m.Kind == "" {
			return nil
		}
		e.Kept = true
		events = append(events, e)
		return trace.Add(tx, e)
	}
	if err := add(m.arrival(now)); err != nil {
		return nil, err
	}
	err = a.append(tx, m, placings, mailbox.Placing{Body: body, Received: now, Grace: true}, func(p *placing, placed mailbox.Placed) error {
		return add(m.delivery(p, placed, now))
	})
	if err != nil {
		return nil, err
	}
	if m.Onward != nil {
		onward := *m.Onward
		onward.Body = body
		onward.Size = int64(len(onward.Prefix)) + m.Incoming.Draft.Size()
		if _, err := a.o.Queue.Add(tx, onward); err != nil {
			return nil, err
		}
	}
	return events, nil
}
