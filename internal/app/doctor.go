package app

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"mailstead/admin/backup"
	"mailstead/admin/doctor"
	"mailstead/dns"
	"mailstead/dns/wanted"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/mailbox"
	"mailstead/message"
)

// VisitingDoctor looks at a machine on which nothing has been set up yet.
func VisitingDoctor(cfg config.Config) (*doctor.Doctor, error) {
	resolver, err := dns.New(cfg.DNS.Resolver)
	if err != nil {
		return nil, err
	}
	host := doctor.Here()
	host.SyncTimes, host.Mode = nil, nil // there is no directory yet
	return &doctor.Doctor{
		Config: cfg, Host: host,
		Network: network(resolver, func(context.Context) ([]netip.Addr, error) { return publicOnes(host.Addresses) }),
	}, nil
}

// network is the Internet.
func network(resolver *dns.Client, public func(context.Context) ([]netip.Addr, error)) doctor.Network {
	return doctor.Network{
		Resolver: resolver,
		SelfTest: func(ctx context.Context) dns.Trust { return resolver.SelfTest(ctx, dns.PublicNames()) },
		Dial:     new(net.Dialer).DialContext,
		Probes:   doctor.Providers(),
		Lists:    doctor.Lists(),
		Public:   public,
	}
}

// network is the Internet with our way into it.
func (s *Stores) network() doctor.Network {
	n := network(s.Resolver, s.Wanted.Addresses)
	n.Relay = s.relay
	return n
}

func publicOnes(addresses func() ([]netip.Addr, error)) ([]netip.Addr, error) {
	all, err := addresses()
	var list []netip.Addr
	for _, a := range all {
		if wanted.Public(a) {
			list = append(list, a)
		}
	}
	return list, err
}

// NewDoctor looks at everything that these stores know.
func (s *Stores) NewDoctor() *doctor.Doctor {
	memory := &doctor.Memory{DB: s.DB}
	return &doctor.Doctor{
		Config:  s.Config,
		Host:    doctor.Here(),
		Network: s.network(),
		Memory:  memory,
		Domains: s.domainChecks,
		Server: doctor.Server{
			Queue: s.queueState,
			Snapshot: func(context.Context) (time.Time, error) {
				all, err := backup.List(filepath.Join(s.Config.Data, "snapshots"))
				return backup.LastTaken(all, time.Now()), err
			},
			Backup:    s.backupState,
			Lost:      func(context.Context) ([]string, error) { return s.Blobs.Lost() },
			DiskDays:  memory.Disk,
			Operators: s.operators,
			Domains:   s.domains,
			Reaches:   s.reaches,
		},
	}
}

// backupState is how copies on another disk stand.
func (s *Stores) backupState(ctx context.Context) (doctor.Backup, error) {
	st, err := backup.Status(ctx, &control.Ops{Accounts: s.Accounts}, s.Config.Data)
	b := doctor.Backup{Configured: st.Plan.Dir != "", Last: st.Good, Problem: st.Problem, SameDisk: st.SameDisk}
	if st.Missing && b.Problem == "" {
		b.Problem = st.Plan.Dir + " is not there: is its disk mounted?"
	}
	return b, err
}

// attend makes the doctor of a running server: it knows the doors too.
func (a *App) attend() *doctor.Doctor {
	d := a.NewDoctor()
	d.Server.Running, d.Server.Started = true, time.Now()
	d.Server.Connect = new(net.Dialer).DialContext
	d.Server.Doors = a.openDoors
	d.Server.Certificates = a.shownCertificates
	d.Server.Take = a.takeFromInbox
	d.Server.LastReceived = func(ctx context.Context) (time.Time, error) { return a.Trace.LastReceived(ctx, wanted.Public) }
	d.Network.Roots = a.o.Roots
	if a.o.Dial != nil {
		d.Network.Dial = a.o.Dial
	}
	return d
}

// takeFromInbox finds a message among the newest of an account's INBOX, and
// removes it.
func (a *App) takeFromInbox(ctx context.Context, to message.Address, messageID string) (found bool, err error) {
	who, err := a.Accounts.Find(ctx, to)
	if err != nil {
		return false, err
	}
	inbox, err := a.Mail.Mailbox(ctx, who.ID, mailbox.Inbox)
	if err != nil {
		return false, err
	}
	view, err := a.Mail.Snapshot(ctx, inbox.ID)
	if err != nil {
		return false, err
	}
	const newest = 20
	for i := view.Len() - 1; i >= max(0, view.Len()-newest) && !found; i-- {
		err := a.Mail.Emails(ctx, []int64{view.At(i).Email}, func(e *mailbox.Email) error {
			found = bytes.Contains(e.Envelope, []byte(messageID))
			return nil
		})
		if err != nil {
			return false, err
		}
		if found {
			return true, a.Mail.Remove(ctx, inbox.ID, []uint32{view.At(i).UID})
		}
	}
	return false, nil
}

// openDoors are the mail doors where a program of this machine reaches them.
func (a *App) openDoors() []doctor.Door {
	var list []doctor.Door
	for _, s := range a.doors {
		bound := s.Bound()
		if slices.Contains(optional, s.Name) || len(bound) == 0 {
			continue
		}
		at, err := netip.ParseAddrPort(bound[0].String())
		if err != nil {
			continue
		}
		if ip := at.Addr().Unmap(); ip.IsUnspecified() {
			at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
		}
		list = append(list, doctor.Door{Name: s.Name, Addr: at.String()})
	}
	return list
}

// queueState is the queue in numbers, with what is said of its oldest message.
func (s *Stores) queueState(ctx context.Context) (q doctor.Queue, err error) {
	c, err := s.Queue.Counts(ctx)
	if err != nil {
		return q, err
	}
	q = doctor.Queue{Messages: c.Messages, Deferred: c.Deferred, Held: c.Held, Oldest: c.Oldest}
	first, err := s.Queue.List(ctx, 0, 1)
	if err != nil || len(first) == 0 || len(first[0].Recipients) == 0 {
		return q, err
	}
	r := first[0].Recipients[0]
	if q.Reason = r.Reason; r.Reply != "" {
		q.Reason = r.Host + ": " + r.Reply
	}
	return q, nil
}

func (s *Stores) operators(ctx context.Context) ([]message.Address, error) {
	all, err := s.Accounts.Accounts(ctx)
	var list []message.Address
	for _, a := range all {
		if a.Operator && a.Live() {
			list = append(list, a.Address)
		}
	}
	return list, err
}

func (s *Stores) domains(ctx context.Context) ([]message.Domain, error) {
	all, err := s.Accounts.Domains(ctx)
	var list []message.Domain
	for _, d := range all {
		list = append(list, d.Name)
	}
	return list, err
}

func (s *Stores) reaches(ctx context.Context, a message.Address) ([]message.Address, error) {
	targets, err := s.Accounts.Resolve(ctx, a)
	if err != nil {
		return nil, err
	}
	var list []message.Address
	for _, t := range targets {
		who, err := s.Accounts.Account(ctx, t.Account)
		if err != nil {
			return nil, err
		}
		list = append(list, who.Address)
	}
	return list, nil
}
