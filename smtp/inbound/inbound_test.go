package inbound

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/dialog"
	"mailstead/internal/listen"
	"mailstead/internal/maillog"
	"mailstead/internal/office"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/policy"
	"mailstead/policy/judge"
	"mailstead/smtp"
	"mailstead/smtp/local"
)

// open serves port 25 of an office.
func open(t testing.TB, change func(*Options)) (*office.Office, *dialog.Runner) {
	t.Helper()
	o := office.Open(t)
	opt := Options{
		Hostname: office.Hostname, Accounts: o.Accounts, Mailboxes: o.Mailboxes, Agent: o.Agent,
		Judge: new(judge.Judge), Events: o.Events, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&opt)
	}
	return o, dialog.Addr(o.Serve(&listen.Server{Name: "smtp", Handler: New(opt), Log: opt.Log}))
}

const hello = "S: 220 mx.example.org ESMTP Mailstead\nC: EHLO client.example\nS* 250 LIMITS ...\nC: MAIL FROM:<sender@example.com>\nS: 250 ...\n"

func to(reply string, recipients ...string) string {
	var b strings.Builder
	for _, r := range recipients {
		b.WriteString("C: RCPT TO:<" + r + ">\nS: " + reply + "\n")
	}
	return b.String()
}

const send = "C: DATA\nS: 354 ...\nC: Subject: hello\nC: Message-ID: <1@example.com>\nC: \nC: text\nC: .\nS: <reply>\n"

var stamp = regexp.MustCompile(`\r\n\t\w{3}, [^\r]*`)

func TestDeliveredWithItsPrefix(t *testing.T) {
	o, r := open(t, nil)
	vars := r.Run(t, hello+to("250 2.1.5 ...", "Alice@example.org")+strings.Replace(send, "<reply>", "250 2.0.0 <mid>", 1))
	mail := o.Mail("alice", "INBOX")
	if len(mail) != 1 {
		t.Fatalf("%d messages", len(mail))
	}
	want := "Return-Path: <sender@example.com>\r\nDelivered-To: alice@example.org\r\nAuthentication-Results: mx.example.org; none\r\n" +
		"Received: from client.example ([127.0.0.1])\r\n\tby mx.example.org with ESMTP id " + vars["mid"] + "\r\n\tfor <Alice@example.org>; DATE\r\n" +
		"Subject: hello\r\nMessage-ID: <1@example.com>\r\n\r\ntext\r\n"
	if diff := cmp.Diff(want, stamp.ReplaceAllString(mail[0], " DATE")); diff != "" {
		t.Error(diff)
	}
	received, delivered := o.Events.Kind(maillog.Received), o.Events.Kind(maillog.Delivered)
	if len(received) != 1 || len(delivered) != 1 || received[0].MID != vars["mid"] || delivered[0].MID != vars["mid"] ||
		received[0].MessageID != "1@example.com" || delivered[0].UID != 1 || !delivered[0].Kept {
		t.Errorf("received %+v\ndelivered %+v", received, delivered)
	}
}

func TestRecipients(t *testing.T) {
	o, r := open(t, nil)
	o.Update(func(tx *sqlite.Tx) error {
		if err := o.Mailboxes.SetQuota(tx, o.People["bob"].ID, 10); err != nil {
			return err
		}
		return o.Accounts.SetDisabled(tx, o.People["carol"].ID, true)
	})
	r.Run(t, hello+
		to("550 5.1.1 no such address here", "nobody@example.org")+
		to("550 5.7.1 relaying denied...", "alice@example.net", "alice@[127.0.0.1]")+
		to("550 5.2.1 ...", "carol@example.org")+
		to("250 2.1.5 ...", "alice@example.org", "alice@example.org", "postmaster")+
		"C: RSET\nS: 250 ...\nC: MAIL FROM:<sender@example.com> SIZE=1000\nS: 250 ...\n"+
		to("452 4.2.2 mailbox is full", "bob@example.org")+
		"C: DATA\nS: 554 5.5.1 ...\n")
	if got := len(o.Events.Kind(maillog.Refused)); got != 5 {
		t.Errorf("%d refusals recorded", got)
	}
}

func TestOneCopyForAnAccountReachedTwice(t *testing.T) {
	o, r := open(t, nil)
	r.Run(t, hello+to("250 ...", "team@example.org", "alice@example.org", "alice+x@example.org", "bob@example.org")+
		strings.Replace(send, "<reply>", "250 2.0.0 ...", 1))
	for _, name := range []string{"alice", "bob"} {
		mail := o.Mail(name, "INBOX")
		if len(mail) != 1 || !strings.Contains(mail[0], "Delivered-To: team@example.org\r\n") {
			t.Errorf("%s has %q", name, mail)
		}
		if strings.Contains(mail[0], "\tfor <") {
			t.Error("Received tells a recipient of the others")
		}
	}
}

func TestDetailChoosesAMailbox(t *testing.T) {
	o, r := open(t, nil)
	if _, err := o.Mailboxes.Create(t.Context(), o.People["alice"].ID, "Lists", ""); err != nil {
		t.Fatal(err)
	}
	for _, detail := range []string{"lists", "nothing", "sent"} {
		r.Run(t, hello+to("250 ...", "alice+"+detail+"@example.org")+strings.Replace(send, "<reply>", "250 ...", 1))
	}
	if lists, inbox, sent := len(o.Mail("alice", "Lists")), len(o.Mail("alice", "INBOX")), len(o.Mail("alice", "Sent")); lists != 1 || inbox != 2 || sent != 0 {
		t.Errorf("Lists %d, INBOX %d, Sent %d", lists, inbox, sent)
	}
}

// opinion gives the same verdicts for every message.
type opinion []policy.Verdict

func (o opinion) Judge(context.Context, policy.Evidence) []policy.Verdict { return o }

func TestVerdicts(t *testing.T) {
	verdict := func(d policy.Disposition, reply string) policy.Verdict {
		return policy.Verdict{Disposition: d, Reply: reply, Reasons: []policy.Reason{{Name: "test", Text: "because " + d.String()}}}
	}
	take, junk := verdict(policy.Deliver, ""), verdict(policy.Junk, "")
	refuse, later := verdict(policy.Refuse, "550 5.7.26 forged"), verdict(policy.Defer, "451 4.7.1 wait")
	for _, tt := range []struct {
		name       string
		verdicts   opinion
		reply      string
		alice, bob string // the mailbox
	}{
		{"all take", opinion{take, take}, "250 2.0.0 ...", "INBOX", "INBOX"},
		{"all refuse", opinion{refuse, refuse}, "550 5.7.26 forged", "", ""},
		{"refuse and defer", opinion{refuse, later}, "451 4.7.1 wait", "", ""},
		{"all defer", opinion{later, later}, "451 4.7.1 wait", "", ""},
		{"one takes, one refuses", opinion{take, refuse}, "250 2.0.0 ...", "INBOX", "Junk"},
		{"one takes, one defers", opinion{later, take}, "250 2.0.0 ...", "Junk", "INBOX"},
		{"junk and refuse", opinion{junk, refuse}, "250 2.0.0 ...", "Junk", "Junk"},
		{"reply of the wrong class", opinion{verdict(policy.Refuse, "250 ok"), verdict(policy.Refuse, "")}, "550 5.7.1 message refused", "", ""},
		{"a refusal may not end the connection", opinion{verdict(policy.Defer, "421 4.7.0 go"), later}, "451 4.7.1 message not taken now...", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, r := open(t, func(opt *Options) { opt.Judge = tt.verdicts })
			r.Run(t, hello+to("250 ...", "alice@example.org", "bob@example.org")+strings.Replace(send, "<reply>", tt.reply, 1))
			for name, want := range map[string]string{"alice": tt.alice, "bob": tt.bob} {
				got := ""
				for _, box := range []string{"INBOX", "Junk"} {
					for _, mail := range o.Mail(name, box) {
						got += box
						if shown := strings.Contains(mail, "Mailstead-Verdict: "); shown != (box == "Junk") {
							t.Errorf("verdict shown: %v in %s", shown, box)
						}
					}
				}
				if got != want {
					t.Errorf("%s has it in %q, want %q", name, got, want)
				}
			}
			if refused := len(o.Events.Kind(maillog.Refused)); (refused == 2) != (tt.alice == "") {
				t.Errorf("%d refusals recorded", refused)
			}
		})
	}
}

func TestVerdictHeaderTellsTheReason(t *testing.T) {
	o, r := open(t, func(opt *Options) {
		opt.Judge = opinion{{Disposition: policy.Junk, Reasons: []policy.Reason{{Name: "bayes", Text: "looks (like)\r\njunk; yes"}}}}
	})
	r.Run(t, hello+to("250 ...", "alice@example.org")+strings.Replace(send, "<reply>", "250 ...", 1))
	if got := o.Mail("alice", "Junk"); !strings.Contains(got[0], "\r\nMailstead-Verdict: junk;\r\n\tbayes (looks ?like???junk? yes)\r\n") {
		t.Errorf("%q", got)
	}
}

func TestLoops(t *testing.T) {
	for _, tt := range []struct{ name, header, reply string }{
		{"fifty servers", strings.Repeat("C: Received: by a\n", 50), "250 ..."},
		{"fifty-one servers", strings.Repeat("C: Received: by a\n", 51), "554 5.4.6 ..."},
		{"here once", "C: Delivered-To: alice@example.org\n", "250 ..."},
		{"here twice", strings.Repeat("C: Delivered-To: alice@example.org\n", 2), "554 5.4.6 ..."},
		{"others often", strings.Repeat("C: Delivered-To: bob@example.org\n", 9), "250 ..."},
	} {
		_, r := open(t, nil)
		t.Run(tt.name, func(t *testing.T) {
			r.Run(t, hello+to("250 ...", "alice@example.org")+"C: DATA\nS: 354 ...\n"+tt.header+"C: \nC: .\nS: "+tt.reply+"\n")
		})
	}
}

func TestWhatTheEngineRefusesIsRecorded(t *testing.T) {
	o, r := open(t, func(opt *Options) { opt.MaxSize = 100 })
	r.Run(t, "S: 220 ...\nC: EHLO x\nS* 250 LIMITS ...\nC: MAIL FROM:<sender@example.com> SIZE=101\nS: 552 5.3.4 ...\n")
	for _, tt := range []struct{ bytes, reply string }{
		{strings.Repeat("x", 130) + `\r\n.\r\n`, "552 5.3.4 message is above the size limit"},
		{`a\nb\r\n.\r\n`, "550 5.6.0 message has a bare CR or LF"},
		{`half`, ""},
	} {
		script := hello + to("250 ...", "alice@example.org") + "C: DATA\nS: 354 ...\nC| \"" + tt.bytes + "\"\n"
		if tt.reply == "" {
			script += "CLOSE\n"
		} else {
			script += "S: " + tt.reply + "\n"
		}
		r.Run(t, script)
	}
	want := []string{"552 5.3.4 message is above the size limit", "552 5.3.4 message is above the size limit", "550 5.6.0 message has a bare CR or LF", "the connection ended before the message did"}
	var got []string
	for deadline := time.Now().Add(30 * time.Second); len(got) < len(want) && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		got = nil
		for _, e := range o.Events.Kind(maillog.Refused) {
			got = append(got, e.Reply+e.Reason)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoSpaceIsToldAtMail(t *testing.T) {
	_, r := open(t, func(opt *Options) { opt.Space = &local.Space{Dir: t.TempDir(), MaxSize: 1 << 60} })
	r.Run(t, "S: 220 ...\nC: EHLO x\nS* 250 LIMITS ...\nC: MAIL FROM:<>\nS: 452 4.3.1 ...\n")
}

func TestQuotaMayBeCrossedOnce(t *testing.T) {
	o, r := open(t, nil)
	quota := func(n int64) {
		o.Update(func(tx *sqlite.Tx) error { return o.Mailboxes.SetQuota(tx, o.People["alice"].ID, n) })
	}
	big := hello + to("250 ...", "alice@example.org", "bob@example.org") + "C: DATA\nS: 354 ...\nC: " + strings.Repeat("x", 1000) + "\nC: .\nS: "
	quota(1250)
	r.Run(t, big+"250 2.0.0 ...\n")
	quota(1000) // the message is far above 110%
	if n := len(o.Mail("alice", "INBOX")); n != 1 {
		t.Fatalf("%d messages", n)
	}
	o2, r2 := open(t, nil)
	o2.Update(func(tx *sqlite.Tx) error { return o2.Mailboxes.SetQuota(tx, o2.People["alice"].ID, 1000) })
	r2.Run(t, big+"452 4.2.2 ...\n")
	if a, b := len(o2.Mail("alice", "INBOX")), len(o2.Mail("bob", "INBOX")); a+b != 0 {
		t.Errorf("alice has %d, bob %d", a, b)
	}
}

func TestConnectionRate(t *testing.T) {
	door := New(Options{Rate: 30}).Backend.(*Door)
	connect := func(addr string) (codes []int) {
		s, reply, err := door.NewSession(t.Context(), &smtp.Peer{Remote: netip.MustParseAddrPort(addr)})
		for range 2 {
			if err != nil || reply.Code == 421 {
				break
			}
			if _, reply, err = s.Mail(t.Context(), smtp.Mail{}); err == nil {
				codes = append(codes, reply.Code)
			}
		}
		if codes == nil {
			return []int{reply.Code}
		}
		return codes
	}
	fine, putOff, turnedAway := []int{0, 0}, []int{450, 421}, []int{421}
	for range 10 {
		if diff := cmp.Diff(fine, connect("127.0.0.1:1")); diff != "" {
			t.Fatal("loopback is limited", diff)
		}
	}
	for i, want := range [][]int{fine, fine, fine, putOff, putOff, putOff, turnedAway, turnedAway} {
		if diff := cmp.Diff(want, connect("192.0.2."+strconv.Itoa(i+1)+":1")); diff != "" {
			t.Errorf("connection %d: %s", i+1, diff)
		}
	}
	if diff := cmp.Diff(fine, connect("192.0.3.1:1")); diff != "" {
		t.Error("another network", diff)
	}
}

func TestAcceptedMessageHasItsTraceInTheCommit(t *testing.T) {
	o, r := open(t, nil)
	r.Run(t, hello+to("250 ...", "alice@example.org")+strings.Replace(send, "<reply>", "250 ...", 1))
	s, err := trace.Open(t.Context(), t.TempDir()+"/trace.db", o.DB, trace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	events, err := s.Find(t.Context(), trace.Query{Text: "1@example.com"})
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	story := strings.Join(trace.Story(events), "\n")
	for _, want := range []string{"sender@example.com sent <1@example.com> to alice@example.org from 127.0.0.1", "Put into INBOX of alice@example.org. Why: nothing speaks against it.", "Now: it is in INBOX of alice@example.org."} {
		if !strings.Contains(story, want) {
			t.Errorf("missing %q in\n%s", want, story)
		}
	}
}

// BenchmarkReceive is 4 KiB messages all the way, on 1, 8 and 32 connections.
func BenchmarkReceive(b *testing.B) {
	body := []byte("Subject: x\r\nMessage-ID: <x@example.com>\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 56) + ".\r\n")
	for _, conns := range []int{1, 8, 32} {
		b.Run(strconv.Itoa(conns), func(b *testing.B) {
			_, r := open(b, nil)
			left := make(chan bool, b.N)
			for range b.N {
				left <- true
			}
			close(left)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range conns {
				wg.Go(func() { sendAll(b, r, left, body) })
			}
			wg.Wait()
		})
	}
}

// sendAll sends a message for each token on one connection.
func sendAll(b *testing.B, r *dialog.Runner, left <-chan bool, body []byte) {
	c, err := r.Dial("")
	if err != nil {
		b.Error(err)
		return
	}
	defer c.Close()
	read := reader(b, c)
	read(1)
	c.Write([]byte("EHLO x\r\n"))
	read(8)
	for range left {
		c.Write([]byte("MAIL FROM:<a@example.com>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n"))
		read(3)
		c.Write(body)
		read(1)
	}
}

// reader reads a number of lines, none of which may be a refusal.
func reader(b *testing.B, c net.Conn) func(lines int) {
	buf, have := make([]byte, 0, 4096), 0
	return func(lines int) {
		for {
			if n := strings.Count(string(buf[:have]), "\n"); n >= lines {
				if buf[0] > '3' {
					b.Errorf("%s", buf[:have])
				}
				have = 0
				return
			}
			n, err := c.Read(buf[have:cap(buf)])
			if err != nil {
				b.Error(err)
				return
			}
			buf = buf[:cap(buf)]
			have += n
		}
	}
}
