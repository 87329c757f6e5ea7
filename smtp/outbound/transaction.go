package outbound

import (
	"errors"
	"fmt"
	"io"
	"time"

	"mailstead/message"
	"mailstead/smtp"
	"mailstead/smtp/queue"
)

// errStale: the connection had ended before this transaction began.
var errStale = errors.New("the connection was closed while it waited")

// transaction is one MAIL … final reply for some recipients. An error ends the
// connection; everything that a host said is in the delivery's results.
type transaction struct {
	d        *delivery
	c        *conn
	rcpts    []int
	accepted []int
	again    []int // "too many recipients": for the next transaction
}

func (t *transaction) run() error {
	if err := t.d.scan(); err != nil {
		return err
	}
	if !t.fits() {
		return nil
	}
	pipelining := t.c.has("PIPELINING")
	if t.c.dirty {
		t.c.say("RSET")
		if !pipelining {
			if _, err := t.reply(); err != nil {
				return err
			}
		}
	}
	if pipelining {
		return t.pipelined()
	}
	return t.stepwise()
}

// pipelined sends all commands at once (RFC 2920, 3.1: DATA is the last of a
// group) and reads as many replies.
func (t *transaction) pipelined() error {
	reset := t.c.dirty
	t.c.say(t.mail())
	for _, i := range t.rcpts {
		t.c.say(t.rcpt(i))
	}
	t.c.say("DATA")
	t.c.dirty = true
	if reset {
		if _, err := t.reply(); err != nil {
			return err
		}
	}
	taken, err := t.mailReply()
	if err != nil {
		return err
	}
	for _, i := range t.rcpts {
		r, err := t.c.reply(commandTimeout)
		if err != nil {
			return err
		}
		if taken {
			if err := t.rcptReply(i, r); err != nil {
				return err
			}
		}
	}
	return t.data()
}

// stepwise waits for each reply, for hosts without PIPELINING.
func (t *transaction) stepwise() error {
	t.c.say(t.mail())
	taken, err := t.mailReply()
	if err != nil || !taken {
		return err
	}
	t.c.dirty = true
	for _, i := range t.rcpts {
		t.c.say(t.rcpt(i))
		r, err := t.c.reply(commandTimeout)
		if err == nil {
			err = t.rcptReply(i, r)
		}
		if err != nil {
			return err
		}
	}
	if len(t.accepted) == 0 {
		return nil
	}
	t.c.say("DATA")
	return t.data()
}

// reply reads one that starts a transaction: on a connection that was used
// before, an end or 421 here means that it was over already.
func (t *transaction) reply() (smtp.Reply, error) {
	r, err := t.c.reply(commandTimeout)
	if t.c.reused || t.c.taken > 0 {
		if err != nil || r.Code == 421 {
			return r, errStale
		}
	}
	return r, err
}

func (t *transaction) mailReply() (taken bool, err error) {
	r, err := t.reply()
	if err != nil || r.Positive() {
		return err == nil, err
	}
	return false, t.end(t.rcpts, r, "refused the sender")
}

func (t *transaction) rcptReply(i int, r smtp.Reply) error {
	switch {
	case r.Positive():
		t.accepted = append(t.accepted, i)
		return nil
	case tooMany(r) && len(t.accepted) > 0:
		t.again = append(t.again, i)
		return nil
	}
	return t.end([]int{i}, r, "refused the recipient")
}

// tooMany: RFC 5321, 4.5.3.1.10, with the 552 of its predecessors.
func tooMany(r smtp.Reply) bool {
	return r.Code == 452 && (r.Status == "" || r.Status == "4.5.3") || r.Code == 552 && r.Status == ""
}

// end turns a refusal into results: final for 5yz, open to other hosts for 4yz.
// 421 and what is no refusal end the connection.
func (t *transaction) end(list []int, r smtp.Reply, what string) error {
	x := queue.Result{
		Action: message.Delayed, Status: status(r), Reply: said(r), RemoteMTA: t.c.name,
		Reason: t.c.name + " " + what,
	}
	switch r.Code / 100 {
	case 5:
		x.Action = message.Failed
		t.d.settle(list, x)
		return nil
	case 4:
		x.Reason += " for now"
		if r.Code == 421 { // the host says the same to all that it was not asked yet
			t.d.explain(t.d.unsettled(), x)
			return fmt.Errorf("it said %q", said(r))
		}
		t.d.explain(list, x)
		return nil
	}
	return fmt.Errorf("it said %q: %w", said(r), errNoReply)
}

// data ends the transaction that DATA was sent for.
func (t *transaction) data() error {
	r, err := t.c.reply(dataTimeout)
	switch {
	case err != nil:
		return err
	case r.Code != 354 && len(t.accepted) == 0:
		return nil
	case r.Code != 354:
		return t.end(t.accepted, r, "refused the message")
	case len(t.accepted) == 0: // RFC 2920, 3.1: 354 without recipients wants an empty message
		t.c.say(".")
		_, err := t.c.reply(endTimeout)
		t.c.dirty = false
		return err
	}
	if err := t.send(); err != nil {
		return err
	}
	r, err = t.c.reply(endTimeout)
	if err != nil { // it may have the message: asking another host would double it
		x := delayedBy(t.c, err)
		x.Reason = t.c.name + " got the whole message and did not say whether it takes it: " + err.Error()
		t.d.settle(t.accepted, x)
		return err
	}
	t.c.dirty = false
	if !r.Positive() {
		return t.end(t.accepted, r, "refused the message")
	}
	t.c.taken++
	t.d.settle(t.accepted, queue.Result{
		Action: message.Relayed, Status: status(r), Reply: said(r), RemoteMTA: t.c.name,
		Reason: "sent " + t.c.tls, Notifies: t.c.has("DSN"),
	})
	return nil
}

// send writes the message. A host that does not want all of it may have said
// why before it closed.
func (t *transaction) send() error {
	w := &dotWriter{w: &blockWriter{t.c}}
	content := t.d.it.Content
	_, err := io.Copy(w, message.NormalizeLineEnds(io.NewSectionReader(content, 0, content.Size())))
	if err == nil {
		err = w.end()
	}
	if err == nil {
		return nil
	}
	r, _, rerr := func() (smtp.Reply, []string, error) {
		t.c.net.SetReadDeadline(time.Now().Add(quitTimeout))
		return readReply(t.c.in)
	}()
	if rerr == nil && r.Code/100 >= 4 {
		if err := t.end(t.accepted, r, "stopped the message"); err != nil {
			return err
		}
	}
	return fmt.Errorf("in the middle of the message: %w", err)
}
