package mailbox

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
)

func TestAppendAndRead(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	const text = "From: Bob <bob@example.org>\r\nTo: alice@example.org\r\nSubject: Re: Tea\r\n" +
		"Date: Sat, 1 Mar 2025 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nCome over.\r\n"
	received := time.Date(2025, 3, 1, 10, 0, 5, 0, time.UTC)
	const prefix = "Return-Path: <bob@example.org>\r\nReceived: by test\r\n"
	placed := p.deliverText("INBOX", text, Placing{Prefix: []byte(prefix), Flags: Seen, Keywords: []string{"zed", "$junk", "ZED"}, Received: received})
	v := p.snapshot("INBOX")
	want := []Entry{{UID: 1, Flags: Seen, ModSeq: placed.ModSeq, Email: placed.Email, Keywords: []string{"$Junk", "zed"}}}
	if diff := cmp.Diff(want, entries(v)); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	m := p.box("INBOX")
	if m.Messages != 1 || m.Unseen != 0 || m.UIDNext != 2 || m.ModSeq != placed.ModSeq || m.UIDValidity != placed.UIDValidity || m.Size != int64(len(prefix+text)) {
		t.Errorf("row is %+v", m)
	}
	n := 0
	p.must(p.Emails(ctx, []int64{placed.Email, placed.Email + 1}, func(e *Email) error {
		n++
		if e.Size() != int64(len(prefix+text)) || !e.Received.Equal(received) || e.Summary.BaseSubject != "TEA" && e.Summary.BaseSubject != "Tea" {
			t.Errorf("email is %+v", e)
		}
		if !strings.Contains(string(e.Envelope), `"Re: Tea"`) || e.ObjectID == "" || e.ThreadID == "" {
			t.Errorf("envelope %s, ids %s %s", e.Envelope, e.ObjectID, e.ThreadID)
		}
		c, err := p.Content(ctx, e)
		p.must(err)
		defer c.Close()
		got, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
		p.must(err)
		if string(got) != prefix+text {
			t.Errorf("content is %q", got)
		}
		for off := range len(got) {
			b := make([]byte, 7)
			k, err := c.ReadAt(b, int64(off))
			if string(b[:k]) != string(got[off:min(off+7, len(got))]) || (k < 7) != (err == io.EOF) {
				t.Fatalf("ReadAt %d gives %q, %v", off, b[:k], err)
			}
		}
		return nil
	}))
	if n != 1 {
		t.Errorf("%d emails loaded", n)
	}
	p.must(p.SortKeys(ctx, []int64{placed.Email}, func(k *SortKeys) error {
		if k.From != "bob" && k.From != "bob@example.org" || k.Date.Unix() != received.Unix()-5 || k.FromName != "Bob" {
			t.Errorf("sort keys are %+v", k)
		}
		return nil
	}))
	p.consistent()
}

func TestEmailsInOrder(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	var ids []int64
	for range 300 {
		ids = append(ids, p.deliver("INBOX", "x", 0).Email)
	}
	for _, want := range [][]int64{
		ids[:1], ids[:16], ids[5:22], ids,
		{ids[9], ids[3], ids[9], ids[0]},
	} {
		var got []int64
		p.must(p.Emails(ctx, append([]int64{}, want...), func(e *Email) error { got = append(got, e.ID); return nil }))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	}
}

func TestThreads(t *testing.T) {
	const bob = int64(2)
	p := newPlace(t)
	p.update(func(tx *sqlite.Tx) error { return p.CreateDefaults(tx, bob) })
	thread := func(header string) string {
		t.Helper()
		placed := p.deliverText("INBOX", header+"\r\n\r\n.\r\n", Placing{})
		var id string
		p.must(p.Emails(context.Background(), []int64{placed.Email}, func(e *Email) error { id = e.ThreadID; return nil }))
		return id
	}
	early := thread("Message-ID: <3@x>\r\nReferences: <1@x> <2@x>")
	first := thread("Message-ID: <1@x>")
	second := thread("Message-ID: <2@x>\r\nIn-Reply-To: <1@x>")
	noRefs := thread("Message-ID: <4@x>\r\nIn-Reply-To: <3@x>")
	cut := thread("Message-ID: <5@x>\r\nReferences: <3@x> <4@x>")
	for name, got := range map[string]string{"early": early, "second": second, "without references": noRefs, "cut references": cut} {
		if got != first {
			t.Errorf("%s is in %s, the first in %s", name, got, first)
		}
	}
	if a, b := thread("Subject: a"), thread("Subject: a"); a == b || a == first {
		t.Error("messages without Message-ID share a thread")
	}
}

func TestQuota(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	p.update(func(tx *sqlite.Tx) error { return p.SetQuota(tx, alice, 1000) })
	text := "\r\n" + strings.Repeat("x", 498)
	for range 2 {
		p.deliverText("INBOX", text, Placing{})
	}
	deliver := func(size int, grace bool) error {
		in, err := p.Receive(ctx, strings.NewReader("\r\n"+strings.Repeat("x", size-2)))
		p.must(err)
		defer in.Close()
		_, err = p.Deliver(ctx, in, alice, Placing{Mailbox: p.box("INBOX").ID, Grace: grace})
		return err
	}
	for _, tt := range []struct {
		size  int
		grace bool
		want  error
	}{{2, false, ErrOverQuota}, {101, true, ErrOverQuota}, {100, true, nil}, {2, true, ErrOverQuota}} {
		if err := deliver(tt.size, tt.grace); !errors.Is(err, tt.want) {
			t.Errorf("%d bytes, grace %v: %v, want %v", tt.size, tt.grace, err, tt.want)
		}
	}
	u, err := p.Usage(ctx, alice)
	p.must(err)
	if diff := cmp.Diff(Usage{Bytes: 1100, Messages: 3, Limit: 1000}, u); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	// A copy shares its email: it takes no bytes, but it is a message.
	if _, err := p.Copy(ctx, p.box("INBOX").ID, []uint32{1, 2, 3}, p.box("Trash").ID); err != nil {
		t.Fatal(err)
	}
	p.must(p.Remove(ctx, p.box("INBOX").ID, []uint32{1}))
	u, err = p.Usage(ctx, alice)
	p.must(err)
	if diff := cmp.Diff(Usage{Bytes: 1100, Messages: 5, Limit: 1000}, u); diff != "" {
		t.Errorf("usage after a copy (-want +got):\n%s", diff)
	}
	p.must(p.Remove(ctx, p.box("Trash").ID, []uint32{1}))
	p.usage.forget(alice)
	u, err = p.Usage(ctx, alice)
	p.must(err)
	if diff := cmp.Diff(Usage{Bytes: 600, Messages: 4, Limit: 1000}, u); diff != "" {
		t.Errorf("usage after both went (-want +got):\n%s", diff)
	}
	p.consistent()
}

// A refused append changes nothing, so its caller's transaction may go on.
func TestRefusedAppendLeavesNoTrace(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	p.update(func(tx *sqlite.Tx) error { return p.SetQuota(tx, alice, 10) })
	inbox := p.box("INBOX").ID
	in, err := p.Receive(ctx, strings.NewReader("Subject: too much for ten bytes\r\n\r\n"))
	p.must(err)
	defer in.Close()
	p.update(func(tx *sqlite.Tx) error {
		id, err := in.Draft.Commit(tx)
		p.must(err)
		if _, err := p.Append(tx, in, Placing{Mailbox: inbox, Body: id}); !errors.Is(err, ErrOverQuota) {
			t.Errorf("over quota: %v", err)
		}
		if _, err := p.Append(tx, in, Placing{Mailbox: 999, Body: id}); !errors.Is(err, ErrNotExist) {
			t.Errorf("no such mailbox: %v", err)
		}
		return nil
	})
	if m := p.box("INBOX"); m.UIDNext != 1 || m.Messages != 0 {
		t.Errorf("INBOX is %+v", m)
	}
	p.consistent()
}
