package imap

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"mailstead/mailbox"
)

// filled is a place whose INBOX holds n messages of 4 KiB.
func filled(b *testing.B, n int) *place {
	p := newPlaceIn(b, b.TempDir(), "OFF")
	m, err := p.boxes.Mailbox(b.Context(), p.alice.ID, "INBOX")
	p.must(err)
	for i := range n {
		text := fmt.Sprintf("From: a%d@example.org\r\nTo: b@example.org\r\nSubject: number %d\r\nMessage-ID: <%d@x>\r\n\r\n%s\r\n", i, i, i, strings.Repeat("0123456789abcde ", 250))
		in, err := p.boxes.Receive(b.Context(), strings.NewReader(text))
		p.must(err)
		_, err = p.boxes.Deliver(b.Context(), in, p.alice.ID, mailbox.Placing{Mailbox: m.ID})
		p.must(err)
		in.Close()
	}
	return p
}

// BenchmarkFetch fetches from 2,000 messages; ns/op is for all of them.
func BenchmarkFetch(b *testing.B) {
	const n = 2000
	p := filled(b, n)
	c := p.raw()
	c.ok("SELECT INBOX")
	for _, items := range []string{"FLAGS", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)", "BODYSTRUCTURE", "BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]", "BODY.PEEK[]"} {
		b.Run(items, func(b *testing.B) {
			for b.Loop() {
				io.WriteString(c, "x FETCH 1:* "+items+"\r\n")
				for !strings.HasPrefix(c.response(), "x OK") {
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
	for _, keys := range []string{"UNSEEN", "SUBJECT nothing", "BODY nothing"} {
		b.Run("SEARCH "+keys, func(b *testing.B) {
			for b.Loop() {
				c.ok("SEARCH " + keys)
			}
		})
	}
}

// BenchmarkAppend appends 4 KiB over one connection, every commit synced.
func BenchmarkAppend(b *testing.B) {
	p := newPlaceIn(b, b.TempDir(), "FULL")
	c := p.raw()
	text := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcde ", 255) + "\r\n"
	command := fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(text), text)
	for b.Loop() {
		c.ok(command)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
