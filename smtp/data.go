package smtp

import (
	"errors"
	"io"
	"os"

	"mailstead/internal/listen"
)

// data reads a message in lines (RFC 5321, 4.1.1.4). Refused for want of a
// recipient it leaves the transaction open, as every refused command does: the
// client may name another one, say RSET (RFC 2920, 3.1), or begin anew.
func (s *session) data(string) Reply {
	if s.tx == nil {
		return s.noMessage(MailFirst)
	}
	if s.tx.recipients == 0 {
		s.tx.idle = true
		return s.noMessage(NoRecipients)
	}
	s.write(StartMail)
	return s.receive(&dotted{in: s.in, strict: s.srv.Strict})
}

// noMessage refuses DATA. A client that sent the message without waiting would
// now have its lines run as commands: it is left.
func (s *session) noMessage(r Reply) Reply {
	if len(s.in.bytes()) > 0 {
		return OutOfStep
	}
	return r
}

// receive hands the message to the transaction and makes one reply of what the
// two of them say. It ends the transaction.
func (s *session) receive(src source) Reply {
	s.in.enlarge()
	s.c.SetTimeout(s.srv.dataTimeout())
	s.c.SetPace(s.srv.dataTimeout(), s.srv.minRate())
	b := &body{src: src, limit: s.srv.maxSize(), strict: s.srv.Strict}
	reply, err := s.tx.Data(s.ctx, b)
	cut := b.drain()
	s.c.SetPace(0, 0)
	s.drop()
	switch {
	case errors.Is(cut, errAborted):
		return Reply{} // the command that ended it is pending
	case cut != nil:
		return s.cut(cut)
	case b.fault != nil:
		return Fault(b.fault)
	}
	reply = s.answer("data", reply, err, LocalError)
	if reply.Positive() && !b.whole {
		return s.answer("data", reply, errors.New("accepted before the end of the message"), LocalError)
	}
	return reply
}

// cut ends the connection after a message that did not come whole.
func (s *session) cut(err error) Reply {
	s.over = true
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return TimedOut
	case errors.Is(err, listen.ErrShutdown):
		return ShuttingDown
	case errors.Is(err, errExhausted):
		return SizeExhausted
	case errors.Is(err, errBadChunk):
		return BadChunk
	case errors.Is(err, errLineTooLong), errors.Is(err, errEndlessLine):
		return LineTooLong
	case !errors.Is(err, io.ErrUnexpectedEOF):
		s.srv.log().Debug("message cut short", "cid", s.peer.CID, "err", err)
	}
	return Reply{}
}
