package account

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

func TestDeletion(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	alice, bob := s.add(t, "alice@example.org"), s.add(t, "bob@example.org")
	secret, err := s.NewAppSecret(ctx, bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, func(tx *sqlite.Tx) error {
		_, err := s.AddAppPassword(tx, bob.ID, "phone", IMAP, secret)
		return errors.Join(err,
			s.AddAddress(tx, bob.ID, addr(t, "robert@example.org")),
			s.AddAlias(tx, addr(t, "bobby@example.org"), bob.ID),
			s.AddAlias(tx, addr(t, "family@example.org"), alice.ID, bob.ID),
			s.SetDomain(tx, Domain{Name: "example.org", Plus: true, CatchAll: bob.ID}))
	})
	plan, err := s.PlanDeletion(ctx, bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := DeletionPlan{
		Account:      bob,
		Until:        plan.Until,
		Addresses:    []message.Address{addr(t, "bob@example.org"), addr(t, "robert@example.org")},
		AliasesLost:  []message.Address{addr(t, "bobby@example.org")},
		AliasesLess:  []message.Address{addr(t, "family@example.org")},
		CatchAll:     []message.Domain{"example.org"},
		AppPasswords: 1,
	}
	if d := cmp.Diff(want, plan); d != "" {
		t.Errorf("plan (-want +got):\n%s", d)
	}

	ended := make(chan struct{}, 1)
	defer s.Hold(bob.ID, remote, func() { ended <- struct{}{} })()
	s.do(t, func(tx *sqlite.Tx) error { return s.Delete(tx, bob.ID) })
	select {
	case <-ended:
	default:
		t.Error("a live session of the deleted account was not ended")
	}
	for _, a := range []string{"bob@example.org", "bobby@example.org", "anybody@example.org"} {
		if _, err := s.Resolve(ctx, addr(t, a)); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s after the deletion: %v", a, err)
		}
	}
	s.refused(t, ErrExists, func(tx *sqlite.Tx) error {
		_, err := s.Add(tx, New{Address: bob.Address})
		return err
	})
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.Delete(tx, bob.ID) })
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.Remove(tx, bob.ID) })

	s.do(t, func(tx *sqlite.Tx) error { return s.Undelete(tx, bob.ID) })
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.Undelete(tx, bob.ID) })
	if got, err := s.Resolve(ctx, addr(t, "bobby@example.org")); err != nil || len(got) != 1 {
		t.Errorf("after undelete: %v, %v", got, err)
	}

	s.do(t, func(tx *sqlite.Tx) error {
		return errors.Join(s.Delete(tx, bob.ID),
			s.update(tx, bob.ID, `UPDATE account SET deleted = ? WHERE id = ?`, time.Now().Add(-Grace-time.Hour).Unix(), bob.ID))
	})
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.Undelete(tx, bob.ID) })
	due, err := s.Expired(ctx)
	if err != nil || len(due) != 1 || due[0].ID != bob.ID {
		t.Fatalf("expired: %v, %v", due, err)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.Remove(tx, bob.ID) })
	if _, err := s.Account(ctx, bob.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed account: %v", err)
	}
	all, err := s.Aliases(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if d := cmp.Diff([]int64{alice.ID}, a.Members); d != "" {
			t.Errorf("%s leads to %v", a.Address, a.Members)
		}
		if a.Address.Local == "bobby" {
			t.Error("an alias that leads to nobody is still there")
		}
	}
	again := s.add(t, "bob@example.org")
	if again.ID == bob.ID {
		t.Error("an account number was used twice")
	}
}
