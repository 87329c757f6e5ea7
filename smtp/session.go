package smtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"

	"mailstead/internal/listen"
)

// session is the engine's side of one connection. Only write and the loop send
// replies; only the loop counts errors and logs.
type session struct {
	srv     *Server
	c       *listen.Conn
	ctx     context.Context
	in      *input
	out     []byte // replies not sent yet
	peer    Peer
	backend Session
	tx      *transaction // nil outside
	pending []byte       // a command that ended a message of chunks, to be run next
	over    bool         // hang up after the replies are sent
	debug   bool

	transactions, errors, refused, logins int
}

// transaction is the engine's part of one MAIL … end of data.
type transaction struct {
	Transaction
	utf8       bool
	recipients int
	refused    int
	idle       bool // a message was refused because no recipient was taken
}

func newSession(srv *Server, c *listen.Conn) *session {
	s := &session{srv: srv, c: c, peer: Peer{CID: c.ID, Remote: c.Remote(), TLS: c.TLS()}}
	s.in = newInput(c, s.flush, &srv.inputs)
	return s
}

// serve runs the connection to its end.
func (s *session) serve(ctx context.Context) {
	s.ctx = context.WithoutCancel(ctx)
	s.debug = s.srv.log().Enabled(ctx, slog.LevelDebug)
	defer s.close()
	backend, reply, err := s.srv.Backend.NewSession(s.ctx, &s.peer)
	if err != nil {
		s.fail("connect", err)
		reply = Reply{421, "4.3.0", "local error, try again later"}
	}
	if !reply.IsZero() {
		s.write(reply)
		s.flush()
		return
	}
	s.backend = backend
	s.write(Reply{220, "", s.srv.hostname() + " ESMTP Mailstead"})
	for !s.over {
		line, err := s.command()
		if err != nil {
			s.lost(err)
			continue
		}
		reply := s.dispatch(line)
		s.write(reply)
		s.count(reply)
	}
	s.flush()
}

// close ends what is open, a panic's way out included.
func (s *session) close() {
	s.drop()
	if s.backend != nil {
		s.backend.Close()
	}
	s.in.release()
}

// drop ends the transaction.
func (s *session) drop() {
	if tx := s.tx; tx != nil {
		s.tx = nil
		tx.Close()
	}
}

// command waits for the next command line. The wait is idle, and the whole of it
// with the line is bounded.
func (s *session) command() ([]byte, error) {
	if line := s.pending; line != nil {
		s.pending = nil
		return line, nil
	}
	if bytes.IndexByte(s.in.bytes(), '\n') < 0 {
		s.in.reduce()
		s.c.SetTimeout(s.srv.commandTimeout())
		s.c.SetPace(s.srv.commandTimeout(), 0)
		s.c.SetIdle(true)
		defer s.c.SetIdle(false)
	}
	return s.in.line(smallInput - 2)
}

// lost answers a command that could not be read.
func (s *session) lost(err error) {
	switch {
	case errors.Is(err, errLineTooLong):
		s.write(LineTooLong)
		s.count(LineTooLong)
		return
	case errors.Is(err, errEndlessLine):
		s.write(LineTooLong)
	case errors.Is(err, listen.ErrShutdown):
		s.write(ShuttingDown)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.write(TimedOut)
	case !errors.Is(err, io.EOF):
		s.srv.log().Debug("connection lost", "cid", s.peer.CID, "err", err)
	}
	s.over = true
}

// write gathers a reply; the zero one says nothing.
func (s *session) write(r Reply) {
	if r.IsZero() {
		return
	}
	if s.debug {
		s.srv.log().Debug("reply", "cid", s.peer.CID, "reply", r.String())
	}
	if r.Code == 421 {
		s.over = true
	}
	s.out = r.append(s.out)
}

// flush sends what was gathered.
func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.c.Write(s.out)
	s.out = s.out[:0]
	if err != nil {
		s.over = true
	}
	return err
}

// count turns too many refusals of one kind into an end.
func (s *session) count(r Reply) {
	switch {
	case r.Code/10 == 50 || r.Code == 555:
		if s.errors++; s.errors >= s.srv.maxErrors() {
			s.hangUp(TooManyErrors)
		}
	case s.refused >= s.srv.maxRefused():
		s.hangUp(TooManyRefused)
	case s.logins >= s.srv.maxLogins():
		s.hangUp(TooManyLogins)
	}
}

// hangUp makes r the last word.
func (s *session) hangUp(r Reply) {
	if !s.over {
		s.write(r)
	}
}

// fail logs an error that the peer does not hear of.
func (s *session) fail(operation string, err error) {
	s.srv.log().Error("smtp session", "cid", s.peer.CID, "remote", s.peer.Remote.Addr(), "operation", operation, "err", err)
}

// answer is the choke point for what a door returns.
func (s *session) answer(operation string, r Reply, err error, usual Reply) Reply {
	if err != nil {
		s.fail(operation, err)
		return LocalError
	}
	return r.Or(usual)
}

// dispatch finds the command and runs it when its state is right.
func (s *session) dispatch(line []byte) Reply {
	verb, args := splitVerb(line)
	if s.debug {
		shown := args
		if verb == "AUTH" {
			shown, _, _ = strings.Cut(args, " ")
		}
		s.srv.log().Debug("command", "cid", s.peer.CID, "verb", verb, "args", shown)
	}
	if verb == "" || !clean(args) {
		return BadCharacters
	}
	cmd := commandOf(verb)
	switch {
	case cmd.run == nil:
		return UnknownCommand
	case cmd.hello && s.peer.Helo == "":
		return HelloFirst
	case cmd.tls && s.srv.RequireTLS && s.peer.TLS == nil:
		return NeedTLS
	case cmd.auth && s.srv.RequireAuth && !s.peer.Authenticated:
		return NeedAuth
	case cmd.bare && args != "":
		return NoParameters
	}
	return cmd.run(s, args)
}
