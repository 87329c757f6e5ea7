// Package app composes the server: it is the only room that knows all others.
// OpenStores opens what keeps, New puts the doors in front of it, Run serves
// until its context ends, Close puts everything back.
//
//	config ─▶ OpenStores ─▶ New ─▶ Listen ─▶ Run ─▶ Close
//
// A store that can promise nothing any more (a failed sync) ends Run with that
// error: the doors answer 421 and BYE, and the next start recovers.
//
// Ports, jobs and the route of a queued message stand here and nowhere else.
package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mailstead/acme"
	"mailstead/admin"
	"mailstead/admin/doctor"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/listen"
	"mailstead/internal/systemd"
	"mailstead/smtp/outbound"
)

// grace is what sessions get to finish what they are doing at a stop.
const grace = 10 * time.Second

// Options of New. The zero value of each field but Config is useful.
type Options struct {
	Config  config.Config
	Log     *slog.Logger
	Version string

	// The road out, for a world of one's own; zero values are the Internet's.
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Port  int                 // where remote MTAs listen; 0 means 25
	Roots *x509.CertPool      // what their certificates are verified with
	Own   func() []netip.Addr // where we are the server; nil means this machine

	Manager *systemd.Manager // who started us, nil for nobody
	Runtime string           // folder that every user can look into, for the letterbox; "" is the data directory
}

// App is a whole server.
type App struct {
	*Stores
	o       Options
	cert    *acme.Certificates
	out     *outbound.Outbound
	doors   []*listen.Server
	socket  *control.Server
	box     *control.Letterbox
	doctor  *doctor.Doctor
	lookout *admin.Lookout
	night   time.Time   // of the last look; jobs alone use it
	ready   atomic.Bool // from open doors to the stop
	noIPv6  atomic.Bool // mail leaves by IPv4: our IPv6 address has no name
	failed  context.CancelCauseFunc
	broken  context.Context // ends when nothing more can be promised
	goes    sync.WaitGroup

	certChanged chan struct{} // holds one word that a certificate changed

	Closed []ClosedDoor // after Listen
}

// ClosedDoor is a door of the web whose port could not be had.
type ClosedDoor struct {
	Name string
	Err  error
}

// New opens the stores and makes the doors; nothing listens yet.
func New(ctx context.Context, o Options) (*App, error) {
	if o.Config.Hostname == "" {
		return nil, &HostnameError{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &App{o: o, certChanged: make(chan struct{}, 1)}
	a.broken, a.failed = context.WithCancelCause(context.WithoutCancel(ctx))
	var err error
	if a.Stores, err = OpenStores(ctx, o.Config, o.Log, func(err error) { a.failed(err) }); err != nil {
		return nil, err
	}
	if o.Dial != nil {
		a.Resolver.Dial = o.Dial
	}
	a.reach = reach{dial: o.Dial, roots: o.Roots, port: o.Port}
	if a.cert, err = acme.Open(a.certificates()); err != nil {
		return nil, errors.Join(err, a.Close(ctx))
	}
	if err := a.compose(); err != nil {
		return nil, errors.Join(err, a.Close(ctx))
	}
	return a, nil
}

// HostnameError says that the one key without a default is missing.
type HostnameError struct{}

func (*HostnameError) Error() string { return "this host has no name for the world" }

// Hint is the next step for a person.
func (*HostnameError) Hint() string {
	return `put hostname = "mail.example.org" (your name) into mailstead.toml`
}

// Listen binds every address, so that a taken port is told before anything
// runs. Mail does not wait for the web: where a port of that is taken, often by
// another web server, the door stays closed.
func (a *App) Listen() error {
	var open []*listen.Server
	for _, d := range a.doors {
		err := d.Listen()
		if err != nil {
			err = explainPort(d.Name, err, doctor.Here())
		}
		switch {
		case err == nil:
			open = append(open, d)
		case slices.Contains(optional, d.Name):
			a.Log.Warn("door stays closed", "door", d.Name, "err", err)
			a.Closed = append(a.Closed, ClosedDoor{d.Name, err})
		default:
			for _, bound := range open {
				bound.Shutdown(a.broken)
			}
			var port *PortError
			if errors.As(err, &port) { // says it all
				return err
			}
			return fmt.Errorf("open the door %s: %w", d.Name, err)
		}
	}
	a.doors = open
	if err := a.box.Listen(); err != nil {
		return err
	}
	return a.socket.Listen()
}

// Addr is where a door listens, by its name ("smtp", "submissions", "imaps");
// nil when it does not.
func (a *App) Addr(door string) net.Addr {
	for _, d := range a.doors {
		if bound := d.Bound(); d.Name == door && len(bound) > 0 {
			return bound[0]
		}
	}
	return nil
}

// Run serves until ctx ends or the store can promise nothing any more, which is
// its error. Listen came before.
func (a *App) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(a.broken, stop)

	// Before the doors open: a certificate that is kept is shown to the first
	// who come. Trouble with it is no reason to keep mail waiting.
	if err := a.certify(ctx); err != nil {
		a.Log.Warn("certificates stay as they are", "err", err)
	}
	for _, d := range a.doors {
		a.goes.Go(func() {
			if err := d.Serve(); err != nil {
				a.failed(fmt.Errorf("door %s: %w", d.Name, err))
			}
		})
	}
	a.goes.Go(func() {
		if err := a.socket.Serve(); err != nil {
			a.Log.Warn("control socket", "err", err)
		}
	})
	a.goes.Go(func() {
		if err := a.box.Serve(); err != nil {
			a.Log.Warn("letterbox", "err", err)
		}
	})
	for _, run := range []func(context.Context) error{a.Blobs.Run, a.Queue.Run} {
		a.goes.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				a.failed(err)
			}
		})
	}
	a.goes.Go(func() {
		if err := a.Accounts.MakeDKIMKeys(ctx); err != nil && ctx.Err() == nil {
			a.Log.Error("domains without DKIM keys", "err", err)
		}
	})
	a.goes.Go(func() { a.keepCertificateFacts(ctx) })
	a.goes.Go(func() { a.lookout.Run(ctx) })
	a.runJobs(ctx, a.jobs())
	a.goes.Go(func() { a.watch(ctx) })
	a.goes.Go(func() { a.learnNetwork(ctx) })
	a.goes.Go(func() { a.shedPages(ctx) })
	a.ready.Store(true)
	a.Log.Info("ready", "hostname", a.o.Config.Hostname, "version", a.o.Version)
	a.tellManager(a.o.Manager.Ready("ready as " + a.o.Config.Hostname))

	<-ctx.Done()
	a.ready.Store(false)
	a.tellManager(a.o.Manager.Stopping())
	a.shutdown()
	a.goes.Wait()
	if a.broken.Err() != nil {
		return context.Cause(a.broken)
	}
	return nil
}

// shutdown closes all doors at once and gives their sessions grace.
func (a *App) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var doors sync.WaitGroup
	for _, d := range a.doors {
		doors.Go(func() {
			if w, ok := d.Handler.(*web); ok {
				defer w.shutdown()
			}
			if err := d.Shutdown(ctx); err != nil {
				a.Log.Debug("sessions cut at the stop", "door", d.Name, "err", err)
			}
		})
	}
	doors.Go(func() { a.socket.Shutdown(ctx) })
	doors.Go(func() { a.box.Shutdown(ctx) })
	doors.Wait()
}

// Close ends what Run left and closes the stores.
func (a *App) Close(ctx context.Context) error {
	var err error
	if a.out != nil {
		err = a.out.Close()
	}
	if a.cert != nil {
		a.cert.Close()
	}
	a.failed(nil)
	return errors.Join(err, a.Stores.Close(ctx))
}
