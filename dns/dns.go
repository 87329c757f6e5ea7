// Package dns asks: a resolver with the DNSSEC result on every answer.
//
// It is a stub resolver (RFC 1034, 5.3.1): it sends recursive questions to the
// system's or a configured server and never walks the tree itself, nor reads
// /etc/hosts, because mail is routed by the DNS alone. The server validates; we
// only repeat its AD bit (RFC 6840, 5.7 and 5.8), and that only when whoever
// made the Client has marked the server trusted.
//
// A question goes out over UDP with EDNS0 (RFC 6891) and over TCP when the
// answer is truncated (RFC 7766). Errors are of two kinds and a caller must
// tell them apart: ErrNotExist is an answer (bounce is allowed), everything
// else is a *TemporaryError (try later).
package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"mailstead/message"
)

// Resolver is what mail needs of the DNS. secure is true only when a trusted
// validating resolver set AD on every answer used; it is told for ErrNotExist
// too. Errors: ErrNotExist (NXDOMAIN or no data), *TemporaryError.
type Resolver interface {
	// LookupMX gives the mail exchangers by preference, shuffled within one.
	LookupMX(ctx context.Context, d message.Domain) (mx []MX, secure bool, err error)
	// LookupAddr gives a host's IPv6 and IPv4 addresses.
	LookupAddr(ctx context.Context, host string) (addrs []netip.Addr, secure bool, err error)
	// LookupTXT gives one string per record, its parts joined.
	LookupTXT(ctx context.Context, name string) (txt []string, secure bool, err error)
	// LookupPTR gives the names of an address, lower case, no trailing dot.
	LookupPTR(ctx context.Context, a netip.Addr) (names []string, secure bool, err error)
}

// MX is one mail exchanger. A null MX (RFC 7505) has Host ".".
type MX struct {
	Preference uint16
	Host       string // A-label, lower case, no trailing dot
}

// ErrNotExist is the answer "there is no such name" or "the name has no such
// record"; *NotExistError tells which.
var ErrNotExist = errors.New("no such record")

// NotExistError is an ErrNotExist with its circumstances.
type NotExistError struct {
	Name, Type string
	NXDomain   bool // the name itself does not exist
}

func (e *NotExistError) Error() string {
	if e.NXDomain {
		return fmt.Sprintf("%s does not exist", e.Name)
	}
	return fmt.Sprintf("%s has no %s record", e.Name, e.Type)
}

// Is makes errors.Is(err, ErrNotExist) true.
func (e *NotExistError) Is(target error) bool { return target == ErrNotExist }

// TemporaryError is no answer: a timeout, SERVFAIL, or nonsense.
type TemporaryError struct {
	Name, Type string
	Err        error
}

func (e *TemporaryError) Error() string {
	return fmt.Sprintf("look up %s of %s: %v", e.Type, e.Name, e.Err)
}

func (e *TemporaryError) Unwrap() error { return e.Err }
