// Package listen serves every port: limits, handshake deadline, rolling
// deadlines, registry for graceful stop. TLS is always the outermost layer.
package listen

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"
)

// Handler serves one connection and returns when it is over.
type Handler interface {
	ServeConn(ctx context.Context, c *Conn)
}

// Conn is an accepted connection with rolling deadlines: each Read and Write
// gets its own from Timeout. StartTLS swaps the stream.
type Conn struct {
	net.Conn
	ID string // cid in logs
}

func (c *Conn) SetTimeout(d time.Duration)                          { panic("border") }
func (c *Conn) StartTLS(ctx context.Context, cfg *tls.Config) error { panic("border") }

// TLS returns the state of the outermost layer, nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState { panic("border") }

// Server is one door.
type Server struct {
	Name      string      // "smtp", "imaps", in logs
	Addrs     []string    // what to listen on
	TLS       *tls.Config // implicit TLS when set
	Handler   Handler
	MaxConns  int // all; 0 means a default
	MaxPerNet int // per /24 or /56
	Log       *slog.Logger
}

// Listen binds all addresses; Bound tells them (port 0 resolved).
func (s *Server) Listen() error     { panic("border") }
func (s *Server) Bound() []net.Addr { panic("border") }

// Serve accepts until Shutdown; Shutdown stops accepting, cancels the contexts
// of idle connections (handlers answer 421 or BYE), waits for ctx, then closes.
func (s *Server) Serve() error                       { panic("border") }
func (s *Server) Shutdown(ctx context.Context) error { panic("border") }
