package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstead/account"
	"mailstead/admin/doctor"
	"mailstead/dns/check"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/sqlite"
	"mailstead/internal/systemd"
	"mailstead/mailbox"
	"mailstead/message"
	"mailstead/smtp/submission"
)

// running is a server with one domain and its operator, on ports of its own.
func running(t *testing.T) (a *App, alice account.Account, notes *net.UnixConn) {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Hostname, cfg.Data, cfg.DNS.Resolver = "mail.example.org", filepath.Join(dir, "data"), "127.0.0.1:1"
	free := []string{"127.0.0.1:0"}
	cfg.Listen = config.Listen{SMTP: free, Submission: free, Submissions: free, IMAP: free, IMAPS: free, Metrics: free}

	socket := fmt.Sprintf("@mailstead-test-%s-%d", t.Name(), time.Now().UnixNano())
	notes, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notes.Close() })
	manager := systemd.At(socket, 100*time.Millisecond)

	if a, err = New(t.Context(), Options{Config: cfg, Version: "test", Manager: manager, Runtime: dir}); err != nil {
		t.Fatal(err)
	}
	err = a.DB.Update(t.Context(), func(tx *sqlite.Tx) (err error) {
		if err := a.Accounts.AddDomain(tx, "example.org"); err != nil {
			return err
		}
		alice, err = a.Accounts.Add(tx, account.New{Address: message.Address{Local: "alice", Domain: "example.org"}, Operator: true})
		if err != nil {
			return err
		}
		return a.Mail.CreateDefaults(tx, alice.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if last := note(t, notes, "STOPPING"); last != "STOPPING=1" {
			t.Errorf("at the stop the manager was told %q", last)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return a, alice, notes
}

// note reads what the service manager is told until it begins so.
func note(t *testing.T, conn *net.UnixConn, begin string) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 1000)
	for {
		n, err := conn.Read(b)
		if err != nil {
			t.Fatalf("waiting for %s: %v", begin, err)
		}
		if strings.HasPrefix(string(b[:n]), begin) {
			return string(b[:n])
		}
	}
}

func TestServerTellsOfItself(t *testing.T) {
	t.Parallel()
	a, alice, notes := running(t)
	if got := note(t, notes, "READY"); got != "READY=1\nSTATUS=ready as mail.example.org" {
		t.Errorf("the manager was told %q", got)
	}
	note(t, notes, "WATCHDOG=1")

	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.Get("http://" + a.Addr("metrics").String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(b)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if code, body := get(path); code != 200 || body != "ok\n" {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}

	// The real doors pass what a stranger looks for.
	for _, f := range a.doctor.Run(t.Context(), "mail.doors", "mail.self", "mail.duty", "mail.delivery", "tls.starttls", "tls.plaintext", "tls.version", "run.operator", "run.lost") {
		if f.Severity != check.OK {
			t.Errorf("%s: %s (%s)", f.ID, f.Sentence, f.Evidence)
		}
	}
	if found := a.doctor.Run(t.Context(), "tls.certificate"); len(found) != 1 || !strings.Contains(found[0].Sentence, "self-signed") {
		t.Errorf("%+v", found)
	}
	if _, text := get("/metrics"); !strings.Contains(text, `mailstead_connections_total{door="smtp",result="accepted"} `) ||
		strings.Contains(text, `{door="smtp",result="accepted"} 0`) {
		t.Error(text)
	}

	// Every user of the machine finds the letterbox, the data directory's own path leads there.
	box := filepath.Join(filepath.Dir(a.Config.Data), control.LetterboxName)
	if to, err := os.Readlink(filepath.Join(a.Config.Data, control.LetterboxName)); err != nil || to != box {
		t.Errorf("%q, %v", to, err)
	}
	letters(t, a, alice)
	sent, err := control.Hand(t.Context(), box, submission.Letter{Recipients: []string{"nobody@example.com"}}, strings.NewReader("\nx"), 2)
	if err != nil || sent.MID == "" {
		t.Errorf("%+v, %v", sent, err)
	}
}

// letters: what changed reaches the operator's INBOX.
func letters(t *testing.T, a *App, alice account.Account) {
	t.Helper()
	changes := []doctor.Change{{Finding: check.Finding{ID: "host.disk", Severity: check.Problem, Sentence: "The disk is full: new mail is put off.", Fix: "Make room."}}}
	if err := a.tellOperators(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	inbox, err := a.Mail.Mailbox(t.Context(), alice.ID, mailbox.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	view, err := a.Mail.Snapshot(t.Context(), inbox.ID)
	if err != nil || view.Len() != 1 {
		t.Fatalf("%d messages, %v", view.Len(), err)
	}
	var text string
	err = a.Mail.Emails(t.Context(), []int64{view.At(0).Email}, func(e *mailbox.Email) error {
		r, err := a.Mail.Content(t.Context(), e)
		if err != nil {
			return err
		}
		defer r.Close()
		b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
		text = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Subject: The disk is full: new mail is put off\r\n", "To: alice@example.org\r\n", "Do: Make room.", "Auto-Submitted: auto-generated"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// TestNothingIsLeftOut: a running server leaves out none of the table.
func TestNothingIsLeftOut(t *testing.T) {
	t.Parallel()
	a, _, _ := running(t)
	var got []string
	for _, c := range a.doctor.Checks(t.Context()) {
		if !strings.HasPrefix(c.ID, "dns.") {
			got = append(got, c.ID)
		}
	}
	for _, id := range []string{
		"host.name", "host.ports", "host.mailserver", "host.clock", "host.memory", "host.disk", "host.inodes", "host.filesystem",
		"host.sync", "host.files", "host.data", "host.firewall", "net.resolver", "net.addresses", "net.outgoing.ipv4",
		"net.outgoing.ipv6", "net.reverse", "net.blocklist", "mail.doors", "tls.starttls", "tls.plaintext", "tls.version",
		"tls.certificate", "mail.duty", "mail.self", "mail.delivery", "mail.incoming", "run.operator", "run.queue", "run.disk", "run.certificates", "run.snapshot", "run.lost",
	} {
		if !slices.Contains(got, id) {
			t.Errorf("%s is not looked at", id)
		}
	}
}
