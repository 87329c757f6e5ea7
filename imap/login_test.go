package imap

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/google/go-cmp/cmp"

	"mailstead/internal/dialog"
	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
)

func TestSTARTTLS(t *testing.T) {
	p := newPlace(t)
	r := dialog.Addr(p.plain)
	r.Vars = map[string]string{"password": p.password}
	r.Run(t, `
		S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 STARTTLS LOGINDISABLED SASL-IR ...] ...
		C: a LOGIN alice@example.org ${password}
		S: a NO [PRIVACYREQUIRED] ...
		C: b AUTHENTICATE PLAIN AGEAYg==
		S: b NO [PRIVACYREQUIRED] ...
		C: c STARTTLS
		S: c OK ...
		TLS
		C: d CAPABILITY
		S: * CAPABILITY IMAP4rev1 IMAP4rev2 AUTH=PLAIN ...
		S: d OK ...
		C: e STARTTLS
		S: e BAD ...
		C: f LOGIN alice@example.org ${password}
		S: f OK ...
		C: g LOGOUT
		S: * BYE ...
		S: g OK ...
	`)
}

// A command that comes in one packet with STARTTLS was not sent under TLS.
func TestCommandBehindSTARTTLS(t *testing.T) {
	p := newPlace(t)
	dialog.Addr(p.plain).Run(t, `
		S: * OK ...
		C| "a STARTTLS\r\nb NOOP\r\n"
		S: a BAD ...
		S: * BYE ...
		EOF
	`)
}

func TestAuthenticate(t *testing.T) {
	p := newPlace(t)
	p.run(`
		S: * OK ...
		C: a AUTHENTICATE PLAIN
		S: + 
		C: *
		S: a BAD ...
		C: b AUTHENTICATE PLAIN
		S: + 
		C: !!!
		S: b BAD ...
		C: c AUTHENTICATE EXTERNAL =
		S: c NO ...
		C: d AUTHENTICATE LOGIN
		S: + VXNlcm5hbWU6
		C: YWxpY2VAZXhhbXBsZS5vcmc=
		S: + UGFzc3dvcmQ6
		C: d3Jvbmc=
		S: d NO [AUTHENTICATIONFAILED] ...
		C: e AUTHENTICATE PLAIN AGEAYg==
		S: e NO [AUTHENTICATIONFAILED] ...
		C: f AUTHENTICATE PLAIN eABhAGI=
		S: f NO [AUTHORIZATIONFAILED] ...
	`)
	for _, m := range []sasl.Client{
		sasl.NewPlainClient("", "alice@example.org", p.password),
		sasl.NewLoginClient("alice@example.org", p.password),
	} {
		nc, err := p.dialTLS()
		p.must(err)
		c := imapclient.New(nc, nil)
		p.must(c.Authenticate(m))
		p.must(c.Noop().Wait())
		c.Close()
	}
}

// Every login leaves one event; a refused one has no account.
func TestLoginEvents(t *testing.T) {
	var events events
	p := newPlace(t, func(s *Server) { s.Events = &events })
	p.run(`
		S: * OK ...
		C: a LOGIN alice@example.org wrong
		S: a NO ...
		C: b LOGIN alice@example.org ${password}
		S: b OK ...
		C| "c APPEND Sent {14+}\r\nSubject: c\r\n\r\n\r\n"
		S: c OK ...
	`)
	type short struct {
		kind, rcpt, reply, mailbox string
		known                      bool
	}
	var got []short
	for _, e := range events.list() {
		got = append(got, short{e.Kind, e.Rcpt, e.Reply, e.Mailbox, e.Account != 0})
	}
	want := []short{
		{maillog.Login, "alice@example.org", "NO [AUTHENTICATIONFAILED] wrong name or password", "", false},
		{maillog.Login, "alice@example.org", "OK logged in by LOGIN", "", true},
		{maillog.Appended, "", "", "Sent", true},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(short{})); d != "" {
		t.Error(d)
	}
}

// events is a sink that remembers.
type events struct {
	mu  sync.Mutex
	all []maillog.Event
}

func (s *events) Record(e maillog.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, e)
}

func (s *events) list() []maillog.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

func TestTooManyFailedLogins(t *testing.T) {
	p := newPlace(t)
	var b strings.Builder
	b.WriteString("S: * OK ...\n")
	for range maxFailures {
		b.WriteString("C: a LOGIN nobody@example.net wrong\nS: a NO ...\n")
	}
	p.run(b.String() + "S: * BYE ...\nEOF\n")
}

func TestTooMuchNonsense(t *testing.T) {
	p := newPlace(t)
	p.run("S: * OK ...\n" + strings.Repeat("C: a GET /\nS: a BAD ...\n", maxNonsense) + "S: * BYE ...\nEOF\n")
}

// Bytes of a literal that was refused are never read as a command.
func TestRefusedLiteralIsNoCommand(t *testing.T) {
	p := newPlace(t)
	p.run(`
		S: * OK ...
		C| "a LOGIN {70000+}\r\n"
		S: a NO [TOOBIG] ...
		S: * BYE ...
		EOF
	`)
	p.run(`
		S: * OK ...
		C| "a SELECT {10+}\r\nb LOGOUT\r\n\r\nc NOOP\r\n"
		S: a BAD ...
		S: c OK ...
		C| "d UNKNOWN {10+}\r\ne LOGOUT\r\n {10+}\r\nf LOGOUT\r\n\r\ng NOOP\r\n"
		S: d BAD ...
		S: g OK ...
		C: h LOGIN {99999999}
		S: h NO [TOOBIG] ...
		C: i NOOP
		S: i OK ...
	`)
}

func TestCommandTooLong(t *testing.T) {
	p := newPlace(t)
	p.run("S: * OK ...\nC| \"a LOGIN " + strings.Repeat("x", loginBudget) + "\"\nS: * BYE ...\nEOF\n")
}

func TestPipeline(t *testing.T) {
	p := newPlace(t)
	p.in(`
		C| "a NOOP\r\nb CAPABILITY\r\nc SELECT INBOX\r\nd FETCH 1 FLAGS\r\ne BOGUS\r\nf LOGOUT\r\ng NOOP\r\n"
		S: a OK ...
		S: * CAPABILITY ...
		S: b OK ...
		S* c OK ...
		S: d BAD ...
		S: e BAD ...
		S: * BYE ...
		S: f OK ...
		EOF
	`)
}

func TestShutdownSaysBye(t *testing.T) {
	p := newPlace(t)
	waiting, idling, silent := p.raw(), p.raw(), p.raw()
	waiting.ok("SELECT INBOX")
	idling.ok("SELECT INBOX")
	if _, err := idling.Write([]byte("i IDLE\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := idling.response(); !strings.HasPrefix(got, "+") {
		t.Fatal(got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, d := range p.doors {
		p.must(d.Shutdown(ctx)) // not after its bound
	}
	for _, c := range []*raw{waiting, idling, silent} {
		if got := c.response(); !strings.HasPrefix(got, "* BYE [UNAVAILABLE]") {
			t.Errorf("got %q", got)
		}
	}
}

// A disabled account's sessions end at once.
func TestDisabledAccountEnds(t *testing.T) {
	p := newPlace(t)
	c, idling := p.raw(), p.raw()
	idling.ok("SELECT INBOX")
	idling.Write([]byte("i IDLE\r\n"))
	idling.response()
	p.must(p.db.Update(context.Background(), func(tx *sqlite.Tx) error {
		if _, err := tx.Exec(`UPDATE account SET operator = 0`); err != nil { // the last operator may not be disabled
			return err
		}
		return p.accounts.SetDisabled(tx, p.alice.ID, true)
	}))
	for _, c := range []*raw{c, idling} {
		if got := c.response(); !strings.HasPrefix(got, "* BYE account") {
			t.Errorf("got %q", got)
		}
	}
}
