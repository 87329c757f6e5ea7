package app

import (
	"os"
	"path/filepath"
	"strings"

	"mailstead/internal/control"
	"mailstead/internal/maillog"
	"mailstead/smtp/local"
	"mailstead/smtp/submission"
)

// Pickup takes mail of this machine's users straight into the stores, for a
// command while no server runs. What is for the world waits for one.
func (s *Stores) Pickup() *submission.Pickup {
	events := maillog.Sinks{maillog.Log{Logger: s.Log}, s.Trace}
	return s.pickup(local.New(local.Options{
		DB: s.DB, Accounts: s.Accounts, Mailboxes: s.Mail, Queue: s.Queue, Events: events, Hostname: s.Config.Hostname, Log: s.Log,
	}), events)
}

func (s *Stores) pickup(agent *local.Agent, events maillog.Sink) *submission.Pickup {
	cfg := s.Config
	o := submission.PickupOptions{
		Options: submission.Options{
			Hostname: cfg.Hostname, Accounts: s.Accounts, Mailboxes: s.Mail, Agent: agent, Events: events, Log: s.Log,
			Space: &local.Space{Dir: cfg.Data, MaxSize: int64(cfg.Limit)}, MaxSize: int64(cfg.Limit), Sign: s.Signer().Sign,
		},
		Trusted: func(uid int) bool { return uid == 0 || uid == os.Geteuid() },
	}
	if name, err := os.Hostname(); err == nil {
		o.Names = append(o.Names, name)
	}
	// Debian's file of the domain that users of the machine write as.
	if name, err := os.ReadFile("/etc/mailname"); err == nil {
		o.Origins = append(o.Origins, strings.TrimSpace(string(name)))
	}
	return submission.NewPickup(o)
}

// letterbox is the socket for the users of this machine.
func (a *App) letterbox(agent *local.Agent, events maillog.Sink) *control.Letterbox {
	inside := filepath.Join(a.Config.Data, control.LetterboxName)
	b := &control.Letterbox{Path: inside, Pickup: a.pickup(agent, events), Log: a.Log}
	if a.o.Runtime != "" && a.o.Runtime != a.Config.Data {
		b.Path, b.Link = filepath.Join(a.o.Runtime, control.LetterboxName), inside
	}
	return b
}
