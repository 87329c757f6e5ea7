package imap

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"

	"mailstead/account"
	"mailstead/imap/wire"
	"mailstead/internal/listen"
	"mailstead/internal/sqlite"
)

// session is a connection's life.
type session struct {
	srv  *Server
	conn *listen.Conn
	log  *slog.Logger
	r    *wire.Reader
	w    *wire.Writer

	state    states // exactly one bit
	failures int    // logins refused
	nonsense int    // commands refused as BAD since the last good one
	account  account.Account
	rev2     bool // ENABLE IMAP4rev2
	utf8     bool // ENABLE IMAP4rev2 or UTF8=ACCEPT
	view     *view
	target   target // of APPEND

	tag, name string          // of the command that runs
	refused   error           // for what its arguments are refused, though they can be parsed
	uid       bool            // it is a UID command
	ctx       context.Context // ends when the session must
	cancel    context.CancelCauseFunc
	release   func() // of account.Hold
}

func newSession(ctx context.Context, srv *Server, c *listen.Conn) *session {
	s := &session{
		srv: srv, conn: c, state: notAuthenticated,
		log: srv.log().With("cid", c.ID, "remote", c.RemoteAddr().String()),
		r:   wire.NewReader(c, &srv.buffers), w: wire.NewWriter(c, &srv.buffers),
	}
	c.SetTimeout(loginTimeout)
	c.SetPace(loginDeadline, 0)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.r.Continue = func() error {
		s.w.Str("+ go ahead\r\n")
		return s.w.Flush()
	}
	return s
}

func (s *session) close() {
	if s.release != nil {
		s.release()
	}
	s.target.close()
	s.cancel(nil)
	s.w.Flush()
	s.conn.Close()
	s.r.Close()
}

// end is called when the account may not go on: it wakes whatever waits.
func (s *session) end() {
	s.cancel(errAccount)
	s.conn.Shutdown()
}

var errAccount = errors.New("account was changed")

// serve greets and runs commands until the connection ends.
func (s *session) serve() {
	s.w.Str("* OK [")
	s.w.Str(s.capabilityCode())
	s.w.Str("] Mailstead ready\r\n")
	for s.state != loggedOut {
		if s.r.Buffered() == 0 && s.w.Flush() != nil {
			return
		}
		if err := s.command(); err != nil {
			s.farewell(err)
			return
		}
		if s.ctx.Err() != nil && s.state != loggedOut {
			s.farewell(listen.ErrShutdown)
			return
		}
	}
}

// farewell says why the connection ends, where there is somebody to tell.
func (s *session) farewell(err error) {
	var timeout net.Error
	switch {
	case errors.Is(err, errBye):
		s.w.Flush()
	case errors.Is(context.Cause(s.ctx), errAccount):
		s.bye("account was changed, log in again")
	case s.ctx.Err() != nil, errors.Is(err, listen.ErrShutdown):
		s.bye("[UNAVAILABLE] server is shutting down")
	case errors.Is(err, wire.ErrTooLong):
		s.bye("[LIMIT] command too long")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		s.bye("idle for too long")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
	default:
		s.log.Debug("connection ended", "err", err)
	}
}

// errBye ends a connection whose client has been told why.
var errBye = errors.New("bye was said")

// bye ends the session with an untagged BYE.
func (s *session) bye(text string) error {
	s.w.Str("* BYE ")
	s.w.Str(text)
	s.w.CRLF()
	s.state = loggedOut
	if err := s.w.Flush(); err != nil {
		return err
	}
	return errBye
}

// command reads, checks and runs one command. An error ends the connection.
func (s *session) command() error {
	s.tag, s.name, s.uid, s.refused = "*", "", false, nil
	if err := s.wait(); err != nil {
		return err
	}
	start := time.Now()
	tag := s.r.Tag()
	s.r.SP()
	if s.r.Err() == nil {
		s.tag = tag
	}
	name := s.r.Word()
	if name == "UID" {
		s.r.SP()
		name += " " + s.r.Word()
		s.uid = true
	}
	s.name = name
	rep, err := s.run(name)
	// What the command left unread goes before anything else is read.
	if ferr := s.r.Finish(s.drain()); ferr != nil {
		if errors.Is(ferr, wire.ErrTooLong) && err != nil {
			s.reply(s.refuse(err))
		}
		return ferr
	}
	switch {
	case errors.Is(err, errBye):
		return err
	case errors.Is(err, errReplied):
		return s.w.Err()
	case errors.Is(err, sqlite.ErrFailed):
		s.reply(s.refuse(err))
		return s.bye("[UNAVAILABLE] server cannot store anything now")
	case err != nil:
		rep = s.refuse(err)
	}
	if rep.kind == imap.StatusResponseTypeBad {
		if s.nonsense++; s.nonsense >= maxNonsense {
			s.reply(rep)
			return s.bye("too many bad commands")
		}
	} else {
		s.nonsense = 0
	}
	s.reply(rep)
	if s.log.Enabled(s.ctx, slog.LevelDebug) {
		s.log.Debug("command", "command", name, "reply", string(rep.kind)+" "+rep.code, "dur", time.Since(start))
	}
	return s.w.Err()
}

// wait reads a command's first line. While nothing of it has come the server
// may stop, and a client may take its time.
func (s *session) wait() error {
	if s.r.Buffered() == 0 && s.state != notAuthenticated {
		s.conn.SetTimeout(idleTimeout)
		defer s.conn.SetTimeout(workTimeout)
	}
	s.conn.SetIdle(true)
	defer s.conn.SetIdle(false)
	return s.r.Begin(s.budget())
}

// run finds, checks, parses and runs a command, then reports what happened in
// the selected mailbox.
func (s *session) run(name string) (reply, error) {
	if s.r.Err() != nil {
		return reply{}, s.r.Err()
	}
	cmd, ok := commands[name]
	if !ok {
		return reply{}, &wire.SyntaxError{Text: "unknown command"}
	}
	if cmd.states&s.state == 0 {
		return reply{}, bad("not in this state: " + s.state.String())
	}
	run := cmd.parse(s)
	// A command that has begun ends in its own time: Shutdown closes the
	// connection under it at last.
	ctx := context.WithoutCancel(s.ctx)
	if !cmd.streams {
		s.r.End()
	}
	if err := s.r.Err(); err != nil {
		return reply{}, err
	}
	if s.refused != nil {
		return reply{}, s.refused
	}
	rep, err := run(ctx)
	if s.view != nil && s.w.Err() == nil && !errors.Is(err, errBye) {
		if serr := s.sync(ctx, cmd.report, nil); serr != nil && err == nil {
			err = serr
		}
	}
	return rep, err
}

// reply writes a tagged response.
func (s *session) reply(rep reply) {
	s.w.Str(s.tag)
	s.w.Byte(' ')
	if rep.kind == "" {
		rep.kind = imap.StatusResponseTypeOK
	}
	if rep.text == "" {
		rep.text = s.name + " completed"
	}
	s.w.Str(rep.String())
	s.w.CRLF()
}

// budget bounds a command with its literals.
func (s *session) budget() int64 {
	if s.state == notAuthenticated {
		return loginBudget
	}
	return commandBudget
}

// drain bounds what is read of a refused command.
func (s *session) drain() int64 {
	if s.state == notAuthenticated {
		return drainBeforeLogin
	}
	return s.srv.maxMessage() + commandBudget
}

func (s *session) remote() netip.Addr { return s.conn.Remote().Addr() }

// mailboxName takes a mailbox's name: modified UTF-7, or UTF-8 once the client
// has enabled it. One that is neither follows the grammar, so the command is
// refused, not bad.
func (s *session) mailboxName() string {
	name := s.r.Astring()
	if !s.utf8 {
		var err error
		if name, err = wire.DecodeUTF7(name); err != nil {
			s.refused = no(imap.ResponseCodeCannot, "mailbox name is not modified UTF-7")
		}
	}
	if strings.IndexFunc(name, func(c rune) bool { return c < 0x20 || c == 0x7f || c == utf8.RuneError }) >= 0 {
		s.refused = no(imap.ResponseCodeCannot, "control character in a mailbox name")
	}
	return name
}

// writeMailbox writes a mailbox's name as the client reads it.
func (s *session) writeMailbox(name string) {
	if !s.utf8 {
		name = wire.EncodeUTF7(name)
	}
	s.w.Astring(name)
}
