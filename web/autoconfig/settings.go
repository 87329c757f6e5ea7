package autoconfig

import (
	"errors"

	"mailstead/dns/zone"
	"mailstead/message"
)

// errClosed says that mail cannot be read, or not be sent, by programs at all.
var errClosed = errors.New("no door for clients")

// Server is one way to read or to send mail.
type Server struct {
	Name     string // the SRV label: "_imaps"
	Host     message.Domain
	Port     int
	Implicit bool // TLS from the first octet, else STARTTLS
}

// Encryption is what settings of programs call it.
func (s Server) Encryption() string {
	if s.Implicit {
		return "SSL/TLS"
	}
	return "STARTTLS"
}

// Settings are all ways to reach one domain's mail, the best first.
type Settings struct {
	Domain             message.Domain
	Incoming, Outgoing []Server
}

// settings are those of the doors that are open now. Errors: errClosed.
func (h *Handler) settings(d message.Domain) (Settings, error) {
	s := Settings{Domain: d}
	open := h.Doors()
	s.Incoming = servers(h.Host, open, "_imaps", "_imap")
	s.Outgoing = servers(h.Host, open, "_submissions", "_submission")
	if len(s.Incoming) == 0 || len(s.Outgoing) == 0 {
		return s, errClosed
	}
	return s, nil
}

// servers gives the open ones of two doors, the one with implicit TLS first
// (RFC 8314, 3.3).
func servers(host message.Domain, open []zone.Service, implicit, starttls string) []Server {
	var list []Server
	for _, name := range []string{implicit, starttls} {
		for _, s := range open {
			if s.Name == name && s.Port > 0 {
				list = append(list, Server{Name: name, Host: host, Port: s.Port, Implicit: name == implicit})
			}
		}
	}
	return list
}

// clip cuts a text after n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
