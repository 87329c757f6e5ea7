package imap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailstead/account"
	"mailstead/imap/wire"
	"mailstead/internal/listen"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
)

func TestConditions(t *testing.T) {
	s := parser("")
	s.log = new(Server).log()
	for _, c := range []struct {
		err  error
		want string
	}{
		{mailbox.ErrNotExist, "NO [NONEXISTENT]"}, {tryCreate(fmt.Errorf("copy: %w", mailbox.ErrNotExist)), "NO [TRYCREATE]"},
		{mailbox.ErrExists, "NO [ALREADYEXISTS]"}, {mailbox.ErrName, "NO [CANNOT]"}, {mailbox.ErrUse, "NO [USEATTR]"}, {mailbox.ErrTooMany, "NO [LIMIT]"}, {mailbox.ErrKeywords, "NO [LIMIT]"},
		{mailbox.ErrHasChildren, "NO [HASCHILDREN]"}, {mailbox.ErrOverQuota, "NO [OVERQUOTA]"}, {mailbox.ErrExpunged, "NO [EXPUNGEISSUED]"},
		{account.ErrBadCredentials, "NO [AUTHENTICATIONFAILED]"}, {account.ErrThrottled, "NO [LIMIT]"}, {account.ErrDisabled, "NO [CONTACTADMIN]"},
		{errPrivacy, "NO [PRIVACYREQUIRED]"}, {errReadOnly, "NO [READ-ONLY]"}, {wire.ErrLiteralTooBig, "NO [TOOBIG]"},
		{sqlite.ErrFull, "NO [UNAVAILABLE]"}, {sqlite.ErrFailed, "NO [UNAVAILABLE]"}, {&wire.SyntaxError{Text: "x"}, "BAD [CLIENTBUG]"}, {bad("x"), "BAD [CLIENTBUG]"},
		{errors.New("secret"), "NO [SERVERBUG]"}, {fmt.Errorf("wrapped: %w", mailbox.ErrOverQuota), "NO [OVERQUOTA]"},
	} {
		r := s.refuse(c.err)
		if got := string(r.kind) + " [" + r.code + "]"; got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
		if strings.Contains(r.text, "secret") {
			t.Errorf("an error of ours reached the client: %q", r.text)
		}
	}
}

// Every command is refused outside of its states before its arguments count.
func TestStates(t *testing.T) {
	p := newPlace(t)
	var b strings.Builder
	b.WriteString("S: * OK ...\n")
	n := 0
	for name, c := range commands {
		if c.states&notAuthenticated == 0 {
			if n++; n%(maxNonsense-5) == 0 {
				b.WriteString("C: n NOOP\nS: n OK ...\n")
			}
			fmt.Fprintf(&b, "C: a %s ((((\nS: a BAD [CLIENTBUG] not in this state: not authenticated\n", name)
		}
	}
	p.run(b.String())
}

func TestPanicEndsOneConnection(t *testing.T) {
	p := newPlace(t)
	other := p.raw()
	p.srv.Mailboxes, p.boxes = nil, p.srv.Mailboxes
	c := p.raw()
	io.WriteString(c, "a SELECT INBOX\r\n")
	if got := c.response(); !strings.HasPrefix(got, "* BYE [SERVERBUG]") {
		t.Errorf("got %q", got)
	}
	p.srv.Mailboxes = p.boxes
	other.ok("SELECT INBOX")
}

// pattern is a message of any size that no memory holds.
type pattern struct {
	left int64
	n    byte
	sum  hash.Hash32
}

func (r *pattern) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.left)]
	for i := range p {
		r.n++
		if p[i] = 'a' + r.n%16; r.n%64 == 0 {
			p[i] = ' '
		}
	}
	r.left -= int64(len(p))
	r.sum.Write(p)
	return len(p), nil
}

// A large message streams both ways: memory does not show it, and a client that
// reads slowly holds up nobody.
func TestLargeMessageStreams(t *testing.T) {
	const size = 40 << 20
	p := newPlace(t)
	c := p.raw()
	fmt.Fprintf(c, "a APPEND INBOX {%d+}\r\n", size)
	src := &pattern{left: size, sum: crc32.NewIEEE()}
	if _, err := io.Copy(c, src); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "\r\n")
	if got := c.response(); !strings.HasPrefix(got, "a OK") {
		t.Fatal(got)
	}
	c.ok("SELECT INBOX")
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	io.WriteString(c, "b UID FETCH 1 BODY.PEEK[]\r\n")
	c.SetDeadline(time.Now().Add(time.Minute))
	line, err := c.br.ReadString('\n')
	p.must(err)
	if want := fmt.Sprintf("* 1 FETCH (UID 1 BODY[] {%d}\r\n", size); line != want {
		t.Fatalf("got %q, want %q", line, want)
	}
	// Meanwhile the socket is full and the server waits for us.
	p.deliver("INBOX", "Subject: meanwhile\r\n\r\n", 0)
	sum := crc32.NewIEEE()
	_, err = io.CopyN(sum, c.br, size)
	p.must(err)
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > size/2 {
		t.Errorf("allocated %d bytes for a message of %d", grown, size)
	}
	if sum.Sum32() != src.sum.Sum32() {
		t.Error("bytes differ")
	}
	if got := c.response(); got != ")" {
		t.Error(got)
	}
}

// A session whose client says nothing is kept alive in IDLE, and ended at last.
func TestKeepalive(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		p := openStores(t, dir, "OFF")
		client, server := net.Pipe()
		s := newSession(ctx, p.srv, listen.NewConn(server))
		s.state, s.account.ID = authenticated, 1
		s.conn.SetPace(0, 0)
		done := make(chan bool)
		go func() {
			defer close(done)
			defer s.close()
			s.serve()
		}()
		br := bufio.NewReader(client)
		read := func(want string) {
			t.Helper()
			line, err := br.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, want) {
				t.Fatalf("got %q, %v, want %q", line, err, want)
			}
		}
		read("* OK")
		io.WriteString(client, "a IDLE\r\n")
		read("+ idling")
		start := time.Now()
		read("* OK still here")
		if d := time.Since(start); d != keepalive {
			t.Errorf("first line after %v", d)
		}
		io.WriteString(client, "DONE\r\n")
		read("a OK")
		start = time.Now()
		read("* BYE idle")
		if d := time.Since(start); d < idleTimeout || d > idleTimeout+idleTimeout/8 {
			t.Errorf("ended after %v", d)
		}
		<-done
	})
}

func TestUnknownLines(t *testing.T) {
	p := newPlace(t)
	p.run(`
		S: * OK ...
		C: 
		S: * BAD ...
		C: a
		S: * BAD ...
		C: + NOOP
		S: * BAD ...
		C: a b
		S: a BAD ...
		C: a NOOP now
		S: a BAD ...
		C| "a noop\n"
		S: a OK NOOP completed
	`)
}
