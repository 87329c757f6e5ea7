package app

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"mailstead/admin/doctor"
)

// PortError says why a door cannot listen at its address.
type PortError struct {
	Door string
	Port uint16
	text string
	next string
	err  error
}

func (e *PortError) Error() string { return e.text }

// Hint is the next step for a person.
func (e *PortError) Hint() string { return e.next }

func (e *PortError) Unwrap() error { return e.err }

// explainPort finds out who has the port that could not be had, or that we are
// not allowed to. Any other error stays as it is.
func explainPort(door string, err error, host doctor.Host) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Addr == nil {
		return err
	}
	at, parse := netip.ParseAddrPort(op.Addr.String())
	if parse != nil {
		tcp, ok := op.Addr.(*net.TCPAddr)
		if !ok {
			return err
		}
		at = netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(tcp.Port)) // ":25"
	}
	e := &PortError{Door: door, Port: at.Port(), err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		who, fix := host.Holder(at)
		if who == "" {
			who, fix = "another program", "`ss -tlnp` as root shows which one"
		}
		e.text, e.next = fmt.Sprintf("port %d is taken by %s", e.Port, who), fix
	case errors.Is(err, syscall.EACCES):
		e.text = fmt.Sprintf("this user may not listen at port %d", e.Port)
		e.next = "start it by its systemd unit, which may; or once, as root: setcap cap_net_bind_service=+ep $(readlink -f /usr/bin/mailstead)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.text = fmt.Sprintf("this machine does not have the address %s", at.Addr())
		e.next = fmt.Sprintf("`ip address` shows those it has; change listen.%s in mailstead.toml", door)
	default:
		return err
	}
	return e
}
