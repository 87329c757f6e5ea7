package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"mailstead/dns"
	"mailstead/message"
	"mailstead/smtp/queue"
)

// host is one place to try.
type host struct {
	name   string // as it stands in the DNS, or an address literal
	addrs  []netip.AddrPort
	port   int
	secure bool       // the answer that named it was
	smart  *SmartHost // which this is; nil for an MX
	bare   bool       // a domain without MX records
}

// route gives the hosts in the order to try, or the result of all recipients.
func (o *Outbound) route(ctx context.Context, d message.Domain) ([]host, *queue.Result) {
	port := o.Port
	if port == 0 {
		port = 25
	}
	if smart, err := o.smartHost(ctx); err != nil {
		return nil, ptr(delayed("4.3.0", "which way mail leaves could not be found out", err))
	} else if smart != nil {
		return []host{smart.host()}, nil
	}
	if a, ok := d.Literal(); ok {
		return []host{{name: string(d), port: port, addrs: []netip.AddrPort{netip.AddrPortFrom(a, uint16(port))}}}, nil
	}
	mx, secure, err := o.Resolver.LookupMX(ctx, d)
	var no *dns.NotExistError
	switch {
	case errors.As(err, &no) && no.NXDomain:
		return nil, ptr(failed("5.1.2", "the domain "+d.Unicode()+" does not exist"))
	case errors.Is(err, dns.ErrNotExist): // RFC 5321, 5.1: the implicit MX
		return []host{{name: string(d), port: port, secure: secure, bare: true}}, nil
	case err != nil:
		return nil, ptr(delayed("4.4.3", "the mail servers of "+d.Unicode()+" cannot be looked up", err))
	case len(mx) == 1 && mx[0].Host == ".":
		return nil, ptr(failed("5.1.10", d.Unicode()+" says that it takes no mail (null MX)"))
	}
	// We and all that are not better than we are out: RFC 5321, 5.1.
	if i := slices.IndexFunc(mx, func(m dns.MX) bool { return strings.EqualFold(m.Host, o.Hostname) }); i >= 0 {
		own := mx[i].Preference
		mx = slices.DeleteFunc(mx, func(m dns.MX) bool { return m.Preference >= own })
		if len(mx) == 0 {
			return nil, ptr(loops(d))
		}
	}
	hosts := make([]host, 0, len(mx))
	for _, m := range mx {
		if m.Host != "." && m.Host != "" {
			hosts = append(hosts, host{name: m.Host, port: port, secure: secure})
		}
	}
	if len(hosts) == 0 {
		return nil, ptr(failed("5.4.4", "the MX records of "+d.Unicode()+" name no server"))
	}
	return hosts, nil
}

func loops(d message.Domain) queue.Result {
	return failed("5.4.6", "mail for "+d.Unicode()+" leads back to this server, which does not know the domain")
}

func ptr[T any](v T) *T { return &v }

// addresses finds a host's addresses, IPv6 and IPv4 alternating, so that a
// machine without a route for one is not held up by it.
func (o *Outbound) addresses(ctx context.Context, h host) ([]netip.AddrPort, *queue.Result) {
	found := h.addrs
	if found == nil {
		if a, err := netip.ParseAddr(h.name); err == nil && h.smart != nil {
			found = []netip.AddrPort{netip.AddrPortFrom(a, uint16(h.port))}
		}
	}
	if found == nil {
		addrs, _, err := o.Resolver.LookupAddr(ctx, h.name)
		switch {
		case errors.Is(err, dns.ErrNotExist) && h.bare:
			return nil, ptr(failed("5.1.2", "the domain "+h.name+" has neither a mail server nor an address"))
		case errors.Is(err, dns.ErrNotExist):
			return nil, ptr(failed("5.4.4", "the mail server "+h.name+" has no address"))
		case err != nil:
			return nil, ptr(delayed("4.4.3", "the address of "+h.name+" cannot be looked up", err))
		}
		if o.NoIPv6 != nil && o.NoIPv6() {
			addrs = preferIPv4(addrs)
		}
		for _, a := range alternate(addrs) {
			found = append(found, netip.AddrPortFrom(a, uint16(h.port)))
		}
	}
	if h.smart != nil {
		return found, nil
	}
	for _, a := range found {
		if o.own(a.Addr()) {
			return nil, ptr(failed("5.4.6", fmt.Sprintf("mail for it leads back to this server: %s is our own address", h.name)))
		}
	}
	return found, nil
}

// preferIPv4 leaves IPv6 addresses out where there are others.
func preferIPv4(addrs []netip.Addr) []netip.Addr {
	four := slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return !a.Unmap().Is4() })
	if len(four) == 0 {
		return addrs
	}
	return four
}

// alternate keeps the order within each family.
func alternate(addrs []netip.Addr) []netip.Addr {
	var six, four, all []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	for len(six) > 0 || len(four) > 0 {
		if len(six) > 0 {
			all, six = append(all, six[0]), six[1:]
		}
		if len(four) > 0 {
			all, four = append(all, four[0]), four[1:]
		}
	}
	return all
}

// own tells whether mail sent to a would come back to us.
func (o *Outbound) own(a netip.Addr) bool {
	if o.Own != nil {
		return slices.Contains(o.Own(), a)
	}
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(list, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Addr().WithZone("") == a
	})
}
