package outbound

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/dns"
	"mailstead/internal/world"
	"mailstead/message"
	"mailstead/smtp/queue"
)

// inWorld runs a test in a bubble with a world in memory and an Outbound in it.
func inWorld(t *testing.T, fn func(t *testing.T, w *world.World, o *Outbound)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := world.New(world.Options{Memory: true})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		r := newResolver(t, w)
		r.Dial = w.Dial
		o := &Outbound{
			Hostname: "mail.us.test", Resolver: r, Dial: w.Dial, Roots: w.CA,
			Own: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.25")} },
		}
		defer o.Close()
		fn(t, w, o)
	})
}

func newResolver(t testing.TB, w *world.World) *dns.Client {
	t.Helper()
	r, err := dns.New(w.Resolver())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// body is a message in memory.
type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

const plain = "Subject: hello\r\n\r\n.dot\r\n..\r\nend\r\n"

func item(text string, to ...string) queue.Item {
	it := queue.Item{QID: 1, Content: body{bytes.NewReader([]byte(text))}}
	it.Message.Envelope.ReversePath = message.Address{Local: "ann", Domain: "us.test"}
	for _, s := range to {
		a, err := message.ParseAddress(s)
		if err != nil {
			panic(err)
		}
		it.Destination = a.Domain
		it.Message.Envelope.Recipients = append(it.Message.Envelope.Recipients, message.Recipient{Address: a})
	}
	return it
}

// brief is what the tables compare: "ACTION STATUS REPLY" by recipient.
func brief(results []queue.Result) []string {
	var all []string
	for _, r := range results {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Action, r.Status, r.Reply)))
	}
	return all
}

func mustDomain(t *testing.T, w *world.World, name string, b world.Behaviour) *world.MTA {
	t.Helper()
	m, err := w.Domain(name, b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMessageArrivesWhole(t *testing.T) {
	var long bytes.Buffer
	for i := range 20000 {
		fmt.Fprintf(&long, "%s line %d\r\n", strings.Repeat(".", i%3), i)
	}
	long.WriteString(strings.Repeat("x", 5000) + "\r\n.")
	for name, text := range map[string]string{"dots": plain, "long": long.String(), "empty": "", "only a dot": ".\r\n"} {
		for _, without := range []string{"", "PIPELINING"} {
			inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
				m := mustDomain(t, w, "remote.test", world.Behaviour{Without: []string{without}})
				got := o.Deliver(t.Context(), item(text, "bob@remote.test", "eve@remote.test"))
				want := "relayed 2.0.0 250 2.0.0 taken as 1.1"
				if d := cmp.Diff([]string{want, want}, brief(got)); d != "" {
					t.Fatal(name, d)
				}
				mail := m.Mails()[0]
				if !strings.HasSuffix(text, "\r\n") && text != "" {
					text += "\r\n"
				}
				if string(mail.Data) != text {
					t.Errorf("%s: %d bytes arrived of %d", name, len(mail.Data), len(text))
				}
				if mail.Helo != "mail.us.test" || !mail.TLS || mail.From != "ann@us.test" || len(mail.To) != 2 {
					t.Errorf("%s: %+v", name, mail)
				}
				if got[0].RemoteMTA != "mx.remote.test ["+m.Addr.String()+"]" ||
					got[0].Reason != "sent over TLS 1.3 with a valid certificate" {
					t.Errorf("%+v", got[0])
				}
			})
		}
	}
}

// TestRemoteBehaviour is the table of what hosts do and what becomes of two
// recipients, bob and eve, at a domain with one host.
func TestRemoteBehaviour(t *testing.T) {
	say := func(at world.Step, reply string) world.Behaviour {
		return world.Behaviour{Reply: map[world.Step]string{at: reply}}
	}
	for _, tt := range []struct {
		name     string
		b        world.Behaviour
		bob, eve string
		within   time.Duration // of fake time
	}{
		{"takes it", world.Behaviour{}, "relayed 2.0.0 250 2.0.0 taken as 1.1", "", 0},
		{"no TLS", world.Behaviour{TLS: world.NoTLS}, "relayed 2.0.0 250 2.0.0 taken as 1.1", "", 0},
		{"expired certificate", world.Behaviour{TLS: world.Expired}, "relayed 2.0.0 250 2.0.0 taken as 1.1", "", 0},
		{"certificate of another", world.Behaviour{TLS: world.WrongName}, "relayed 2.0.0 250 2.0.0 taken as 1.1", "", 0},
		{"garbage for TLS", world.Behaviour{TLS: world.Garbage}, "relayed 2.0.0 250 2.0.0 taken as 2.1", "", 0},
		{"handshake dropped", world.Behaviour{Drop: world.AtHandshake}, "relayed 2.0.0 250 2.0.0 taken as 2.1", "", 0},
		{"handshake stalls", world.Behaviour{Stall: world.AtHandshake}, "relayed 2.0.0 250 2.0.0 taken as 2.1", "", 6 * time.Minute},
		{"STARTTLS refused", say(world.AtStartTLS, "454 4.7.0 no TLS today"), "relayed 2.0.0 250 2.0.0 taken as 1.1", "", 0},
		{"HELO only", say(world.AtEHLO, "502 5.5.1 never heard of it"), "relayed 2.0.0 250 2.0.0 taken as 1.1", "", 0},
		{"banner 421", say(world.AtConnect, "421 4.3.2 busy"), "delayed 4.3.2 421 4.3.2 busy", "", 0},
		{"banner 554", say(world.AtConnect, "554 5.7.1 not you"), "delayed 4.7.1 554 5.7.1 not you", "", 0},
		{"banner never", world.Behaviour{Stall: world.AtConnect}, "delayed 4.4.2", "", 6 * time.Minute},
		{"dropped at once", world.Behaviour{Drop: world.AtConnect}, "delayed 4.4.2", "", 0},
		{"no SMTP at all", say(world.AtConnect, "HTTP/1.1 400 Bad Request"), "delayed 4.4.2", "", 0},
		{"EHLO refused", say(world.AtEHLO, "550 5.7.1 bad name"), "delayed 4.7.1 550 5.7.1 bad name", "", 0},
		{"EHLO dropped", world.Behaviour{Drop: world.AtEHLO}, "delayed 4.4.2", "", 0},
		{"MAIL refused", say(world.AtMail, "550 5.7.1 not from you"), "failed 5.7.1 550 5.7.1 not from you", "", 0},
		{"MAIL later", say(world.AtMail, "451 4.3.0 later"), "delayed 4.3.0 451 4.3.0 later", "", 0},
		{"MAIL stalls", world.Behaviour{Stall: world.AtMail}, "delayed 4.4.2", "", 6 * time.Minute},
		{"one recipient refused", world.Behaviour{Rcpt: map[string]string{"eve@remote.test": "550 5.1.1 no eve"}},
			"relayed 2.0.0 250 2.0.0 taken as 1.1", "failed 5.1.1 550 5.1.1 no eve", 0},
		{"one recipient later", world.Behaviour{Rcpt: map[string]string{"eve@remote.test": "450 full for now"}},
			"relayed 2.0.0 250 2.0.0 taken as 1.1", "delayed 4.0.0 450 full for now", 0},
		{"both refused", say(world.AtRcpt, "550 no"), "failed 5.0.0 550 no", "", 0},
		{"greylisted", world.Behaviour{Greylist: 5 * time.Minute},
			"delayed 4.7.1 451 4.7.1 greylisted, try again later", "", 0},
		{"one at a time", world.Behaviour{MaxRcpt: 1},
			"relayed 2.0.0 250 2.0.0 taken as 1.1", "relayed 2.0.0 250 2.0.0 taken as 1.2", 0},
		{"one message a connection", world.Behaviour{MaxRcpt: 1, PerConn: 1},
			"relayed 2.0.0 250 2.0.0 taken as 1.1", "relayed 2.0.0 250 2.0.0 taken as 2.1", 0},
		{"RCPT dropped", world.Behaviour{Drop: world.AtRcpt}, "delayed 4.4.2", "", 0},
		{"RCPT closes with 421", say(world.AtRcpt, "421 4.7.0 go away"), "delayed 4.7.0 421 4.7.0 go away", "", 0},
		{"DATA refused", say(world.AtData, "554 5.7.1 no data"), "failed 5.7.1 554 5.7.1 no data", "", 0},
		{"DATA later", say(world.AtData, "451 later"), "delayed 4.0.0 451 later", "", 0},
		{"DATA stalls", world.Behaviour{Stall: world.AtData}, "delayed 4.4.2", "", 3 * time.Minute},
		{"dropped in the message", world.Behaviour{Drop: world.AtBody}, "delayed 4.4.2", "", 0},
		{"refused after the message", say(world.AtEnd, "550 5.7.1 spam"), "failed 5.7.1 550 5.7.1 spam", "", 0},
		{"later after the message", say(world.AtEnd, "452 4.3.1 disk full"), "delayed 4.3.1 452 4.3.1 disk full", "", 0},
		{"closed before the last reply", world.Behaviour{Drop: world.AtEnd}, "delayed 4.4.2", "", 0},
		{"silent before the last reply", world.Behaviour{Stall: world.AtEnd}, "delayed 4.4.2", "", 11 * time.Minute},
		{"slow", world.Behaviour{Delay: 90 * time.Second}, "relayed 2.0.0 250 2.0.0 taken as 1.1", "", time.Hour},
		{"too large", world.Behaviour{Size: 10}, "failed 5.3.4", "", 0},
		{"escapes in a reply", say(world.AtRcpt, "550 5.1.1 \x1b[31mred\a\x00"), "failed 5.1.1 550 5.1.1 ?[31mred??", "", 0},
		{"status of another class", say(world.AtRcpt, "550 2.1.5 fine"), "failed 5.0.0 550 2.1.5 fine", "", 0},
		{"code that is none", say(world.AtRcpt, "350 what"), "delayed 4.4.2", "", 0},
		{"reply of many lines", say(world.AtRcpt, "550-5.1.1 a\r\n550-5.1.1 b\r\n550 5.1.1 c"), "failed 5.1.1 550 5.1.1 a b c", "", 0},
		{"endless reply", say(world.AtRcpt, strings.Repeat("550-more\r\n", 500)+"550 end"), "delayed 4.4.2", "", 0},
	} {
		for _, without := range []string{"", "PIPELINING"} {
			t.Run(tt.name+" "+without, func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
					b := tt.b
					b.Without = []string{without}
					mustDomain(t, w, "remote.test", b)
					start := time.Now()
					got := brief(o.Deliver(t.Context(), item(plain, "bob@remote.test", "eve@remote.test")))
					eve := tt.eve
					if eve == "" {
						eve = tt.bob
					}
					if d := cmp.Diff([]string{tt.bob, eve}, got); d != "" {
						t.Error(d)
					}
					if took := time.Since(start); took > max(tt.within, time.Second) {
						t.Errorf("took %v", took)
					}
				})
			})
		}
	}
}

func TestRouting(t *testing.T) {
	const here = "192.0.2.25"
	for _, tt := range []struct {
		name, zone, to, want string
	}{
		{"no such domain", "", "bob@nowhere.test", "failed 5.1.2"},
		{"no MX, no address", "@ TXT x", "bob@remote.test", "failed 5.1.2"},
		{"null MX", "@ MX 0 .", "bob@remote.test", "failed 5.1.10"},
		{"MX without address", "@ MX 5 gone", "bob@remote.test", "failed 5.4.4"},
		{"own name is best", "@ MX 5 mail.us.test.\n@ MX 10 good", "bob@remote.test", "failed 5.4.6"},
		{"own address is best", "@ MX 5 we\nwe A " + here, "bob@remote.test", "failed 5.4.6"},
		{"own name is next best, the best is down", "@ MX 5 down\n@ MX 7 mail.us.test.\n@ MX 10 good\ndown A 192.0.2.99",
			"bob@remote.test", "delayed 4.4.1"},
		{"own address is next best", "@ MX 5 down\n@ MX 7 we\n@ MX 10 good\nwe A " + here + "\ndown A 192.0.2.99",
			"bob@remote.test", "delayed 4.4.1"},
		{"second MX", "@ MX 5 down\n@ MX 10 good\ndown A 192.0.2.99", "bob@remote.test", "relayed 2.0.0 250 2.0.0 taken as 1.1"},
		{"MX without address, then one", "@ MX 5 gone\n@ MX 10 good", "bob@remote.test", "relayed 2.0.0 250 2.0.0 taken as 1.1"},
		{"MX is an alias", "@ MX 5 alias\nalias CNAME good", "bob@remote.test", "relayed 2.0.0 250 2.0.0 taken as 1.1"},
		{"domain is an alias", "@ CNAME other.test.", "bob@remote.test", "relayed 2.0.0 250 2.0.0 taken as 1.1"},
		{"no MX, address of the domain", "@ A GOOD", "bob@remote.test", "relayed 2.0.0 250 2.0.0 taken as 1.1"},
		{"IPv6 without a route", "@ MX 5 dual\ndual AAAA 2001:db8::1\ndual A GOOD", "bob@remote.test", "relayed 2.0.0 250 2.0.0 taken as 1.1"},
		{"first address is down", "@ MX 5 two\ntwo A 192.0.2.99\ntwo A GOOD", "bob@remote.test", "relayed 2.0.0 250 2.0.0 taken as 1.1"},
		{"address literal", "", "bob@[GOOD]", "relayed 2.0.0 250 2.0.0 taken as 1.1"},
		{"own address literal", "", "bob@[" + here + "]", "failed 5.4.6"},
		{"DNS fails", "@ TXT x", "bob@servfail.test", "delayed 4.4.3"},
		{"DNS is silent", "@ TXT x", "bob@silent.test", "delayed 4.4.3"},
		{"address fails", "@ MX 5 servfail.test.", "bob@remote.test", "delayed 4.4.3"},
		{"black hole", "@ MX 5 hole\nhole A 192.0.2.66", "bob@remote.test", "delayed 4.4.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
				w.Fail("servfail.test", world.ServFail)
				w.Fail("silent.test", world.Silence)
				w.BlackHole(netip.MustParseAddr("192.0.2.66"))
				if err := w.Zone("other.test", "@ MX 5 good.remote.test."); err != nil {
					t.Fatal(err)
				}
				m, err := w.MTA("good.helper.test", world.Behaviour{})
				if err != nil {
					t.Fatal(err)
				}
				put := func(s string) string { return strings.ReplaceAll(s, "GOOD", m.Addr.String()) }
				if err := w.Zone("remote.test", put(tt.zone)+"\ngood A "+m.Addr.String()+"\n"); err != nil {
					t.Fatal(err)
				}
				got := brief(o.Deliver(t.Context(), item(plain, put(tt.to))))
				if d := cmp.Diff([]string{tt.want}, got); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// TestNextHost: what one host puts off another may take, and nothing goes
// twice.
func TestNextHost(t *testing.T) {
	say := func(at world.Step, reply string) world.Behaviour {
		return world.Behaviour{Reply: map[world.Step]string{at: reply}}
	}
	for _, tt := range []struct {
		name  string
		first world.Behaviour
		want  []string // of bob and eve
		mails int      // at the second host
	}{
		{"banner 554", say(world.AtConnect, "554 closed"), []string{"relayed 2.0.0", "relayed 2.0.0"}, 1},
		{"eve later", world.Behaviour{Rcpt: map[string]string{"eve@remote.test": "451 later"}}, []string{"relayed 2.0.0", "relayed 2.0.0"}, 1},
		{"final 452", say(world.AtEnd, "452 full"), []string{"relayed 2.0.0", "relayed 2.0.0"}, 1},
		{"eve refused", world.Behaviour{Rcpt: map[string]string{"eve@remote.test": "550 no"}}, []string{"relayed 2.0.0", "failed 5.0.0"}, 0},
		{"final reply lost", world.Behaviour{Drop: world.AtEnd}, []string{"delayed 4.4.2", "delayed 4.4.2"}, 0},
		{"MAIL refused", say(world.AtMail, "550 5.7.1 no"), []string{"failed 5.7.1", "failed 5.7.1"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
				if err := w.Zone("remote.test", "@ MX 5 one\n@ MX 10 two\n"); err != nil {
					t.Fatal(err)
				}
				if _, err := w.MTA("one.remote.test", tt.first); err != nil {
					t.Fatal(err)
				}
				two, err := w.MTA("two.remote.test", world.Behaviour{})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, r := range o.Deliver(t.Context(), item(plain, "bob@remote.test", "eve@remote.test")) {
					got = append(got, fmt.Sprint(r.Action, " ", r.Status))
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Error(d)
				}
				if n := len(two.Mails()); n != tt.mails {
					t.Errorf("the second host has %d messages", n)
				}
			})
		})
	}
}

func TestExtensions(t *testing.T) {
	const german = "Subject: ü\r\n\r\nü\r\n"
	utf8 := func(text string, to ...string) queue.Item {
		it := item(text, to...)
		it.Message.Envelope.SMTPUTF8 = true
		return it
	}
	for _, tt := range []struct {
		name    string
		it      queue.Item
		b       world.Behaviour
		want    []string
		mailArg string
	}{
		{"7 bit", item(plain, "bob@remote.test"), world.Behaviour{}, []string{"relayed 2.0.0"}, "SIZE=33"},
		{"8 bit", item(german, "bob@remote.test"), world.Behaviour{}, []string{"relayed 2.0.0"}, "SIZE=19 BODY=8BITMIME"},
		{"8 bit to a 7-bit host", item(german, "bob@remote.test"), world.Behaviour{Without: []string{"8BITMIME"}}, []string{"failed 5.6.3"}, ""},
		{"7 bit to a 7-bit host", item(plain, "bob@remote.test"), world.Behaviour{Without: []string{"8BITMIME", "SIZE"}}, []string{"relayed 2.0.0"}, ""},
		{"UTF-8 header", utf8(german, "bob@remote.test"), world.Behaviour{}, []string{"relayed 2.0.0"}, "SIZE=19 BODY=8BITMIME SMTPUTF8"},
		{"UTF-8 header, not offered", utf8(german, "bob@remote.test"), world.Behaviour{Without: []string{"SMTPUTF8"}}, []string{"failed 5.6.7"}, ""},
		{"SMTPUTF8 not needed", utf8(plain, "bob@remote.test"), world.Behaviour{Without: []string{"SMTPUTF8"}}, []string{"relayed 2.0.0"}, "SIZE=33"},
		{"UTF-8 in the body alone", utf8("Subject: x\r\n\r\nü\r\n", "bob@remote.test"), world.Behaviour{Without: []string{"SMTPUTF8"}},
			[]string{"relayed 2.0.0"}, "SIZE=18 BODY=8BITMIME"},
		{"one UTF-8 address, not offered", utf8(plain, "bob@remote.test", "jürgen@remote.test"), world.Behaviour{Without: []string{"SMTPUTF8"}},
			[]string{"relayed 2.0.0", "failed 5.6.7"}, "SIZE=33"},
		{"one UTF-8 address", utf8(plain, "bob@remote.test", "jürgen@remote.test"), world.Behaviour{},
			[]string{"relayed 2.0.0", "relayed 2.0.0"}, "SIZE=33 SMTPUTF8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
				m := mustDomain(t, w, "remote.test", tt.b)
				var got []string
				for _, r := range o.Deliver(t.Context(), tt.it) {
					got = append(got, fmt.Sprint(r.Action, " ", r.Status))
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Error(d)
				}
				if mails := m.Mails(); len(mails) > 0 && mails[0].FromArgs != tt.mailArg {
					t.Errorf("MAIL said %q", mails[0].FromArgs)
				}
			})
		})
	}
}

func TestDSNParametersTravel(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
		m := mustDomain(t, w, "remote.test", world.Behaviour{DSN: true})
		it := item(plain, "bob@remote.test")
		it.Message.Envelope.EnvID, it.Message.Envelope.Return = "id+3D1", "HDRS"
		it.Message.Envelope.Recipients[0].Notify = message.NotifySuccess | message.NotifyDelay
		it.Message.Envelope.Recipients[0].Original = "rfc822;bob@old.test"
		r := o.Deliver(t.Context(), it)
		mail := m.Mails()[0]
		if d := cmp.Diff([]string{"SIZE=33 RET=HDRS ENVID=id+3D1", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob@old.test"},
			[]string{mail.FromArgs, mail.ToArgs[0]}); d != "" || !r[0].Notifies {
			t.Error(d, r)
		}
	})
}

func TestManyRecipientsGoInHundreds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
		m := mustDomain(t, w, "remote.test", world.Behaviour{})
		var to []string
		for i := range 250 {
			to = append(to, fmt.Sprintf("u%d@remote.test", i))
		}
		for _, r := range o.Deliver(t.Context(), item(plain, to...)) {
			if r.Action != message.Relayed {
				t.Fatal(r)
			}
		}
		mails := m.Mails()
		if len(mails) != 3 || len(mails[2].To) != 50 || m.Connections() != 1 {
			t.Errorf("%d messages over %d connections", len(mails), m.Connections())
		}
	})
}

// TestLimits: what a host tells by LIMITS is kept (RFC 9422).
func TestLimits(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
		m := mustDomain(t, w, "remote.test", world.Behaviour{Limits: "MAILMAX=2 RCPTMAX=1"})
		for range 2 {
			for _, r := range o.Deliver(t.Context(), item(plain, "bob@remote.test", "eve@remote.test")) {
				if r.Action != message.Relayed {
					t.Error(r)
				}
			}
		}
		if mails := m.Mails(); len(mails) != 4 || m.Connections() != 2 {
			t.Errorf("%d messages, %d connections", len(mails), m.Connections())
		}
	})
}

func TestConnectionsAreKept(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
		m := mustDomain(t, w, "remote.test", world.Behaviour{})
		send := func(connections int) {
			t.Helper()
			if r := o.Deliver(t.Context(), item(plain, "bob@remote.test")); r[0].Action != message.Relayed {
				t.Fatal(r)
			}
			if got := m.Connections(); got != connections {
				t.Errorf("%d connections, want %d", got, connections)
			}
		}
		send(1)
		time.Sleep(29 * time.Second)
		send(1)
		time.Sleep(31 * time.Second) // it has said QUIT by now
		send(2)
		m.Behave(world.Behaviour{Rcpt: map[string]string{"bob@remote.test": "550 no"}})
		o.Deliver(t.Context(), item(plain, "bob@remote.test"))
		m.Behave(world.Behaviour{})
		send(2) // after RSET
		m.Behave(world.Behaviour{PerConn: 1})
		send(3) // the host says 421 to a kept connection
		for range 120 {
			m.Behave(world.Behaviour{})
			o.Deliver(t.Context(), item(plain, "bob@remote.test"))
		}
		send(4) // 100 messages a connection
	})
}

func TestHostIsNotFlooded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
		o.PerHost = 2
		m := mustDomain(t, w, "remote.test", world.Behaviour{Delay: time.Second})
		done := make(chan struct{})
		for range 8 {
			go func() {
				o.Deliver(t.Context(), item(plain, "bob@remote.test"))
				done <- struct{}{}
			}()
		}
		for range 8 {
			<-done
		}
		if len(m.Mails()) != 8 || m.Connections() > 2 {
			t.Errorf("%d messages, %d connections", len(m.Mails()), m.Connections())
		}
	})
}

// TestOutageIsRemembered: the second message does not wait for a dead address.
func TestOutageIsRemembered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
		m := mustDomain(t, w, "remote.test", world.Behaviour{})
		w.BlackHole(m.Addr)
		for _, want := range []time.Duration{connectTimeout, 0, 0} {
			start := time.Now()
			r := o.Deliver(t.Context(), item(plain, "bob@remote.test"))[0]
			if took := time.Since(start); took != want || r.Status != "4.4.1" {
				t.Errorf("%v: %+v", took, r)
			}
		}
		time.Sleep(outageTime)
		start := time.Now()
		if o.Deliver(t.Context(), item(plain, "bob@remote.test")); time.Since(start) != connectTimeout {
			t.Error("it was not tried again")
		}
	})
}

func TestDemandedTLS(t *testing.T) {
	for kind, want := range map[world.TLS]string{
		world.Valid: "relayed 2.0.0", world.NoTLS: "delayed 4.7.5", world.Expired: "delayed 4.7.5",
		world.WrongName: "delayed 4.7.5", world.Garbage: "delayed 4.7.5",
	} {
		inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
			o.Policy = func(_ context.Context, _ message.Domain, host string, _ bool) (Policy, error) {
				return Policy{Name: "MTA-STS", Require: true, Verify: o.verify(host)}, nil
			}
			m := mustDomain(t, w, "remote.test", world.Behaviour{TLS: kind})
			r := o.Deliver(t.Context(), item(plain, "bob@remote.test"))[0]
			if got := fmt.Sprint(r.Action, " ", r.Status); got != want {
				t.Errorf("%v: %+v", kind, r)
			}
			if want[0] == 'd' && len(m.Mails()) != 0 {
				t.Errorf("%v: sent all the same", kind)
			}
		})
	}
}

func TestSmartHost(t *testing.T) {
	for _, tt := range []struct {
		name, password string
		tls            world.TLS
		want           string
		err            bool
	}{
		{"good", "secret", world.Valid, "relayed 2.0.0 250 2.0.0 taken as 1.1", false},
		{"wrong password", "guess", world.Valid, "delayed 4.7.8 535 5.7.8 no", true},
		{"no TLS", "secret", world.NoTLS, "delayed 4.7.5", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
				m, err := w.MTA("smart.test", world.Behaviour{TLS: tt.tls, Users: map[string]string{"us": "secret"}})
				if err != nil {
					t.Fatal(err)
				}
				smart := SmartHost{Host: "smart.test", Port: w.Port, Username: "us", Password: tt.password}
				o.SmartHost = func(context.Context) (*SmartHost, error) { return &smart, nil }
				r := o.Deliver(t.Context(), item(plain, "bob@nowhere.test"))
				if d := cmp.Diff([]string{tt.want}, brief(r)); d != "" || (r[0].Err != nil) != tt.err {
					t.Error(d, r[0].Err)
				}
				if !tt.err && m.Mails()[0].User != "us" {
					t.Error("no AUTH")
				}
			})
		})
	}
}

func TestCancelledAttemptIsDelayed(t *testing.T) {
	for _, at := range []world.Step{world.AtConnect, world.AtMail, world.AtEnd, world.AtHandshake} {
		inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
			mustDomain(t, w, "remote.test", world.Behaviour{Stall: at})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			start := time.Now()
			r := o.Deliver(ctx, item(plain, "bob@remote.test"))
			if r[0].Action != message.Delayed || time.Since(start) > 11*time.Second {
				t.Errorf("%s: %+v after %v", at, r, time.Since(start))
			}
		})
	}
}
