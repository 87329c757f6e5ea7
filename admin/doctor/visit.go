package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
)

// Door is one of ours that takes connections.
type Door struct {
	Name string // as in the configuration: smtp, submission, submissions, imap, imaps
	Addr string // where to knock: "127.0.0.1:25"
}

func (d Door) implicitTLS() bool { return d.Name == "submissions" || d.Name == "imaps" }
func (d Door) imap() bool        { return strings.HasPrefix(d.Name, "imap") }

// visit is what a stranger sees at a door.
type visit struct {
	door     Door
	greeting string
	clear    []string // what is offered before TLS: EHLO keywords with parameters, IMAP capabilities
	secure   []string // the same after STARTTLS; not asked with implicit TLS
	starttls string   // the answer to STARTTLS, "" when it was not offered
	version  uint16   // of TLS, 0 when there was none
	chain    []*x509.Certificate
	err      error
	step     string // at which err came
}

// wire is a connection to a door with its lines.
type wire struct {
	net.Conn
	r *bufio.Reader
}

const maxLine = 8 << 10

// line reads one line, with a bound that no sane server comes near.
func (w *wire) line() (string, error) {
	text, err := w.r.ReadSlice('\n')
	return strings.TrimRight(string(text), "\r\n"), err
}

func (w *wire) upgrade(c net.Conn) { w.Conn, w.r = c, bufio.NewReaderSize(c, maxLine) }

// knock connects and looks around as far as STARTTLS, with the given versions of
// TLS; it tells nothing about the certificate, which is looked at by others.
func (d *Doctor) knock(ctx context.Context, door Door, lowest, highest uint16) (v visit) {
	v.door = door
	fail := func(step string, err error) visit {
		v.step, v.err = step, err
		return v
	}
	conn, err := d.Server.Connect(ctx, "tcp", door.Addr)
	if err != nil {
		return fail("connect", err)
	}
	w := &wire{}
	w.upgrade(conn)
	defer func() { w.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	shake := func() error {
		// #nosec: what is shown is judged afterwards, and nothing secret is said
		c := tls.Client(w.Conn, &tls.Config{InsecureSkipVerify: true, ServerName: d.Config.Hostname, MinVersion: lowest, MaxVersion: highest})
		if err := c.HandshakeContext(ctx); err != nil {
			return err
		}
		v.version, v.chain = c.ConnectionState().Version, c.ConnectionState().PeerCertificates
		w.upgrade(c)
		return nil
	}
	if door.implicitTLS() {
		if err := shake(); err != nil {
			return fail("TLS handshake", err)
		}
	}
	if v.greeting, err = w.line(); err != nil {
		return fail("greeting", err)
	}
	offered, err := w.offers(door)
	if err != nil {
		return fail("capabilities", err)
	}
	if door.implicitTLS() {
		v.secure = offered
		w.bye(door)
		return v
	}
	v.clear = offered
	if !has(offered, "STARTTLS") {
		w.bye(door)
		return v
	}
	command, good := "STARTTLS\r\n", "220"
	if door.imap() {
		command, good = "b STARTTLS\r\n", "b OK"
	}
	if _, err = w.Write([]byte(command)); err == nil {
		v.starttls, err = w.line()
	}
	if err != nil {
		return fail("STARTTLS", err)
	}
	if !strings.HasPrefix(v.starttls, good) {
		return fail("STARTTLS", fmt.Errorf("answered %q", v.starttls))
	}
	if err := shake(); err != nil {
		return fail("TLS handshake", err)
	}
	if v.secure, err = w.offers(door); err != nil {
		return fail("capabilities", err)
	}
	w.bye(door)
	return v
}

func (w *wire) bye(door Door) {
	if door.imap() {
		_, _ = w.Write([]byte("z LOGOUT\r\n"))
		return
	}
	_, _ = w.Write([]byte("QUIT\r\n"))
}

// offers asks what the door can do.
func (w *wire) offers(door Door) ([]string, error) {
	if door.imap() {
		return w.capabilities()
	}
	if _, err := w.Write([]byte("EHLO doctor.invalid\r\n")); err != nil {
		return nil, err
	}
	var all []string
	for {
		line, err := w.line()
		if err != nil {
			return nil, err
		}
		if len(line) < 4 || !strings.HasPrefix(line, "250") {
			return nil, fmt.Errorf("EHLO was answered %q", line)
		}
		all = append(all, strings.ToUpper(line[4:]))
		if line[3] == ' ' {
			return all[1:], nil // the first is the name
		}
	}
}

func (w *wire) capabilities() ([]string, error) {
	if _, err := w.Write([]byte("a CAPABILITY\r\n")); err != nil {
		return nil, err
	}
	var all []string
	for {
		line, err := w.line()
		if err != nil {
			return nil, err
		}
		if rest, found := strings.CutPrefix(line, "* CAPABILITY "); found {
			all = strings.Fields(strings.ToUpper(rest))
		}
		if strings.HasPrefix(line, "a ") {
			if !strings.HasPrefix(line, "a OK") {
				return nil, fmt.Errorf("CAPABILITY was answered %q", line)
			}
			return all, nil
		}
	}
}

// has finds a keyword, whatever its parameters.
func has(offered []string, keyword string) bool {
	for _, o := range offered {
		if word, _, _ := strings.Cut(o, " "); word == keyword {
			return true
		}
	}
	return false
}

// rcpt asks an SMTP door whether it would take mail for an address, as a bounce
// from anywhere would; nothing is sent.
func (d *Doctor) rcpt(ctx context.Context, door Door, address string) (reply string, err error) {
	w, reply, err := d.begin(ctx, door, address)
	if w == nil {
		return reply, err
	}
	defer w.Close()
	_, _ = w.Write([]byte("RSET\r\n"))
	w.bye(door)
	return reply, err
}

// send is rcpt with a message, and gives the reply to its end. The text has CRLF
// line ends and no line that begins with a dot.
func (d *Doctor) send(ctx context.Context, door Door, address string, text []byte) (reply string, err error) {
	w, reply, err := d.begin(ctx, door, address)
	if w == nil {
		return reply, err
	}
	defer w.Close()
	for _, part := range [][]byte{[]byte("DATA\r\n"), append(text, ".\r\n"...)} {
		if _, err := w.Write(part); err != nil {
			return "", err
		}
		if reply, err = w.reply(); err != nil || reply == "" || reply[0] > '3' {
			return reply, err
		}
	}
	w.bye(door)
	return reply, nil
}

// begin opens a transaction with the null reverse-path for one recipient; the
// wire is nil where the recipient was not taken.
func (d *Doctor) begin(ctx context.Context, door Door, address string) (_ *wire, reply string, err error) {
	conn, err := d.Server.Connect(ctx, "tcp", door.Addr)
	if err != nil {
		return nil, "", err
	}
	w := &wire{}
	w.upgrade(conn)
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	taken := false
	defer func() {
		if !taken {
			w.Close()
		}
	}()
	if reply, err = w.reply(); err != nil || !strings.HasPrefix(reply, "220") {
		return nil, reply, err
	}
	if _, err = w.offers(door); err != nil {
		return nil, "", err
	}
	for _, command := range []string{"MAIL FROM:<>", "RCPT TO:<" + address + ">"} {
		if _, err = w.Write([]byte(command + "\r\n")); err != nil {
			return nil, "", err
		}
		if reply, err = w.reply(); err != nil || !strings.HasPrefix(reply, "2") {
			return nil, reply, err
		}
	}
	taken = true
	return w, reply, nil
}

// reply reads a reply of any number of lines and gives its last.
func (w *wire) reply() (string, error) {
	for {
		line, err := w.line()
		if err != nil || len(line) < 4 || line[3] != '-' {
			return line, err
		}
	}
}
