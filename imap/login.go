package imap

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailstead/account"
	"mailstead/internal/listen"
	"mailstead/internal/maillog"
)

// startTLS makes TLS the outermost layer. Bytes that came before the handshake
// would be taken for encrypted ones, so a client that sent any is refused.
func (s *session) startTLS() run {
	return func(ctx context.Context) (reply, error) {
		if !s.offersTLS() {
			return reply{}, bad("STARTTLS not offered")
		}
		if s.r.Buffered() > 0 {
			s.reply(s.refuse(bad("command behind STARTTLS")))
			return reply{}, s.bye("command behind STARTTLS")
		}
		s.reply(reply{text: "begin TLS negotiation now"})
		if err := s.w.Flush(); err != nil {
			return reply{}, errBye
		}
		s.r.Release()
		if err := s.conn.StartTLS(ctx, s.srv.startTLS()); err != nil {
			s.log.Debug("starttls", "err", err)
			s.state = loggedOut
			return reply{}, errBye
		}
		return reply{}, errReplied
	}
}

// startTLS is the configuration for STARTTLS, made once so that session
// tickets stay valid between connections.
func (srv *Server) startTLS() *tls.Config {
	srv.once.Do(func() { srv.recording = listen.Recording(srv.TLS) })
	return srv.recording
}

// login is LOGIN with a name and a password.
func (s *session) login() run {
	s.r.SP()
	name := s.r.Astring()
	s.r.SP()
	password := s.r.Astring()
	return func(ctx context.Context) (reply, error) {
		if !s.private() {
			return reply{}, errPrivacy
		}
		return s.password(ctx, "LOGIN", name, password)
	}
}

var errPrivacy = no(imap.ResponseCodePrivacyRequired, "log in under TLS only")

// password checks a name and a password.
func (s *session) password(ctx context.Context, how, name, password string) (reply, error) {
	start := time.Now()
	a, err := s.srv.Accounts.CheckPassword(ctx, account.Login{Name: name, Scope: account.IMAP, Remote: s.remote()}, password)
	return s.proven(how, name, a, start, err)
}

// proven ends an attempt to log in, one way or the other, and records it.
func (s *session) proven(how, name string, a account.Account, start time.Time, err error) (reply, error) {
	rep := reply{kind: imap.StatusResponseTypeOK, text: "logged in by " + how}
	if err != nil {
		rep = s.refuse(err)
	}
	s.srv.record(maillog.Event{
		Time: start, Kind: maillog.Login, CID: s.conn.ID, Account: a.ID, Remote: s.remote(),
		Rcpt: name, Reply: rep.String(), Dur: time.Since(start),
	})
	if err != nil {
		if s.failures++; s.failures >= maxFailures {
			s.reply(rep)
			return reply{}, s.bye("too many failed logins")
		}
		return reply{}, &refusal{rep}
	}
	s.account, s.state = a, authenticated
	s.release = s.srv.Accounts.Hold(a.ID, s.remote(), s.end)
	s.conn.SetPace(0, 0)
	s.log = s.log.With("account", a.ID)
	rep.code = s.capabilityCode()
	return rep, nil
}

// authenticate is AUTHENTICATE with a SASL mechanism and, where the client has
// it, an initial response (RFC 4959).
func (s *session) authenticate() run {
	s.r.SP()
	name := s.r.Word()
	var initial *string
	if s.r.Accept(' ') {
		text := s.r.Atom()
		initial = &text
	}
	return func(ctx context.Context) (reply, error) {
		if !s.private() {
			return reply{}, errPrivacy
		}
		x := &exchange{s: s, initial: initial}
		switch name {
		case "PLAIN":
			return s.plain(ctx, x)
		case "LOGIN":
			return s.loginMechanism(ctx, x)
		case "SCRAM-SHA-256":
			return s.scram(ctx, x, name, nil)
		case "SCRAM-SHA-256-PLUS":
			if b := s.conn.Bindings(); len(b) > 0 {
				return s.scram(ctx, x, name, b)
			}
		}
		return reply{}, no(imap.ResponseCodeCannot, "mechanism not offered")
	}
}

// exchange is the dialogue of one AUTHENTICATE.
type exchange struct {
	s       *session
	initial *string // not yet used
}

// ask sends a challenge and gives the client's response.
func (x *exchange) ask(challenge []byte) ([]byte, error) {
	text := ""
	if x.initial != nil && len(challenge) == 0 {
		text = *x.initial
	} else {
		s := x.s
		s.w.Str("+ ")
		s.w.Str(base64.StdEncoding.EncodeToString(challenge))
		s.w.CRLF()
		if err := s.w.Flush(); err != nil {
			return nil, err
		}
		line, err := s.r.NextLine(loginBudget)
		if err != nil {
			return nil, err
		}
		if text = string(line); text == "*" {
			return nil, bad("authentication cancelled")
		}
	}
	x.initial = nil
	if text == "=" { // RFC 4959, 3 has it for an initial response; some clients for any
		text = ""
	}
	response, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, bad("response is not base64")
	}
	return response, nil
}

// plain is RFC 4616. Acting for somebody else is not supported.
func (s *session) plain(ctx context.Context, x *exchange) (reply, error) {
	response, err := x.ask(nil)
	if err != nil {
		return reply{}, err
	}
	fields := bytes.Split(response, []byte{0})
	if len(fields) != 3 {
		return reply{}, bad("PLAIN needs three fields")
	}
	if len(fields[0]) > 0 && !bytes.EqualFold(fields[0], fields[1]) {
		return reply{}, no(imap.ResponseCodeAuthorizationFailed, "cannot act for somebody else")
	}
	return s.password(ctx, "PLAIN", string(fields[1]), string(fields[2]))
}

// loginMechanism is the obsolete LOGIN, kept for the clients that know nothing
// better.
func (s *session) loginMechanism(ctx context.Context, x *exchange) (reply, error) {
	prompt := []byte("Username:")
	if x.initial != nil {
		prompt = nil
	}
	name, err := x.ask(prompt)
	if err != nil {
		return reply{}, err
	}
	password, err := x.ask([]byte("Password:"))
	if err != nil {
		return reply{}, err
	}
	return s.password(ctx, "LOGIN", string(name), string(password))
}

// scram is RFC 5802 with SHA-256 (RFC 7677). bindings is nil for the mechanism
// without PLUS when the client may not bind.
func (s *session) scram(ctx context.Context, x *exchange, how string, bindings map[string][]byte) (reply, error) {
	start := time.Now()
	login := account.Login{Scope: account.IMAP, Remote: s.remote()}
	if bindings == nil {
		// A client that could bind but saw no PLUS says so, and is right to
		// refuse when we did offer it: the exchange must know.
		bindings = s.conn.Bindings()
	}
	scram := s.srv.Accounts.SCRAM(ctx, login, bindings)
	response, err := x.ask(nil)
	if err == nil && bytes.HasPrefix(response, []byte("p=")) != strings.HasSuffix(how, "-PLUS") {
		return reply{}, bad("the channel binding does not fit the mechanism") // RFC 5802, 6
	}
	for err == nil {
		var challenge []byte
		var done bool
		if challenge, done, err = scram.Next(response); err != nil {
			return s.proven(how, scram.Name(), account.Account{}, start, err)
		}
		if response, err = x.ask(challenge); err == nil && done {
			return s.proven(how, scram.Name(), scram.Account(), start, nil)
		}
	}
	return reply{}, err
}

// errReplied is the result of a command that wrote its own tagged response.
var errReplied = errors.New("replied")
