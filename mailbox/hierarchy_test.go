package mailbox

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
)

// names lists alice's mailboxes with what sets them apart.
func (p *place) names() []string {
	p.t.Helper()
	all, err := p.Mailboxes(context.Background(), alice)
	p.must(err)
	var out []string
	for _, m := range all {
		s := m.Name
		if m.Use != "" {
			s += " " + m.Use
		}
		if m.NoSelect {
			s += ` \Noselect`
		}
		if m.Subscribed {
			s += " +"
		}
		out = append(out, s)
	}
	return out
}

func (p *place) create(name, use string) Mailbox {
	p.t.Helper()
	m, err := p.Create(context.Background(), alice, name, use)
	p.must(err)
	return m
}

func TestDefaults(t *testing.T) {
	p := newPlace(t)
	want := []string{"INBOX +", `Archive \Archive +`, `Drafts \Drafts +`, `Junk \Junk +`, `Sent \Sent +`, `Trash \Trash +`}
	if diff := cmp.Diff(want, p.names()); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	p.update(func(tx *sqlite.Tx) error { return p.CreateDefaults(tx, alice) })
	if diff := cmp.Diff(want, p.names()); diff != "" {
		t.Errorf("defaults again (-want +got):\n%s", diff)
	}
	m := p.box("iNBoX")
	if m.UIDNext != 1 || m.ModSeq == 0 || m.UIDValidity == 0 || m.ObjectID == "" {
		t.Errorf("new INBOX is %+v", m)
	}
}

func TestHierarchy(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	p.update(func(tx *sqlite.Tx) error { return nil })
	p.create("a/b/c", "")
	p.create("a/bb", "")
	for _, tt := range []struct {
		name string
		do   func() error
		want error
	}{
		{"create what is there", func() error { _, err := p.Create(ctx, alice, "a/b", ""); return err }, ErrExists},
		{"create inbox", func() error { _, err := p.Create(ctx, alice, "inbox", ""); return err }, ErrExists},
		{"create a second Sent", func() error { _, err := p.Create(ctx, alice, "Sent 2", UseSent); return err }, ErrUse},
		{"create an unknown use", func() error { _, err := p.Create(ctx, alice, "x", `\All`); return err }, ErrUse},
		{"create a bad name", func() error { _, err := p.Create(ctx, alice, "a//b", ""); return err }, ErrName},
		{"delete INBOX", func() error { return p.Delete(ctx, alice, "INBOX") }, ErrName},
		{"delete what is not there", func() error { return p.Delete(ctx, alice, "x") }, ErrNotExist},
		{"rename what is not there", func() error { return p.Rename(ctx, alice, "x", "y") }, ErrNotExist},
		{"rename into itself", func() error { return p.Rename(ctx, alice, "a", "a/b/d") }, ErrName},
		{"rename onto another", func() error { return p.Rename(ctx, alice, "a", "Sent") }, ErrExists},
		{"rename onto INBOX", func() error { return p.Rename(ctx, alice, "a", "inbox") }, ErrExists},
		{"rename to itself", func() error { return p.Rename(ctx, alice, "a", "a") }, ErrExists},
		{"rename another's", func() error { return p.Rename(ctx, 2, "a", "z") }, ErrNotExist},
		{"rename", func() error { return p.Rename(ctx, alice, "a/b", "d/e") }, nil},
		{"delete a parent", func() error { return p.Delete(ctx, alice, "a") }, nil},
		{"delete it again", func() error { return p.Delete(ctx, alice, "a") }, ErrHasChildren},
	} {
		if err := tt.do(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	want := []string{"INBOX +", `Archive \Archive +`, `Drafts \Drafts +`, `Junk \Junk +`, `Sent \Sent +`, `Trash \Trash +`,
		`a \Noselect`, "a/bb", "d", "d/e", "d/e/c"}
	if diff := cmp.Diff(want, p.names()); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
	if _, err := p.Mailbox(ctx, alice, "a"); !errors.Is(err, ErrNotExist) {
		t.Errorf(`a \Noselect name is found: %v`, err)
	}
	p.create("a", "")
	p.must(p.Delete(ctx, alice, "a/bb"))
	p.must(p.Delete(ctx, alice, "a"))
	p.must(p.Delete(ctx, alice, "Sent"))
	p.create("Gesendet", UseSent)
	p.consistent()
}

func TestUIDValidityGrows(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	var last uint32
	for range 5 {
		m := p.create("a", "")
		if m.UIDValidity <= last {
			t.Fatalf("UIDVALIDITY %d after %d", m.UIDValidity, last)
		}
		last = m.UIDValidity
		p.must(p.Delete(ctx, alice, "a"))
	}
	before := map[uint32]bool{}
	all, err := p.Mailboxes(ctx, alice)
	p.must(err)
	for _, m := range all {
		before[m.UIDValidity] = true
	}
	v := p.snapshot("INBOX")
	p.update(p.RenewUIDValidity)
	all, err = p.Mailboxes(ctx, alice)
	p.must(err)
	for _, m := range all {
		if before[m.UIDValidity] || m.UIDValidity <= last {
			t.Errorf("%s keeps UIDVALIDITY %d over a new epoch", m.Name, m.UIDValidity)
		}
		before[m.UIDValidity] = true
	}
	if p.snapshot("INBOX").UIDValidity() == v.UIDValidity() {
		t.Error("a snapshot kept its UIDVALIDITY over a new epoch")
	}
	if a, b := p.create("b", "").ID, all[0].ID; a-b < 1<<27 {
		t.Errorf("mailbox id %d after %d: an abandoned time line may have given it", a, b)
	}
}

func TestSubscriptionsSurvive(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	p.create("a", "")
	p.must(p.Subscribe(ctx, alice, "a/", true))
	p.must(p.Subscribe(ctx, alice, "a", true))
	p.must(p.Subscribe(ctx, alice, "Sent", false))
	p.must(p.Delete(ctx, alice, "a"))
	got, err := p.Subscriptions(ctx, alice)
	p.must(err)
	if diff := cmp.Diff([]string{"INBOX", "Archive", "Drafts", "Junk", "Trash", "a"}, got); diff != "" {
		t.Errorf("subscriptions (-want +got):\n%s", diff)
	}
	if err := p.Subscribe(ctx, alice, "a//b", true); !errors.Is(err, ErrName) {
		t.Errorf("subscribe to an impossible name: %v", err)
	}
}

func TestWatch(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	mine, all, other := p.Watch(alice), p.Watch(0), p.Watch(2)
	defer other.Close()
	defer all.Close()
	p.create("a", "")
	for _, w := range []*Watch{mine, all} {
		select {
		case <-w.C:
		default:
			t.Fatal("no token after the commit")
		}
		if boxes, list := w.Take(); !list || len(boxes) != 0 {
			t.Errorf("took %v, %v", boxes, list)
		}
	}
	mine.Close()
	p.must(p.Subscribe(ctx, alice, "a", true))
	select {
	case <-mine.C:
		t.Error("a closed watch wakes")
	case <-other.C:
		t.Error("another account's watch wakes")
	default:
	}
}
