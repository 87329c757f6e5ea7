package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailstead/dns/check"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
	"mailstead/internal/world"
	"mailstead/message"
	"mailstead/smtp/queue"
)

// submit puts a message into the queue.
func (h *house) submit(to string) {
	h.Helper()
	rcpt, err := message.ParseAddress(to)
	if err != nil {
		h.Fatal(err)
	}
	d, err := h.app.Blobs.Put(h.Context(), strings.NewReader("Subject: hello\r\n\r\nhello\r\n"))
	if err != nil {
		h.Fatal(err)
	}
	defer d.Close()
	err = h.app.DB.Update(h.Context(), func(tx *sqlite.Tx) error {
		id, err := d.Commit(tx)
		if err != nil {
			return err
		}
		_, err = h.app.Queue.Add(tx, queue.Message{
			MID: "1", Body: id, Size: d.Size(), Envelope: message.Envelope{Recipients: []message.Recipient{{Address: rcpt}}},
		})
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
}

// TestSmartHostOfARunningServer: it is taken up without a restart, tried before
// it is kept, and mail waits rather than leave it in clear.
func TestSmartHostOfARunningServer(t *testing.T) {
	const domain = "smart.test"
	h := startHouse(t, domain)
	do[control.Domain](h, "domain.add", control.OneDomain{Name: domain})
	users := map[string]string{"us": "secret"}
	good := world.Behaviour{Users: users}
	if err := h.world.Zone("relay.test", "@ TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n"); err != nil {
		t.Fatal(err)
	}
	smart, err := h.world.MTA("smtp.relay.test", good)
	if err != nil {
		t.Fatal(err)
	}
	set := func(password string, untried bool) error {
		in := control.SmartHostChange{Host: fmt.Sprintf("%s:%d", smart.Name, h.world.Port), Username: "us", Password: password, Untried: untried}
		_, err := control.Call[control.SmartHost](t.Context(), h.app.socket.Ops, "smarthost.set", in)
		return err
	}

	smart.Behave(world.Behaviour{Users: users, TLS: world.NoTLS})
	if err := set("secret", false); err == nil || !strings.Contains(err.Error(), "no TLS that can be trusted") {
		t.Errorf("without TLS: %v", err)
	}
	smart.Behave(world.Behaviour{Users: users, TLS: world.WrongName})
	if err := set("secret", false); err == nil || !strings.Contains(err.Error(), "no TLS that can be trusted") {
		t.Errorf("with another's certificate: %v", err)
	}
	smart.Behave(good)
	if err := set("guess", false); err == nil || !strings.Contains(err.Error(), "does not take these credentials") || strings.Contains(err.Error(), "guess") {
		t.Errorf("with a wrong password: %v", err)
	}
	if s := do[control.SmartHost](h, "smarthost.show", nil); s.Host != "" {
		t.Errorf("kept all the same: %+v", s)
	}

	// What cannot be sent as it must waits.
	if err := set("guess", true); err != nil {
		t.Fatal(err)
	}
	h.submit("bob@nowhere.test")
	if r := h.attempted(1); r.Status != "4.7.8" {
		t.Errorf("wrong password: %+v", r)
	}
	if err := set("secret", true); err != nil {
		t.Fatal(err)
	}
	smart.Behave(world.Behaviour{Users: users, TLS: world.NoTLS})
	do[control.None](h, "queue.retry", control.OneItem{All: true})
	if r := h.attempted(2); r.Status != "4.7.5" {
		t.Errorf("no TLS: %+v", r)
	}
	if f := h.app.doctor.Run(t.Context(), "net.smarthost"); len(f) != 1 || f[0].Severity != check.Problem {
		t.Errorf("doctor: %+v", f)
	}
	if n := len(smart.Mails()); n != 0 {
		t.Fatalf("%d messages left in clear or unsigned", n)
	}

	smart.Behave(good)
	if err := set("secret", false); err != nil {
		t.Fatal(err)
	}
	do[control.None](h, "queue.retry", control.OneItem{All: true})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	mails, err := smart.Wait(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if m := mails[0]; m.User != "us" || !m.TLS || m.To[0] != "bob@nowhere.test" {
		t.Errorf("%+v", m)
	}
	if f := h.app.doctor.Run(t.Context(), "net.smarthost"); len(f) != 1 || f[0].Severity != check.OK {
		t.Errorf("doctor: %+v", f)
	}

	spf := func() string {
		for _, r := range do[[]control.DomainRecords](h, "dns.show", control.DNSQuery{Domain: domain, Offline: true})[0].Records {
			if r.Name == domain && r.Type == "TXT" && strings.Contains(r.Data, "v=spf1") {
				return r.Data
			}
		}
		return ""
	}
	if got := spf(); !strings.Contains(got, "include:relay.test") {
		t.Errorf("SPF is %q", got)
	}
	do[control.SmartHost](h, "smarthost.remove", nil)
	if got := spf(); got == "" || strings.Contains(got, "include:") {
		t.Errorf("SPF is %q", got)
	}
}

// attempted waits for the nth attempt of the one message that waits.
func (h *house) attempted(n int) control.QueueRecipient {
	h.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		page := do[control.QueuePage](h, "queue.list", control.QueueQuery{})
		if len(page.Items) != 1 {
			continue
		}
		if r := page.Items[0].Recipients[0]; r.Attempts >= n && r.State == "deferred" {
			return r
		}
	}
	h.Fatalf("attempt %d did not come", n)
	return control.QueueRecipient{}
}
