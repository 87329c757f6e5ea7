package outbound

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"mailstead/internal/world"
)

// backend is a server of another make: go-smtp.
type backend struct {
	mu    sync.Mutex
	mails []string
	utf8  bool
}

func (b *backend) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return &gosession{b: b}, nil }

type gosession struct {
	b  *backend
	to []string
}

func (s *gosession) Reset()        { s.to = nil }
func (s *gosession) Logout() error { return nil }

func (s *gosession) Mail(_ string, opts *gosmtp.MailOptions) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.utf8 = opts.UTF8
	return nil
}

func (s *gosession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if strings.HasPrefix(to, "no") {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "not here"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *gosession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.mails = append(s.b.mails, strings.Join(s.to, ",")+": "+string(b))
	return err
}

// TestServerOfAnotherMake talks to go-smtp over real sockets and TLS.
func TestServerOfAnotherMake(t *testing.T) {
	w, err := world.New(world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cert, err := w.Certificate("mx.remote.test")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := new(backend)
	s := gosmtp.NewServer(b)
	s.Domain, s.EnableSMTPUTF8 = "mx.remote.test", true
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	go s.Serve(l)
	defer s.Close()
	if err := w.Zone("remote.test", "@ MX 10 mx\nmx A 127.0.0.1\n"); err != nil {
		t.Fatal(err)
	}
	o := &Outbound{
		Hostname: "mail.us.test", Resolver: newResolver(t, w), Port: l.Addr().(*net.TCPAddr).Port, Roots: w.CA,
		Own: func() []netip.Addr { return nil },
	}
	defer o.Close()
	for range 2 {
		got := o.Deliver(t.Context(), item(plain, "bob@remote.test", "no@remote.test", "jürgen@remote.test"))
		want := []string{"relayed 2.0.0", "failed 5.1.1 550 5.1.1 not here", "relayed 2.0.0"}
		for i := range got {
			if got[i].Action == "relayed" {
				got[i].Reply = ""
			}
		}
		if d := cmp.Diff(want, brief(got)); d != "" {
			t.Error(d)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	mail := "bob@remote.test,jürgen@remote.test: " + plain
	if d := cmp.Diff([]string{mail, mail}, b.mails); d != "" || !b.utf8 {
		t.Error(d, b.utf8)
	}
}
