package world

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// pipeListener accepts connections that stay in the process.
type pipeListener struct {
	at      netip.AddrPort
	waiting chan *pipeConn
	done    chan struct{}
	once    sync.Once
}

func newPipeListener(at netip.AddrPort) *pipeListener {
	return &pipeListener{at: at, waiting: make(chan *pipeConn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.waiting:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := newPipe(netip.MustParseAddrPort("127.0.0.1:40000"), l.at)
	select {
	case l.waiting <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pipeSize is what a direction holds before writers wait, as a socket's buffer.
const pipeSize = 64 << 10

// stream is one direction of a connection. All waiting is on its Cond, which
// synctest understands.
type stream struct {
	mu            sync.Mutex
	changed       *sync.Cond
	buf           []byte // guarded by mu, as all below
	ended         bool   // the writer has closed
	broken        bool   // the reader has closed
	readDeadline  time.Time
	writeDeadline time.Time
	readTimer     *time.Timer
	writeTimer    *time.Timer
}

func newStream() *stream {
	s := new(stream)
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.broken:
			return 0, net.ErrClosed
		case past(s.readDeadline):
			return 0, os.ErrDeadlineExceeded
		case len(s.buf) > 0:
			n := copy(p, s.buf)
			s.buf = s.buf[n:]
			s.changed.Broadcast()
			return n, nil
		case s.ended:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(p) > 0 {
		switch free := pipeSize - len(s.buf); {
		case s.broken, s.ended:
			return n, io.ErrClosedPipe
		case past(s.writeDeadline):
			return n, os.ErrDeadlineExceeded
		case free > 0:
			k := min(free, len(p))
			s.buf = append(s.buf, p[:k]...)
			p, n = p[k:], n+k
			s.changed.Broadcast()
		default:
			s.changed.Wait()
		}
	}
	return n, nil
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (s *stream) end(reader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reader {
		s.broken = true
	} else {
		s.ended = true
	}
	for _, t := range []*time.Timer{s.readTimer, s.writeTimer} {
		if t != nil {
			t.Stop()
		}
	}
	s.changed.Broadcast()
}

func (s *stream) deadline(reader bool, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, timer := &s.writeDeadline, &s.writeTimer
	if reader {
		at, timer = &s.readDeadline, &s.readTimer
	}
	*at = t
	if *timer != nil {
		(*timer).Stop()
		*timer = nil
	}
	if !t.IsZero() {
		*timer = time.AfterFunc(time.Until(t), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changed.Broadcast()
		})
	}
	s.changed.Broadcast()
}

// pipeConn is one end of a connection in memory. Unlike net.Pipe's it has a
// buffer, so both ends may write at once, as pipelining does.
type pipeConn struct {
	in, out       *stream
	local, remote netip.AddrPort
}

func newPipe(client, server netip.AddrPort) (*pipeConn, *pipeConn) {
	up, down := newStream(), newStream()
	return &pipeConn{in: down, out: up, local: client, remote: server},
		&pipeConn{in: up, out: down, local: server, remote: client}
}

func (c *pipeConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *pipeConn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *pipeConn) LocalAddr() net.Addr         { return net.TCPAddrFromAddrPort(c.local) }
func (c *pipeConn) RemoteAddr() net.Addr        { return net.TCPAddrFromAddrPort(c.remote) }

func (c *pipeConn) Close() error {
	c.in.end(true)
	c.out.end(false)
	return nil
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.deadline(true, t)
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.deadline(false, t)
	return nil
}

func (c *pipeConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}
