package queue

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// fake is a Deliverer that answers by address.
type fake struct {
	mu      sync.Mutex
	answer  map[string]Result // by local part; others are relayed
	tries   []string          // "local parts @ domain, age"
	texts   []string
	running map[message.Domain]int
	most    map[message.Domain]int
	work    time.Duration // each attempt takes so long
}

func (f *fake) Deliver(ctx context.Context, it Item) (results []Result) {
	f.mu.Lock()
	f.running[it.Destination]++
	f.running[""]++
	for _, d := range []message.Domain{"", it.Destination} {
		f.most[d] = max(f.most[d], f.running[d])
	}
	var who []string
	for _, r := range it.Message.Envelope.Recipients {
		who = append(who, r.Address.Local)
		x, ok := f.answer[r.Address.Local]
		if !ok {
			x = Result{Action: message.Relayed, Status: "2.0.0", Reply: "250 2.0.0 ok", RemoteMTA: "mx [192.0.2.1]"}
		}
		if x.Status == "panic" {
			f.mu.Unlock()
			panic("on purpose")
		}
		x.Recipient = r.Address
		if x.Status != "none" {
			results = append(results, x)
		}
	}
	f.tries = append(f.tries, fmt.Sprintf("%s@%s", strings.Join(who, ","), it.Destination))
	b, err := io.ReadAll(io.NewSectionReader(it.Content, 0, it.Content.Size()))
	if err != nil {
		panic(err)
	}
	f.texts = append(f.texts, string(b))
	f.mu.Unlock()
	select {
	case <-time.After(f.work):
	case <-ctx.Done():
		results = delayAll(it, "4.4.2", "shut down", nil)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[it.Destination]--
	f.running[""]--
	return results
}

func (f *fake) say(local string, action message.Action, status, reply string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer[local] = Result{Action: action, Status: status, Reply: reply, RemoteMTA: "mx.b.test [192.0.2.1]", Reason: "for a reason"}
}

func (f *fake) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tries)
}

// bench is a queue over a real store, in the running bubble.
type bench struct {
	t      *testing.T
	dir    string
	db     *sqlite.DB
	blobs  *blob.Store
	q      *Queue
	f      *fake
	stop   context.CancelFunc
	ended  chan struct{}
	events []maillog.Event
	mu     sync.Mutex
}

func (b *bench) Record(e maillog.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

// start opens the store in dir; run begins deliveries.
func start(t *testing.T, dir string, f *fake, o Options) *bench {
	t.Helper()
	b := &bench{t: t, dir: dir, f: f}
	var err error
	b.db, err = sqlite.Open(context.Background(), filepath.Join(dir, "mailstead.db"),
		sqlite.Options{Migrations: []fs.FS{blob.Schema(), Schema(), trace.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	if b.blobs, err = blob.New(context.Background(), b.db, filepath.Join(dir, "messages"), blob.Options{}); err != nil {
		t.Fatal(err)
	}
	if f.answer == nil {
		f.answer = map[string]Result{}
	}
	f.running, f.most = map[message.Domain]int{}, map[message.Domain]int{}
	o.DB, o.Blobs, o.Hostname, o.Events = b.db, b.blobs, "mail.us.test", b
	o.Route = func(message.Domain) Deliverer { return f }
	b.q = New(o)
	return b
}

func (b *bench) run() {
	ctx, stop := context.WithCancel(context.Background())
	b.stop, b.ended = stop, make(chan struct{})
	go func() {
		defer close(b.ended)
		if err := b.q.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	synctest.Wait()
}

func (b *bench) close() {
	if b.stop != nil {
		b.stop()
		<-b.ended
	}
	if err := b.db.Close(); err != nil {
		b.t.Error(err)
	}
}

const text = "From: ann@us.test\r\nSubject: hello\r\nMessage-ID: <1@us.test>\r\n\r\nbody\r\n"

func (b *bench) add(change func(*Message), to ...string) int64 {
	b.t.Helper()
	ctx := context.Background()
	d, err := b.blobs.Put(ctx, strings.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	defer d.Close()
	m := Message{MID: "m1", Account: 1, Size: d.Size() + 12, Prefix: []byte("X-Pre: fix\r\n")}
	m.Envelope.ReversePath = message.Address{Local: "ann", Domain: "us.test"}
	for _, s := range to {
		a, err := message.ParseAddress(s)
		if err != nil {
			b.t.Fatal(err)
		}
		m.Envelope.Recipients = append(m.Envelope.Recipients, message.Recipient{Address: a})
	}
	if change != nil {
		change(&m)
	}
	var qid int64
	err = b.db.Update(ctx, func(tx *sqlite.Tx) (err error) {
		if m.Body, err = d.Commit(tx); err != nil {
			return err
		}
		qid, err = b.q.Add(tx, m)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return qid
}

// counts reads what is left: messages, recipients, references to bodies.
func (b *bench) left() (n Counts) {
	b.t.Helper()
	n, err := b.q.Counts(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// remembered counts what the scheduler holds in memory.
func (b *bench) remembered() int {
	b.q.mu.Lock()
	defer b.q.mu.Unlock()
	return len(b.q.s.entries) + len(b.q.s.byName) + len(b.q.s.lanes)
}

// kinds lists the events of the message m1 as the trace has them.
func (b *bench) kinds() (all []string) {
	b.t.Helper()
	err := b.db.View(context.Background(), func(tx *sqlite.Tx) error {
		all = nil
		rows, err := tx.Query(`SELECT kind, rcpt FROM trace_kept WHERE mid = 'm1' ORDER BY id`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var kind, rcpt string
			if err := rows.Scan(&kind, &rcpt); err != nil {
				return err
			}
			all = append(all, kind+" "+rcpt)
		}
		return rows.Err()
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// bubble runs fn with a started queue in a bubble.
func bubble(t *testing.T, o Options, fn func(t *testing.T, b *bench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, dir, &fake{}, o)
		b.run()
		defer b.close()
		fn(t, b)
	})
}
