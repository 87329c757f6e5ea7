// Package message is the vocabulary of Internet mail: addresses, envelopes,
// header fields, the MIME structure of a message, trace fields and DSNs
// (RFC 5321, 5322, 2045 to 2049, 3464, 6531, 8601). It imports nothing of ours.
package message

// Domain is a domain name in its A-label form, lower case, without the
// trailing dot, or an address literal in brackets (RFC 5321, 4.1.2).
type Domain string

// Address is RFC 5321's Mailbox. Local is the unquoted local part. The zero
// value is the null reverse-path.
type Address struct {
	Local  string
	Domain Domain
}

// ParseDomain accepts U-labels, A-labels and address literals.
func ParseDomain(s string) (Domain, error) { panic("border") }

// Unicode gives the U-label form for people.
func (d Domain) Unicode() string { panic("border") }

// ParseAddress parses a Mailbox of RFC 5321, 4.1.2 with RFC 6531's UTF-8.
// "postmaster" alone is accepted and has an empty Domain.
func ParseAddress(s string) (Address, error) { panic("border") }

// String is the wire form: the local part quoted where needed, the A-label.
func (a Address) String() string { panic("border") }

// Unicode is the form for people.
func (a Address) Unicode() string { panic("border") }

// IsZero tells the null reverse-path.
func (a Address) IsZero() bool { return a == Address{} }

// NeedsUTF8 tells whether the address can only travel under SMTPUTF8.
func (a Address) NeedsUTF8() bool { panic("border") }
