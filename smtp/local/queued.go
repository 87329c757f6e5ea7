package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mailstead/account"
	"mailstead/message"
	"mailstead/smtp/queue"
)

// Queued delivers what the queue holds for our own addresses. It is the queue's
// Deliverer for local domains.
type Queued struct{ Agent *Agent }

// Deliver tries every recipient of the item on its own, so that one full
// mailbox holds nobody else up.
func (d Queued) Deliver(ctx context.Context, it queue.Item) []queue.Result {
	results := make([]queue.Result, 0, len(it.Message.Envelope.Recipients))
	for _, r := range it.Message.Envelope.Recipients {
		res := d.Agent.deliverQueued(ctx, it, r)
		res.Recipient = r.Address
		results = append(results, res)
	}
	return results
}

func (a *Agent) deliverQueued(ctx context.Context, it queue.Item, r message.Recipient) queue.Result {
	targets, err := a.o.Accounts.Resolve(ctx, r.Address)
	switch {
	case errors.Is(err, account.ErrDisabled):
		return queue.Result{Action: message.Failed, Status: "5.2.1", Reason: "the account is disabled"}
	case errors.Is(err, account.ErrUnknown), errors.Is(err, account.ErrNotLocal):
		return queue.Result{Action: message.Failed, Status: "5.1.1", Reason: "no such address here"}
	case err != nil:
		return later(err)
	}
	in, err := a.o.Mailboxes.Receive(ctx, io.NewSectionReader(it.Content, 0, it.Content.Size()))
	if err != nil {
		return later(err)
	}
	defer in.Close()
	err = a.Deliver(ctx, Message{
		MID: it.Message.MID, Account: it.Message.Account,
		Envelope: message.Envelope{ReversePath: it.Message.Envelope.ReversePath, Recipients: []message.Recipient{r}},
		Received: message.Received{By: a.o.Hostname, ID: it.Message.MID, Time: time.Now()},
		Incoming: in, Copies: []Copy{{Recipient: r, Targets: targets}},
	})
	if err != nil {
		return later(err)
	}
	return queue.Result{Action: message.Delivered, Status: "2.0.0", RemoteMTA: a.o.Hostname, Reason: "put into the mailbox"}
}

// later keeps the item in the queue.
func later(err error) queue.Result {
	if reply, other := ReplyFor(err); other == nil {
		return queue.Result{Action: message.Delayed, Status: reply.Status, Reply: reply.String(), Reason: reply.Text}
	}
	err = fmt.Errorf("deliver to a mailbox here: %w", err)
	return queue.Result{Action: message.Delayed, Status: "4.3.0", Reason: "something went wrong on our side", Err: err}
}
