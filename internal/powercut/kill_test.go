package powercut

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestKilledServerKeepsEveryAcknowledgedMessage kills the server under load,
// starts it again on what it left, and reads: what was acknowledged is there
// once and whole, what was not is there whole or not at all.
func TestKilledServerKeepsEveryAcknowledgedMessage(t *testing.T) {
	s := newServer(t, program(t, ""), dataDir(t))
	s.populate()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	var all diary
	read := map[string]int{}
	told, rounds := 0, number("MAILSTEAD_PROOF_KILLS", 3)
	for round := range rounds {
		var y diary
		dead := make(chan struct{})
		time.AfterFunc(time.Duration(100+rand.IntN(900))*time.Millisecond, func() { s.kill(); close(dead) })
		together(s, &y, 1<<30)
		<-dead
		if err := s.start(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		holds, err := s.holds(&y, accounts, read)
		if err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, s.out)
		}
		for _, w := range y.check(holds, func(d *deed) (bool, bool) { return d.begun, d.done }) {
			t.Errorf("round %d: %s", round, w)
		}
		told += len(y.acks())
		all.deeds = append(all.deeds, y.deeds...)
		if t.Failed() {
			return
		}
	}
	holds, err := s.holds(&all, accounts, map[string]int{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all.check(holds, func(d *deed) (bool, bool) { return d.begun, d.done }) {
		t.Errorf("at the end: %s", w)
	}
	if err := s.stop(); err != nil {
		t.Errorf("stop: %v\n%s", err, s.out)
	}
	if out, err := s.run("check"); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
	t.Logf("%d kills, %d messages acknowledged", rounds, told)
}
