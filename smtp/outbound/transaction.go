package outbound

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
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

// fits settles the recipients that this host can never take, and tells whether
// any are left.
func (t *transaction) fits() bool {
	d, c := t.d, t.c
	no := func(list []int, status, reason string) {
		x := failed(status, reason)
		x.RemoteMTA = c.name
		d.settle(list, x)
	}
	size := d.it.Content.Size()
	utf8 := !c.has("SMTPUTF8")
	switch {
	case c.limit("SIZE") > 0 && size > c.limit("SIZE"):
		no(t.rcpts, "5.3.4", fmt.Sprintf("the message has %d bytes, %s takes %d at most", size, c.name, c.limit("SIZE")))
		return false
	case utf8 && (d.it.Message.Envelope.ReversePath.NeedsUTF8() || d.utf8):
		no(t.rcpts, "5.6.7", c.name+" does not know internationalized mail (SMTPUTF8), which this message needs")
		return false
	case d.eight && !c.has("8BITMIME"):
		no(t.rcpts, "5.6.3", c.name+" takes only 7-bit text (no 8BITMIME), and this message has other bytes")
		return false
	}
	var left []int
	for _, i := range t.rcpts {
		switch {
		case d.settled[i]: // by a connection that turned out stale
		case utf8 && d.rcpts[i].Address.NeedsUTF8():
			no([]int{i}, "5.6.7", c.name+" does not know internationalized addresses (SMTPUTF8)")
		default:
			left = append(left, i)
		}
	}
	t.rcpts = left
	return len(left) > 0
}

func (t *transaction) mail() string {
	m := &t.d.it.Message
	var b strings.Builder
	b.WriteString("MAIL FROM:<")
	if !m.Envelope.ReversePath.IsZero() {
		b.WriteString(m.Envelope.ReversePath.String())
	}
	b.WriteString(">")
	if t.c.has("SIZE") {
		b.WriteString(" SIZE=" + strconv.FormatInt(t.d.it.Content.Size(), 10))
	}
	if t.d.eight {
		b.WriteString(" BODY=8BITMIME")
	}
	if t.needsUTF8() {
		b.WriteString(" SMTPUTF8")
	}
	if t.c.has("DSN") {
		param(&b, "RET", m.Envelope.Return)
		param(&b, "ENVID", m.Envelope.EnvID)
	}
	return b.String()
}

func (t *transaction) needsUTF8() bool {
	if t.d.utf8 || t.d.it.Message.Envelope.ReversePath.NeedsUTF8() {
		return true
	}
	for _, i := range t.rcpts {
		if t.d.rcpts[i].Address.NeedsUTF8() {
			return true
		}
	}
	return false
}

func (t *transaction) rcpt(i int) string {
	r := t.d.rcpts[i]
	var b strings.Builder
	b.WriteString("RCPT TO:<" + r.Address.String() + ">")
	if t.c.has("DSN") {
		param(&b, "NOTIFY", notifyText(r.Notify))
		param(&b, "ORCPT", r.Original)
	}
	return b.String()
}

// param adds a parameter whose value is xtext as it came.
func param(b *strings.Builder, name, value string) {
	if value != "" && !strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		b.WriteString(" " + name + "=" + value)
	}
}

func notifyText(n message.Notify) string {
	if n&message.NotifyNever != 0 {
		return "NEVER"
	}
	var all []string
	for _, x := range [...]struct {
		bit  message.Notify
		name string
	}{{message.NotifySuccess, "SUCCESS"}, {message.NotifyFailure, "FAILURE"}, {message.NotifyDelay, "DELAY"}} {
		if n&x.bit != 0 {
			all = append(all, x.name)
		}
	}
	return strings.Join(all, ",")
}

// scan looks once for 8-bit bytes in header and message.
func (d *delivery) scan() error {
	if d.scanned {
		return nil
	}
	r := io.NewSectionReader(d.it.Content, 0, d.it.Content.Size())
	buf := make([]byte, min(32<<10, r.Size()+1))
	header, last := true, []byte(nil)
	for !d.eight || header && d.it.Message.Envelope.SMTPUTF8 {
		n, err := r.Read(buf)
		b := buf[:n]
		if header {
			head := b
			if i := bytes.Index(append(last, b...), []byte("\r\n\r\n")); i >= 0 {
				header = false
				head = b[:max(0, min(len(b), i-len(last)))]
			}
			d.utf8 = d.utf8 || d.it.Message.Envelope.SMTPUTF8 && eightBit(head)
			last = append([]byte(nil), b[max(0, len(b)-3):]...)
		}
		d.eight = d.eight || eightBit(b)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the message: %w", err)
		}
	}
	d.scanned = true
	return nil
}

func eightBit(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
