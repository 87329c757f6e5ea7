package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// DefaultTimeout is what each Read and Write has until SetTimeout.
const DefaultTimeout = 5 * time.Minute

// ErrShutdown is what a Read of an idle connection returns when the door closes.
// Writing is still possible.
var ErrShutdown = errors.New("server is shutting down")

// Conn is an accepted connection with rolling deadlines: each Read and Write
// gets its own from SetTimeout. StartTLS swaps the stream. One goroutine reads
// and one writes, as with any net.Conn; the settings below are the reader's.
type Conn struct {
	net.Conn        // the outermost layer
	ID       string // cid in logs

	raw       net.Conn
	remote    netip.AddrPort // of the PROXY header, or the peer's
	tls       *tls.Conn
	cert      *tls.Certificate // what was shown in the handshake
	handshake time.Duration

	mu       sync.Mutex // guards what follows; never held over a Read or Write
	timeout  time.Duration
	idle     bool
	closing  bool
	pace     pace
	readBy   time.Time // the deadline now set on raw
	writeBy  time.Time
	received int64
}

// pace bounds a stretch of reading: until start + grace + received/rate.
type pace struct {
	start    time.Time
	grace    time.Duration
	rate     int64 // octets a second that buy more time; 0 means none do
	received int64 // counter at the start
}

// NewConn wraps a connection that was accepted elsewhere (tests, a pipe).
func NewConn(nc net.Conn) *Conn {
	c := &Conn{Conn: nc, ID: newID(), raw: nc, timeout: DefaultTimeout}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		c.remote = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return c
}

// Remote is the client's address, the one a trusted proxy told included. It is
// not valid when the transport has none.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// RemoteAddr is Remote as net.Conn wants it.
func (c *Conn) RemoteAddr() net.Addr {
	if c.remote.IsValid() {
		return net.TCPAddrFromAddrPort(c.remote)
	}
	return c.raw.RemoteAddr()
}

// SetTimeout sets what each following Read and Write may take.
func (c *Conn) SetTimeout(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeout = d
	c.readBy, c.writeBy = time.Time{}, time.Time{}
}

// SetPace bounds all reading from now on together: it must be over after grace,
// and every rate octets received buy one more second (0: none do). A grace of 0
// ends the bound.
func (c *Conn) SetPace(grace time.Duration, rate int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pace = pace{grace: grace, rate: rate, received: c.received}
	if grace > 0 {
		c.pace.start = time.Now()
	}
	c.readBy = time.Time{}
}

// SetIdle tells that the connection waits between commands: then Shutdown ends
// a Read, running or to come, with ErrShutdown.
func (c *Conn) SetIdle(idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = idle
}

// Read reads from the outermost layer within the deadline.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	if c.closing && c.idle {
		c.mu.Unlock()
		return 0, ErrShutdown
	}
	if by, ok := c.nextRead(time.Now()); ok {
		c.raw.SetReadDeadline(by)
	}
	c.mu.Unlock()
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.received += int64(n)
	if err != nil && c.closing && c.idle && errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrShutdown
	}
	c.mu.Unlock()
	return n, err
}

// nextRead computes the deadline of a Read; ok is false when the one that is
// set is late enough. Deadlines are set a little late and kept for a while, so
// that a busy connection does not touch its timer on every Read.
func (c *Conn) nextRead(now time.Time) (by time.Time, ok bool) {
	slack := c.timeout / 16
	if c.pace.grace > 0 {
		by = c.pace.start.Add(c.pace.grace)
		if c.pace.rate > 0 {
			got := c.received - c.pace.received
			by = by.Add(time.Duration(float64(got) / float64(c.pace.rate) * float64(time.Second)))
		}
		if roll := now.Add(c.timeout); roll.Before(by) {
			by = roll
		}
		if by.Equal(c.readBy) {
			return by, false
		}
		c.readBy = by
		return by, true
	}
	if !c.readBy.IsZero() && c.readBy.Sub(now) >= c.timeout {
		return c.readBy, false
	}
	c.readBy = now.Add(c.timeout + slack)
	return c.readBy, true
}

// Write writes to the outermost layer; all of p within the deadline.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if now := time.Now(); c.writeBy.Sub(now) < c.timeout {
		c.writeBy = now.Add(c.timeout + c.timeout/16)
		c.raw.SetWriteDeadline(c.writeBy)
	}
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// Shutdown ends this connection as Server.Shutdown ends all: a Read of an idle
// connection, running or to come, returns ErrShutdown. It does not block.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	c.readBy = time.Time{}
	if c.idle {
		c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// Deadlines gives the connection without the rolling ones, for a server that
// sets its own, as net/http does. Its RemoteAddr is the client's.
func (c *Conn) Deadlines() net.Conn { return ownDeadlines{c.Conn, c.RemoteAddr()} }

type ownDeadlines struct {
	net.Conn
	remote net.Addr
}

func (o ownDeadlines) RemoteAddr() net.Addr { return o.remote }

// Close closes the outermost layer. Under TLS the peer gets a close_notify, for
// which it is not waited long.
func (c *Conn) Close() error { return c.Conn.Close() }

// StartTLS shakes hands as the server, within the handshake deadline, and makes
// TLS the outermost layer. The caller holds no bytes that were read before. cfg
// comes from Recording where channel bindings are wanted.
func (c *Conn) StartTLS(ctx context.Context, cfg *tls.Config) error {
	if c.tls != nil {
		return errors.New("start tls: already under TLS")
	}
	limit := c.handshake
	if limit == 0 {
		limit = DefaultHandshake
	}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, connKey{}, c), limit)
	defer cancel()
	c.raw.SetDeadline(time.Now().Add(limit))
	t := tls.Server(c.raw, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("tls handshake: %w", err)
	}
	c.raw.SetDeadline(time.Time{})
	c.mu.Lock()
	c.readBy, c.writeBy = time.Time{}, time.Time{}
	c.mu.Unlock()
	c.tls, c.Conn = t, t
	return nil
}

// TLS returns the state of the outermost layer, nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState {
	if c.tls == nil {
		return nil
	}
	st := c.tls.ConnectionState()
	return &st
}
