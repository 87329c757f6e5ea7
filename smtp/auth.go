package smtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
)

// mechanisms are offered under TLS, the best first.
const mechanisms = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"

// refusal ends an exchange with a reply that is not the mechanism's.
type refusal struct{ Reply }

func (r refusal) Error() string { return r.String() }

// auth runs a SASL exchange (RFC 4954).
func (s *session) auth(args string) Reply {
	a, ok := s.backend.(Authenticator)
	switch {
	case !ok:
		return NotOffered
	case s.peer.TLS == nil:
		return NeedTLSForAuth
	case s.peer.Authenticated:
		return AlreadyAuth
	case s.tx != nil:
		return BadSequence
	}
	name, initial, given := strings.Cut(args, " ")
	var first []byte
	if given {
		var err error
		if first, err = decodeBase64(initial); err != nil {
			return BadBase64
		}
	}
	x := &exchange{s: s, a: a, first: first, given: given}
	reply, err := x.run(strings.ToUpper(name))
	var r refusal
	if errors.As(err, &r) {
		reply, err = r.Reply, nil
	} else if x.broken {
		s.lost(err)
		return Reply{}
	}
	reply = s.answer("auth", reply, err, Authenticated)
	switch {
	case reply.Positive():
		s.peer.Authenticated = true
	case reply.Code == BadCredentials.Code, reply.Code == Throttled.Code:
		s.logins++
	}
	return reply
}

// exchange is one AUTH command.
type exchange struct {
	s      *session
	a      Authenticator
	first  []byte // initial response
	given  bool
	broken bool // the connection, not the exchange
}

func (x *exchange) run(mechanism string) (Reply, error) {
	switch mechanism {
	case "PLAIN":
		return x.plain()
	case "LOGIN":
		return x.login()
	case "SCRAM-SHA-256":
		return x.scram(false)
	case "SCRAM-SHA-256-PLUS":
		return x.scram(true)
	}
	return BadMechanism, nil
}

// plain is RFC 4616. Nobody may act for another.
func (x *exchange) plain() (Reply, error) {
	b, err := x.respond(nil)
	if err != nil {
		return Reply{}, err
	}
	parts := bytes.Split(b, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 {
		return BadSyntax, nil
	}
	if len(parts[0]) > 0 && !bytes.EqualFold(parts[0], parts[1]) {
		return BadCredentials, nil
	}
	return x.a.Password(x.s.ctx, string(parts[1]), string(parts[2]))
}

// login is what old programs speak; it was never more than a draft.
func (x *exchange) login() (Reply, error) {
	name, err := x.respond([]byte("Username:"))
	if err != nil {
		return Reply{}, err
	}
	password, err := x.respond([]byte("Password:"))
	if err != nil {
		return Reply{}, err
	}
	if len(name) == 0 {
		return BadSyntax, nil
	}
	return x.a.Password(x.s.ctx, string(name), string(password))
}

// scram is RFC 5802 with RFC 7677's hash. With -PLUS the client binds the
// channel; without, it must not have believed that it could.
func (x *exchange) scram(plus bool) (Reply, error) {
	e := x.a.SCRAM(x.s.ctx, x.s.c.Bindings())
	response, err := x.respond(nil)
	if err != nil {
		return Reply{}, err
	}
	if bytes.HasPrefix(response, []byte("p=")) != plus {
		return BadCredentials, nil
	}
	for {
		challenge, done, refused, err := e.Next(response)
		if err != nil || !refused.IsZero() {
			return refused, err
		}
		if done && len(challenge) == 0 {
			return Reply{}, nil
		}
		if response, err = x.respond(challenge); err != nil {
			return Reply{}, err
		}
		if done { // the server's signature was read; RFC 4954 has no other place for it
			if len(response) > 0 {
				return BadSyntax, nil
			}
			return Reply{}, nil
		}
	}
}

// respond sends a challenge and reads the response; the first one may have come
// with the command.
func (x *exchange) respond(challenge []byte) ([]byte, error) {
	if x.given {
		x.given = false
		return x.first, nil
	}
	s := x.s
	s.out = append(s.out, "334 "...)
	s.out = base64.StdEncoding.AppendEncode(s.out, challenge)
	s.out = append(s.out, "\r\n"...)
	line, err := s.in.line(authLine)
	switch {
	case errors.Is(err, errLineTooLong):
		return nil, refusal{LineTooLong}
	case err != nil:
		x.broken = true
		return nil, err
	case string(line) == "*":
		return nil, refusal{AuthCancelled}
	}
	b, err := base64.StdEncoding.DecodeString(string(line))
	if err != nil {
		return nil, refusal{BadBase64}
	}
	return b, nil
}

// decodeBase64 reads an initial response; "=" is an empty one (RFC 4954, 4).
func decodeBase64(s string) ([]byte, error) {
	if s == "=" {
		return nil, nil
	}
	return base64.StdEncoding.DecodeString(s)
}
