// Package dkim signs mail that leaves us (RFC 6376, 8463). It holds no keys and
// asks for them by domain; it does not decide what is signed: the doors give it
// the message as it will go out, after all edits.
//
// A message gets one signature by each key of the domain, so that a receiver
// that does not know Ed25519 finds RSA (RFC 8463, 3). The signatures are header
// fields for the message's prefix: the body that is kept stays as it was
// received, and is read once, streaming, for all of them.
//
// # What is signed
//
// Header and body in the relaxed form, the fields of RFC 6376, 5.4.1 that are
// there; those that readers are shown are signed once more than they occur, so
// that nobody adds a second From on the way.
package dkim

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"mailstead/message"
)

// Key is what signs.
type Key struct {
	Selector string
	Private  crypto.Signer // *rsa.PrivateKey or ed25519.PrivateKey
}

// Signer signs for our domains.
type Signer struct {
	// Keys gives the live keys of a domain; none where it is not ours.
	Keys func(ctx context.Context, d message.Domain) ([]Key, error)
}

// shown fields are signed once more than they occur, told are signed as often
// as they occur.
var (
	shown = [...]string{"From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
	told = [...]string{"Sender", "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe",
		"List-Post", "List-Owner", "List-Archive", "Auto-Submitted"}
)

// Sign gives the DKIM-Signature fields for a message by an author of a domain:
// with the keys of that domain, or of the nearest one above it that is ours,
// which is aligned too (RFC 9989, 4.4). Without keys there are none. The message
// has CRLF line ends and its header ends with an empty line.
func (s *Signer) Sign(ctx context.Context, author message.Domain, r io.ReaderAt, size int64) ([]byte, error) {
	d, keys, err := s.keysFor(ctx, author)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	names, err := fields(r, size)
	if err != nil {
		return nil, fmt.Errorf("sign for %s: %w", d, err)
	}
	var signers []*dkim.Signer
	var writers []io.Writer
	defer func() {
		for _, one := range signers {
			one.Close()
		}
	}()
	for _, k := range keys {
		one, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: string(d), Selector: k.Selector, Signer: k.Private, Hash: crypto.SHA256, HeaderKeys: names,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
		if err != nil {
			return nil, fmt.Errorf("sign for %s with %s: %w", d, k.Selector, err)
		}
		signers, writers = append(signers, one), append(writers, one)
	}
	if _, err := io.Copy(io.MultiWriter(writers...), io.NewSectionReader(r, 0, size)); err != nil {
		return nil, fmt.Errorf("sign for %s: %w", d, err)
	}
	var b []byte
	for i, one := range signers {
		if err := one.Close(); err != nil {
			return nil, fmt.Errorf("sign for %s with %s: %w", d, keys[i].Selector, err)
		}
		b = append(b, one.Signature()...)
	}
	return b, nil
}

// keysFor looks for keys at the domain and above.
func (s *Signer) keysFor(ctx context.Context, d message.Domain) (message.Domain, []Key, error) {
	for d != "" && d[0] != '[' {
		keys, err := s.Keys(ctx, d)
		if err != nil || len(keys) > 0 {
			return d, keys, err
		}
		_, above, _ := strings.Cut(string(d), ".")
		d = message.Domain(above)
	}
	return "", nil, nil
}

// fields lists what is signed, each name as often as it is to be.
func fields(r io.ReaderAt, size int64) ([]string, error) {
	h, err := message.ReadHeader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	var names []string
	add := func(name string, times int) {
		for range times {
			names = append(names, name)
		}
	}
	for _, name := range shown {
		add(name, h.Count(name)+1)
	}
	for _, name := range told {
		add(name, h.Count(name))
	}
	return names, nil
}
