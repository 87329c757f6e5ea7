package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"mailstead/internal/office"
	"mailstead/smtp/submission"
)

// letterbox is one of an office; alice is its operator.
func letterbox(t *testing.T) (*office.Office, *Letterbox) {
	t.Helper()
	o, dir := office.Open(t), t.TempDir()
	b := &Letterbox{
		Path: filepath.Join(dir, LetterboxName), Link: filepath.Join(dir, "link"),
		Pickup: submission.NewPickup(submission.PickupOptions{Options: submission.Options{
			Hostname: office.Hostname, Accounts: o.Accounts, Mailboxes: o.Mailboxes, Agent: o.Agent, Events: o.Events,
		}}),
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := b.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		for _, path := range []string{b.Path, b.Link} {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there: %v", path, err)
			}
		}
	})
	return o, b
}

func TestLetterbox(t *testing.T) {
	t.Parallel()
	o, b := letterbox(t)
	info, err := os.Stat(b.Path)
	if err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("%v, %v: not everybody may come", info.Mode(), err)
	}
	for _, path := range []string{b.Path, b.Link} {
		text := "Subject: " + path + "\n\nbody\n"
		sent, err := Hand(t.Context(), path, submission.Letter{Recipients: []string{"root"}}, strings.NewReader(text), int64(len(text)))
		if err != nil || sent.MID == "" || sent.Reply != "" {
			t.Fatalf("%+v, %v", sent, err)
		}
	}
	me := UserOf(os.Getuid())
	if mail := o.Mail("alice", "INBOX"); len(mail) != 2 || !strings.Contains(mail[0], "From: "+me.Name+"@"+office.Hostname+"\r\n") {
		t.Errorf("%q", mail)
	}
	sent, err := Hand(t.Context(), b.Path, submission.Letter{Recipients: []string{"nobody@example.org"}}, strings.NewReader("\nx"), 2)
	if r := sent.Refused(); err != nil || r.Code != 550 || r.Status != "5.1.1" || sent.MID != "" {
		t.Errorf("%+v, %v", sent, err)
	}
	_, err = Hand(t.Context(), b.Path+"-none", submission.Letter{}, strings.NewReader(""), 0)
	if !errors.Is(err, ErrNoServer) {
		t.Error(err)
	}
}

// TestLetterCutShort: a program that dies in the middle has sent nothing.
func TestLetterCutShort(t *testing.T) {
	t.Parallel()
	o, b := letterbox(t)
	for _, head := range []string{"Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"} {
		if len(b.Path) > 100 { // unix(7): 108 bytes
			t.Skip("the path is too long here")
		}
		conn, err := net.Dial("unix", b.Path)
		if err != nil {
			t.Fatal(err)
		}
		body := "{\"recipients\":[\"root\"]}\n\nhalf a mess"
		if strings.Contains(head, "chunked") {
			body = fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
		}
		_, err = io.WriteString(conn, "POST /send HTTP/1.1\r\nHost: x\r\n"+head+"\r\n"+body)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || strings.Contains(string(answer), `"mid"`) {
			t.Errorf("%v, %s", err, answer)
		}
		conn.Close()
	}
	if mail := o.Mail("alice", "INBOX"); len(mail) != 0 {
		t.Error(mail)
	}
}

// TestRefusedWhileWriting: a program that is not done with writing gets the
// answer, not a broken pipe that says to try again.
func TestRefusedWhileWriting(t *testing.T) {
	t.Parallel()
	_, b := letterbox(t)
	root := submission.Letter{Recipients: []string{"root"}}
	for name, c := range map[string]struct {
		l      submission.Letter
		size   int
		status string
	}{
		"header too big":      {root, 4 << 20, "5.3.4"},
		"too many recipients": {submission.Letter{Recipients: slices.Repeat([]string{"someone@example.com"}, 100_000)}, 4 << 20, "5.5.3"},
	} {
		text := strings.Repeat("x", c.size)
		sent, err := Hand(t.Context(), b.Path, c.l, iotest.HalfReader(strings.NewReader(text)), int64(len(text)))
		if r := sent.Refused(); err != nil || r.Status != c.status {
			t.Errorf("%s: %+v, %v", name, sent, err)
		}
	}
}

// TestLetterboxTellsNothing: it serves no operation of the control socket.
func TestLetterboxTellsNothing(t *testing.T) {
	t.Parallel()
	_, b := letterbox(t)
	for _, request := range []string{
		"GET /op/account.list HTTP/1.0\r\n\r\n",
		"POST /op/account.list HTTP/1.0\r\nContent-Length: 3\r\n\r\n{}\n",
		"POST /send HTTP/1.0\r\nContent-Length: 18\r\n\r\n{\"user\":{\"ID\":0}}\n",
	} {
		if len(b.Path) > 100 { // unix(7): 108 bytes
			t.Skip("the path is too long here")
		}
		conn, err := net.Dial("unix", b.Path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		_, text, _ := strings.Cut(string(answer), "\r\n\r\n")
		if err != nil || !strings.HasPrefix(text, `{"reply":"4`) && !strings.HasPrefix(text, `{"reply":"5`) {
			t.Errorf("%q: %v, %s", request, err, answer)
		}
		conn.Close()
	}
}

func TestLettersAtOnce(t *testing.T) {
	t.Parallel()
	l := &users{open: make(map[int]int)}
	enter := func(uid, n int) (in int) {
		for range n {
			if l.enter(uid) {
				in++
			}
		}
		return in
	}
	if a, b, root, c := enter(1000, 40), enter(1001, 10), enter(0, 100), enter(1002, 1); a != maxUserLetters || b != 10 || root != maxLetters-a-b || c != 0 {
		t.Error(a, b, root, c)
	}
	l.leave(1000)
	if enter(1002, 2) != 1 {
		t.Error("no room where somebody left")
	}
}
