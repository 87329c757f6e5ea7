package world

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Step is a place in an SMTP session where an MTA can misbehave.
type Step string

const (
	AtConnect   Step = "connect"   // in place of the banner
	AtEHLO      Step = "ehlo"      // and HELO
	AtStartTLS  Step = "starttls"  // in place of 220
	AtHandshake Step = "handshake" // after 220, before TLS
	AtMail      Step = "mail"
	AtRcpt      Step = "rcpt"
	AtData      Step = "data" // in place of 354
	AtBody      Step = "body" // in the middle of the message
	AtEnd       Step = "end"  // after the final dot; the message is kept
	AtQuit      Step = "quit"
)

// TLS is what an MTA's STARTTLS is like.
type TLS int

const (
	Valid TLS = iota
	NoTLS     // not offered
	Expired
	WrongName
	Garbage // answers 220 and then talks nonsense
)

// Behaviour is what an MTA does; the zero value is a good one that takes
// everything.
type Behaviour struct {
	Reply    map[Step]string   // said instead of the usual, "451 4.3.0 try later"
	Rcpt     map[string]string // said to RCPT for an address
	Stall    Step              // says nothing more from here on
	Drop     Step              // closes the connection here
	Delay    time.Duration     // before every reply
	Greylist time.Duration     // 451 until this long after the first RCPT of an address
	TLS      TLS
	Limits   string   // offered as LIMITS: "RCPTMAX=10"
	Without  []string // extensions that are not offered: "8BITMIME"
	Size     int      // SIZE's limit; 0 offers SIZE without one
	DSN      bool     // offers DSN
	MaxRcpt  int      // 452 after so many; 0 is no limit
	PerConn  int      // messages a connection; then 421
	Users    map[string]string
}

// MTA is a remote mail server.
type MTA struct {
	Name string
	Addr netip.Addr

	world *World
	mu    sync.Mutex
	b     Behaviour            // guarded by mu, as all below
	mails []Mail               //
	seen  map[string]time.Time // greylist
	conns map[net.Conn]bool
	total int
	more  chan struct{} // closed and renewed with every mail
	certs map[TLS]tls.Certificate
}

// Mail is a message that an MTA took.
type Mail struct {
	From, FromArgs string // path without brackets, parameters
	To, ToArgs     []string
	Data           []byte // as it was before dot-stuffing
	Helo           string
	TLS            bool
	Conn           int // which connection of this MTA, from 1
	User           string
	Time           time.Time
}

// MTA starts a remote mail server with an address of its own, known to the DNS
// by its name. Which domains it serves is said by MX records.
func (w *World) MTA(name string, b Behaviour) (*MTA, error) {
	m := &MTA{Name: name, world: w, b: b}
	m.seen = make(map[string]time.Time)
	m.conns = make(map[net.Conn]bool)
	m.certs = make(map[TLS]tls.Certificate)
	m.more = make(chan struct{})
	l, err := w.listenMTA(m)
	if err != nil {
		return nil, fmt.Errorf("start the remote MTA %s: %w", name, err)
	}
	w.Host(name, m.Addr)
	w.mu.Lock()
	w.mtas = append(w.mtas, m)
	w.mu.Unlock()
	w.running.Add(1)
	go func() {
		defer w.running.Done()
		m.serve(l)
	}()
	return m, nil
}

// listenMTA gives an MTA an address where the port of all MTAs is free.
func (w *World) listenMTA(m *MTA) (l net.Listener, err error) {
	for range 20 {
		m.Addr = w.address()
		if l, err = w.listen(netip.AddrPortFrom(m.Addr, uint16(w.Port))); err == nil {
			return l, nil
		}
	}
	return nil, err
}

// Domain is the quickest way to a remote domain: a zone with one MX and its MTA.
func (w *World) Domain(domain string, b Behaviour) (*MTA, error) {
	if err := w.Zone(domain, "@ MX 10 mx\n"); err != nil {
		return nil, err
	}
	return w.MTA("mx."+domain, b)
}

// Behave changes what the MTA does from the next command on.
func (m *MTA) Behave(b Behaviour) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.b = b
}

func (m *MTA) behaviour() Behaviour {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.b
}

// Mails are the messages taken so far.
func (m *MTA) Mails() []Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Mail(nil), m.mails...)
}

// Connections tells how many there were.
func (m *MTA) Connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}

// Wait returns the messages as soon as there are n of them.
func (m *MTA) Wait(ctx context.Context, n int) ([]Mail, error) {
	for {
		m.mu.Lock()
		mails, more := m.mails, m.more
		m.mu.Unlock()
		if len(mails) >= n {
			return mails, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return mails, fmt.Errorf("%s has %d messages of %d: %w", m.Name, len(mails), n, ctx.Err())
		}
	}
}

func (m *MTA) keep(mail Mail) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mail.Time = time.Now()
	m.mails = append(m.mails, mail)
	close(m.more)
	m.more = make(chan struct{})
}

func (m *MTA) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.total++
		s := &session{mta: m, conn: c, number: m.total}
		m.conns[c] = true
		m.mu.Unlock()
		m.world.running.Add(1)
		go func() {
			defer m.world.running.Done()
			s.run()
			c.Close()
			m.mu.Lock()
			delete(m.conns, c)
			m.mu.Unlock()
		}()
	}
}

// hangUp closes every connection.
func (m *MTA) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.conns {
		c.Close()
	}
}

// greylisted tells whether an address is still to be put off.
func (m *MTA) greylisted(rcpt string, wait time.Duration) bool {
	if wait == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	first, ok := m.seen[rcpt]
	if !ok {
		m.seen[rcpt] = time.Now()
		return true
	}
	return time.Since(first) < wait
}

func (m *MTA) tlsConfig(kind TLS) (*tls.Config, error) {
	name := m.Name
	if kind == WrongName {
		name = "other." + name
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	cert, ok := m.certs[kind]
	if !ok {
		var err error
		if cert, err = m.world.authority.issue(kind == Expired, strings.TrimSuffix(name, ".")); err != nil {
			return nil, err
		}
		m.certs[kind] = cert
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}, nil
}

// Address is where the MTA listens, "127.25.0.1:2525", as Dial wants it.
func (m *MTA) Address() string {
	return netip.AddrPortFrom(m.Addr, uint16(m.world.Port)).String()
}
