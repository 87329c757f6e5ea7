package control

import (
	"context"
	"net/netip"

	"mailstead/dns/wanted"
	"mailstead/internal/sqlite"
)

// HostAddresses are the mail host's public addresses.
type HostAddresses struct {
	Set       bool         `json:"set,omitempty"` // dns.address: change them; none goes back to the interfaces'
	Addresses []netip.Addr `json:"addresses"`
}

// dnsAddress tells which addresses the host's records have, and sets those of a
// host behind a router.
func (o *Ops) dnsAddress(ctx context.Context, in HostAddresses) (out HostAddresses, err error) {
	if in.Set {
		for i, a := range in.Addresses {
			if !wanted.Public(a) {
				return out, invalid("name the address that others reach this machine by, such as your router's", "%s is not an address of the public Internet", a)
			}
			in.Addresses[i] = a.Unmap().WithZone("")
		}
		if err := o.DB.Update(ctx, func(tx *sqlite.Tx) error { return o.Wanted.SetAddresses(tx, in.Addresses) }); err != nil {
			return out, err
		}
	}
	out.Addresses, err = o.Wanted.Addresses(ctx)
	return out, err
}
