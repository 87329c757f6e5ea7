package smtp

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"

	"mailstead/message"
)

// Backend is a door: it decides, the engine speaks.
//
// Every method below returns a Reply for the peer and an error for us. With an
// error the peer hears LocalError and the error is logged; a zero Reply means
// yes. A Reply with code 421 also ends the connection. The contexts are not
// cancelled by a shutdown: what has begun may end.
type Backend interface {
	// NewSession comes before the greeting. A Reply that is not zero (421, 554)
	// is said in its place, and the connection ends.
	NewSession(ctx context.Context, p *Peer) (Session, Reply, error)
}

// Peer is what the engine knows of the other side. The engine changes it (EHLO,
// STARTTLS, AUTH); doors read it between and during their calls.
type Peer struct {
	CID           string
	Remote        netip.AddrPort // not valid where the transport has no address
	Helo          string         // argument of the last EHLO or HELO
	Extended      bool           // EHLO, not HELO
	TLS           *tls.ConnectionState
	Authenticated bool
}

// Protocol is the "with" value of a Received field (RFC 3848, 6531).
func (p *Peer) Protocol(utf8 bool) string {
	if !p.Extended {
		return "SMTP"
	}
	s := "ESMTP"
	if utf8 {
		s = "UTF8SMTP"
	}
	if p.TLS != nil {
		s += "S"
	}
	if p.Authenticated {
		s += "A"
	}
	return s
}

// Session is a connection's life.
type Session interface {
	// Hello is told every EHLO and HELO; p.Helo has the name.
	Hello(ctx context.Context) (Reply, error)
	// Mail begins a transaction. With a Reply that is not positive or an error
	// there is no Transaction.
	Mail(ctx context.Context, m Mail) (Transaction, Reply, error)
	// Close is called once, after the last Transaction was closed.
	Close()
}

// Mail is the MAIL command. The envelope has no recipients yet.
type Mail struct {
	Envelope message.Envelope
	Size     int64 // as declared, 0 when it was not
}

// Transaction is one MAIL … end of data.
type Transaction interface {
	// Recipient is told every RCPT that can be parsed.
	Recipient(ctx context.Context, r message.Recipient) (Reply, error)
	// Data reads the message and decides for all accepted recipients. r ends
	// with io.EOF only when the message came whole and keeps the rules; a
	// positive Reply before that is an error of the door's. Only called with at
	// least one accepted recipient.
	Data(ctx context.Context, r io.Reader) (Reply, error)
	// Close is called exactly once, whatever ended the transaction.
	Close()
}

// Watcher is a Session that wants to know of a MAIL that the engine refused for
// its size: somebody will ask what became of it.
type Watcher interface {
	Refused(m Mail, r Reply)
}

// Authenticator is a Session that offers AUTH.
type Authenticator interface {
	// Password checks PLAIN and LOGIN.
	Password(ctx context.Context, name, password string) (Reply, error)
	// SCRAM begins an exchange of SCRAM-SHA-256; bindings are the connection's
	// channel bindings by type (RFC 5802).
	SCRAM(ctx context.Context, bindings map[string][]byte) Exchange
}

// Exchange is the server's side of a SASL exchange.
type Exchange interface {
	// Next takes the client's response and gives the next challenge. A Reply
	// that is not zero ends the exchange without success. done tells that the
	// client is proven; a challenge given with it is still sent.
	Next(response []byte) (challenge []byte, done bool, refusal Reply, err error)
}
