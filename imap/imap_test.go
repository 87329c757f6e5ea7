package imap

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"mailstead/account"
	"mailstead/internal/dialog"
	"mailstead/internal/listen"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// place is a server over real stores, with the account alice@example.org.
type place struct {
	t        testing.TB
	db       *sqlite.DB
	accounts *account.Store
	boxes    *mailbox.Store
	blobs    *blob.Store
	srv      *Server
	alice    account.Account
	password string
	plain    string // address of the door with STARTTLS
	tls      string // address of the door under TLS
	doors    []*listen.Server
}

var certificate = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.org"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// newPlace starts a server; options change it before.
func newPlace(t testing.TB, options ...func(*Server)) *place {
	return newPlaceIn(t, t.TempDir(), "OFF", options...)
}

func newPlaceIn(t testing.TB, dir, synchronous string, options ...func(*Server)) *place {
	t.Helper()
	p := openStores(t, dir, synchronous)
	for _, o := range options {
		o(p.srv)
	}
	p.plain, p.tls = p.open(nil), p.open(certificate())
	return p
}

// openStores makes a server without doors.
func openStores(t testing.TB, dir, synchronous string) *place {
	t.Helper()
	ctx := context.Background()
	p := &place{t: t}
	db, err := sqlite.Open(ctx, filepath.Join(dir, "mailstead.db"), sqlite.Options{
		Synchronous: synchronous, Migrations: []fs.FS{account.Schema(), blob.Schema(), mailbox.Schema()},
	})
	p.must(err)
	t.Cleanup(func() { db.Close() })
	blobs, err := blob.New(ctx, db, filepath.Join(dir, "messages"), blob.Options{})
	p.must(err)
	p.db, p.blobs, p.boxes = db, blobs, mailbox.New(db, blobs, mailbox.Options{})
	p.accounts, err = account.Open(ctx, db, account.Options{})
	p.must(err)
	t.Cleanup(func() { p.accounts.Close(ctx) })
	p.must(db.Update(ctx, func(tx *sqlite.Tx) (err error) {
		if err = p.accounts.AddDomain(tx, "example.org"); err != nil {
			return err
		}
		p.alice, err = p.accounts.Add(tx, account.New{Address: message.Address{Local: "alice", Domain: "example.org"}})
		if err != nil {
			return err
		}
		return p.boxes.CreateDefaults(tx, p.alice.ID)
	}))
	secret, err := p.accounts.NewAppSecret(ctx, p.alice.ID)
	p.must(err)
	p.must(db.Update(ctx, func(tx *sqlite.Tx) error {
		_, err := p.accounts.AddAppPassword(tx, p.alice.ID, "test", account.IMAP, secret)
		return err
	}))
	p.password = secret.Text
	p.srv = &Server{Mailboxes: p.boxes, Accounts: p.accounts, TLS: certificate(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	return p
}

func (p *place) open(cfg *tls.Config) string {
	door := &listen.Server{Name: "imap", Addrs: []string{"127.0.0.1:0"}, TLS: cfg, Handler: p.srv}
	p.must(door.Listen())
	go door.Serve()
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		door.Shutdown(ctx)
		door.Shutdown(context.Background()) // what was cut is over before the stores go
	})
	p.doors = append(p.doors, door)
	return door.Bound()[0].String()
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) dialTLS() (net.Conn, error) {
	return tls.Dial("tcp", p.tls, &tls.Config{InsecureSkipVerify: true})
}

// run runs a dialog on fresh connections under TLS. ${password} is alice's.
func (p *place) run(script string) {
	p.t.Helper()
	r := dialog.Runner{
		Dial: func(string) (net.Conn, error) { return p.dialTLS() },
		Vars: map[string]string{"password": p.password},
	}
	r.Run(p.t, script)
}

// in runs a dialog that begins logged in, on the connection without a name and
// on those named.
func (p *place) in(script string, names ...string) {
	p.t.Helper()
	var b strings.Builder
	for _, name := range append([]string{""}, names...) {
		if name != "" {
			name = "[" + name + "]"
		}
		fmt.Fprintf(&b, "S%s: * OK ...\nC%s: login LOGIN alice@example.org ${password}\nS%s: login OK ...\n", name, name, name)
	}
	p.run(b.String() + script)
}

// deliver puts a message into a mailbox of alice; some session has seen it.
func (p *place) deliver(box, text string, f mailbox.Flags, keywords ...string) mailbox.Placed {
	p.t.Helper()
	return p.place(box, text, mailbox.Placing{Flags: f, Keywords: keywords})
}

func (p *place) place(box, text string, pl mailbox.Placing) mailbox.Placed {
	p.t.Helper()
	ctx := context.Background()
	m, err := p.boxes.Mailbox(ctx, p.alice.ID, box)
	p.must(err)
	in, err := p.boxes.Receive(ctx, strings.NewReader(text))
	p.must(err)
	defer in.Close()
	pl.Mailbox = m.ID
	placed, err := p.boxes.Deliver(ctx, in, p.alice.ID, pl)
	p.must(err)
	p.srv.recents.claim(m.ID, placed.UID+1, true)
	return placed
}

// crlfs gives a message written with LF its line ends.
func crlfs(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// client is an imapclient that is logged in.
func (p *place) client(o *imapclient.Options) *imapclient.Client {
	p.t.Helper()
	nc, err := p.dialTLS()
	p.must(err)
	c := imapclient.New(nc, o)
	p.t.Cleanup(func() { c.Close() })
	p.must(c.Login("alice@example.org", p.password).Wait())
	return c
}

// raw is a connection for tests that read responses as they are.
type raw struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
	n  int
}

// raw logs in.
func (p *place) raw() *raw {
	p.t.Helper()
	nc, err := p.dialTLS()
	p.must(err)
	p.t.Cleanup(func() { nc.Close() })
	c := &raw{Conn: nc, t: p.t, br: bufio.NewReader(nc)}
	c.response()
	c.ok("LOGIN alice@example.org " + p.password)
	return c
}

// response reads one response with its literals, without its last CRLF.
func (c *raw) response() string {
	c.t.Helper()
	c.SetDeadline(time.Now().Add(time.Minute))
	var b strings.Builder
	for {
		line, err := c.br.ReadString('\n')
		if err != nil {
			c.t.Fatalf("after %q%q: %v", b.String(), line, err)
		}
		b.WriteString(line)
		line = strings.TrimSuffix(line, "\r\n")
		i := strings.LastIndexByte(line, '{')
		if i < 0 || !strings.HasSuffix(line, "}") {
			return strings.TrimSuffix(b.String(), "\r\n")
		}
		n, err := strconv.Atoi(line[i+1 : len(line)-1])
		if err != nil {
			return strings.TrimSuffix(b.String(), "\r\n")
		}
		if _, err := io.CopyN(&b, c.br, int64(n)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// do sends a command and gives the untagged responses and the tagged one
// without its tag.
func (c *raw) do(command string) (untagged []string, tagged string) {
	c.t.Helper()
	c.n++
	tag := "t" + strconv.Itoa(c.n)
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, tag+" "+command+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	for {
		r := c.response()
		if rest, ok := strings.CutPrefix(r, tag+" "); ok {
			return untagged, rest
		}
		untagged = append(untagged, r)
	}
}

// ok is do for a command that must succeed.
func (c *raw) ok(command string) []string {
	c.t.Helper()
	untagged, tagged := c.do(command)
	if !strings.HasPrefix(tagged, "OK") {
		c.t.Fatalf("%s: %s", command, tagged)
	}
	return untagged
}
