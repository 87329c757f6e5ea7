package queue

import (
	"context"
	"errors"
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

	"github.com/google/go-cmp/cmp"

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
	began   time.Time
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

func TestDelivered(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		b.add(nil, "bob@b.test", "eve@b.test", "carl@c.test")
		synctest.Wait()
		tries := b.f.taken()
		slices.Sort(tries)
		if d := cmp.Diff([]string{"bob,eve@b.test", "carl@c.test"}, tries); d != "" {
			t.Error(d)
		}
		if b.f.texts[0] != "X-Pre: fix\r\n"+text {
			t.Errorf("%q", b.f.texts[0])
		}
		if n := b.left(); n.Messages != 0 || n.Recipients != 0 {
			t.Errorf("%+v", n)
		}
		var bodies, held int64
		err := b.db.View(t.Context(), func(tx *sqlite.Tx) error {
			return tx.QueryRow(`SELECT count(*), coalesce(sum(refs), 0) FROM body`).Scan(&bodies, &held)
		})
		if err != nil || held != 0 {
			t.Errorf("%d references left, %v", held, err)
		}
		if len(b.events) != 6 {
			t.Errorf("events: %+v", b.events)
		}
	})
}

// TestFiveDays follows a message that never arrives: its attempts, the two DSNs,
// and that nothing is left.
func TestFiveDays(t *testing.T) {
	exact := DefaultSchedule()
	exact.Jitter = 0
	bubble(t, Options{Schedule: exact}, func(t *testing.T, b *bench) {
		b.f.say("bob", message.Delayed, "4.7.1", "451 4.7.1 wait")
		b.add(nil, "bob@b.test")
		for _, step := range []struct {
			age   time.Duration
			tries int
			dsns  int
		}{
			{0, 1, 0}, {time.Minute, 2, 0}, {6 * time.Minute, 3, 0}, {21 * time.Minute, 4, 0}, {51 * time.Minute, 5, 0},
			{239 * time.Minute, 7, 0}, {4 * time.Hour, 8, 1}, {8 * time.Hour, 9, 1}, {24 * time.Hour, 13, 1},
			{119 * time.Hour, 36, 1}, {120 * time.Hour, 37, 2}, {200 * time.Hour, 37, 2},
		} {
			time.Sleep(step.age - time.Since(start0(b)))
			synctest.Wait()
			var tries, dsns int
			for _, s := range b.f.taken() {
				if s == "bob@b.test" {
					tries++
				} else if s == "ann@us.test" {
					dsns++
				}
			}
			if tries != step.tries || dsns != step.dsns {
				t.Errorf("after %v: %d attempts, %d DSNs", step.age, tries, dsns)
			}
		}
		if n := b.left(); n.Messages != 0 {
			t.Errorf("%+v", n)
		}
		kinds := slices.Compact(b.kinds())
		want := []string{"queued bob@b.test", "deferred bob@b.test", "reported ann@us.test", "deferred bob@b.test",
			"failed bob@b.test", "reported ann@us.test"}
		if d := cmp.Diff(want, kinds); d != "" {
			t.Error(d)
		}
		last := b.f.texts[len(b.f.texts)-1]
		for _, want := range []string{"Action: failed\r\n", "Status: 4.7.1\r\n", "Diagnostic-Code: smtp; 451 4.7.1 wait\r\n",
			"not delivered within 5 days", "Subject: hello\r\n", "To: ann@us.test\r\n"} {
			if !strings.Contains(last, want) {
				t.Errorf("the last DSN lacks %q:\n%s", want, last)
			}
		}
	})
}

// start0 is when the bench's bubble began.
func start0(b *bench) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events[0].Time
}

func TestReports(t *testing.T) {
	const never, success, failure, delay = message.NotifyNever, message.NotifySuccess, message.NotifyFailure, message.NotifyDelay
	set := func(n message.Notify) func(*Message) {
		return func(m *Message) { m.Envelope.Recipients[0].Notify = n }
	}
	for _, tt := range []struct {
		name   string
		change func(*Message)
		action message.Action
		want   string // part of the DSN, "" for none
	}{
		{"failure, no NOTIFY", nil, message.Failed, "Action: failed\r\n"},
		{"failure, FAILURE", set(failure), message.Failed, "Action: failed\r\n"},
		{"failure, NEVER", set(never), message.Failed, ""},
		{"failure, SUCCESS", set(success), message.Failed, ""},
		{"success, no NOTIFY", nil, message.Relayed, ""},
		{"success, SUCCESS", set(success), message.Relayed, "Action: relayed\r\n"},
		{"local success, SUCCESS", set(success), message.Delivered, "Action: delivered\r\n"},
		{"failure of a null reverse-path", func(m *Message) { m.Envelope.ReversePath = message.Address{} }, message.Failed, ""},
		{"failure of a forged reverse-path", func(m *Message) { m.Account = 0 }, message.Failed, ""},
		{"failure of a proven reverse-path", func(m *Message) { m.Account, m.Verified = 0, true }, message.Failed, "Action: failed\r\n"},
		{"RET=FULL", func(m *Message) { m.Envelope.Return = "FULL" }, message.Failed, "\r\nbody\r\n"},
		{"ENVID", func(m *Message) { m.Envelope.EnvID = "a+2Bb" }, message.Failed, "Original-Envelope-Id: a+b\r\n"},
		{"ORCPT", func(m *Message) { m.Envelope.Recipients[0].Original = "rfc822;x+2By@b.test" }, message.Failed,
			"Original-Recipient: rfc822; x+y@b.test\r\n"},
		{"delay before its time", set(delay), message.Delayed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, b *bench) {
				b.f.say("bob", tt.action, "5.1.1", "550 5.1.1 no bob")
				b.add(tt.change, "bob@b.test")
				synctest.Wait()
				var reports []string
				for i, s := range b.f.taken() {
					if s == "ann@us.test" {
						reports = append(reports, b.f.texts[i])
					}
				}
				switch {
				case tt.want == "" && len(reports) > 0:
					t.Errorf("a DSN was sent:\n%s", reports[0])
				case tt.want != "" && (len(reports) != 1 || !strings.Contains(reports[0], tt.want)):
					t.Errorf("%d DSNs, want %q in\n%s", len(reports), tt.want, strings.Join(reports, "\n----\n"))
				}
				if tt.name != "RET=FULL" && len(reports) > 0 && strings.Contains(reports[0], "\r\nbody\r\n") {
					t.Error("the body was returned unasked")
				}
			})
		})
	}
}

// TestFailingReportEndsThere: a DSN that cannot be delivered causes no other.
func TestFailingReportEndsThere(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		b.f.say("bob", message.Failed, "5.1.1", "550 no")
		b.f.say("ann", message.Failed, "5.1.1", "550 no")
		b.add(nil, "bob@b.test")
		synctest.Wait()
		if got := b.f.taken(); len(got) != 2 || b.left().Messages != 0 {
			t.Error(got, b.left())
		}
	})
}

func TestPartialFailure(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		b.f.say("eve", message.Failed, "5.1.1", "550 no eve")
		b.f.say("carl", message.Delayed, "4.2.2", "452 full")
		qid := b.add(nil, "bob@b.test", "eve@b.test", "carl@b.test")
		synctest.Wait()
		e, err := b.q.Show(t.Context(), qid)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Recipients) != 1 || e.Recipients[0].Address.Local != "carl" || e.Recipients[0].State != Deferred ||
			e.Recipients[0].Attempts != 1 || e.Recipients[0].Reply != "452 full" {
			t.Errorf("%+v", e)
		}
		b.f.say("carl", message.Relayed, "2.0.0", "250 ok")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := b.f.taken(); got[len(got)-1] != "carl@b.test" || b.left().Messages != 0 {
			t.Error(got)
		}
	})
}

func TestDelivererFaults(t *testing.T) {
	for _, status := range []string{"panic", "none"} {
		bubble(t, Options{}, func(t *testing.T, b *bench) {
			b.f.say("bob", message.Delayed, status, "")
			qid := b.add(nil, "bob@b.test")
			synctest.Wait()
			e, err := b.q.Show(t.Context(), qid)
			if err != nil || e.Recipients[0].State != Deferred || e.Recipients[0].Status != "4.3.0" {
				t.Errorf("%s: %+v, %v", status, e, err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	bubble(t, Options{Concurrency: 5, PerDestination: 2}, func(t *testing.T, b *bench) {
		b.f.work = time.Second
		for i := range 20 {
			b.add(nil, fmt.Sprintf("u%d@busy.test", i))
		}
		for i := range 10 {
			b.add(nil, fmt.Sprintf("u@d%d.test", i))
		}
		time.Sleep(time.Minute)
		if got := len(b.f.taken()); got != 30 {
			t.Errorf("%d attempts", got)
		}
		if b.f.most["busy.test"] != 2 || b.f.most[""] != 5 {
			t.Errorf("at once: %v", b.f.most)
		}
		if last := b.f.taken()[25:]; !slices.ContainsFunc(last, func(s string) bool { return strings.HasSuffix(s, "busy.test") }) {
			t.Errorf("a busy destination was not served in turn: %v", b.f.taken())
		}
		if n := b.remembered(); n != 0 {
			t.Errorf("the scheduler remembers %d things", n)
		}
	})
}

// TestCrash leaves the store as a crash would: the second queue opens what is
// there while the first one still runs its attempt, and must do all of it.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, dir, &fake{work: time.Hour}, Options{Grace: time.Millisecond})
		b.add(nil, "bob@b.test") // before Run
		b.run()
		b.add(nil, "eve@b.test")
		synctest.Wait()
		if n := b.left(); n.Attempting != 2 {
			t.Errorf("%+v", n)
		}
		e, err := b.q.List(t.Context(), 0, 0)
		if err != nil || len(e) != 2 || e[1].Recipients[0].State != Attempting {
			t.Errorf("%+v, %v", e, err)
		}
		b.close()

		b = start(t, dir, &fake{}, Options{})
		b.run()
		defer b.close()
		tries := b.f.taken()
		slices.Sort(tries)
		if d := cmp.Diff([]string{"bob@b.test", "eve@b.test"}, tries); d != "" {
			t.Error(d)
		}
		if n := b.left(); n.Messages != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// TestShutdownKeepsSchedule: an attempt that the shutdown cut short is no
// attempt, one that ended in time counts.
func TestShutdownWithinGrace(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, dir, &fake{work: 5 * time.Second}, Options{})
		b.run()
		b.add(nil, "bob@b.test")
		synctest.Wait()
		b.close()
		b = start(t, dir, &fake{}, Options{})
		defer b.close()
		if n := b.left(); n.Messages != 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestOperator(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		ctx := t.Context()
		b.f.say("bob", message.Delayed, "4.7.1", "451 wait")
		qid := b.add(nil, "bob@b.test")
		synctest.Wait()
		tries := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := len(b.f.taken()); got != want {
				t.Errorf("%d attempts, want %d", got, want)
			}
		}
		tries(1)
		if err := b.q.Retry(ctx, qid); err != nil {
			t.Error(err)
		}
		tries(2)
		if err := b.q.Hold(ctx, qid); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Hour)
		tries(2)
		if e, err := b.q.Show(ctx, qid); err != nil || e.Recipients[0].State != Held {
			t.Error(e, err)
		}
		if err := b.q.Retry(ctx, 0); err != nil {
			t.Error(err)
		}
		tries(4) // bob once more, and the DSN of his delay

		b.f.work = time.Minute
		if err := b.q.Retry(ctx, qid); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := b.q.Hold(ctx, qid); err != nil { // while it runs
			t.Error(err)
		}
		time.Sleep(10 * time.Hour)
		tries(5)
		b.f.work = 0
		if err := b.q.Delete(ctx, qid); err != nil {
			t.Error(err)
		}
		if n := b.left(); n.Messages != 0 || b.remembered() != 0 {
			t.Errorf("%+v", n)
		}
		for _, err := range []error{b.q.Delete(ctx, qid), b.q.Retry(ctx, qid), b.q.Hold(ctx, qid)} {
			if !errors.Is(err, ErrNotExist) {
				t.Error(err)
			}
		}
		if err := b.q.Retry(ctx, 0); err != nil {
			t.Error(err)
		}
		if k := b.kinds(); k[len(k)-1] != "deleted bob@b.test" {
			t.Error(k)
		}
	})
}

// TestAllAtOnce: what is said to all messages goes in chunks and misses none.
func TestAllAtOnce(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		const n = 2*chunk + 5
		var to []string
		for i := range n {
			to = append(to, fmt.Sprintf("u%d@d%d.test", i, i%50))
			b.f.say(fmt.Sprintf("u%d", i), message.Delayed, "4.7.1", "451 wait")
		}
		b.add(nil, to...)
		synctest.Wait()
		if err := b.q.Hold(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if c := b.left(); c.Held != n || c.Recipients != n {
			t.Errorf("%+v", c)
		}
		time.Sleep(48 * time.Hour)
		if got := len(b.f.taken()); got != 50 {
			t.Errorf("%d attempts while held", got)
		}
		if err := b.q.Retry(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := len(b.f.taken()); got < 100 || b.left().Held != 0 {
			t.Errorf("%d attempts, %+v", got, b.left())
		}
	})
}

// TestDeletedWhileRunning: the result of an attempt whose rows are gone changes
// nothing, and the body is let go once.
func TestDeletedWhileRunning(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		b.f.work = time.Minute
		b.f.say("bob", message.Failed, "5.1.1", "550 no")
		qid := b.add(nil, "bob@b.test")
		synctest.Wait()
		if err := b.q.Delete(t.Context(), qid); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := b.f.taken(); len(got) != 1 || b.left().Messages != 0 || b.remembered() != 0 {
			t.Error(got, b.left())
		}
	})
}

// TestFullDiskHoldsResult: a result that cannot be stored waits for its commit;
// the message is not offered again meanwhile.
func TestFullDiskHoldsResult(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		limit := func(pages string) {
			t.Helper()
			err := b.db.Update(t.Context(), func(tx *sqlite.Tx) error {
				var n int64
				return tx.QueryRow("PRAGMA max_page_count = " + pages).Scan(&n)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		b.f.say("bob", message.Failed, "5.1.1", "550 no")
		b.f.work = time.Second
		b.add(func(m *Message) { // its DSN needs room
			m.Envelope.Return = "FULL"
			m.Prefix = []byte("X-Large: " + strings.Repeat("x", 12000) + "\r\n")
		}, "bob@b.test")
		limit("1") // SQLite makes it the present size
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := b.f.taken(); len(got) != 1 || b.left().Messages != 1 {
			t.Errorf("%v, %+v", got, b.left())
		}
		limit("1000000")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if d := cmp.Diff([]string{"bob@b.test", "ann@us.test"}, b.f.taken()); d != "" || b.left().Messages != 0 {
			t.Error(d, b.left())
		}
	})
}

// TestAddressesSurviveTheirRows: what is read is what was added.
func TestAddressesSurviveTheirRows(t *testing.T) {
	var to []string
	for _, local := range []string{"a", `"a b"`, `"a\"b"`, `"a@b"`, "jürgen", `"ü <x>"`, `"a\\b"`, "a+b=c/d", `"."`} {
		to = append(to, local+"@b.test")
	}
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		b.add(nil, to...)
		b.add(nil, "x@[192.0.2.1]", "y@[IPv6:2001:db8::1]", "postmaster")
		synctest.Wait()
		if got := b.f.taken(); len(got) != 4 || b.left().Messages != 0 {
			t.Errorf("%q, %d left", got, b.left().Recipients)
		}
	})
}

func TestSchedule(t *testing.T) {
	s := DefaultSchedule()
	created := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 100 {
		now, attempts := created, 0
		for {
			attempts++
			next, again := s.next(attempts, created, now)
			if !again {
				break
			}
			if pause := next.Sub(now); pause <= 0 || pause > s.Steps[len(s.Steps)-1]*6/5 {
				t.Fatalf("pause %v after attempt %d", pause, attempts)
			}
			now = next
		}
		if !now.Equal(created.Add(s.Expire)) || attempts < 30 || attempts > 45 {
			t.Fatalf("%d attempts, the last one after %v", attempts, now.Sub(created))
		}
	}
}

func TestContent(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, b *bench) {
		d, err := b.blobs.Put(t.Context(), strings.NewReader("0123456789"))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		c := &content{prefix: []byte("abc"), body: draftReader{d}}
		for off := range int64(14) {
			for n := range 15 {
				p := make([]byte, n)
				got, err := c.ReadAt(p, off)
				want := "abc0123456789"[min(off, 13):]
				want = want[:min(n, len(want))]
				if string(p[:got]) != want || got < n && err != io.EOF {
					t.Errorf("%d bytes at %d: %q, %v", n, off, p[:got], err)
				}
			}
		}
	})
}

type draftReader struct{ *blob.Draft }

func BenchmarkAdd(b *testing.B) {
	t := new(testing.T)
	q := start(t, b.TempDir(), &fake{}, Options{})
	defer q.close()
	to := message.Address{Local: "bob", Domain: "b.test"}
	ctx := context.Background()
	d, err := q.blobs.Put(ctx, strings.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	var body blob.ID
	err = q.db.Update(ctx, func(tx *sqlite.Tx) (err error) {
		body, err = d.Commit(tx)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		err := q.db.Update(ctx, func(tx *sqlite.Tx) error {
			for range 100 {
				m := Message{MID: "m", Account: 1, Body: body, Size: 100}
				m.Envelope.Recipients = []message.Recipient{{Address: to}}
				if _, err := q.q.Add(tx, m); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/message")
}
