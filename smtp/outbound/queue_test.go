package outbound

import (
	"context"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/internal/world"
	"mailstead/mailbox/blob"
	"mailstead/message"
	"mailstead/smtp/queue"
)

// TestQueueInTheWorld runs queue and outbound together against a misbehaving
// host for six days: what the host gets, what the sender gets, and how often
// the message was offered.
func TestQueueInTheWorld(t *testing.T) {
	say := func(at world.Step, reply string) world.Behaviour {
		return world.Behaviour{Reply: map[world.Step]string{at: reply}}
	}
	for _, tt := range []struct {
		name    string
		b       world.Behaviour
		mails   int      // that the host took
		reports []string // subjects of the DSNs
		after   time.Duration
	}{
		{"takes it", world.Behaviour{}, 1, nil, time.Second},
		{"greylists for 5 minutes", world.Behaviour{Greylist: 5 * time.Minute}, 1, nil, 8 * time.Minute},
		{"greylists for an hour", world.Behaviour{Greylist: time.Hour}, 1, nil, 150 * time.Minute},
		{"refuses the recipient", say(world.AtRcpt, "550 5.1.1 no"), 0, []string{"Your message could not be delivered"}, time.Second},
		{"is always full", say(world.AtEnd, "452 4.3.1 full"), 0,
			[]string{"Your message is delayed", "Your message could not be delivered"}, 5*24*time.Hour + time.Minute},
		{"is broken for a day", say(world.AtConnect, "421 4.3.2 closed"), 1, []string{"Your message is delayed"}, 30 * time.Hour},
		{"drops the message", world.Behaviour{Drop: world.AtBody}, 0,
			[]string{"Your message is delayed", "Your message could not be delivered"}, 5*24*time.Hour + time.Minute},
		{"breaks TLS", world.Behaviour{TLS: world.Garbage}, 1, nil, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			inWorld(t, func(t *testing.T, w *world.World, o *Outbound) {
				host := mustDomain(t, w, "remote.test", tt.b)
				home := mustDomain(t, w, "us.test", world.Behaviour{})
				q, db, blobs := newQueue(t, dir, o)
				defer db.Close()
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- q.Run(ctx) }()

				accepted := time.Now()
				accept(t, q, db, blobs)
				synctest.Wait()
				if strings.Contains(tt.name, "for a day") {
					time.Sleep(24 * time.Hour)
					host.Behave(world.Behaviour{})
				}
				time.Sleep(tt.after - time.Since(accepted))
				synctest.Wait()
				if n, err := q.Counts(t.Context()); err != nil || n.Messages != 0 {
					t.Errorf("after %v: %+v, %v", tt.after, n, err)
				}
				if n := len(host.Mails()); n != tt.mails {
					t.Errorf("the host has %d messages", n)
				}
				var reports []string
				for _, m := range home.Mails() {
					reports = append(reports, message.ParseHeader(m.Data).Get("Subject"))
					if m.From != "" {
						t.Errorf("a DSN from <%s>", m.From)
					}
				}
				if d := cmp.Diff(tt.reports, reports); d != "" {
					t.Error(d)
				}
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func newQueue(t testing.TB, dir string, o *Outbound) (*queue.Queue, *sqlite.DB, *blob.Store) {
	t.Helper()
	db, err := sqlite.Open(context.Background(), filepath.Join(dir, "mailstead.db"),
		sqlite.Options{Migrations: []fs.FS{blob.Schema(), queue.Schema(), trace.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.New(t.Context(), db, filepath.Join(dir, "messages"), blob.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return queue.New(queue.Options{
		DB: db, Blobs: blobs, Hostname: o.Hostname,
		Route: func(message.Domain) queue.Deliverer { return o },
	}), db, blobs
}

// accept does what a door does.
func accept(t testing.TB, q *queue.Queue, db *sqlite.DB, blobs *blob.Store) {
	t.Helper()
	d, err := blobs.Put(t.Context(), strings.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	err = db.Update(t.Context(), func(tx *sqlite.Tx) error {
		m := queue.Message{MID: "m1", Account: 1, Size: d.Size()}
		m.Envelope.ReversePath = message.Address{Local: "ann", Domain: "us.test"}
		m.Envelope.Recipients = []message.Recipient{{Address: message.Address{Local: "bob", Domain: "remote.test"}}}
		var err error
		if m.Body, err = d.Commit(tx); err != nil {
			return err
		}
		_, err = q.Add(tx, m)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOnLoopback sends over real sockets once, with the fields that the demo
// sets.
func TestOnLoopback(t *testing.T) {
	w, err := world.New(world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	m, err := w.Domain("remote.test", world.Behaviour{})
	if err != nil {
		t.Fatal(err)
	}
	o := &Outbound{
		Hostname: "mail.us.test", Resolver: newResolver(t, w), Port: w.Port, Dial: w.Dial,
		Own: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} },
	}
	defer o.Close()
	got := o.Deliver(t.Context(), item(plain, "bob@remote.test"))
	if d := cmp.Diff([]string{"relayed 2.0.0 250 2.0.0 taken as 1.1"}, brief(got)); d != "" {
		t.Error(d)
	}
	if got[0].Reason != "sent over TLS 1.3 with a certificate that proves nothing" {
		t.Error(got[0].Reason)
	}
	if string(m.Mails()[0].Data) != plain {
		t.Errorf("%q", m.Mails()[0].Data)
	}
}

// BenchmarkQueueToHost is a queue of small messages going out to one host over
// loopback, with TLS, rows and commits.
func BenchmarkQueueToHost(b *testing.B) {
	w, err := world.New(world.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	m, err := w.Domain("remote.test", world.Behaviour{})
	if err != nil {
		b.Fatal(err)
	}
	o := &Outbound{Hostname: "mail.us.test", Resolver: newResolver(b, w), Port: w.Port, Dial: w.Dial,
		Own: func() []netip.Addr { return nil }}
	defer o.Close()
	q, db, blobs := newQueue(b, b.TempDir(), o)
	defer db.Close()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- q.Run(ctx) }()
	n := 0
	for b.Loop() {
		accept(b, q, db, blobs)
		if n++; n%64 == 0 {
			if _, err := m.Wait(ctx, n-64); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := m.Wait(ctx, n); err != nil {
		b.Fatal(err)
	}
	stop()
	<-ended
}
