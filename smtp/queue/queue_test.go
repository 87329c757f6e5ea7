package queue

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

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
