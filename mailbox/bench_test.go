package mailbox

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstead/internal/sqlite"
)

// benchPlace is a place with n messages in INBOX.
func benchPlace(b *testing.B, n int) *place {
	p := newBenchPlace(b)
	p.fill(n)
	return p
}

// fill puts n rows into INBOX whose emails share one body.
func (p *place) fill(n int) {
	ctx := context.Background()
	in, err := p.Receive(ctx, strings.NewReader(sample))
	p.must(err)
	defer in.Close()
	inbox := p.box("INBOX").ID
	for left := n; left > 0; left -= p.chunk {
		p.update(func(tx *sqlite.Tx) error {
			id, err := in.Draft.Commit(tx)
			if err != nil {
				return err
			}
			for range min(left, p.chunk) {
				if _, err := p.Append(tx, in, Placing{Mailbox: inbox, Body: id, Prefix: []byte(samplePrefix)}); err != nil {
					return err
				}
			}
			return nil
		})
		in.Close()
		if in, err = p.Receive(ctx, strings.NewReader(sample)); err != nil {
			p.t.Fatal(err)
		}
	}
}

var sample = "From: Bob Example <bob@example.org>\r\nTo: Alice <alice@example.com>\r\nCc: Carol <carol@example.net>\r\n" +
	"Subject: Notes of the meeting on Tuesday and what follows from them\r\nDate: Sat, 1 Mar 2025 10:00:00 +0000\r\n" +
	"Message-ID: <20250301100000.12345.abcdef@mail.example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: 8bit\r\nUser-Agent: Bench\r\n\r\n" + strings.Repeat("All of this is only text to fill the message up to its size.\r\n", 58)

var samplePrefix = "Return-Path: <bob@example.org>\r\nDelivered-To: alice@example.com\r\n" +
	"Received: from mail.example.org (mail.example.org [192.0.2.25])\r\n\tby mx.example.com (Mailstead) with ESMTPS id 0123456789\r\n\tfor <alice@example.com>; Sat, 1 Mar 2025 10:00:01 +0000\r\n" +
	"Authentication-Results: mx.example.com; spf=pass smtp.mailfrom=example.org\r\n"

func BenchmarkDeliver(b *testing.B) {
	for _, callers := range []int{1, 8, 32} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			p := benchPlace(b, 0)
			inbox := p.box("INBOX").ID
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			work := make(chan struct{}, callers)
			for range callers {
				wg.Go(func() {
					for range work {
						in, err := p.Receive(context.Background(), strings.NewReader(sample))
						if err == nil {
							_, err = p.Deliver(context.Background(), in, alice, Placing{Mailbox: inbox, Prefix: []byte(samplePrefix)})
							in.Close()
						}
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			start := cpu()
			for range b.N {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(cpu()-start)/float64(b.N)/1000, "cpu-µs/op")
		})
	}
}

// BenchmarkAppend is the part inside the writer alone: the statements.
func BenchmarkAppend(b *testing.B) {
	p := benchPlace(b, 0)
	inbox := p.box("INBOX").ID
	in, err := p.Receive(context.Background(), strings.NewReader(sample))
	p.must(err)
	defer in.Close()
	b.ReportAllocs()
	for b.Loop() {
		p.update(func(tx *sqlite.Tx) error {
			id, err := in.Draft.Commit(tx)
			for range 100 {
				if err == nil {
					_, err = p.Append(tx, in, Placing{Mailbox: inbox, Body: id, Prefix: []byte(samplePrefix)})
				}
			}
			return err
		})
		in.Close()
		in, err = p.Receive(context.Background(), strings.NewReader(sample))
		p.must(err)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/100/1000, "µs/append")
}

func BenchmarkReceive(b *testing.B) {
	p := benchPlace(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		in, err := p.Receive(context.Background(), strings.NewReader(sample))
		p.must(err)
		in.Close()
	}
}

func BenchmarkLoad100k(b *testing.B) {
	p := benchPlace(b, 100_000)
	inbox := p.box("INBOX").ID
	b.ReportAllocs()
	for b.Loop() {
		p.fresh(inbox)
	}
}

func BenchmarkSetFlags10k(b *testing.B) {
	p := benchPlace(b, 10_000)
	uids := p.uids("INBOX")
	inbox := p.box("INBOX").ID
	ops := []FlagOp{AddFlags, RemoveFlags}
	i := 0
	for b.Loop() {
		_, err := p.SetFlags(context.Background(), inbox, uids, ops[i%2], Seen, nil, 0)
		p.must(err)
		i++
	}
}

func BenchmarkEmails10k(b *testing.B) {
	p := benchPlace(b, 10_000)
	var ids []int64
	for _, e := range p.snapshot("INBOX").All {
		ids = append(ids, e.Email)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		p.must(p.Emails(context.Background(), ids, func(e *Email) error { n += len(e.Envelope); return nil }))
	}
}

func BenchmarkCopyMoveRemove10k(b *testing.B) {
	p := benchPlace(b, 10_000)
	ctx := context.Background()
	inbox, trash := p.box("INBOX").ID, p.box("Trash").ID
	var copied, moved, removed time.Duration
	for b.Loop() {
		t0 := time.Now()
		_, err := p.Copy(ctx, inbox, p.uids("INBOX"), trash)
		p.must(err)
		t1 := time.Now()
		_, err = p.Move(ctx, inbox, p.uids("INBOX"), trash)
		p.must(err)
		t2 := time.Now()
		p.must(p.Remove(ctx, trash, p.uids("Trash")))
		copied, moved, removed = copied+t1.Sub(t0), moved+t2.Sub(t1), removed+time.Since(t2)
		b.StopTimer()
		p.fill(10_000)
		b.StartTimer()
	}
	for name, d := range map[string]time.Duration{"ms/copy": copied, "ms/move": moved, "ms/remove20k": removed} {
		b.ReportMetric(float64(d)/float64(b.N)/1e6, name)
	}
}

func BenchmarkContent(b *testing.B) {
	p := benchPlace(b, 1)
	ctx := context.Background()
	e := &Email{}
	p.must(p.Emails(ctx, []int64{p.snapshot("INBOX").At(0).Email}, func(x *Email) error { e = x; return nil }))
	b.ReportAllocs()
	for b.Loop() {
		c, err := p.Content(ctx, e)
		p.must(err)
		if _, err := io.Copy(io.Discard, io.NewSectionReader(c, 0, c.Size())); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
