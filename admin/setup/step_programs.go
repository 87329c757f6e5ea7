package setup

import (
	"context"
	"fmt"

	"mailstead/dns/wanted"
)

// Settings are what a mail program needs, and where it finds them by itself.
type Settings struct {
	Address  string `json:"address"`
	Username string `json:"username"`
	Receive  []Door `json:"receive"`
	Send     []Door `json:"send"`
	Page     string `json:"page,omitempty"` // leads to the settings of each program
}

// Door is one of a server's.
type Door struct {
	Protocol string `json:"protocol"` // IMAP, SMTP
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Security string `json:"security"` // TLS, STARTTLS
}

func programsStep() Step {
	return Step{
		ID: "programs", Title: "Your mail programs",
		Do: func(_ context.Context, r *Run) (res Result, err error) {
			s := r.programs()
			res.Data = s
			for _, d := range append(s.Receive, s.Send...) {
				res.Lines = append(res.Lines, fmt.Sprintf("%s: %s, port %d, %s", d.Protocol, d.Host, d.Port, d.Security))
			}
			res.Lines = append(res.Lines, "User name: "+s.Username)
			if s.Page != "" {
				res.Lines = append(res.Lines, "Programs find this by themselves from the address; for a telephone open "+s.Page)
			}
			return res, nil
		},
	}
}

// programs are the settings of the doors that are open, TLS from the first byte
// first (RFC 8314, 3).
func (r *Run) programs() Settings {
	s := Settings{Address: r.address.Unicode(), Username: r.address.String()}
	for _, service := range wanted.Services(r.o.Config.Listen) {
		d := Door{Host: r.Answer("hostname"), Port: service.Port}
		switch service.Name {
		case "_submissions":
			d.Protocol, d.Security = "SMTP", "TLS"
		case "_submission":
			d.Protocol, d.Security = "SMTP", "STARTTLS"
		case "_imaps":
			d.Protocol, d.Security = "IMAP", "TLS"
		case "_imap":
			d.Protocol, d.Security = "IMAP", "STARTTLS"
		default:
			continue
		}
		if d.Protocol == "IMAP" {
			s.Receive = append(s.Receive, d)
		} else {
			s.Send = append(s.Send, d)
		}
	}
	if len(r.o.Config.Listen.HTTPS) > 0 {
		s.Page = "https://autoconfig." + string(r.domain) + "/"
	}
	return s
}
