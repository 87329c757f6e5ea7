package smtp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/dialog"
	"mailstead/internal/listen"
	"mailstead/message"
)

// kept is what the test door accepted.
type kept struct {
	From string
	To   []string
	Body string
}

// door is a Backend that keeps messages in memory. Its recipients: unknown@
// is refused, broken@ is an error of ours, others are taken.
type door struct {
	auth bool

	mu     sync.Mutex
	kept   []kept
	opened int // transactions
	closed int
}

func (d *door) NewSession(ctx context.Context, p *Peer) (Session, Reply, error) {
	s := &doorSession{d: d, p: p}
	if d.auth {
		return authSession{s}, Reply{}, nil
	}
	return s, Reply{}, nil
}

func (d *door) messages() []kept {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]kept(nil), d.kept...)
}

type doorSession struct {
	d *door
	p *Peer
}

func (s *doorSession) Hello(context.Context) (Reply, error) { return Reply{}, nil }
func (s *doorSession) Close()                               {}

func (s *doorSession) Mail(ctx context.Context, m Mail) (Transaction, Reply, error) {
	if m.Envelope.ReversePath.Local == "broken" {
		return nil, Reply{}, errors.New("secret text of an error")
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.d.opened++
	return &doorTransaction{d: s.d, k: kept{From: m.Envelope.ReversePath.String()}}, Reply{}, nil
}

type doorTransaction struct {
	d *door
	k kept
}

func (t *doorTransaction) Recipient(ctx context.Context, r message.Recipient) (Reply, error) {
	switch r.Address.Local {
	case "unknown":
		return Reply{550, "5.1.1", "no such address"}, nil
	case "broken":
		return Reply{}, errors.New("secret text of an error")
	}
	t.k.To = append(t.k.To, r.Address.String())
	return Reply{}, nil
}

func (t *doorTransaction) Data(ctx context.Context, r io.Reader) (Reply, error) {
	switch t.k.From {
	case "hasty@example.org":
		return OK, nil
	case "picky@example.org":
		return Reply{550, "5.7.1", "not this"}, nil
	case "panic@example.org":
		panic("boom")
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return Reply{}, err
	}
	t.k.Body = string(b)
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	t.d.kept = append(t.d.kept, t.k)
	return OK.With("kept"), nil
}

func (t *doorTransaction) Close() {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	t.d.closed++
}

// authSession knows alice with the password "secret".
type authSession struct{ *doorSession }

func (s authSession) Password(ctx context.Context, name, password string) (Reply, error) {
	if name == "alice" && password == "secret" {
		return Reply{}, nil
	}
	return BadCredentials, nil
}

func (s authSession) SCRAM(ctx context.Context, bindings map[string][]byte) Exchange {
	return &threeSteps{}
}

// threeSteps stands for an exchange: it wants "n,,one" or "p=x,,one", then
// "two", and gives a last challenge.
type threeSteps struct{ step int }

func (x *threeSteps) Next(response []byte) ([]byte, bool, Reply, error) {
	x.step++
	switch {
	case x.step == 1 && bytes.HasSuffix(response, []byte(",,one")):
		return []byte("challenge"), false, Reply{}, nil
	case x.step == 2 && string(response) == "two":
		return []byte("v=signature"), true, Reply{}, nil
	}
	return nil, false, BadCredentials, nil
}

func certificate(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return listen.Recording(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
}

// serve runs srv behind a pipe for each connection. The group is done when the
// sessions are over.
func serve(t testing.TB, srv *Server) (*dialog.Runner, *sync.WaitGroup) {
	t.Helper()
	if srv.Log == nil {
		srv.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	wg := new(sync.WaitGroup)
	t.Cleanup(func() { cancel(); wg.Wait() })
	return &dialog.Runner{Dial: func(string) (net.Conn, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		server, err := l.Accept()
		if err != nil {
			return nil, err
		}
		wg.Go(func() {
			defer server.Close()
			srv.ServeConn(ctx, listen.NewConn(server))
		})
		return client, nil
	}}, wg
}

// talk runs one dialog against a strict server and tells what was kept.
func talk(t *testing.T, srv *Server, script string) []kept {
	t.Helper()
	d, _ := srv.Backend.(*door)
	if d == nil {
		d = &door{}
		srv.Backend = d
	}
	r, sessions := serve(t, srv)
	r.Run(t, script)
	sessions.Wait()
	if d.opened != d.closed {
		t.Errorf("%d transactions opened, %d closed", d.opened, d.closed)
	}
	return d.messages()
}

const greet = "S: 220 ...\nC: EHLO client.example\nS* 250 LIMITS ...\n"
const begin = greet + "C: MAIL FROM:<a@example.org>\nS: 250 2.1.0 ...\nC: RCPT TO:<b@example.org>\nS: 250 2.1.5 ...\n"
const end = "C: QUIT\nS: 221 2.0.0 ...\nEOF\n"

func one(body string) []kept {
	return []kept{{From: "a@example.org", To: []string{"b@example.org"}, Body: body}}
}

func TestDialogs(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		want         []kept
	}{
		{"whole", begin + "C: DATA\nS: 354 ...\nC: Subject: x\nC: \nC: ..dot\nC: .\nS: 250 2.0.0 kept\n" + end,
			one("Subject: x\r\n\r\n.dot\r\n")},
		{"pipelined", greet + `C| "MAIL FROM:<a@example.org> SIZE=10\r\nRCPT TO:<unknown@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"` +
			"\nS: 250 2.1.0 ...\nS: 550 5.1.1 ...\nS: 250 2.1.5 ...\nS: 354 ...\n" + `C| "x\r\n.\r\nNOOP\r\n"` + "\nS: 250 2.0.0 kept\nS: 250 2.0.0 OK\n" + end,
			one("x\r\n")},
		{"empty message", begin + "C: DATA\nS: 354 ...\nC: .\nS: 250 ...\n" + end, one("")},
		{"chunks", begin + `C| "BDAT 3\r\na\r\n"` + "\nS: 250 2.0.0 3 octets received\nC: NOOP\nS: 250 ...\nC: DATA\nS: 503 ...\n" +
			`C| "BDAT 4 LAST\r\n.b\r\n"` + "\nS: 250 2.0.0 kept\n" + end, one("a\r\n.b\r\n")},
		{"pipelined chunks", begin + `C| "BDAT 1\r\naBDAT 1\r\nbBDAT 0 LAST\r\nNOOP\r\n"` +
			"\nS: 250 ... 1 octets received\nS: 250 ... 1 octets received\nS: 250 2.0.0 kept\nS: 250 2.0.0 OK\n" + end, one("ab")},
		{"chunks reset", begin + `C| "BDAT 1\r\naRSET\r\nBDAT 1 LAST\r\nb"` +
			"\nS: 250 ... octets received\nS: 250 2.0.0 flushed\nS: 503 ... MAIL first\n" + end, nil},
		{"chunks without recipient", greet + `C| "MAIL FROM:<a@example.org>\r\nBDAT 4 LAST\r\nQUITNOOP\r\n"` +
			"\nS: 250 ...\nS: 554 5.5.1 ...\nS: 250 2.0.0 OK\n" + end, nil},
		{"no recipient", greet + "C: MAIL FROM:<>\nS: 250 ...\nC: RCPT TO:<unknown@example.org>\nS: 550 ...\nC: DATA\nS: 554 5.5.1 ...\nC: MAIL FROM:<>\nS: 250 ...\n" + end, nil},
		{"another recipient after a refused DATA", greet + "C: MAIL FROM:<>\nS: 250 ...\nC: RCPT TO:<unknown@example.org>\nS: 550 ...\nC: DATA\nS: 554 5.5.1 ...\nC: RCPT TO:<b@example.org>\nS: 250 ...\nC: MAIL FROM:<>\nS: 503 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 ...\n" + end,
			[]kept{{From: "", To: []string{"b@example.org"}}}},
		{"null reverse-path", greet + "C: MAIL FROM:<>\nS: 250 ...\nC: RCPT TO:<b@example.org>\nS: 250 ...\nC: DATA\nS: 354 ...\nC: .\nS: 250 ...\n" + end,
			[]kept{{From: "", To: []string{"b@example.org"}}}},
		{"sequence", "S: 220 ...\nC: MAIL FROM:<a@example.org>\nS: 503 5.5.1 say EHLO first\nC: EHLO x\nS* 250 LIMITS ...\nC: RCPT TO:<a@example.org>\nS: 503 5.5.1 MAIL first\nC: DATA\nS: 503 5.5.1 MAIL first\n" + end, nil},
		{"extensions", "S: 220 mx.example ESMTP Mailstead\nC: EHLO x\nS: 250-mx.example greets you\nS: 250-PIPELINING\nS: 250-SIZE 52428800\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250-CHUNKING\nS: 250-ENHANCEDSTATUSCODES\nS: 250 LIMITS MAILMAX=10000 RCPTMAX=1000\nC: HELO x\nS: 250 mx.example\n" + end, nil},
		{"small commands", "S: 220 ...\nC: noop anything\nS: 250 2.0.0 OK\nC: HELP\nS: 214-2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP\nS: 214 2.0.0 ...\nC: VRFY a\nS: 252 2.1.5 ...\nC: EXPN a\nS: 502 5.5.1 ...\nC: FROB\nS: 500 5.5.1 ...\nC: STARTTLS\nS: 503 ...\nC: QUIT now\nS: 501 ...\n" + end, nil},
		{"parameters", greet + "C: MAIL FROM:<a@example.org> FOO=1\nS: 555 5.5.4 ...\nC: MAIL FROM:<a@example.org> SIZE=x\nS: 501 5.5.4 ...\nC: MAIL FROM:<a@example.org> BODY=BINARYMIME\nS: 501 5.5.4 ...\nC: MAIL FROM:<a@example.org> SIZE=99999999999\nS: 552 5.3.4 ...\n" +
			"C: MAIL FROM:<a@example.org> RET=HDRS\nS: 555 5.5.4 ...\nC: MAIL FROM: <@x,@y:a@example.org> size=5 body=8bitmime AUTH=<>\nS: 250 ...\nC: RCPT TO:<b@example.org> NOTIFY=NEVER\nS: 555 ...\n" + end, nil},
		{"bad addresses", greet + "C: MAIL FROM:a@example.org\nS: 501 5.1.7 ...\nC: MAIL FROM:<postmaster>\nS: 501 5.1.7 ...\nC: MAIL FROM:<a@@example.org>\nS: 501 5.1.7 ...\nC: MAIL FROM:<\"a>b\"@example.org>\nS: 250 ...\nC: RCPT TO:<>\nS: 501 5.1.3 ...\nC: RCPT TO:<b>\nS: 501 5.1.3 ...\n" + end, nil},
		{"long command", greet + "C: NOOP " + strings.Repeat("x", 5000) + "\nS: 500 5.5.2 line too long\nC: NOOP\nS: 250 ...\n" + end, nil},
		{"control characters", greet + `C| "NOOP a\x00b\r\n"` + "\nS: 500 5.5.2 ...\n" + `C| "NOOP a\rb\r\n"` + "\nS: 500 5.5.2 ...\n" + end, nil},
		{"web browser", "S: 220 ...\nC: GET / HTTP/1.1\nS: 421 4.7.0 ...\nEOF\n", nil},
		{"early refusal is told at the end", strings.Replace(begin, "a@", "picky@", 1) + "C: DATA\nS: 354 ...\nC: x\nC: .\nS: 550 5.7.1 not this\n" + end, nil},
		{"lines after a refused DATA are not run", greet + `C| "DATA\r\nMAIL FROM:<a@example.org>\r\n"` + "\nS: 421 4.5.1 ...\nEOF\n", nil},
		{"size of chunk not understood", begin + `C| "BDAT x LAST\r\nMAIL"` + "\nS: 421 4.5.4 ...\nEOF\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := talk(t, &Server{Hostname: "mx.example", Strict: true, TLS: nil, Backend: &door{}}, tt.script)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDSNParameters(t *testing.T) {
	talk(t, &Server{DSN: true}, "S: 220 ...\nC: EHLO x\nS* 250 DSN\n"+
		"C: MAIL FROM:<a@example.org> RET=BOTH\nS: 501 ...\nC: MAIL FROM:<a@example.org> ENVID=a+2\nS: 501 ...\nC: MAIL FROM:<a@example.org> RET=hdrs ENVID=a+2Bb\nS: 250 ...\n"+
		"C: RCPT TO:<b@example.org> NOTIFY=NEVER,DELAY\nS: 501 ...\nC: RCPT TO:<b@example.org> ORCPT=b@example.org\nS: 501 ...\nC: RCPT TO:<b@example.org> NOTIFY=success,FAILURE ORCPT=rfc822;b@example.org\nS: 250 ...\n"+end)
}

func TestAuth(t *testing.T) {
	b64 := func(s string) string { return b64String(s) }
	tlsGreet := "S: 220 ...\nC: EHLO x\nS* 250 STARTTLS\nC: AUTH PLAIN\nS: 538 5.7.11 ...\nC: MAIL FROM:<a@example.org>\nS: 530 5.7.0 issue STARTTLS first\nC: STARTTLS\nS: 220 2.0.0 ...\nTLS\nC: NOOP\nS: 250 ...\nC: MAIL FROM:<a@example.org>\nS: 503 ...\nC: EHLO x\nS* 250 AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\nC: MAIL FROM:<a@example.org>\nS: 530 5.7.0 authentication required\n"
	for _, tt := range []struct{ name, script string }{
		{"plain", "C: AUTH PLAIN " + b64("\x00alice\x00secret") + "\nS: 235 2.7.0 ...\nC: AUTH PLAIN\nS: 503 ...\nC: MAIL FROM:<a@example.org>\nS: 250 ...\n"},
		{"plain without initial response", "C: auth plain\nS: 334 \nC: " + b64("alice\x00alice\x00secret") + "\nS: 235 ...\n"},
		{"plain for another", "C: AUTH PLAIN " + b64("bob\x00alice\x00secret") + "\nS: 535 5.7.8 ...\n"},
		{"login", "C: AUTH LOGIN\nS: 334 " + b64("Username:") + "\nC: " + b64("alice") + "\nS: 334 " + b64("Password:") + "\nC: " + b64("secret") + "\nS: 235 ...\n"},
		{"login with name", "C: AUTH LOGIN " + b64("alice") + "\nS: 334 " + b64("Password:") + "\nC: " + b64("wrong") + "\nS: 535 ...\n"},
		{"scram", "C: AUTH SCRAM-SHA-256 " + b64("n,,one") + "\nS: 334 " + b64("challenge") + "\nC: " + b64("two") + "\nS: 334 " + b64("v=signature") + "\nC: \nS: 235 ...\n"},
		{"scram plus", "C: AUTH SCRAM-SHA-256-PLUS\nS: 334 \nC: " + b64("p=x,,one") + "\nS: 334 " + b64("challenge") + "\nC: " + b64("two") + "\nS: 334 ...\nC: \nS: 235 ...\n"},
		{"binding without plus", "C: AUTH SCRAM-SHA-256 " + b64("p=x,,one") + "\nS: 535 ...\n"},
		{"plus without binding", "C: AUTH SCRAM-SHA-256-PLUS " + b64("n,,one") + "\nS: 535 ...\n"},
		{"cancel", "C: AUTH PLAIN\nS: 334 \nC: *\nS: 501 5.7.0 ...\n"},
		{"base64", "C: AUTH PLAIN !!\nS: 501 5.5.2 ...\nC: AUTH PLAIN\nS: 334 \nC: !!\nS: 501 5.5.2 ...\n"},
		{"empty initial response", "C: AUTH PLAIN =\nS: 501 5.5.4 ...\n"},
		{"unknown mechanism", "C: AUTH CRAM-MD5\nS: 504 5.5.4 ...\n"},
		{"long response", "C: AUTH PLAIN\nS: 334 \nC: " + strings.Repeat("A", 12000) + "\nS: 501 5.5.4 ...\nC: AUTH PLAIN\nS: 334 \nC: " + strings.Repeat("A", 20000) + "\nS: 500 5.5.2 ...\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			talk(t, &Server{TLS: certificate(t), RequireTLS: true, RequireAuth: true, Backend: &door{auth: true}}, tlsGreet+tt.script+end)
		})
	}
}

// canned is a connection whose client said all of its lines at once.
type canned struct {
	net.Conn // never used
	io.Reader
	said bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error)       { return c.Reader.Read(p) }
func (c *canned) Write(p []byte) (int, error)      { return c.said.Write(p) }
func (c *canned) Close() error                     { return nil }
func (c *canned) RemoteAddr() net.Addr             { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// FuzzSession holds that whatever a client says, every line of ours is a reply,
// each transaction is closed once, and what is kept has clean line ends.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		envelope + "DATA\r\n.\r\nQUIT\r\n", envelope + "BDAT 3\r\nabcBDAT 0 LAST\r\n", envelope + "BDAT 3\r\nabcRSET\r\nDATA\r\n",
		envelope + "BDAT 999999999999\r\nx", "AUTH PLAIN\r\n*\r\n", "EHLO x\r\nSTARTTLS\r\nx", "MAIL\r\nRCPT\r\n\x00\r\n\n\n\n",
		envelope + "DATA\r\nx\n.\r\n.\r\nRSET\r\n" + envelope, strings.Repeat("x", 5000) + "\r\nNOOP\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d := &door{auth: true}
		srv := &Server{Backend: d, Strict: true, MaxSize: 1000, Log: slog.New(slog.DiscardHandler)}
		c := &canned{Reader: bytes.NewReader(in)}
		if bytes.Contains(in, []byte("panic@")) {
			return // the test door's own
		}
		srv.ServeConn(t.Context(), listen.NewConn(c))
		if d.opened != d.closed {
			t.Errorf("%d transactions opened, %d closed", d.opened, d.closed)
		}
		for _, k := range d.kept {
			if len(k.To) == 0 || len(k.Body) > 1000 || strings.ContainsAny(strings.ReplaceAll(k.Body, "\r\n", ""), "\r\n") {
				t.Errorf("kept %+v", k)
			}
		}
		for line := range strings.Lines(c.said.String()) {
			if len(line) < 6 || len(line) > 512 || !strings.HasSuffix(line, "\r\n") || line[0] < '2' || line[0] > '5' || line[3] != ' ' && line[3] != '-' {
				t.Errorf("said %q", line)
			}
		}
	})
}
