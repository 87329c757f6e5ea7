package outbound

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mailstead/message"
)

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
