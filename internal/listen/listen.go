// Package listen serves every port: it accepts, limits, shakes hands, keeps
// deadlines, and stops gracefully. It knows no protocol.
//
// A door is a Server with a Handler. For each connection the order is: the
// limit of all connections, the PROXY header (only from networks that are named
// in Proxies), the limit per network, the TLS handshake where TLS is implicit,
// then Handler.ServeConn. TLS is always the outermost layer.
//
// Deadlines roll: every Read and every Write of a Conn has Timeout to finish,
// so a peer that does something lives on and one that does nothing does not. A
// peer that drips is held by SetPace, which bounds a whole stretch of reading.
//
// Limits: loopback is exempt from the limit per network, because a proxy, a
// webmail or a test on the same host speaks for many people.
//
// Stop: Shutdown closes the listeners, cancels the context of every connection
// and wakes those that wait idle (SetIdle) with ErrShutdown, so that their
// handlers can say goodbye; the others end what they are doing. When the
// context of Shutdown ends, what is left is closed.
//
// PROXY protocol version 2: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// What a zero field of Server means.
const (
	DefaultMaxConns  = 4096
	DefaultMaxPerNet = 128
	DefaultHandshake = 30 * time.Second
)

// Handler serves one connection and returns when it is over. The connection is
// closed after it returned. ctx is cancelled by Shutdown.
type Handler interface {
	ServeConn(ctx context.Context, c *Conn)
}

// Server is one door. Its fields are set before Listen and not changed after.
type Server struct {
	Name      string      // "smtp", "imaps", in logs
	Addrs     []string    // what to listen on
	TLS       *tls.Config // implicit TLS when set
	Handler   Handler
	MaxConns  int            // all; 0 means DefaultMaxConns
	MaxPerNet int            // per IPv4 /24 or IPv6 /56; 0 means DefaultMaxPerNet; loopback is exempt
	Handshake time.Duration  // for a TLS handshake and a PROXY header; 0 means DefaultHandshake
	Proxies   []netip.Prefix // networks whose connections must begin with a PROXY v2 header
	Busy      string         // line for a connection over a limit, without CRLF: "421 4.3.2 ..."; not sent under implicit TLS
	Log       *slog.Logger

	mu        sync.Mutex
	tls       *tls.Config // Recording of TLS
	listeners []net.Listener
	conns     map[*Conn]context.CancelFunc
	perNet    map[netip.Prefix]int
	open      int // accepted and not over, those before the registry included
	closing   bool
	over      chan struct{} // closed when closing and open is 0

	accepted, turnedAway atomic.Uint64
}

// Listen binds all addresses, or none.
func (s *Server) Listen() error {
	cfg := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 2 * time.Minute, Interval: 30 * time.Second, Count: 4,
	}}
	var ls []net.Listener
	for _, a := range s.Addrs {
		l, err := cfg.Listen(context.Background(), "tcp", a)
		if err != nil {
			for _, l := range ls {
				l.Close()
			}
			return fmt.Errorf("listen for %s: %w", s.Name, err)
		}
		ls = append(ls, l)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = ls
	s.tls = Recording(s.TLS)
	s.conns = make(map[*Conn]context.CancelFunc)
	s.perNet = make(map[netip.Prefix]int)
	s.over = make(chan struct{})
	return nil
}

// Bound tells the addresses after Listen (port 0 resolved).
func (s *Server) Bound() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Serve accepts until Shutdown, then returns nil. It calls Listen when nobody did.
func (s *Server) Serve() error {
	s.mu.Lock()
	bound := s.conns != nil
	s.mu.Unlock()
	if !bound {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	ls := s.listeners
	s.mu.Unlock()
	errs := make(chan error, len(ls))
	for _, l := range ls {
		go func() { errs <- s.accept(l) }()
	}
	var first error
	for range ls {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// accept takes connections from one listener. Running out of descriptors is no
// reason to stop: it waits for some to come back.
func (s *Server) accept(l net.Listener) error {
	var pause time.Duration
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			s.admit(nc)
			continue
		}
		if s.isClosing() || errors.Is(err, net.ErrClosed) {
			return nil
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.log().Warn("accept", "door", s.Name, "err", err)
		time.Sleep(pause)
	}
}

// admit applies the limit of all connections and starts the connection's goroutine.
func (s *Server) admit(nc net.Conn) {
	s.mu.Lock()
	limit := s.MaxConns
	if limit == 0 {
		limit = DefaultMaxConns
	}
	if s.closing || s.open >= limit {
		closing := s.closing
		s.mu.Unlock()
		if !closing {
			s.refuse(nc, "too many connections")
		}
		nc.Close()
		return
	}
	s.open++
	s.mu.Unlock()
	s.accepted.Add(1)
	go s.serve(nc)
}

// serve is the life of one connection.
func (s *Server) serve(nc net.Conn) {
	defer s.leave()
	defer nc.Close()
	c := NewConn(nc)
	defer func() {
		if p := recover(); p != nil {
			s.log().Error("panic in connection", "door", s.Name, "cid", c.ID, "remote", c.Remote(),
				"err", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	c.handshake = s.Handshake
	if err := s.readProxy(c); err != nil {
		s.log().Info("bad proxy header", "door", s.Name, "cid", c.ID, "remote", c.Remote(), "err", err)
		return
	}
	network, ok := s.enter(c.Remote().Addr())
	if !ok {
		s.refuse(nc, "too many connections from network")
		return
	}
	defer s.exit(network)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !s.register(c, cancel) {
		return
	}
	defer s.unregister(c)
	if s.TLS != nil {
		if err := c.StartTLS(ctx, s.tls); err != nil {
			s.log().Debug("tls handshake", "door", s.Name, "cid", c.ID, "remote", c.Remote(), "err", err)
			return
		}
	}
	s.Handler.ServeConn(ctx, c)
	c.Close()
}

// refuse tells a connection over a limit so, without waiting for it.
func (s *Server) refuse(nc net.Conn, why string) {
	s.turnedAway.Add(1)
	s.log().Warn(why, "door", s.Name, "remote", nc.RemoteAddr())
	if s.Busy == "" || s.TLS != nil {
		return
	}
	nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	nc.Write([]byte(s.Busy + "\r\n"))
}

// enter counts a connection of a network; ok is false at the limit.
func (s *Server) enter(a netip.Addr) (network netip.Prefix, ok bool) {
	if !a.IsValid() || a.IsLoopback() {
		return netip.Prefix{}, true
	}
	network = NetworkOf(a)
	limit := s.MaxPerNet
	if limit == 0 {
		limit = DefaultMaxPerNet
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perNet[network] >= limit {
		return network, false
	}
	s.perNet[network]++
	return network, true
}

func (s *Server) exit(network netip.Prefix) {
	if !network.IsValid() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perNet[network]--; s.perNet[network] <= 0 {
		delete(s.perNet, network)
	}
}

// NetworkOf is what one customer of a provider usually holds.
func NetworkOf(a netip.Addr) netip.Prefix {
	bits := 24
	if a.Is6() {
		bits = 56
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

func (s *Server) register(c *Conn, cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns[c] = cancel
	return true
}

func (s *Server) unregister(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// leave ends the count of a connection; the last one of a closing door says so.
func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.closing && s.open == 0 {
		close(s.over)
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Totals tells how many connections were accepted and turned away so far.
func (s *Server) Totals() (accepted, turnedAway uint64) {
	return s.accepted.Load(), s.turnedAway.Load()
}

// Conns tells how many connections are open.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Shutdown stops accepting, cancels the contexts of all connections (handlers
// answer 421 or BYE), waits until they are over or ctx ends, then closes what
// is left and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.conns == nil { // never listened
		s.mu.Unlock()
		return nil
	}
	if !s.closing {
		s.closing = true
		if s.open == 0 {
			close(s.over)
		}
		for _, l := range s.listeners {
			l.Close()
		}
	}
	for c, cancel := range s.conns {
		cancel()
		c.Shutdown()
	}
	s.mu.Unlock()
	select {
	case <-s.over:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.raw.Close()
	}
	s.mu.Unlock()
	return ctx.Err()
}

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// newID makes a connection's id: 50 random bits, so that ids of several runs
// and doors do not meet in one log.
func newID() string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's, no i l o u
	var b [10]byte
	n := rand.Uint64()
	for i := range b {
		b[i] = alphabet[n&31]
		n >>= 5
	}
	return string(b[:])
}
