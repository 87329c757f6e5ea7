package doctor

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailstead/dns"
	"mailstead/internal/config"
	"mailstead/internal/machine"
	"mailstead/internal/world"
	"mailstead/message"
)

// healthy is a machine on which everything is as it should be, in a world where
// everything answers. A test breaks one thing of it.
type healthy struct {
	*Doctor
	world *world.World
	t     *testing.T

	machine struct {
		listeners []machine.Listener
		processes []machine.Process
		clock     machine.Clock
		memory    machine.Memory
		disk      machine.Disk
		syncs     []time.Duration
		files     uint64
		preloaded string
		mode      uint32
		addresses []netip.Addr
		tools     map[string]string
	}
	domain  *domain
	public  []netip.Addr
	remotes map[string]remote // by address:port
	cert    tls.Certificate
	shows   map[string]door // by the name of our door
	server  struct {
		queue   Queue
		certs   []Certificate
		shot    time.Time
		backup  Backup
		days    []DiskDay
		lost    []string
		people  []message.Address
		reaches map[string]error
		came    time.Time
		lands   bool // what is accepted is in INBOX
	}
}

// remote is somebody else's server on port 25.
type remote struct {
	banner string
	err    error // of the connection
	stalls bool
}

// door is how one of ours behaves.
type door struct {
	dead       bool
	greeting   string
	clear      string // offered before TLS, by blanks
	noStartTLS bool
	broken     bool // answers STARTTLS, then nonsense
	old        bool // takes TLS 1.0
	refuses    string
}

const (
	host4 = "192.0.2.10"
	host6 = "2001:db8::10"
)

func newHealthy(t *testing.T) *healthy {
	w, err := world.New(world.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	h := &healthy{world: w, t: t, remotes: map[string]remote{}, shows: map[string]door{}}
	h.makeNames()
	h.makeMachine()
	h.makeServer()
	resolver := &dns.Client{Servers: func() []string { return []string{w.Resolver()} }, Dial: w.Dial}
	cfg := config.Default()
	cfg.Hostname = "mail.example.org"
	h.Doctor = &Doctor{
		Config: cfg,
		Host:   h.host(),
		Network: Network{
			Resolver: resolver,
			SelfTest: func(ctx context.Context) dns.Trust {
				return resolver.SelfTest(ctx, dns.TestNames{Signed: []string{"signed.test"}, Broken: []string{"broken.test"}, Unsigned: []string{"unsigned.test"}})
			},
			Dial: h.dial,
			Probes: []Probe{
				{"mx.large.test", []string{"large.test"}}, {"mx.other.test", []string{"other.test"}},
			},
			Lists:  Lists(),
			Public: func(context.Context) ([]netip.Addr, error) { return h.public, nil },
			Roots:  w.CA,
		},
		Server:  h.ours(),
		Domains: h.ourDomain(resolver),
	}
	h.makeDomain()
	h.publish()
	return h
}

func (h *healthy) zone(origin, records string) {
	h.t.Helper()
	if err := h.world.Zone(origin, records); err != nil {
		h.t.Fatal(err)
	}
}

func (h *healthy) makeNames() {
	h.public = []netip.Addr{netip.MustParseAddr(host4), netip.MustParseAddr(host6)}
	h.world.Host("mail.example.org", h.public...) // for the reverse names; the zone has the others
	for i, name := range []string{"mx.large.test", "mx.other.test"} {
		four, six := netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), netip.MustParseAddr(fmt.Sprintf("2001:db8:ffff::%d", i+1))
		h.world.Host(name, four, six)
		for _, a := range []netip.Addr{four, six} {
			h.remotes[netip.AddrPortFrom(a, 25).String()] = remote{banner: "220 " + name + " ESMTP"}
		}
	}
	for _, z := range []string{"signed.test", "broken.test", "unsigned.test"} {
		h.zone(z, "@ A 192.0.2.99\n")
	}
	h.world.Sign("signed.test")
	h.world.Fail("broken.test", world.ServFail)
	for _, l := range Lists() {
		h.zone(l.Zone, "2.0.0.127 A 127.0.0.2\n")
	}
}

func (h *healthy) makeMachine() {
	m := &h.machine
	m.listeners = []machine.Listener{{Addr: netip.MustParseAddrPort("[::]:25"), PID: 99, Program: "mailstead"}, {Addr: netip.MustParseAddrPort("0.0.0.0:22"), PID: 1, Program: "sshd"}}
	m.processes = []machine.Process{{PID: 1, Program: "systemd"}, {PID: 99, Program: "mailstead"}}
	m.clock = machine.Clock{Now: built.AddDate(1, 0, 0), Synchronised: true, Error: time.Millisecond}
	m.memory = machine.Memory{Total: 2 * gibi, Available: gibi}
	m.disk = machine.Disk{Total: 100 * gibi, Free: 60 * gibi, Inodes: 1e7, InodeFree: 9e6, Kind: "ext4", Source: "/dev/vda1", Options: []string{"rw", "relatime"}}
	m.syncs = []time.Duration{200 * time.Microsecond, 300 * time.Microsecond, 2 * time.Millisecond}
	m.files = 524288
	m.mode = 0o700
	m.addresses = h.public
	m.tools = map[string]string{"nft": "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tct state established,related accept\n\t\ttcp dport { 22, 25, 80, 143, 443, 465, 587, 993 } accept\n\t}\n}\n"}
}

func (h *healthy) host() Host {
	m := &h.machine
	return Host{
		Listeners: func() ([]machine.Listener, error) { return m.listeners, nil },
		Processes: func() ([]machine.Process, error) { return m.processes, nil },
		Unit:      func(int) string { return "" },
		Self:      func() int { return 99 },
		Clock:     func() (machine.Clock, error) { return m.clock, nil },
		Memory:    func() (machine.Memory, error) { return m.memory, nil },
		Disk:      func(string) (machine.Disk, error) { return m.disk, nil },
		SyncTimes: func(context.Context, string) ([]time.Duration, error) { return m.syncs, nil },
		FileLimit: func() (uint64, error) { return m.files, nil },
		Preloaded: func() string { return m.preloaded },
		Mode:      func(string) (uint32, error) { return m.mode, nil },
		Addresses: func() ([]netip.Addr, error) { return m.addresses, nil },
		Tool: func(_ context.Context, name string, _ ...string) (string, error) {
			if text, there := m.tools[name]; there {
				return text, nil
			}
			return "", ErrNoTool
		},
	}
}

func (h *healthy) makeServer() {
	s, now := &h.server, time.Now()
	s.queue = Queue{Messages: 2, Deferred: 1, Oldest: now.Add(-time.Hour)}
	s.certs = []Certificate{{Name: "mail.example.org", NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 2, 0)}}
	s.shot = now.Add(-time.Hour)
	s.backup = Backup{Configured: true, Last: now.Add(-10 * time.Hour)}
	for i := range int64(20) {
		s.days = append(s.days, DiskDay{Day: i, Free: 61*gibi - i*10*mebi})
	}
	s.people = []message.Address{{Local: "alice", Domain: "example.org"}}
	s.reaches = map[string]error{}
	s.came, s.lands = now.Add(-3*time.Hour), true
	h.certify("mail.example.org")
	for _, name := range []string{"smtp", "submission", "submissions", "imap", "imaps"} {
		d := door{greeting: "220 mail.example.org ESMTP Mailstead", clear: "PIPELINING SIZE"}
		if strings.HasPrefix(name, "imap") {
			d = door{greeting: "* OK mail.example.org ready", clear: "IMAP4rev2 LOGINDISABLED"}
		}
		h.shows[name] = d
	}
}

func (h *healthy) certify(names ...string) {
	h.t.Helper()
	var err error
	if h.cert, err = h.world.Certificate(names...); err != nil {
		h.t.Fatal(err)
	}
}

func (h *healthy) ours() Server {
	s := &h.server
	return Server{
		Running: true, Started: time.Now().Add(-48 * time.Hour),
		Doors: func() (all []Door) {
			for _, name := range []string{"smtp", "submission", "submissions", "imap", "imaps"} {
				all = append(all, Door{name, name})
			}
			return all
		},
		Connect:      h.connect,
		Queue:        func(context.Context) (Queue, error) { return s.queue, nil },
		Certificates: func(context.Context) []Certificate { return s.certs },
		Snapshot:     func(context.Context) (time.Time, error) { return s.shot, nil },
		Backup:       func(context.Context) (Backup, error) { return s.backup, nil },
		DiskDays:     func(context.Context, time.Time) ([]DiskDay, error) { return s.days, nil },
		Lost:         func(context.Context) ([]string, error) { return s.lost, nil },
		LastReceived: func(context.Context) (time.Time, error) { return s.came, nil },
		Take:         func(context.Context, message.Address, string) (bool, error) { return s.lands, nil },
		Operators:    func(context.Context) ([]message.Address, error) { return s.people, nil },
		Domains:      func(context.Context) ([]message.Domain, error) { return []message.Domain{"example.org"}, nil },
		Reaches: func(_ context.Context, a message.Address) ([]message.Address, error) {
			return s.people, s.reaches[a.String()]
		},
	}
}

// dial reaches the remotes.
func (h *healthy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	r, known := h.remotes[address]
	switch {
	case !known:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ENETUNREACH}
	case r.err != nil:
		return nil, &net.OpError{Op: "dial", Net: network, Err: r.err}
	case r.stalls:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		_, _ = io.WriteString(server, r.banner+"\r\n")
		_, _ = bufio.NewReader(server).ReadString('\n')
	}()
	return client, nil
}

// connect reaches our own doors.
func (h *healthy) connect(_ context.Context, network, address string) (net.Conn, error) {
	d := h.shows[address]
	if d.dead {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		h.serve(address, d, server)
	}()
	return client, nil
}

func (h *healthy) serve(name string, d door, conn net.Conn) {
	cfg := &tls.Config{Certificates: []tls.Certificate{h.cert}, MinVersion: tls.VersionTLS12}
	if d.old {
		cfg.MinVersion = tls.VersionTLS10
	}
	imap := strings.HasPrefix(name, "imap")
	if strings.HasSuffix(name, "s") {
		conn = tls.Server(conn, cfg)
	}
	fmt.Fprintf(conn, "%s\r\n", d.greeting)
	r := bufio.NewReader(conn)
	offer := d.clear
	if !d.noStartTLS && !strings.HasSuffix(name, "s") {
		offer += " STARTTLS"
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch {
		case strings.HasPrefix(verb, "EHLO"):
			fmt.Fprintf(conn, "250-mail.example.org\r\n250-%s\r\n250 8BITMIME\r\n", strings.Join(strings.Split(offer, " "), "\r\n250-"))
		case strings.HasSuffix(verb, "CAPABILITY"):
			fmt.Fprintf(conn, "* CAPABILITY %s\r\na OK done\r\n", offer)
		case strings.HasSuffix(verb, "STARTTLS"):
			if imap {
				io.WriteString(conn, "b OK begin\r\n")
			} else {
				io.WriteString(conn, "220 begin\r\n")
			}
			if d.broken {
				io.WriteString(conn, "nonsense\r\n")
				return
			}
			conn, offer = tls.Server(conn, cfg), "AUTH=PLAIN"
			r = bufio.NewReader(conn)
		case verb == "RCPT TO" && d.refuses != "":
			fmt.Fprintf(conn, "%s\r\n", d.refuses)
		case verb == "DATA":
			io.WriteString(conn, "354 go on\r\n")
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			io.WriteString(conn, "250 2.0.0 kept\r\n")
		case verb == "QUIT", strings.HasSuffix(verb, "LOGOUT"):
			return
		default:
			io.WriteString(conn, "250 2.0.0 fine\r\n")
		}
	}
}

var errDisabled = errors.New("account is disabled")

// testNames makes the self-test ask for another signed name.
func (h *healthy) testNames(signed string) {
	resolver := h.Network.Resolver.(*dns.Client)
	h.Network.SelfTest = func(ctx context.Context) dns.Trust {
		return resolver.SelfTest(ctx, dns.TestNames{Signed: []string{signed}, Broken: []string{"broken.test"}, Unsigned: []string{"unsigned.test"}})
	}
}

// reverseZone is the name of an address's PTR record.
func reverseZone(a netip.Addr) string {
	if a.Is4() {
		return reversed(a) + "in-addr.arpa."
	}
	return reversed(a) + "ip6.arpa."
}

// unname takes the reverse name of an address away.
func (h *healthy) unname(a netip.Addr) { h.zone(reverseZone(a), "") }

// passes lets months go by, or come back, for whoever judges certificates.
func (h *healthy) passes(months float64) {
	now := time.Now().Add(time.Duration(months * 30.4 * 24 * float64(time.Hour)))
	h.Now = func() time.Time { return now }
}

// selfSigned makes a certificate that nobody vouches for.
func (h *healthy) selfSigned() {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example.org"}, DNSNames: []string{"mail.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	h.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
