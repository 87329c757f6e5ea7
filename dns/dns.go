// Package dns asks: a resolver with the DNSSEC result on every answer.
package dns

import (
	"context"
	"net/netip"

	"mailstead/message"
)

// Resolver is what mail needs of the DNS. Secure is true only when a trusted
// validating resolver set AD. Errors: ErrNotExist (NXDOMAIN or no data),
// *TemporaryError.
type Resolver interface {
	LookupMX(ctx context.Context, d message.Domain) (MX []MX, secure bool, err error)
	LookupAddr(ctx context.Context, host string) (addrs []netip.Addr, secure bool, err error)
	LookupTXT(ctx context.Context, name string) (txt []string, secure bool, err error)
	LookupPTR(ctx context.Context, a netip.Addr) (names []string, secure bool, err error)
}

// MX is one mail exchanger. A null MX (RFC 7505) has Host ".".
type MX struct {
	Preference uint16
	Host       string // A-label, lower case, no trailing dot
}
