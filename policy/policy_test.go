package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/message"
)

func TestDecideGivesEachRecipientANamedReason(t *testing.T) {
	e := Evidence{Envelope: message.Envelope{Recipients: make([]message.Recipient, 2)}}
	want := Verdict{Disposition: Deliver, Reasons: []Reason{{"no-objection", "nothing speaks against it"}}}
	if diff := cmp.Diff([]Verdict{want, want}, Decide(e)); diff != "" {
		t.Error(diff)
	}
}

func TestDispositionsGetHarder(t *testing.T) {
	if !(Deliver < Junk && Junk < Defer && Defer < Refuse) {
		t.Error("order")
	}
	for d, want := range map[Disposition]string{Deliver: "deliver", Junk: "junk", Defer: "defer", Refuse: "refuse", 9: "unknown"} {
		if d.String() != want {
			t.Errorf("%d is %q", d, d)
		}
	}
}
