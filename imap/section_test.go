package imap

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/mailbox"
)

// The pieces of a message with everything that sections can name.
var (
	nestHead = crlfs("From: a@example.org\nTo: b@example.org\nSubject: outer\nX-Fold: one\n two\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/mixed; boundary=\"o\"\n\n")
	nestPart1Head = crlfs("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n")
	nestPart1Body = crlfs("gr=C3=BCn\nblau")
	nestPart2Head = crlfs("Content-Type: message/rfc822\nContent-Description: first\n\n")
	nestMsg2Head  = crlfs("Subject: inner two\nContent-Type: multipart/alternative; boundary=\"i\"\n\n")
	nestPart21    = [2]string{crlfs("Content-Type: text/plain\n\n"), crlfs("plain two one")}
	nestPart22    = [2]string{crlfs("Content-Type: text/html\nContent-ID: <x@y>\n\n"), crlfs("<b>two two</b>")}
	nestMsg2Body  = crlfs("--i\n") + nestPart21[0] + nestPart21[1] + crlfs("\n--i\n") + nestPart22[0] + nestPart22[1] + crlfs("\n--i--\n")
	nestPart3Head = crlfs("Content-Type: message/rfc822\n\n")
	nestMsg3      = [2]string{crlfs("Subject: inner three\nTo: c@example.org\n\n"), crlfs("text three")}
	nestPart4Head = crlfs("Content-Type: message/rfc822\n\n")
	nestMsg4Head  = crlfs("Subject: inner four\nContent-Type: message/rfc822\n\n")
	nestMsg41     = [2]string{crlfs("Subject: innermost\n\n"), crlfs("text four")}
	nestPart5     = [2]string{crlfs("Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"), crlfs("AAEC\nAwQ=")}
	nestPart6     = [2]string{"\r\n", "no header"}
	nestBody      = crlfs("preamble\n--o\n") + nestPart1Head + nestPart1Body + crlfs("\n--o\n") +
		nestPart2Head + nestMsg2Head + nestMsg2Body + crlfs("\n--o\n") +
		nestPart3Head + nestMsg3[0] + nestMsg3[1] + crlfs("\n--o\n") +
		nestPart4Head + nestMsg4Head + nestMsg41[0] + nestMsg41[1] + crlfs("\n--o\n") +
		nestPart5[0] + nestPart5[1] + crlfs("\n--o\n") +
		nestPart6[0] + nestPart6[1] + crlfs("\n--o--\nepilogue\n")
	nested = nestHead + nestBody
)

// fetchOne gives the value of one data item of message n, "NIL" included.
func (c *raw) fetchOne(n, item string) string {
	c.t.Helper()
	lines := c.ok("FETCH " + n + " (" + item + ")")
	if len(lines) != 1 {
		c.t.Fatalf("%s: %d responses: %q", item, len(lines), lines)
	}
	_, rest, _ := strings.Cut(lines[0], " FETCH (")
	rest = strings.TrimSuffix(rest, ")")
	end := " "
	switch {
	case strings.Contains(item, "<"):
		end = "> "
	case strings.Contains(item, "["):
		end = "] "
	}
	_, value, _ := strings.Cut(rest, end)
	return value
}

// literal takes the text out of a literal.
func literal(s string) string {
	if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "~{") {
		_, s, _ = strings.Cut(s, "}\r\n")
		return s
	}
	return s
}

func TestSections(t *testing.T) {
	for _, prefix := range []string{"", "Return-Path: <x@example.org>\r\nReceived: from y\r\n\tby z\r\n"} {
		p := newPlace(t)
		p.place("INBOX", nested, mailbox.Placing{Prefix: []byte(prefix), Flags: mailbox.Seen})
		p.deliver("INBOX", "Subject: single\r\n\r\nonly text\r\n", mailbox.Seen)
		p.deliver("INBOX", "no header at all", mailbox.Seen)
		p.deliver("INBOX", "\r\nheader of nothing", mailbox.Seen)
		p.deliver("INBOX", "Content-Type: message/rfc822\r\nSubject: wrap\r\n\r\nSubject: wrapped\r\n\r\ninside\r\n", mailbox.Seen)
		p.deliver("INBOX", "Content-Type: multipart/mixed; boundary=x\r\n\r\nno parts\r\n", mailbox.Seen)
		c := p.raw()
		c.ok("SELECT INBOX")
		for _, x := range []struct{ n, item, want string }{
			{"1", "BODY[]", prefix + nested},
			{"1", "RFC822", prefix + nested},
			{"1", "RFC822.SIZE", strconv.Itoa(len(prefix + nested))},
			{"1", "RFC822.HEADER", prefix + nestHead},
			{"1", "RFC822.TEXT", nestBody},
			{"1", "BODY[HEADER]", prefix + nestHead},
			{"1", "BODY[TEXT]", nestBody},
			{"1", "BODY[]<0.10>", (prefix + nested)[:10]},
			{"1", "BODY[]<7.50>", (prefix + nested)[7:57]},
			{"1", "BODY[TEXT]<10.20>", nestBody[10:30]},
			{"1", "BODY[]<100000.5>", ""},
			{"1", "BODY[HEADER.FIELDS (SUBJECT X-FOLD nothing)]", crlfs("Subject: outer\nX-Fold: one\n two\n\n")},
			{"1", "BODY[HEADER.FIELDS (\"subject\")]<3.7>", "ject: o"},
			{"1", "BODY[HEADER.FIELDS.NOT (Received RETURN-PATH FROM TO X-Fold MIME-Version Content-Type)]", crlfs("Subject: outer\n\n")},
			{"1", "BODY[HEADER.FIELDS (Nothing)]", "\r\n"},
			{"1", "BODY[1]", nestPart1Body},
			{"1", "BODY[1.MIME]", nestPart1Head},
			{"1", "BODY[1.HEADER]", "NIL"},
			{"1", "BODY[1.TEXT]", "NIL"},
			{"1", "BODY[1.1]", "NIL"},
			{"1", "BODY[2]", nestMsg2Head + nestMsg2Body},
			{"1", "BODY[2.MIME]", nestPart2Head},
			{"1", "BODY[2.HEADER]", nestMsg2Head},
			{"1", "BODY[2.TEXT]", nestMsg2Body},
			{"1", "BODY[2.HEADER.FIELDS (Subject)]", crlfs("Subject: inner two\n\n")},
			{"1", "BODY[2.HEADER.FIELDS.NOT (Subject)]", crlfs("Content-Type: multipart/alternative; boundary=\"i\"\n\n")},
			{"1", "BODY[2.1]", nestPart21[1]},
			{"1", "BODY[2.1.MIME]", nestPart21[0]},
			{"1", "BODY[2.2]", nestPart22[1]},
			{"1", "BODY[2.2.MIME]", nestPart22[0]},
			{"1", "BODY[2.3]", "NIL"},
			{"1", "BODY[3.HEADER]", nestMsg3[0]},
			{"1", "BODY[3.TEXT]", nestMsg3[1]},
			{"1", "BODY[3.1]", nestMsg3[1]},
			{"1", "BODY[3.1.MIME]", nestMsg3[0]},
			{"1", "BODY[3.2]", "NIL"},
			{"1", "BODY[3.1.1]", "NIL"},
			{"1", "BODY[3.HEADER.FIELDS.NOT (Subject)]", crlfs("To: c@example.org\n\n")},
			{"1", "BODY[4]", nestMsg4Head + nestMsg41[0] + nestMsg41[1]},
			{"1", "BODY[4.HEADER]", nestMsg4Head},
			{"1", "BODY[4.1]", nestMsg41[0] + nestMsg41[1]},
			{"1", "BODY[4.1.MIME]", nestMsg4Head},
			{"1", "BODY[4.1.HEADER]", nestMsg41[0]},
			{"1", "BODY[4.1.TEXT]", nestMsg41[1]},
			{"1", "BODY[4.1.1]", nestMsg41[1]},
			{"1", "BODY[4.1.1.MIME]", nestMsg41[0]},
			{"1", "BODY[5]", nestPart5[1]},
			{"1", "BODY[5.MIME]", nestPart5[0]},
			{"1", "BODY[6]", nestPart6[1]},
			{"1", "BODY[6.MIME]", nestPart6[0]},
			{"1", "BODY[7]", "NIL"},
			{"1", "BINARY[1]", "grün\r\nblau"},
			{"1", "BINARY[1]<0.3>", "gr\xc3"},
			{"1", "BINARY[5]", "\x00\x01\x02\x03\x04"},
			{"1", "BINARY.PEEK[5]<3.9>", "\x03\x04"},
			{"1", "BINARY.SIZE[5]", "5"},
			{"1", "BINARY.SIZE[1]", "11"},
			{"1", "BINARY[TEXT]", nestBody},
			{"1", "BINARY[2.1.MIME]", nestPart21[0]},
			{"1", "BINARY.SIZE[2.HEADER.FIELDS (Subject)]", strconv.Itoa(len(crlfs("Subject: inner two\n\n")))},
			{"1", "BINARY.PEEK[2.HEADER.FIELDS (Subject)]<3.4>", "ject"},
			{"1", "BINARY[2]", nestMsg2Head + nestMsg2Body},
			{"1", "BINARY[9]", "NIL"},
			{"1", "BINARY[]", prefix + nested},
			{"2", "BODY[1]", "only text\r\n"},
			{"2", "BODY[1.MIME]", "Subject: single\r\n\r\n"},
			{"2", "BODY[2]", "NIL"},
			{"2", "BODY[1.TEXT]", "NIL"},
			{"3", "BODY[1]", ""},
			{"3", "BODY[HEADER]", "no header at all"},
			{"4", "BODY[1]", "header of nothing"},
			{"4", "BODY[TEXT]", "header of nothing"},
			{"4", "BODY[HEADER]", "\r\n"},
			{"5", "BODY[1]", "Subject: wrapped\r\n\r\ninside\r\n"},
			{"5", "BODY[1.HEADER]", "Subject: wrapped\r\n\r\n"},
			{"5", "BODY[1.1]", "inside\r\n"},
			{"5", "BODY[1.1.MIME]", "Subject: wrapped\r\n\r\n"},
			{"5", "BODY[HEADER]", "Content-Type: message/rfc822\r\nSubject: wrap\r\n\r\n"},
			{"6", "BODY[1]", "no parts\r\n"},
			{"6", "BODY[1.MIME]", ""},
		} {
			if d := cmp.Diff(x.want, literal(c.fetchOne(x.n, x.item))); d != "" {
				t.Errorf("message %s, %s, prefix of %d: %s", x.n, x.item, len(prefix), d)
			}
		}
		for _, bad := range []string{"BODY[0]", "BODY[1.0]", "BODY[MIME]", "BODY[1.]", "BODY[HEADER.FIELDS]", "BODY[HEADER.FIELDS ()]",
			"BODY[]<0.0>", "BODY[]<1>", "BODY[X]", "BODY[", "BINARY[X]", "BINARY", "BODY.PEEK", "(FLAGS ALL)", "()", "BODY[" + strings.Repeat("1.", 60) + "1]"} {
			if _, tagged := c.do("FETCH 1 " + bad); !strings.HasPrefix(tagged, "BAD") {
				t.Errorf("%s: %s", bad, tagged)
			}
		}
		if _, tagged := c.do("FETCH 1 BINARY[2.2.5]"); !strings.HasPrefix(tagged, "OK") {
			t.Error(tagged)
		}
	}
}

// An encoding that nobody knows is refused, and nothing else of the message.
func TestUnknownEncoding(t *testing.T) {
	p := newPlace(t)
	p.deliver("INBOX", "Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin\r\n", 0)
	p.in(`
		C: a SELECT INBOX
		S* a OK ...
		C: b FETCH 1 (BINARY.PEEK[1] FLAGS)
		S: * 1 FETCH (BINARY[1] NIL FLAGS ())
		S: b NO [UNKNOWN-CTE] ...
	`)
}

func FuzzSection(f *testing.F) {
	f.Add("1.2.HEADER.FIELDS (a b)]<0.1>")
	f.Add("]")
	f.Fuzz(func(t *testing.T, in string) {
		s := parser(in)
		sec, label := s.section()
		s.partialRange(&sec, label)
		if s.r.Err() == nil && strings.ContainsAny(label, "\r\n\x00") {
			t.Errorf("%q: label %q", in, label)
		}
	})
}
