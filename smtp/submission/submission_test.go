package submission

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/account"
	"mailstead/internal/dialog"
	"mailstead/internal/listen"
	"mailstead/internal/maillog"
	"mailstead/internal/office"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// certificate makes a self-signed configuration.
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
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// open serves submission of an office, under TLS from the start or not.
func open(t testing.TB, implicit bool, change func(*Options)) (*office.Office, *dialog.Runner) {
	t.Helper()
	o := office.Open(t)
	o.SetPasswords()
	cfg := certificate(t)
	opt := Options{
		Hostname: office.Hostname, TLS: cfg, Accounts: o.Accounts, Mailboxes: o.Mailboxes, Agent: o.Agent,
		Events: o.Events, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&opt)
	}
	s := &listen.Server{Name: "submission", Handler: New(opt), Log: opt.Log}
	dial := net.Dial
	if implicit {
		s.TLS = cfg
		dial = func(network, addr string) (net.Conn, error) {
			return tls.Dial(network, addr, &tls.Config{InsecureSkipVerify: true})
		}
	}
	addr := o.Serve(s)
	return o, &dialog.Runner{Dial: func(string) (net.Conn, error) { return dial("tcp", addr) }}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func loginAs(name string) string {
	return "S: 220 ...\nC: EHLO [192.0.2.7]\nS* 250 AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\nC: AUTH PLAIN " +
		b64("\x00"+name+"@example.org\x00secret "+name) + "\nS: 235 2.7.0 ...\n"
}

const from = "C: MAIL FROM:<alice@example.org>\nS: 250 ...\n"

func to(reply string, recipients ...string) string {
	var b strings.Builder
	for _, r := range recipients {
		b.WriteString("C: RCPT TO:<" + r + ">\nS: " + reply + "\n")
	}
	return b.String()
}

func data(reply string, lines ...string) string {
	return "C: DATA\nS: 354 ...\nC: " + strings.Join(lines, "\nC: ") + "\nC: .\nS: " + reply + "\n"
}

var stamp = regexp.MustCompile(`\r\n\t\w{3}, [^\r]*`)

func TestHereAndElsewhereInOneCommit(t *testing.T) {
	o, r := open(t, true, nil)
	vars := r.Run(t, loginAs("alice")+from+to("250 ...", "bob@example.org", "x@example.com", "y@example.net")+
		data("250 2.0.0 <mid>", "From: Alice <alice@example.org>", "Date: Mon, 2 Mar 2026 10:00:00 +0000", "Message-ID: <1@example.org>", "", "text"))
	mail := o.Mail("bob", "INBOX")
	want := "Return-Path: <alice@example.org>\r\nDelivered-To: bob@example.org\r\nReceived: by mx.example.org with ESMTPSA id " + vars["mid"] + "; DATE\r\n" +
		"From: Alice <alice@example.org>\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\ntext\r\n"
	if diff := cmp.Diff([]string{want}, []string{stamp.ReplaceAllString(strings.Join(mail, ""), " DATE")}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"x@example.com", "y@example.net"}, o.Queued()); diff != "" {
		t.Error(diff)
	}
	if e := o.Events.Kind(maillog.Submitted); len(e) != 1 || e[0].MID != vars["mid"] || e[0].Account != o.People["alice"].ID || !e[0].Remote.IsLoopback() {
		t.Errorf("%+v", e)
	}
	if got := len(o.Events.Kind(maillog.Queued)); got != 2 {
		t.Errorf("%d queued", got)
	}
}

func TestSTARTTLSFirst(t *testing.T) {
	_, r := open(t, false, nil)
	r.Run(t, "S: 220 ...\nC: EHLO x\nS* 250 STARTTLS\nC: MAIL FROM:<alice@example.org>\nS: 530 5.7.0 ...\nC: AUTH PLAIN AAAA\nS: 538 5.7.11 ...\nC: STARTTLS\nS: 220 ...\nTLS\n"+
		"C: EHLO x\nS* 250 AUTH ...\nC: MAIL FROM:<alice@example.org>\nS: 530 5.7.0 ...\nC: AUTH LOGIN\nS: 334 ...\nC: "+b64("alice")+"\nS: 334 ...\nC: "+b64("secret alice")+"\nS: 235 ...\n"+from)
}

func TestLogins(t *testing.T) {
	o, r := open(t, true, nil)
	o.Update(func(tx *sqlite.Tx) error { return o.Accounts.SetDisabled(tx, o.People["carol"].ID, true) })
	hello := "S: 220 ...\nC: EHLO x\nS* 250 AUTH ...\n"
	r.Run(t, hello+"C: AUTH PLAIN "+b64("\x00alice@example.org\x00wrong")+"\nS: 535 5.7.8 ...\nC: AUTH PLAIN "+b64("\x00nobody@example.org\x00wrong")+"\nS: 535 5.7.8 ...\n"+
		"C: AUTH PLAIN "+b64("\x00carol@example.org\x00secret carol")+"\nS: 535 5.7.13 ...\nC: AUTH PLAIN "+b64("\x00alice@example.org\x00secret alice")+"\nS: 235 ...\n")
	var replies []string
	for _, e := range o.Events.Kind(maillog.Login) {
		replies = append(replies, e.Rcpt+" "+e.Reply[:3])
	}
	if diff := cmp.Diff([]string{"alice@example.org 535", "nobody@example.org 535", "carol@example.org 535", "alice@example.org 235"}, replies); diff != "" {
		t.Error(diff)
	}
}

func TestWhoMaySendAsWhom(t *testing.T) {
	o, r := open(t, true, nil)
	mine := "From: alice@example.org"
	r.Run(t, loginAs("alice")+
		"C: MAIL FROM:<bob@example.org>\nS: 553 5.7.1 your account may not send as bob@example.org\n"+
		"C: MAIL FROM:<alice@example.com>\nS: 553 5.7.1 ...\n"+
		"C: MAIL FROM:<alice+x@example.org>\nS: 250 ...\nC: RSET\nS: 250 ...\n"+
		"C: MAIL FROM:<team@example.org>\nS: 250 ...\nC: RSET\nS: 250 ...\n"+
		from+to("250 ...", "bob@example.org")+data("550 5.7.1 your account may not write as bob@example.org, which is in From", "From: bob@example.org", "", "x")+
		from+to("250 ...", "bob@example.org")+data("550 5.7.1 ...", "From: alice@example.org, bob@example.org", "", "x")+
		from+to("250 ...", "bob@example.org")+data("550 5.6.0 ...", mine, mine, "", "x")+
		from+to("250 ...", "bob@example.org")+data("550 5.6.0 ...", "Subject: nobody", "", "x")+
		from+to("250 ...", "bob@example.org")+data("550 5.6.0 ...", "From: undisclosed:;", "", "x")+
		from+to("250 ...", "bob@example.org")+data("250 2.0.0 ...", "From: Team <team@example.org>", "", "x")+
		"C: MAIL FROM:<>\nS: 250 ...\n"+to("250 ...", "bob@example.org")+data("250 2.0.0 ...", mine, "", "disposition"))
	if n := len(o.Mail("bob", "INBOX")); n != 2 {
		t.Errorf("bob has %d", n)
	}
	if n := len(o.Events.Kind(maillog.Refused)); n != 7 {
		t.Errorf("%d refusals recorded", n)
	}
}

func TestRecipients(t *testing.T) {
	o, r := open(t, true, func(opt *Options) { opt.Rate = 1 })
	r.Run(t, loginAs("alice")+from+to("550 5.1.1 ...", "nobody@example.org")+to("250 ...", "postmaster", "mailer-daemon@mx.example.org", "team@example.org", "a@example.com", "b@example.com")+
		to("450 4.7.0 ...", "c@example.com")+to("250 ...", "bob@example.org")+data("250 ...", "From: alice@example.org", "", "x"))
	if diff := cmp.Diff([]string{"a@example.com", "b@example.com"}, o.Queued()); diff != "" {
		t.Error(diff)
	}
	if a, b := len(o.Mail("alice", "INBOX")), len(o.Mail("bob", "INBOX")); a != 1 || b != 1 {
		t.Errorf("alice has %d, bob %d", a, b)
	}
}

func TestDisabledAccountEndsItsSession(t *testing.T) {
	o, r := open(t, true, nil)
	c, err := r.Dial("")
	if err != nil {
		t.Fatal(err)
	}
	r.Dial = func(string) (net.Conn, error) { return keepOpen{c}, nil }
	r.Run(t, loginAs("bob")+strings.ReplaceAll(from, "alice", "bob"))
	o.Update(func(tx *sqlite.Tx) error { return o.Accounts.SetDisabled(tx, o.People["bob"].ID, true) })
	r.Dial = func(string) (net.Conn, error) { return c, nil }
	r.Run(t, "C: RCPT TO:<carol@example.org>\nS: 421 4.7.0 ...\nEOF\n")
}

// keepOpen outlives a script.
type keepOpen struct{ net.Conn }

func (keepOpen) Close() error { return nil }

func TestSuccessDSNGoesThroughTheQueue(t *testing.T) {
	o, r := open(t, true, nil)
	r.Run(t, loginAs("alice")+from+"C: RCPT TO:<bob@example.org> NOTIFY=SUCCESS\nS: 250 ...\n"+data("250 ...", "From: alice@example.org", "", "x"))
	if diff := cmp.Diff([]string{"bob@example.org"}, o.Queued()); diff != "" {
		t.Fatal(diff)
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- o.Queue.Run(ctx) }()
	for deadline := time.Now().Add(30 * time.Second); len(o.Mail("alice", "INBOX")) == 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if n := len(o.Mail("bob", "INBOX")); n != 1 {
		t.Errorf("bob has %d", n)
	}
	report := o.Mail("alice", "INBOX")
	if len(report) != 1 || !strings.Contains(report[0], "Action: delivered") || !strings.HasPrefix(report[0], "Return-Path: <>\r\n") {
		t.Errorf("alice has %q", report)
	}
	if n := len(o.Events.Kind(maillog.Delivered)); n != 2 {
		t.Errorf("%d deliveries recorded", n)
	}
}

func TestSCRAMWithChannelBinding(t *testing.T) {
	for _, binding := range []string{"tls-exporter", "tls-server-end-point", ""} {
		t.Run(binding, func(t *testing.T) {
			o, r := open(t, true, nil)
			secret, err := o.Accounts.NewAppSecret(t.Context(), o.People["alice"].ID)
			if err != nil {
				t.Fatal(err)
			}
			o.Update(func(tx *sqlite.Tx) error {
				_, err := o.Accounts.AddAppPassword(tx, o.People["alice"].ID, "laptop", account.SMTP, secret)
				return err
			})
			nc, err := r.Dial("")
			if err != nil {
				t.Fatal(err)
			}
			mechanism, gs2 := "SCRAM-SHA-256", "n,,"
			var bound []byte
			st := nc.(*tls.Conn).ConnectionState()
			switch binding {
			case "tls-exporter":
				bound, err = st.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
			case "tls-server-end-point":
				sum := sha256.Sum256(st.PeerCertificates[0].Raw)
				bound = sum[:]
			}
			if err != nil {
				t.Fatal(err)
			}
			if binding != "" {
				mechanism, gs2 = mechanism+"-PLUS", "p="+binding+",,"
			}
			r.Dial = func(string) (net.Conn, error) { return keepOpen{nc}, nil }
			first := "n=alice@example.org,r=abc"
			vars := r.Run(t, "S: 220 ...\nC: EHLO x\nS* 250 AUTH ...\nC: AUTH "+mechanism+" "+b64(gs2+first)+"\nS: 334 <challenge>\n")
			final, signature := scramFinal(t, first, unb64(t, vars["challenge"]), gs2, bound, secret.Text)
			r.Run(t, "C: "+b64(final)+"\nS: 334 "+b64("v="+signature)+"\nC: \nS: 235 2.7.0 ...\n"+from)
		})
	}
}

func unb64(t *testing.T, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// scramFinal is the client's side of RFC 5802, 3.
func scramFinal(t *testing.T, first, challenge, gs2 string, bound []byte, password string) (final, signature string) {
	t.Helper()
	attr := make(map[byte]string)
	for _, a := range strings.Split(challenge, ",") {
		attr[a[0]] = a[2:]
	}
	n, err := strconv.Atoi(attr['i'])
	if err != nil {
		t.Fatal(err)
	}
	salted, err := pbkdf2.Key(sha256.New, password, []byte(unb64(t, attr['s'])), n, 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, text)
		return h.Sum(nil)
	}
	client := mac(salted, "Client Key")
	stored := sha256.Sum256(client)
	without := "c=" + base64.StdEncoding.EncodeToString(append([]byte(gs2), bound...)) + ",r=" + attr['r']
	all := first + "," + challenge + "," + without
	for i, b := range mac(stored[:], all) {
		client[i] ^= b
	}
	return without + ",p=" + base64.StdEncoding.EncodeToString(client), base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), all))
}

func TestEdits(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	const whole = "Date: x\r\nMessage-ID: <1@x>\r\n"
	for _, tt := range []struct{ name, in, want string }{
		{"nothing to do", whole + "\r\nbody", whole + "\r\nbody"},
		{"hidden recipients", "BCC: a@x,\r\n b@x\r\n" + whole + "Resent-Bcc: c@x\r\n\r\n", whole + "\r\n"},
		{"return path", "Return-Path: <a@x>\r\n" + whole + "\r\n", whole + "\r\n"},
		{"forged results", "Authentication-Results: MX.example.org; dkim=pass\r\nAuthentication-Results: other; none\r\n" + whole + "\r\n", "Authentication-Results: other; none\r\n" + whole + "\r\n"},
		{"added", "A: b\r\n\r\n", "A: b\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <ID@mx.example.org>\r\n\r\n"},
		{"mbox line", "From a Mon\n" + whole + "\r\n", whole + "\r\n"},
		{"no empty line", whole + "no field\r\n\r\nbody", whole + "\r\nno field\r\n\r\nbody"},
		{"no header", "\r\nbody", "Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <ID@mx.example.org>\r\n\r\nbody"},
		{"folded first", " x\r\n\r\n", "Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <ID@mx.example.org>\r\n\r\n x\r\n\r\n"},
		{"line ends", "Date: x\nMessage-ID: <1@x>\n\na\rb\n", whole + "\r\na\r\nb\r\n"},
		{"header alone", "Date: x\r\nMessage-ID: <1@x>", whole + "\r\n"},
		{"nothing", "", "Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <ID@mx.example.org>\r\n\r\n"},
		{"long line", "Subject: " + strings.Repeat("x", 9000) + "\r\n" + whole + "\r\n", "Subject: " + strings.Repeat("x", 9000) + "\r\n" + whole + "\r\n"},
	} {
		for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
			h, body, err := readHeader(message.NormalizeLineEnds(r))
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			got, err := io.ReadAll(edited(h, body, "mx.example.org", now))
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			got = regexp.MustCompile(`<[a-z0-9]+@mx`).ReplaceAll(got, []byte("<ID@mx"))
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
		}
	}
}

func TestHeaderIsBounded(t *testing.T) {
	for _, line := range []string{strings.Repeat("x", 300<<10), strings.Repeat("A: b\r\n", 60<<10)} {
		if _, _, err := readHeader(strings.NewReader("Subject: " + line)); !errors.Is(err, errBigHeader) {
			t.Errorf("%v", err)
		}
	}
	failed := fmt.Errorf("cut")
	if _, _, err := readHeader(io.MultiReader(strings.NewReader("A: b"), iotest.ErrReader(failed))); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
}

// FuzzEdits holds that hidden recipients never get through and the body stays.
func FuzzEdits(f *testing.F) {
	f.Add("A: b\r\nBcc: hidden@example.com\r\n\r\nbody")
	f.Add("bcc\t: a\r\n\r\n")
	f.Add("\r\n")
	f.Add("From x\r\n y\r\nBcc: z\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		h, body, err := readHeader(message.NormalizeLineEnds(strings.NewReader(in)))
		if err != nil {
			return
		}
		got, err := io.ReadAll(edited(h, body, "mx.example.org", time.Time{}))
		if err != nil {
			t.Fatal(err)
		}
		out := message.ParseHeader(got)
		if out.Has("Bcc") || out.Has("Return-Path") || !out.Has("Date") || !out.Has("Message-ID") {
			t.Fatalf("%q became %q", in, got)
		}
		if !bytes.Contains(got, []byte("\r\n\r\n")) {
			t.Fatalf("%q has no end of header: %q", in, got)
		}
	})
}
