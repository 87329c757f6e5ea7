package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSetFlags(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	for _, s := range []string{"a", "b", "c", "d"} {
		p.deliver("INBOX", s, 0)
	}
	id := p.box("INBOX").ID
	set := func(uids []uint32, op FlagOp, f Flags, since uint64, keywords ...string) []uint32 {
		t.Helper()
		failed, err := p.SetFlags(ctx, id, uids, op, f, keywords, since)
		p.must(err)
		return failed
	}
	flags := func() (out []string) {
		for _, e := range p.snapshot("INBOX").All {
			s := ""
			for i, c := range "SAFDd" {
				if e.Flags&(1<<i) != 0 {
					s += string(c)
				}
			}
			for _, k := range e.Keywords {
				s += " " + k
			}
			out = append(out, s)
		}
		return out
	}
	start := p.box("INBOX").ModSeq
	set([]uint32{1, 2, 3, 99}, AddFlags, Seen, 0, "Work")
	if m := p.box("INBOX"); m.ModSeq != start+1 || m.Unseen != 1 {
		t.Errorf("after one STORE the row is %+v, it was at %d", m, start)
	}
	set([]uint32{2}, AddFlags, Deleted, 0, "$NOTJUNK", "work")
	if failed := set([]uint32{1, 2, 3}, AddFlags, Flagged, start+1); len(failed) != 1 || failed[0] != 2 {
		t.Errorf("failed are %v", failed)
	}
	set([]uint32{3}, ReplaceFlags, Draft|Answered, 0)
	if diff := cmp.Diff([]string{"SF Work", "SD $NotJunk Work", "Ad", ""}, flags()); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"$NotJunk", "Work"}, p.snapshot("INBOX").Keywords()); diff != "" {
		t.Errorf("keywords (-want +got):\n%s", diff)
	}
	before := p.box("INBOX").ModSeq
	set([]uint32{1, 2, 3, 4}, RemoveFlags, 0, 0, "none")
	if m := p.box("INBOX"); m.ModSeq != before || m.Unseen != 2 || m.Deleted != 1 {
		t.Errorf("a change of nothing leaves %+v, it was at %d", m, before)
	}
	set([]uint32{1, 2, 3, 4}, RemoveFlags, Seen|Deleted, 0, "WORK")
	if diff := cmp.Diff([]string{"F", " $NotJunk", "Ad", ""}, flags()); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if _, err := p.SetFlags(ctx, 999, []uint32{1, 2}, AddFlags, Seen, nil, 0); !errors.Is(err, ErrNotExist) {
		t.Errorf("no such mailbox: %v", err)
	}
	p.consistent()
}

func TestKeywordsAreLimited(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	p.deliver("INBOX", "a", 0)
	id := p.box("INBOX").ID
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprint("k", i))
	}
	add := func(keywords ...string) error {
		_, err := p.SetFlags(ctx, id, []uint32{1}, AddFlags, 0, keywords, 0)
		return err
	}
	p.must(add(many[:100]...))
	for name, err := range map[string]error{
		"one more": add("one-more"), "very many": add(many...), "long": add(strings.Repeat("x", 201)), "two in one": add("a b"),
	} {
		if !errors.Is(err, ErrKeywords) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.must(add("K7"))
	if n := len(p.snapshot("INBOX").Keywords()); n != 100 {
		t.Errorf("%d keywords", n)
	}
}

func TestCopyMoveExpunge(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	var emails []int64
	for i, s := range []string{"a", "b", "c", "d", "e"} {
		f := Flags(0)
		if i%2 == 0 {
			f = Seen
		}
		placed := p.deliverText("INBOX", "Subject: "+s+"\r\n\r\n", Placing{Flags: f, Keywords: []string{"k" + s}, Received: old})
		emails = append(emails, placed.Email)
	}
	inbox, trash := p.box("INBOX"), p.box("Trash")
	got, err := p.Copy(ctx, inbox.ID, []uint32{1, 3, 4, 7}, trash.ID)
	p.must(err)
	if diff := cmp.Diff(Copied{trash.UIDValidity, []uint32{1, 3, 4}, []uint32{1, 2, 3}}, got); diff != "" {
		t.Errorf("copied (-want +got):\n%s", diff)
	}
	got, err = p.Move(ctx, inbox.ID, []uint32{2, 3, 5}, trash.ID)
	p.must(err)
	if diff := cmp.Diff(Copied{trash.UIDValidity, []uint32{2, 3, 5}, []uint32{4, 5, 6}}, got); diff != "" {
		t.Errorf("moved (-want +got):\n%s", diff)
	}
	type row struct {
		UID   uint32
		Email int64
		Flags Flags
		Words string
	}
	rows := func(name string) (out []row) {
		for _, e := range p.snapshot(name).All {
			out = append(out, row{e.UID, e.Email, e.Flags, strings.Join(e.Keywords, " ")})
		}
		return out
	}
	if diff := cmp.Diff([]row{{1, emails[0], Seen, "ka"}, {4, emails[3], 0, "kd"}}, rows("INBOX")); diff != "" {
		t.Errorf("INBOX (-want +got):\n%s", diff)
	}
	want := []row{{1, emails[0], Seen, "ka"}, {2, emails[2], Seen, "kc"}, {3, emails[3], 0, "kd"},
		{4, emails[1], 0, "kb"}, {5, emails[2], Seen, "kc"}, {6, emails[4], Seen, "ke"}}
	if diff := cmp.Diff(want, rows("Trash")); diff != "" {
		t.Errorf("Trash (-want +got):\n%s", diff)
	}
	p.must(p.Emails(ctx, emails, func(e *Email) error {
		if !e.Received.Equal(old) {
			t.Errorf("INTERNALDATE of email %d became %v", e.ID, e.Received)
		}
		return nil
	}))
	saved, err := p.SavedDates(ctx, trash.ID, []uint32{1, 4, 9})
	p.must(err)
	if len(saved) != 2 || time.Since(saved[1]) > time.Minute || time.Since(saved[4]) > time.Minute {
		t.Errorf("saved dates are %v", saved)
	}
	p.consistent()

	_, err = p.SetFlags(ctx, trash.ID, []uint32{2, 4, 5}, AddFlags, Deleted, nil, 0)
	p.must(err)
	since := p.box("Trash").ModSeq
	gone, err := p.Expunge(ctx, trash.ID, []uint32{1, 2, 3})
	p.must(err)
	if diff := cmp.Diff([]uint32{2}, gone); diff != "" {
		t.Errorf("expunged (-want +got):\n%s", diff)
	}
	gone, err = p.Expunge(ctx, trash.ID, nil)
	p.must(err)
	if diff := cmp.Diff([]uint32{4, 5}, gone); diff != "" {
		t.Errorf("expunged (-want +got):\n%s", diff)
	}
	vanished, known, err := p.Vanished(ctx, trash.ID, since)
	p.must(err)
	if diff := cmp.Diff([]uint32{2, 4, 5}, vanished); diff != "" || !known {
		t.Errorf("vanished, known %v (-want +got):\n%s", known, diff)
	}
	p.consistent()

	var left []int64
	p.must(p.Emails(ctx, emails, func(e *Email) error { left = append(left, e.ID); return nil }))
	if diff := cmp.Diff([]int64{emails[0], emails[3], emails[4]}, left); diff != "" {
		t.Errorf("emails left (-want +got):\n%s", diff)
	}
	if _, err := p.Copy(ctx, inbox.ID, []uint32{1}, 999); !errors.Is(err, ErrNotExist) {
		t.Errorf("copy to nowhere: %v", err)
	}
	if _, err := p.Move(ctx, inbox.ID, nil, 999); !errors.Is(err, ErrNotExist) {
		t.Errorf("move of nothing to nowhere: %v", err)
	}
	// Into the same mailbox: a copy is a second message, a move a new UID.
	_, err = p.Copy(ctx, inbox.ID, []uint32{1, 4}, inbox.ID)
	p.must(err)
	_, err = p.Move(ctx, inbox.ID, []uint32{1, 6}, inbox.ID)
	p.must(err)
	if diff := cmp.Diff([]uint32{4, 7, 8, 9}, p.uids("INBOX")); diff != "" {
		t.Errorf("INBOX (-want +got):\n%s", diff)
	}
	p.consistent()
}

func TestCopyToAnotherAccount(t *testing.T) {
	p := newPlace(t)
	p.deliver("INBOX", "a", 0)
	m, err := p.Create(context.Background(), 2, "INBOX", "")
	p.must(err)
	if _, err := p.Copy(context.Background(), p.box("INBOX").ID, []uint32{1}, m.ID); !errors.Is(err, ErrNotExist) {
		t.Errorf("copy into another account: %v", err)
	}
}

func TestRenameInbox(t *testing.T) {
	p := newPlace(t)
	p.create("INBOX/later", "")
	p.deliver("INBOX", "a", 0)
	p.deliver("INBOX", "b", Seen)
	before := p.box("INBOX")
	p.must(p.Rename(context.Background(), alice, "inbox", "Old/2025"))
	if got := p.uids("Old/2025"); len(got) != 2 {
		t.Errorf("Old/2025 holds %v", got)
	}
	after := p.box("INBOX")
	if after.Messages != 0 || after.UIDNext != 3 || after.UIDValidity != before.UIDValidity {
		t.Errorf("INBOX is %+v", after)
	}
	p.box("INBOX/later")
	p.consistent()
}

func TestDeletedMailboxGoesWithItsMail(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	m := p.create("a", "")
	p.create("a/b", "")
	placed := p.deliver("a", "x", 0)
	p.deliver("a", "y", 0)
	p.snapshot("a")
	p.must(p.Delete(ctx, alice, "a"))
	if _, err := p.Snapshot(ctx, m.ID); !errors.Is(err, ErrNotExist) {
		t.Errorf("snapshot of a deleted mailbox: %v", err)
	}
	if _, err := p.SetFlags(ctx, m.ID, []uint32{1}, AddFlags, Seen, nil, 0); err != nil && !errors.Is(err, ErrNotExist) {
		t.Errorf("flags in a deleted mailbox: %v", err)
	}
	p.must(p.Emails(ctx, []int64{placed.Email}, func(*Email) error { t.Error("its email is still there"); return nil }))
	u, err := p.Usage(ctx, alice)
	p.must(err)
	if diff := cmp.Diff(Usage{}, u); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	p.consistent()
}

func TestDeleteAccount(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	p.deliver("INBOX", "a", 0)
	_, err := p.Copy(ctx, p.box("INBOX").ID, []uint32{1}, p.box("Sent").ID)
	p.must(err)
	p.must(p.DeleteAccount(ctx, alice))
	all, err := p.Mailboxes(ctx, alice)
	p.must(err)
	if len(all) != 0 {
		t.Errorf("mailboxes left: %v", all)
	}
	p.consistent()
	for _, table := range []string{"email", "placement", "mailbox", "expunged", "subscription", "mail_account"} {
		ids, err := p.ids(ctx, `SELECT count(*) FROM `+table)
		p.must(err)
		if ids[0] != 0 {
			t.Errorf("%d rows left in %s", ids[0], table)
		}
	}
}
