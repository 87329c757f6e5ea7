package smtp

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"mailstead/internal/listen"
)

// What a zero field of Server means.
const (
	DefaultMaxSize         = 50 << 20
	DefaultMaxRecipients   = 1000 // RFC 5321, 4.5.3.1.8 wants at least 100
	DefaultMaxTransactions = 10000
	DefaultMaxErrors       = 20
	DefaultMaxRefused      = 100
	DefaultMaxLogins       = 4
	DefaultCommandTimeout  = 5 * time.Minute // RFC 5321, 4.5.3.2.7
	DefaultDataTimeout     = 5 * time.Minute
	DefaultMinRate         = 1024
)

// Server serves SMTP on the connections that it is given. Its fields are set
// before the first one and not changed after. The zero value of each field but
// Backend is useful.
type Server struct {
	Backend  Backend
	Hostname string      // in the greeting and in EHLO; "" means localhost
	TLS      *tls.Config // for STARTTLS, from listen.Recording; nil: not offered

	RequireTLS  bool // MAIL and AUTH only under TLS
	RequireAuth bool // MAIL only after AUTH
	Strict      bool // refuse bare CR and LF in messages
	DSN         bool // offer RFC 3461's parameters

	MaxSize         int64 // octets of a message
	MaxRecipients   int   // of a transaction
	MaxTransactions int   // of a connection
	MaxErrors       int   // unknown commands, bad syntax, bad sequence, of a connection
	MaxRefused      int   // refused recipients of a connection
	MaxLogins       int   // failed ones, of a connection

	CommandTimeout time.Duration // for a command, from its first wait to its end
	DataTimeout    time.Duration // silence within a message
	MinRate        int64         // octets a second a message must keep up, beside DataTimeout

	Log *slog.Logger

	inputs sync.Pool // *[]byte of largeInput octets
}

// ServeConn serves one connection; it is the listen.Handler.
func (s *Server) ServeConn(ctx context.Context, c *listen.Conn) {
	newSession(s, c).serve(ctx)
}

// The limits with their defaults.

func (s *Server) hostname() string     { return or(s.Hostname, "localhost") }
func (s *Server) maxSize() int64       { return or(s.MaxSize, DefaultMaxSize) }
func (s *Server) maxRecipients() int   { return or(s.MaxRecipients, DefaultMaxRecipients) }
func (s *Server) maxTransactions() int { return or(s.MaxTransactions, DefaultMaxTransactions) }
func (s *Server) maxErrors() int       { return or(s.MaxErrors, DefaultMaxErrors) }
func (s *Server) maxRefused() int      { return or(s.MaxRefused, DefaultMaxRefused) }
func (s *Server) maxLogins() int       { return or(s.MaxLogins, DefaultMaxLogins) }

func (s *Server) commandTimeout() time.Duration {
	return or(s.CommandTimeout, DefaultCommandTimeout)
}

func (s *Server) dataTimeout() time.Duration { return or(s.DataTimeout, DefaultDataTimeout) }
func (s *Server) minRate() int64             { return or(s.MinRate, DefaultMinRate) }

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
