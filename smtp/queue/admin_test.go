package queue

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mailstead/message"
)

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
