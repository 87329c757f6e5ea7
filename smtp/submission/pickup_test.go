package submission

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/maillog"
	"mailstead/internal/office"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// pickup is one in an office whose operator is alice.
func pickup(t *testing.T, change func(*PickupOptions)) (*office.Office, *Pickup) {
	t.Helper()
	o := office.Open(t)
	opt := PickupOptions{
		Options: Options{Hostname: office.Hostname, Accounts: o.Accounts, Mailboxes: o.Mailboxes, Agent: o.Agent, Events: o.Events},
		Names:   []string{"box"}, Origins: []string{"origin.example"},
	}
	if change != nil {
		change(&opt)
	}
	return o, NewPickup(opt)
}

var (
	rootUser = User{0, "root"}
	www      = User{33, "www-data"}
)

func text(s string) *string { return &s }

func TestPickup(t *testing.T) {
	t.Parallel()
	const plain = "Subject: s\n\nbody\n"
	for _, c := range []struct {
		name    string
		l       Letter
		message string
		reply   string            // of a refusal
		mail    map[string]string // person → a part of what is in the INBOX
		queued  []string
		reverse string
	}{
		{
			name: "cron", l: Letter{User: rootUser, Recipients: []string{"root"}},
			message: "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@box> true\n\nout\n",
			mail:    map[string]string{"alice": "From: Cron Daemon <root@mx.example.org>\r\nTo: root@mx.example.org\r\n"},
			reverse: "postmaster@mx.example.org",
		},
		{
			name: "no header at all", l: Letter{User: www, Name: "Web, Server", Recipients: []string{"bob@example.org"}},
			message: "just text\n",
			mail:    map[string]string{"bob": "From: \"Web, Server\" <www-data@mx.example.org>\r\n"},
		},
		{
			name: "recipients of the header, Bcc told nobody", l: Letter{User: www, Header: true},
			message: "To: Bob <bob@example.org>, x@example.com\nCc: cron\nBcc: carol@example.org\n\nbody\n",
			mail:    map[string]string{"alice": "Cc: cron@mx.example.org\r\n", "bob": "To: Bob <bob@example.org>, x@example.com\r\n", "carol": "body"},
			queued:  []string{"x@example.com"},
		},
		{
			name: "sent on", l: Letter{User: rootUser, Header: true},
			message: "From: a@b.example\nTo: x@example.com\nResent-To: bob@example.org\n\nbody\n",
			mail:    map[string]string{"bob": "Resent-To"},
		},
		{
			name: "a user of a name of the machine", l: Letter{User: www, Sender: text("www-data@BOX."), Recipients: []string{"someone@box, root@localhost"}},
			message: "From: www-data@box\n\nbody\n",
			mail:    map[string]string{"alice": "From: www-data@mx.example.org\r\n"}, reverse: "postmaster@mx.example.org",
		},
		{
			name: "an address of ours", l: Letter{User: www, Sender: text("Bob <bob@example.org>"), Recipients: []string{"x@example.com"}},
			message: "From: bob@example.org\n\nbody\n", queued: []string{"x@example.com"}, reverse: "bob@example.org",
		},
		{
			name: "null reverse-path", l: Letter{User: www, Sender: text(""), Recipients: []string{"x@example.com"}},
			message: plain, queued: []string{"x@example.com"},
		},
		{
			name: "the machine's mail name", l: Letter{User: www, Recipients: []string{"x@example.com"}},
			message: "From: www-data@origin.example\n\nbody\n", queued: []string{"x@example.com"}, reverse: "postmaster@mx.example.org",
		},
		{
			name: "root as anybody", l: Letter{User: rootUser, Sender: text("a@far.example"), Recipients: []string{"x@example.com"}},
			message: "From: b@far.example\n\nbody\n", queued: []string{"x@example.com"}, reverse: "a@far.example",
		},
		{name: "foreign reverse-path", l: Letter{User: www, Sender: text("a@far.example"), Recipients: []string{"bob@example.org"}}, message: plain, reply: "550 5.7.1"},
		{name: "foreign author", l: Letter{User: www, Recipients: []string{"bob@example.org"}}, message: "From: a@far.example\n\nb", reply: "550 5.7.1"},
		{name: "two From", l: Letter{User: www, Recipients: []string{"bob@example.org"}}, message: "From: bob@example.org\nFrom: carol@example.org\n\nb", reply: "550 5.6.0"},
		{name: "nobody", l: Letter{User: www, Header: true}, message: plain, reply: "554 5.5.1"},
		{name: "unknown beside known", l: Letter{User: www, Recipients: []string{"bob@example.org", "nobody@example.org"}}, message: plain, reply: "550 5.1.1"},
		{name: "too many recipients are not fewer later", l: Letter{User: www, Recipients: strings.Split(strings.Repeat("bob@example.org ", 1001), " ")}, message: plain, reply: "550 5.5.3"},
		{name: "no address", l: Letter{User: www, Recipients: []string{"a@b@c"}}, message: plain, reply: "501 5.1.3"},
		{name: "no sender", l: Letter{User: www, Sender: text("a@b@c"), Recipients: []string{"root"}}, message: plain, reply: "501 5.1.7"},
		{name: "too big", l: Letter{User: www, Recipients: []string{"root"}}, message: "Subject: s\n\n" + strings.Repeat("x", 5000), reply: "552 5.3.4"},
		{name: "header too big", l: Letter{User: www, Recipients: []string{"root"}}, message: strings.Repeat("X: y\n", 60000), reply: "552 5.3.4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, p := pickup(t, func(o *PickupOptions) {
				if c.name == "too big" {
					o.MaxSize = 4096
				}
			})
			mid, refused, err := p.Submit(t.Context(), c.l, strings.NewReader(c.message))
			if err != nil || !strings.HasPrefix(refused.String(), c.reply) || c.reply == "" && (!refused.IsZero() || mid == "") {
				t.Fatalf("%q, %v, %v", mid, refused, err)
			}
			for _, who := range []string{"alice", "bob", "carol"} {
				got := strings.Join(o.Mail(who, "INBOX"), "")
				if want, ok := c.mail[who]; ok != (got != "") || !strings.Contains(got, want) {
					t.Errorf("%s has\n%s\nwant %q", who, got, want)
				}
				if strings.Contains(got, "Bcc") {
					t.Errorf("Bcc is told:\n%s", got)
				}
				if got != "" && (strings.Count(got, "\r\nDate: ") != 1 || strings.Count(got, "\r\nMessage-ID: ") != 1) {
					t.Errorf("Date or Message-ID in\n%s", got)
				}
			}
			if d := cmp.Diff(c.queued, o.Queued()); d != "" {
				t.Errorf("queue (-want +got):\n%s", d)
			}
			kind := maillog.Submitted
			if c.reply != "" {
				kind = maillog.Refused
			}
			events := o.Events.Kind(kind)
			if len(events) != 1 || !strings.Contains(events[0].Host, "of this machine (uid") {
				t.Fatalf("events %+v", events)
			}
			if c.reverse != "" && events[0].ReversePath != c.reverse {
				t.Errorf("reverse-path %q, want %q", events[0].ReversePath, c.reverse)
			}
		})
	}
}

func TestPickupBeforeTheFirstAccount(t *testing.T) {
	t.Parallel()
	o, p := pickup(t, nil)
	o.Update(func(tx *sqlite.Tx) error {
		if _, err := tx.Exec(`UPDATE account SET operator = 0`); err != nil {
			return err
		}
		return o.Accounts.SetName(tx, o.People["bob"].ID, "Bob") // has the accounts read again
	})
	_, refused, err := p.Submit(t.Context(), Letter{User: rootUser, Recipients: []string{"root"}}, strings.NewReader("\nx"))
	if err != nil || refused.Code != 451 {
		t.Errorf("%v, %v", refused, err)
	}
}

// TestPickupSigns: what leaves is signed after the edits.
func TestPickupSigns(t *testing.T) {
	t.Parallel()
	var author message.Domain
	var signed []byte
	o, p := pickup(t, func(o *PickupOptions) {
		o.Sign = func(_ context.Context, d message.Domain, r io.ReaderAt, size int64) ([]byte, error) {
			author = d
			signed, _ = io.ReadAll(io.NewSectionReader(r, 0, size))
			return []byte("DKIM-Signature: x\r\n"), nil
		}
	})
	_, refused, err := p.Submit(t.Context(), Letter{User: www, Recipients: []string{"x@example.com"}}, strings.NewReader("From: bob@example.org\nBcc: y@example.com\n\nb\n"))
	if err != nil || !refused.IsZero() || author != "example.org" || bytes.Contains(signed, []byte("Bcc")) || !bytes.Contains(signed, []byte("\r\nDate: ")) {
		t.Errorf("%v, %v; signed for %q:\n%s", refused, err, author, signed)
	}
	var prefix []byte
	err = o.DB.View(t.Context(), func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT prefix FROM queue_message`).Scan(&prefix)
	})
	if err != nil || !bytes.HasSuffix(prefix, []byte("\r\nDKIM-Signature: x\r\n")) {
		t.Errorf("%v\n%s", err, prefix)
	}
}

// TestPickupCutShort: nothing is kept of a message whose end did not come.
func TestPickupCutShort(t *testing.T) {
	t.Parallel()
	o, p := pickup(t, nil)
	cut := errors.New("cut")
	r := io.MultiReader(strings.NewReader("Subject: s\n\nhalf"), iotest.ErrReader(cut))
	if _, refused, err := p.Submit(t.Context(), Letter{User: www, Recipients: []string{"root"}}, r); !errors.Is(err, cut) || !refused.IsZero() {
		t.Errorf("%v, %v", refused, err)
	}
	if mail := o.Mail("alice", "INBOX"); len(mail) != 0 {
		t.Error(mail)
	}
}

func TestPickupRate(t *testing.T) {
	t.Parallel()
	_, p := pickup(t, func(o *PickupOptions) { o.Rate = 1 })
	send := func(u User) string {
		t.Helper()
		_, refused, err := p.Submit(t.Context(), Letter{User: u, Recipients: []string{"x@example.com"}}, strings.NewReader("\nx"))
		if err != nil {
			t.Fatal(err)
		}
		return refused.Status
	}
	got := []string{send(www), send(www), send(www), send(rootUser)}
	if d := cmp.Diff([]string{"", "", "4.7.0", ""}, got); d != "" {
		t.Error(d)
	}
}
