// Package demo is a whole server in a small world of its own: it starts the
// real thing on loopback, walks mail all the way out and back, and tells each
// step with its time. It is for a person who wants to see, and for a machine
// that wants to know; nothing leaves loopback, and nothing needs root.
//
//	Start ─▶ Steps, in order ─▶ the server stays up until Close
package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"mailstead/account"
	"mailstead/dns/zone"
	"mailstead/internal/app"
	"mailstead/internal/config"
	"mailstead/internal/sqlite"
	"mailstead/internal/world"
	"mailstead/message"
)

// The names of the small world.
const (
	host   = "mail.mailstead.example"
	domain = "mailstead.example"
	remote = "elsewhere.example"
)

// Person is an account of the demo.
type Person struct {
	Address  string `json:"address"`
	Password string `json:"password"`
}

// Demo is the world and the server in it.
type Demo struct {
	App    *app.App
	People []Person // alice, bob

	world  *world.World
	friend *world.MTA        // serves remote
	names  *world.NameServer // of domain
	dir    string            // made by us and removed again; "" when the caller named one
	ended  chan error
	stop   context.CancelFunc

	alice mailProgram // of the walk
	sent  letter
}

// Options of Start.
type Options struct {
	Data     string // "" is a temporary directory, removed by Close
	BasePort int    // first of the fixed ports; 0 takes free ones
	Log      *slog.Logger
	Version  string
}

// Start makes the world and the server, its domain and its accounts.
func Start(ctx context.Context, o Options) (d *Demo, err error) {
	d = &Demo{ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if o.Data == "" {
		if d.dir, err = os.MkdirTemp("", "mailstead-demo-"); err != nil {
			return d, err
		}
		o.Data = d.dir
	}
	if err := d.makeWorld(); err != nil {
		return d, fmt.Errorf("make the small world: %w", err)
	}
	cfg, err := d.configure(o)
	if err != nil {
		return d, err
	}
	d.App, err = app.New(ctx, app.Options{
		Config: cfg, Log: o.Log, Version: o.Version,
		Dial: d.dial, Port: d.world.Port, Roots: d.world.CA,
		Own: func() []netip.Addr { return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})} },
	})
	if err != nil {
		return d, err
	}
	if err := d.App.Listen(); err != nil {
		return d, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	go func() { d.ended <- d.App.Run(run) }()
	if err := d.addPeople(ctx); err != nil {
		return d, err
	}
	if err := d.publish(ctx); err != nil {
		return d, fmt.Errorf("publish our records: %w", err)
	}
	return d, nil
}

// dial is the road out: the world, and ourselves at the ports that the world
// believes us to have.
func (d *Demo) dial(ctx context.Context, network, address string) (net.Conn, error) {
	doors := map[string]string{"127.0.0.1:25": "smtp", "127.0.0.1:80": "http", "127.0.0.1:443": "https"}
	if at := d.App.Addr(doors[address]); at != nil {
		address = at.String()
	}
	return d.world.Dial(ctx, network, address)
}

// Ended gives the server's error when it stops by itself.
func (d *Demo) Ended() <-chan error { return d.ended }

// Close stops the server and the world, and removes a temporary directory.
func (d *Demo) Close() error {
	var errs []error
	d.alice.close()
	if d.stop != nil {
		d.stop()
		errs = append(errs, <-d.ended)
	}
	if d.App != nil {
		errs = append(errs, d.App.Close(context.Background()))
	}
	if d.world != nil {
		errs = append(errs, d.world.Close())
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

// makeWorld gives us a domain with its MX, and the remote one with a server.
func (d *Demo) makeWorld() (err error) {
	if d.world, err = world.New(world.Options{}); err != nil {
		return err
	}
	if d.names, err = d.world.NameServer("ns.names.example"); err != nil {
		return err
	}
	if err := d.world.Zone("1.0.0.127.in-addr.arpa", "@ PTR "+host+".\n"); err != nil {
		return err
	}
	d.friend, err = d.world.Domain(remote, world.Behaviour{})
	return err
}

// configure names the ports and gives the host a certificate of the world's
// authority, so that every client of the demo verifies it.
func (d *Demo) configure(o Options) (config.Config, error) {
	cfg := config.Default()
	cfg.Hostname, cfg.Data = host, o.Data
	cfg.DNS.Resolver = d.world.Resolver()
	for i, door := range []*[]string{
		&cfg.Listen.SMTP, &cfg.Listen.Submission, &cfg.Listen.Submissions, &cfg.Listen.IMAP, &cfg.Listen.IMAPS,
		&cfg.Listen.HTTP, &cfg.Listen.HTTPS, &cfg.Listen.Metrics,
	} {
		port := 0
		if o.BasePort != 0 {
			port = o.BasePort + i
		}
		*door = []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	}
	cert, err := d.world.Certificate(host, "mta-sts."+domain, "autoconfig."+domain, "autodiscover."+domain, "localhost", "127.0.0.1")
	if err != nil {
		return cfg, err
	}
	cfg.TLSCert, cfg.TLSKey = filepath.Join(o.Data, "demo.pem"), filepath.Join(o.Data, "demo.key")
	return cfg, writePair(cfg.TLSCert, cfg.TLSKey, cert)
}

func writePair(certFile, keyFile string, pair tls.Certificate) error {
	if err := os.MkdirAll(filepath.Dir(certFile), 0o700); err != nil {
		return err
	}
	var chain []byte
	for _, der := range pair.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certFile, chain, 0o600)
}

// addPeople makes the domain, alice (who is the operator) and bob. A directory
// that has them already keeps them, with new passwords.
func (d *Demo) addPeople(ctx context.Context) error {
	accounts := d.App.Accounts
	keys, err := account.NewDKIMKeys(time.Now())
	if err != nil {
		return err
	}
	for i, name := range []string{"alice", "bob"} {
		person := Person{Address: name + "@" + domain, Password: rand.Text()[:16]}
		address, err := message.ParseAddress(person.Address)
		if err != nil {
			return err
		}
		old, err := accounts.Find(ctx, address)
		if err != nil && !errors.Is(err, account.ErrUnknown) && !errors.Is(err, account.ErrNotLocal) {
			return err
		}
		known := err == nil
		secret, err := accounts.Secret(ctx, old.ID, person.Password)
		if err != nil {
			return err
		}
		err = d.App.DB.Update(ctx, func(tx *sqlite.Tx) error {
			if known {
				return accounts.SetPassword(tx, old.ID, secret)
			}
			if i == 0 {
				if err := accounts.AddDomain(tx, address.Domain, keys...); err != nil {
					return err
				}
			}
			made, err := accounts.Add(tx, account.New{Address: address, Password: secret, Operator: i == 0})
			if err != nil {
				return err
			}
			return d.App.Mail.CreateDefaults(tx, made.ID)
		})
		if err != nil {
			return fmt.Errorf("make %s: %w", person.Address, err)
		}
		d.People = append(d.People, person)
	}
	return nil
}

// publish puts the records that our domain should have into the world's DNS, so
// that `mailstead dns check` and the status page have something to praise.
func (d *Demo) publish(ctx context.Context) error {
	loopback := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	if err := d.App.DB.Update(ctx, func(tx *sqlite.Tx) error { return d.App.Wanted.SetAddresses(tx, loopback) }); err != nil {
		return err
	}
	s, err := d.App.Wanted.Settings(ctx, domain)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := zone.WriteFile(&text, domain, zone.Records(s)); err != nil {
		return err
	}
	fmt.Fprintf(&text, "@ NS %s.\n", d.names.Name)
	return errors.Join(d.world.Zone(domain, text.String()), d.names.Zone(domain, text.String()))
}

// tls is how the demo's own clients verify the server.
func (d *Demo) tls() *tls.Config {
	return &tls.Config{RootCAs: d.world.CA, ServerName: host, MinVersion: tls.VersionTLS12}
}

// walkTimeout bounds each step of the self-check.
const walkTimeout = time.Minute
