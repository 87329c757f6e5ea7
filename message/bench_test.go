package message

import (
	"fmt"
	"strings"
	"testing"
)

// typical is a multipart/alternative message of some 4 KiB, as mail programs
// write them.
func typical() string {
	var b strings.Builder
	b.WriteString("Received: from mx.example.net (mx.example.net [192.0.2.7])\r\n\tby mail.example.org with ESMTPS id 1; Wed, 04 Mar 2026 05:06:07 +0100\r\n" +
		"DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=s1; h=from:to:subject:date;\r\n\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=" + strings.Repeat("abcdefgh", 40) + "\r\n" +
		"From: \"Ann Example\" <ann@example.net>\r\nTo: Bob <bob@example.org>, carol@example.org\r\nCc: =?utf-8?Q?J=C3=B8ran?= <joran@example.com>\r\n" +
		"Subject: Re: [list] About the =?utf-8?Q?gr=C3=B8d?= of last week\r\nDate: Wed, 4 Mar 2026 05:06:01 +0100\r\nMessage-ID: <20260304050601.1234@example.net>\r\n" +
		"In-Reply-To: <abc@example.org>\r\nReferences: <first@example.org> <second@example.org> <abc@example.org>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/alternative; boundary=\"=_alt_7d1b9f3a\"\r\n\r\n--=_alt_7d1b9f3a\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	for i := range 18 {
		fmt.Fprintf(&b, "Line %d of a text that somebody wrote to somebody else, at some length.\r\n", i)
	}
	b.WriteString("\r\n--=_alt_7d1b9f3a\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html><body>\r\n")
	for i := range 24 {
		fmt.Fprintf(&b, "<p style=3D\"x\">Line %d of a text that somebody wrote, in HTML.</p>\r\n", i)
	}
	b.WriteString("</body></html>\r\n--=_alt_7d1b9f3a--\r\n")
	return b.String()
}

func BenchmarkTypical(b *testing.B) {
	s := typical()
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	r := strings.NewReader(s)
	for b.Loop() {
		p, err := Scan(r, int64(len(s)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Summarize(r, int64(len(s)), p); err != nil {
			b.Fatal(err)
		}
		AppendEnvelope(make([]byte, 0, 512), p.Envelope)
		AppendBodyStructure(make([]byte, 0, 512), p, true)
		MarshalParts(p)
	}
}

func BenchmarkScan(b *testing.B) {
	for _, c := range []struct{ name, s string }{
		{"typical", typical()},
		{"attachment-1MB", "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(strings.Repeat("A", 76)+"\r\n", 13800) + "--a--\r\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.s)))
			b.ReportAllocs()
			r := strings.NewReader(c.s)
			for b.Loop() {
				if _, err := Scan(r, int64(len(c.s))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
