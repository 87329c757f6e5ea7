package local_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/account"
	"mailstead/internal/office"
	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/message"
	"mailstead/smtp/local"
	"mailstead/smtp/queue"
)

// held is a queued message as the queue gives it.
type held struct{ *strings.Reader }

func (held) Close() error { return nil }

func item(o *office.Office, content string, recipients ...string) queue.Item {
	it := queue.Item{QID: 7, Destination: "example.org", Content: held{strings.NewReader(content)}}
	it.Message.MID = "dsn-1"
	for _, r := range recipients {
		it.Message.Envelope.Recipients = append(it.Message.Envelope.Recipients, message.Recipient{Address: o.Address(r)})
	}
	return it
}

func TestQueuedMailIsDeliveredToEachRecipient(t *testing.T) {
	o := office.Open(t)
	o.Update(func(tx *sqlite.Tx) error {
		if err := o.Accounts.SetDisabled(tx, o.People["carol"].ID, true); err != nil {
			return err
		}
		return o.Mailboxes.SetQuota(tx, o.People["bob"].ID, 10)
	})
	results := local.Queued{Agent: o.Agent}.Deliver(t.Context(),
		item(o, "Subject: report\r\n\r\ntext\r\n", "alice@example.org", "bob@example.org", "carol@example.org", "nobody@example.org"))
	var got []string
	for _, r := range results {
		got = append(got, r.Recipient.Local+" "+string(r.Action)+" "+r.Status)
	}
	if diff := cmp.Diff([]string{"alice delivered 2.0.0", "bob delayed 4.2.2", "carol failed 5.2.1", "nobody failed 5.1.1"}, got); diff != "" {
		t.Error(diff)
	}
	mail := o.Mail("alice", "INBOX")
	if len(mail) != 1 || !strings.HasPrefix(mail[0], "Return-Path: <>\r\nDelivered-To: alice@example.org\r\nReceived: by mx.example.org id dsn-1\r\n\tfor <alice@example.org>;\r\n\t") ||
		!strings.HasSuffix(mail[0], "Subject: report\r\n\r\ntext\r\n") {
		t.Errorf("%q", mail)
	}
}

// The way back after an upgrade counts on this: what the older database knows
// under an id is held by nobody whom it does not know.
func TestQueuedDeliveryHasABodyOfItsOwn(t *testing.T) {
	t.Parallel()
	o := office.Open(t)
	in, err := o.Mailboxes.Receive(t.Context(), strings.NewReader("Subject: late\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := in.Draft.Settle(t.Context(), blob.Queue); err != nil {
		t.Fatal(err)
	}
	var body blob.ID
	o.Update(func(tx *sqlite.Tx) (err error) {
		if body, err = in.Draft.Commit(tx); err != nil {
			return err
		}
		_, err = o.Queue.Add(tx, queue.Message{MID: "late", Body: body, Size: in.Draft.Size(),
			Envelope: message.Envelope{Recipients: []message.Recipient{{Address: o.Address("bob@example.org")}}}})
		return err
	})
	it := item(o, "Subject: late\r\n\r\n", "bob@example.org")
	it.Message.Body = body
	if r := (local.Queued{Agent: o.Agent}).Deliver(t.Context(), it)[0]; r.Action != message.Delivered {
		t.Fatalf("%+v", r)
	}
	var others int
	err = o.DB.View(t.Context(), func(tx *sqlite.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM email WHERE body = ?", int64(body)).Scan(&others)
	})
	if err != nil || others != 0 || len(o.Mail("bob", "INBOX")) != 1 {
		t.Errorf("%d hold the queue's body, %v", others, err)
	}
}

func TestStoreThatIsClosedKeepsQueuedMail(t *testing.T) {
	o := office.Open(t)
	if _, _, err := o.Agent.Resolve(t.Context(), o.Address("alice@example.org"), 0); err != nil {
		t.Fatal(err)
	}
	o.DB.Close()
	results := local.Queued{Agent: o.Agent}.Deliver(t.Context(), item(o, "x", "alice@example.org"))
	if r := results[0]; r.Action != message.Delayed || r.Err == nil || r.Status != "4.3.0" {
		t.Errorf("%+v", r)
	}
}

// deliver gives alice a message by the agent itself.
func deliver(t *testing.T, o *office.Office, content string, copies ...local.Copy) error {
	t.Helper()
	in, err := o.Mailboxes.Receive(t.Context(), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	return o.Agent.Deliver(t.Context(), local.Message{
		MID: "m1", Kind: "received", Incoming: in, Copies: copies,
		Received: message.Received{By: office.Hostname, Time: time.Now()},
	})
}

func copyFor(o *office.Office, name string, junk bool) local.Copy {
	a := o.Address(name + "@example.org")
	return local.Copy{
		Recipient: message.Recipient{Address: a}, Junk: junk,
		Targets: []account.Target{{Account: o.People[name].ID, Address: a}},
	}
}

func TestKinderVerdictWins(t *testing.T) {
	for _, junkFirst := range []bool{true, false} {
		o := office.Open(t)
		if err := deliver(t, o, "x\r\n", copyFor(o, "alice", junkFirst), copyFor(o, "alice", !junkFirst)); err != nil {
			t.Fatal(err)
		}
		if inbox, junk := len(o.Mail("alice", "INBOX")), len(o.Mail("alice", "Junk")); inbox != 1 || junk != 0 {
			t.Errorf("INBOX %d, Junk %d", inbox, junk)
		}
	}
}

func TestJunkWithoutJunkMailboxGoesToInbox(t *testing.T) {
	o := office.Open(t)
	if err := o.Mailboxes.Delete(t.Context(), o.People["alice"].ID, "Junk"); err != nil {
		t.Fatal(err)
	}
	if err := deliver(t, o, "x\r\n", copyFor(o, "alice", true)); err != nil {
		t.Fatal(err)
	}
	if n := len(o.Mail("alice", "INBOX")); n != 1 {
		t.Errorf("INBOX %d", n)
	}
}

func TestNothingForAnybodyWhenOneFails(t *testing.T) {
	o := office.Open(t)
	o.Update(func(tx *sqlite.Tx) error { return o.Mailboxes.SetQuota(tx, o.People["bob"].ID, 10) })
	for _, size := range []int{10, 100 << 10} { // a row, a file
		err := deliver(t, o, strings.Repeat("x", size)+"\r\n", copyFor(o, "alice", false), copyFor(o, "bob", false))
		if reply, err := local.ReplyFor(err); err != nil || reply != local.OverQuota {
			t.Errorf("%d: %v, %v", size, reply, err)
		}
	}
	if a, b := len(o.Mail("alice", "INBOX")), len(o.Mail("bob", "INBOX")); a+b != 0 {
		t.Errorf("alice has %d, bob %d", a, b)
	}
	if n := len(o.Events.Kind("received")); n != 0 {
		t.Errorf("%d events of a message that was not kept", n)
	}
}

func TestMailboxThatWentIsChosenAgain(t *testing.T) {
	o := office.Open(t)
	for _, size := range []int{10, 100 << 10} { // a row, a file that can be settled once
		o.Agent.Mistake(o.People["alice"].ID)
		if err := deliver(t, o, strings.Repeat("x", size)+"\r\n", copyFor(o, "alice", false)); err != nil {
			t.Error(err)
		}
	}
	if n := len(o.Mail("alice", "INBOX")); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestReplyFor(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, "0 "},
		{sqlite.ErrFull, "452 4.3.1 no space left here, try again later"},
		{mailbox.ErrOverQuota, "452 4.2.2 mailbox is full"},
		{io.ErrUnexpectedEOF, "unexpected EOF"},
		{sqlite.ErrFailed, sqlite.ErrFailed.Error()},
	} {
		got := ""
		if reply, err := local.ReplyFor(tt.err); err != nil {
			got = err.Error()
		} else {
			got = reply.String()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSpace(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		space *local.Space
		want  bool
	}{
		{nil, true}, {&local.Space{}, true}, {&local.Space{Dir: dir + "/none", MaxSize: 1 << 60}, true},
		{&local.Space{Dir: dir, MaxSize: 1 << 60}, false},
	} {
		if got := tt.space.Enough(); got != tt.want {
			t.Errorf("%+v: %v", tt.space, got)
		}
	}
}

func TestFullMemberOfAliasHoldsNobodyUp(t *testing.T) {
	o := office.Open(t)
	limit := func(name string, bytes int64) {
		o.Update(func(tx *sqlite.Tx) error { return o.Mailboxes.SetQuota(tx, o.People[name].ID, bytes) })
	}
	limit("bob", 10)
	team := local.Copy{Recipient: message.Recipient{Address: o.Address("team@example.org")}}
	for _, name := range []string{"bob", "alice"} {
		team.Targets = append(team.Targets, account.Target{Account: o.People[name].ID, Address: team.Recipient.Address})
	}
	for _, size := range []int{10, 100 << 10} { // a row, a file
		if err := deliver(t, o, strings.Repeat("x", size)+"\r\n", team); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := len(o.Mail("alice", "INBOX")), len(o.Mail("bob", "INBOX")); a != 2 || b != 2 {
		t.Errorf("alice has %d, bob %d", a, b)
	}
	limit("alice", 10)
	err := deliver(t, o, "x\r\n", team)
	if reply, err := local.ReplyFor(err); err != nil || reply != local.OverQuota {
		t.Errorf("with everybody full: %v, %v", reply, err)
	}
}

func TestDeliveryThatNobodyWaitsForWritesNothing(t *testing.T) {
	o := office.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	started, held := make(chan struct{}), make(chan struct{})
	go o.DB.Update(t.Context(), func(tx *sqlite.Tx) error { close(started); <-held; return nil })
	<-started
	in, err := o.Mailboxes.Receive(t.Context(), strings.NewReader("x\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	go func() { // the writer takes up the delivery as its caller gives up
		cancel()
		close(held)
	}()
	err = o.Agent.Deliver(ctx, local.Message{
		MID: "m1", Kind: "received", Incoming: in, Copies: []local.Copy{copyFor(o, "alice", false)},
		Received: message.Received{By: office.Hostname, Time: time.Now()},
	})
	if err == nil {
		t.Error("delivered before the commit")
	}
}

func TestHostsOwnNameHasItsPostmaster(t *testing.T) {
	o := office.Open(t)
	for _, local := range []string{"postmaster", "MAILER-DAEMON", "Abuse"} {
		targets, reply, err := o.Agent.Resolve(t.Context(), o.Address(local+"@"+office.Hostname), 0)
		if err != nil || !reply.IsZero() || len(targets) == 0 {
			t.Errorf("%s: %v, %v, %v", local, targets, reply, err)
		}
	}
	for _, stranger := range []string{"alice@" + office.Hostname, "postmaster@example.net"} {
		if _, reply, err := o.Agent.Resolve(t.Context(), o.Address(stranger), 0); err != nil || reply != local.NoRelay {
			t.Errorf("%s: %v, %v", stranger, reply, err)
		}
	}
}
