package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// What a Transaction's reader may end with instead of io.EOF. The engine knows
// and answers it by itself; a door wants it for its records.
var (
	ErrBareLineEnd = errors.New("bare CR or LF in message")
	ErrTooBig      = errors.New("message above the size limit")
	ErrCut         = errors.New("the connection ended before the message did")
)

// Fault is what the engine answers to a message that ended with err; zero where
// err is not of the message or nobody is left to hear it.
func Fault(err error) Reply {
	switch {
	case errors.Is(err, ErrBareLineEnd):
		return BareLineEnd
	case errors.Is(err, ErrTooBig):
		return TooBig
	}
	return Reply{}
}

var (
	errExhausted = errors.New("message far above the size limit")
	errBadChunk  = errors.New("size of chunk not understood")
	errAborted   = errors.New("transaction ended within a message")
)

// source gives the octets of a message in pieces that are valid until the next
// call. io.EOF comes only after the whole message.
type source interface {
	next() ([]byte, error)
	bare() bool // a bare CR or LF was seen so far
}

// body is the reader that a Transaction gets: a source with the rules. A broken
// rule stops the Transaction; drain reads on, because the reply has to wait for
// the end of the message.
type body struct {
	src    source
	limit  int64
	strict bool

	n     int64  // octets so far
	rest  []byte // of the last piece
	fault error  // the first broken rule
	err   error  // how the source ended: io.EOF when whole
	whole bool   // the Transaction was told io.EOF
}

// piece is one step of the source under the rules.
func (b *body) piece() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	p, err := b.src.next()
	b.n += int64(len(p))
	if b.fault == nil && b.n > b.limit {
		b.fault = ErrTooBig
	}
	if b.fault == nil && b.strict && b.src.bare() {
		b.fault = ErrBareLineEnd
	}
	if err == nil && b.n/2 > b.limit {
		err = errExhausted
	}
	if err != nil {
		b.err = err
		return nil, err
	}
	return p, nil
}

// tell is what a Transaction hears of an end: the fault before the end.
func (b *body) tell(err error) error {
	if b.fault != nil {
		return b.fault
	}
	if err == io.EOF {
		b.whole = true
		return err
	}
	return fmt.Errorf("%w: %w", ErrCut, err)
}

func (b *body) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		piece, err := b.piece()
		if b.fault != nil || err != nil {
			return 0, b.tell(err)
		}
		b.rest = piece
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// WriteTo spares io.Copy a buffer.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		piece := b.rest
		b.rest = nil
		if len(piece) == 0 {
			var err error
			if piece, err = b.piece(); b.fault != nil || err != nil {
				if err = b.tell(err); err == io.EOF {
					err = nil
				}
				return total, err
			}
		}
		n, err := w.Write(piece)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// drain reads what the Transaction left. It returns nil when the message came
// to its end.
func (b *body) drain() error {
	for {
		if _, err := b.piece(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// dotted is the source of DATA: lines until the one that is a dot, stuffed dots
// removed (RFC 5321, 4.5.2). It works on runs of lines inside the input buffer
// and copies nothing.
type dotted struct {
	in      *input
	strict  bool
	midline bool // what comes next is not the beginning of a line
	isBare  bool
}

func (d *dotted) bare() bool { return d.isBare }

func (d *dotted) next() ([]byte, error) {
	for {
		b := d.in.bytes()
		if !d.midline {
			switch end, decided := lone(b); {
			case !decided:
				if err := d.fill(); err != nil {
					return nil, err
				}
				continue
			case end:
				d.in.r += 3
				return nil, io.EOF
			case b[0] == '.':
				d.in.r++
				d.midline = true
				continue
			}
		}
		if n := d.run(b); n > 0 {
			d.in.r += n
			return b[:n], nil
		}
		if err := d.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads on; within a message the end of the connection is never an end.
func (d *dotted) fill() error {
	err := d.in.fill()
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// lone tells whether the line that begins b is the final dot; it is not decided
// while b is too short to say.
func lone(b []byte) (end, decided bool) {
	const dot = ".\r\n"
	if len(b) >= len(dot) {
		return string(b[:len(dot)]) == dot, true
	}
	return false, len(b) > 0 && string(b) != dot[:len(b)]
}

// run finds how much of b is message: up to a line that begins with a dot, or
// all but a CR whose LF may still come.
func (d *dotted) run(b []byte) int {
	at := 0
	for at < len(b) && (d.midline || b[at] != '.') {
		lf := bytes.IndexByte(b[at:], '\n')
		if lf < 0 {
			end := len(b)
			if b[end-1] == '\r' {
				end--
			}
			if d.strict && bytes.IndexByte(b[at:end], '\r') >= 0 {
				d.isBare = true
			}
			if end > at {
				d.midline = true
			}
			return end
		}
		crlf := lf > 0 && b[at+lf-1] == '\r'
		if d.strict && (!crlf || bytes.IndexByte(b[at:at+lf], '\r') != lf-1) {
			d.isBare = true
		}
		at += lf + 1
		d.midline = !crlf
	}
	return at
}

// lineEnds watches pieces of a message for bare CR and LF.
type lineEnds struct {
	cr     bool // the last octet was a CR
	isBare bool
}

func (l *lineEnds) watch(b []byte) {
	if l.isBare || len(b) == 0 {
		return
	}
	if l.cr && b[0] != '\n' {
		l.isBare = true
		return
	}
	cr := l.cr
	l.cr = b[len(b)-1] == '\r'
	for {
		lf := bytes.IndexByte(b, '\n')
		if lf < 0 {
			if i := bytes.IndexByte(b, '\r'); i >= 0 && i != len(b)-1 {
				l.isBare = true
			}
			return
		}
		i := bytes.IndexByte(b[:lf], '\r')
		if lf == 0 && !cr || lf > 0 && i != lf-1 {
			l.isBare = true
			return
		}
		b, cr = b[lf+1:], false
	}
}

// end tells that no octet follows.
func (l *lineEnds) end() {
	if l.cr {
		l.isBare = true
	}
}
