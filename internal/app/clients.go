package app

import (
	"crypto/tls"
	"net"

	"mailstead/dns/wanted"
	"mailstead/dns/zone"
	"mailstead/message"
	"mailstead/web/autoconfig"
)

// clients tells mail programs how to reach our doors.
func (a *App) clients() *autoconfig.Handler {
	host := a.Config.Hostname
	return &autoconfig.Handler{
		Host: message.Domain(host), Doors: a.clientDoors, Local: a.Accounts.LocalDomain, Log: a.Log,
		Sign: func() (*tls.Certificate, error) { return a.cert.GetCertificate(&tls.ClientHelloInfo{ServerName: host}) },
	}
}

// clientDoors are those that the SRV records name, from the same list. Where the
// configuration leaves a port to the system, as the small world does, it is the
// one that was got.
func (a *App) clientDoors() []zone.Service {
	fixed := a.Config.Listen
	for _, d := range []struct {
		name  string
		addrs *[]string
	}{
		{"submission", &fixed.Submission}, {"submissions", &fixed.Submissions}, {"imap", &fixed.IMAP}, {"imaps", &fixed.IMAPS},
	} {
		if at, bound := a.Addr(d.name).(*net.TCPAddr); bound && len(*d.addrs) > 0 {
			if _, port, err := net.SplitHostPort((*d.addrs)[0]); err == nil && port == "0" {
				*d.addrs = []string{at.String()}
			}
		}
	}
	return wanted.Services(fixed)
}
