// Package imap is the IMAP server's engine: IMAP4rev1 (RFC 3501) and IMAP4rev2
// (RFC 9051) with IDLE (2177), NAMESPACE (2342), ID (2971), CHILDREN (3348),
// BINARY (3516), UNSELECT (3691), UIDPLUS (4315), ESEARCH (4731), SASL-IR
// (4959), WITHIN (5032), ENABLE (5161), SEARCHRES (5182), LIST-EXTENDED (5258),
// LIST-STATUS (5819), SPECIAL-USE and CREATE-SPECIAL-USE (6154), MOVE (6851),
// UTF8=ACCEPT (6855), LITERAL+ (7888), APPENDLIMIT (7889) and STATUS=SIZE
// (8438), on go-imap's names for codes, capabilities and attributes.
//
// It is not the store and not the grammar: mailbox keeps the mail, account
// knows who logs in, wire turns bytes into tokens, listen owns the sockets.
//
// One goroutine serves a connection: it waits for a line, finds the command in
// the table of command.go, checks the state before any argument is parsed,
// parses, runs, reports what changed in the selected mailbox, answers, and
// flushes when no further command has been read ahead. A command is a file: its
// parse method returns the closure that runs it, so arguments live as long as
// the command does. Errors meet the client in one place, the table of errors.go.
//
// A selected mailbox is a view: a pointer to the store's shared immutable
// snapshot, and the messages that are gone from it while the client still counts
// them. FETCH, STORE and SEARCH leave those in place; every other command
// reports and forgets them. So
//
//	position in the client's list = index in the snapshot + gone messages before it
//
// and no sequence number ever moves without an EXPUNGE that says so.
//
// Invariants: no read transaction is open while the client's socket is written;
// message bytes stream both ways through one buffer; OK follows the commit.
package imap

import (
	"context"
	"crypto/tls"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"mailstead/account"
	"mailstead/imap/wire"
	"mailstead/internal/listen"
	"mailstead/internal/maillog"
	"mailstead/mailbox"
)

// Server serves connections that listen accepted. Fields are set before the
// first connection and never change.
type Server struct {
	Mailboxes  *mailbox.Store
	Accounts   *account.Store
	TLS        *tls.Config // for STARTTLS; nil: not offered
	Version    string      // for ID; "" leaves it out
	MaxMessage int64       // APPENDLIMIT in bytes; 0 means 50 MiB
	Log        *slog.Logger
	Events     maillog.Sink

	buffers   wire.Buffers
	recents   recents
	once      sync.Once
	recording *tls.Config // of TLS, made once
}

const (
	loginTimeout     = time.Minute      // for each read before login
	loginDeadline    = 5 * time.Minute  // for the whole way to a login
	idleTimeout      = 30 * time.Minute // RFC 9051, 5.4: at least 30 minutes
	workTimeout      = 5 * time.Minute  // for each read and write while a command runs
	keepalive        = 4 * time.Minute  // between lines of ours in IDLE, for the sake of NAT
	loginBudget      = 64 << 10         // bytes of a command before login
	commandBudget    = 1 << 20          // and after
	drainBeforeLogin = 64 << 10
	maxFailures      = 5  // logins refused on one connection
	maxNonsense      = 25 // commands refused as BAD in a row
	defaultMaximum   = 50 << 20
)

func (srv *Server) maxMessage() int64 {
	if srv.MaxMessage > 0 {
		return srv.MaxMessage
	}
	return defaultMaximum
}

func (srv *Server) log() *slog.Logger {
	if srv.Log != nil {
		return srv.Log
	}
	return slog.New(slog.DiscardHandler)
}

func (srv *Server) record(e maillog.Event) {
	if srv.Events != nil {
		srv.Events.Record(e)
	}
}

// ServeConn serves one connection to its end. When ctx ends, the client is
// told BYE.
func (srv *Server) ServeConn(ctx context.Context, c *listen.Conn) {
	s := newSession(ctx, srv, c)
	defer s.close()
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic", "command", s.name, "err", p, "stack", string(debug.Stack()))
			s.bye("[SERVERBUG] internal error")
		}
	}()
	s.serve()
}
