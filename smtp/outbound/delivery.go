package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"mailstead/message"
	"mailstead/smtp/queue"
)

// delivery is one attempt: what is known of each recipient so far.
type delivery struct {
	o       *Outbound
	it      queue.Item
	rcpts   []message.Recipient
	results []queue.Result // by recipient; the best explanation until settled
	told    []bool         // results holds more than the beginning
	settled []bool
	todo    []int // recipients that the present host was not asked about yet

	scanned bool
	eight   bool // the message has 8-bit bytes
	utf8    bool // and some in its header, as SMTPUTF8 allows
}

func newDelivery(o *Outbound, it queue.Item) *delivery {
	d := &delivery{o: o, it: it, rcpts: it.Message.Envelope.Recipients}
	d.results = make([]queue.Result, len(d.rcpts))
	d.told = make([]bool, len(d.rcpts))
	d.settled = make([]bool, len(d.rcpts))
	for i, r := range d.rcpts {
		d.results[i] = delayed("4.4.1", "no server was reached", nil)
		d.results[i].Recipient = r.Address
	}
	return d
}

// open lists the recipients that another host may still take.
func (d *delivery) open() (list []int) {
	for i := range d.rcpts {
		if !d.settled[i] {
			list = append(list, i)
		}
	}
	return list
}

func (d *delivery) finished() bool { return len(d.open()) == 0 }

// all explains what happened to every open recipient, until a host does better.
func (d *delivery) all(r queue.Result) { d.explain(d.open(), r) }

// explain keeps the most telling result of several hosts: a reply rather than
// silence, a delay rather than a failure that was one host's alone.
func (d *delivery) explain(list []int, r queue.Result) {
	for _, i := range list {
		old := &d.results[i]
		less := old.Reply != "" && r.Reply == "" || r.Action == message.Failed && old.Action == message.Delayed
		if d.told[i] && less {
			continue
		}
		r.Recipient = d.rcpts[i].Address
		*old, d.told[i] = r, true
	}
}

// settle ends recipients.
func (d *delivery) settle(list []int, r queue.Result) {
	for _, i := range list {
		r.Recipient = d.rcpts[i].Address
		d.results[i], d.settled[i] = r, true
	}
}

// try offers the message to one address of a host: over a kept connection
// first, then over a new one, and over further ones while the host takes some
// and then closes.
func (d *delivery) try(ctx context.Context, h host, at netip.AddrPort, p Policy) {
	o := d.o
	d.todo = d.open()
	release, err := o.pool.acquire(ctx, h.name, or(o.PerHost, 8))
	if err != nil {
		return
	}
	defer release()
	key := fmt.Sprintf("%s %s %s %v", h.name, at, p.Name, p.Require)
	if h.smart != nil { // whoever signs in anew gets a connection of their own
		key += " " + h.smart.login()
	}
	for len(d.todo) > 0 && ctx.Err() == nil {
		c := o.pool.take(key)
		if c == nil {
			c, err = o.open(ctx, h, at, p, false)
			var se *sessionError
			if errors.As(err, &se) && se.tls && !p.Require {
				c, err = o.open(ctx, h, at, p, true)
			}
			if err != nil {
				d.explain(d.todo, unreached(h, at, err))
				return
			}
			c.key = key
		}
		if !d.carry(ctx, c) {
			return
		}
	}
}

func or[T int | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// unreached explains a conversation that did not come to MAIL.
func unreached(h host, at netip.AddrPort, err error) queue.Result {
	r := delayed("4.4.1", fmt.Sprintf("no connection to %s", h.name), err)
	r.RemoteMTA = fmt.Sprintf("%s [%s]", h.name, at.Addr())
	var se *sessionError
	if !errors.As(err, &se) {
		return r
	}
	switch {
	case se.reply.Code != 0:
		r.Reply = said(se.reply)
		r.Status = "4" + status(se.reply)[1:] // a host that is shut today may open within five days
		r.Reason = fmt.Sprintf("%s did not let us begin (%s)", h.name, se.step)
	case se.tls:
		r.Status = "4.7.5"
		r.Reason = fmt.Sprintf("%s offers no acceptable encryption: %v", h.name, se.err)
	case se.step != "connect":
		r.Status = "4.4.2"
		r.Reason = fmt.Sprintf("the connection to %s broke at %s: %v", h.name, se.step, se.err)
	}
	if h.smart != nil && (se.step == "AUTH" || se.tls) {
		r.Err = err
	}
	return r
}

// carry runs transactions on a connection until the host was asked about all.
// It returns true when the connection was stale and another one is worth it.
func (d *delivery) carry(ctx context.Context, c *conn) (stale bool) {
	stop := context.AfterFunc(ctx, func() { c.net.Close() })
	for len(d.todo) > 0 {
		n := min(len(d.todo), c.most("RCPTMAX", maxRcpts))
		t := transaction{d: d, c: c, rcpts: d.todo[:n]}
		err := t.run()
		if errors.Is(err, errStale) {
			stop()
			c.net.Close()
			return true
		}
		if err != nil {
			stop()
			c.net.Close()
			d.explain(d.unsettled(), delayedBy(c, err))
			d.todo = nil
			return false
		}
		d.todo = append(t.again, d.todo[n:]...)
	}
	if !stop() {
		return false // ctx has ended: the connection is closed
	}
	d.o.pool.put(c, or(d.o.KeepIdle, 2), or(d.o.IdleFor, 30*time.Second))
	return false
}

// unsettled are those of todo that the present host has not ended.
func (d *delivery) unsettled() (list []int) {
	for _, i := range d.todo {
		if !d.settled[i] {
			list = append(list, i)
		}
	}
	return list
}

func delayedBy(c *conn, err error) queue.Result {
	r := delayed("4.4.2", "the connection to "+c.name+" broke", err)
	r.RemoteMTA = c.name
	return r
}
