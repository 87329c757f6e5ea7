package office

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/account"
	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/message"
	"mailstead/smtp/queue"
)

func TestPeople(t *testing.T) {
	t.Parallel()
	o := Open(t)
	o.SetPasswords()
	for name, who := range o.People {
		a, err := o.Accounts.CheckPassword(t.Context(), account.Login{Name: name + "@example.org", Scope: account.IMAP}, "secret "+name)
		if err != nil || a.ID != who.ID {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	targets, _, err := o.Agent.Resolve(t.Context(), o.Address("team@example.org"), 0)
	if err != nil || len(targets) != 2 {
		t.Errorf("team reaches %v, %v", targets, err)
	}
}

func TestMailAndQueue(t *testing.T) {
	t.Parallel()
	o := Open(t)
	box, err := o.Mailboxes.Mailbox(t.Context(), o.People["bob"].ID, "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	in, err := o.Mailboxes.Receive(t.Context(), strings.NewReader("Subject: x\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := in.Draft.Settle(t.Context(), o.People["bob"].ID); err != nil {
		t.Fatal(err)
	}
	o.Update(func(tx *sqlite.Tx) error {
		body, err := in.Draft.Commit(tx)
		if err != nil {
			return err
		}
		if _, err := o.Queue.Add(tx, queue.Message{
			Body: body, Size: in.Draft.Size(),
			Envelope: message.Envelope{Recipients: []message.Recipient{{Address: o.Address("eve@remote.test")}}},
		}); err != nil {
			return err
		}
		_, err = o.Mailboxes.Append(tx, in, mailbox.Placing{Mailbox: box.ID, Body: body, Prefix: []byte("Delivered-To: bob\r\n")})
		return err
	})
	if d := cmp.Diff([]string{"Delivered-To: bob\r\nSubject: x\r\n\r\n"}, o.Mail("bob", "INBOX")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"eve@remote.test"}, o.Queued()); d != "" {
		t.Error(d)
	}
	o.Events.Record(maillog.Event{Kind: maillog.Refused})
	if len(o.Events.Kind(maillog.Refused)) != 1 || len(o.Events.Kind(maillog.Relayed)) != 0 {
		t.Error("events are not told apart")
	}
}
