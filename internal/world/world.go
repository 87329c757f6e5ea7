// Package world is a whole internet on loopback, for tests and for the demo: a
// DNS with zones, remote MTAs with every kind of behaviour and misbehaviour, a
// client that sends mail to us, and a certificate authority. It is not our mail
// server and shares no protocol code with it, so that one checks the other.
//
// A World has one of two networks. On loopback each host has an address in
// 127.0.0.0/8 and all MTAs share one unprivileged port. In memory nothing
// leaves the process, every address works, MTAs listen on 25, and all waiting
// is visible to testing/synctest: days of retries pass in milliseconds. Either
// way Dial is the only road in, and it never leads off this machine.
package world

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// Options of New.
type Options struct {
	// Memory keeps the network inside the process. A World in memory that is
	// made in a synctest bubble must be closed in it.
	Memory bool
}

// World is one small internet.
type World struct {
	Port int            // where the MTAs listen
	CA   *x509.CertPool // what the world's certificates are to be verified with

	names     *names
	authority *authority
	resolver  string // address:port of the DNS
	memory    bool

	mu        sync.Mutex
	listeners map[netip.AddrPort]net.Listener // guarded by mu, as all below
	packets   map[netip.AddrPort]net.PacketConn
	servers   []*names            // of name servers beside the resolver
	holes     map[netip.Addr]bool // addresses that never answer
	next      uint16              // last host number given away
	closed    bool
	running   sync.WaitGroup
	mtas      []*MTA
}

// New makes a world with an empty DNS.
func New(o Options) (*World, error) {
	w := &World{
		Port:      25,
		memory:    o.Memory,
		listeners: make(map[netip.AddrPort]net.Listener),
		packets:   make(map[netip.AddrPort]net.PacketConn),
		holes:     make(map[netip.Addr]bool),
	}
	var err error
	if w.authority, err = newAuthority(); err != nil {
		return nil, err
	}
	w.CA = w.authority.pool()
	w.names = newNames()
	if !o.Memory {
		if w.Port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if err := w.startDNS(); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// Resolver is the address and port of the world's DNS.
func (w *World) Resolver() string { return w.resolver }

// Close ends every server and waits for their sessions.
func (w *World) Close() error {
	w.mu.Lock()
	w.closed = true
	listeners, mtas, servers := w.listeners, w.mtas, append(w.servers, w.names)
	w.mu.Unlock()
	for _, n := range servers {
		n.close()
	}
	for _, l := range listeners {
		l.Close()
	}
	for _, m := range mtas {
		m.hangUp()
	}
	w.running.Wait()
	return nil
}

// address gives the next free host address: 127.25.x.y.
func (w *World) address() netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return netip.AddrFrom4([4]byte{127, 25, byte(w.next >> 8), byte(w.next)})
}

// BlackHole makes an address swallow connections without an answer.
func (w *World) BlackHole(a netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holes[a] = true
}

// listen binds an address of the world. Where the machine has only 127.0.0.1
// of 127.0.0.0/8, a free port there stands for the address, known to Dial.
func (w *World) listen(at netip.AddrPort) (net.Listener, error) {
	var l net.Listener
	var err error
	switch {
	case w.memory:
		l = newPipeListener(at)
	case at.Addr().IsLoopback():
		l, err = net.Listen("tcp", at.String())
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
	default:
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners[at] = l
	return l, nil
}

// Dial connects within the world, and on loopback to other servers of this
// machine. It has the form of net.Dialer.DialContext. Every other address has
// no route.
func (w *World) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	l, p, hole := w.listeners[to], w.packets[to], w.holes[to.Addr()]
	w.mu.Unlock()
	switch {
	case hole:
		<-ctx.Done()
		return nil, dialError(network, address, ctx.Err())
	case l != nil && w.memory:
		c, err := l.(*pipeListener).dial(ctx)
		if err != nil {
			return nil, dialError(network, address, err)
		}
		return c, nil
	case network == "udp" && p != nil:
		address = p.LocalAddr().String()
	case network != "udp" && l != nil:
		address = l.Addr().String()
	case w.memory && w.knows(to.Addr()) || to.Addr().IsLoopback() && w.memory:
		return nil, dialError(network, address, syscall.ECONNREFUSED)
	case !to.Addr().IsLoopback():
		return nil, dialError(network, address, syscall.ENETUNREACH)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

func (w *World) knows(a netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at := range w.listeners {
		if at.Addr() == a {
			return true
		}
	}
	return false
}

func dialError(network, address string, err error) error {
	return fmt.Errorf("dial %s %s: %w", network, address, err)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
