package message

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600))

func TestReceived(t *testing.T) {
	for _, c := range []struct {
		r    Received
		want string
	}{
		{Received{Helo: "mx.example", Host: "mx.example", Remote: netip.MustParseAddr("192.0.2.1"), By: "mail.example.org",
			Protocol: Protocol(true, false, true, true), TLS: "TLSv1.3", ID: "abc", For: Address{"a", "b.example"}, Time: testTime},
			"Received: from mx.example (mx.example [192.0.2.1])\r\n\tby mail.example.org with ESMTPSA (TLSv1.3) id abc\r\n" +
				"\tfor <a@b.example>;\r\n\tWed, 04 Mar 2026 05:06:07 +0100\r\n"},
		{Received{Helo: "a\r\nX: (y)", Remote: netip.MustParseAddr("2001:db8::1"), By: "b", Protocol: Protocol(false, false, false, false), Time: testTime},
			"Received: from a??X:??y? ([IPv6:2001:db8::1])\r\n\tby b with SMTP;\r\n\tWed, 04 Mar 2026 05:06:07 +0100\r\n"},
		{Received{By: "b", Protocol: Protocol(true, true, false, false), For: Address{"ø", "b"}, Time: testTime},
			"Received: by b with UTF8SMTP\r\n\tfor <ø@b>;\r\n\tWed, 04 Mar 2026 05:06:07 +0100\r\n"},
	} {
		if diff := cmp.Diff(c.want, string(c.r.Append(nil))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAuthResults(t *testing.T) {
	a := AuthResults{ServID: "mx.example.org", Results: []AuthResult{
		{Method: "spf", Value: "pass", Props: []AuthProp{{"smtp", "mailfrom", "a@b.example"}}},
		{Method: "dkim", Value: "fail", Reason: `bad "body"`, Props: []AuthProp{{"header", "d", "b.example"}, {"header", "b", "ab=="}}},
	}}
	want := "Authentication-Results: mx.example.org;\r\n\tspf=pass smtp.mailfrom=a@b.example;\r\n" +
		"\tdkim=fail reason=\"bad \\\"body\\\"\" header.d=b.example header.b=\"ab==\"\r\n"
	if diff := cmp.Diff(want, string(a.Append(nil))); diff != "" {
		t.Error(diff)
	}
	for body, id := range map[string]string{"MX.example.org; spf=pass": "mx.example.org", ` (c) "a b" 1; none`: "a b", "x": "x", "": ""} {
		if got := AuthServID(body); got != id {
			t.Errorf("AuthServID(%q) = %q", body, got)
		}
	}
}

func TestMail(t *testing.T) {
	m := Mail{FromName: "Mail, here", From: Address{"postmaster", "example.org"}, To: Address{"a", "b.example"},
		Subject: "Größe " + strings.Repeat("x", 60), Date: testTime, MessageID: "<1@example.org>", Text: "Grüße\n\nEnd"}
	b := m.Append(nil)
	p := scan(t, string(b))
	if !isASCII(string(b)) || p.Encoding != "quoted-printable" || !strings.HasSuffix(string(b), "Gr=C3=BC=C3=9Fe\r\n\r\nEnd\r\n") {
		t.Errorf("%s", b)
	}
	h := ParseHeader(b)
	if got := DecodeText(h.Get("Subject")); got != m.Subject {
		t.Errorf("subject %q", got)
	}
	if a := h.Addresses("From"); len(a) != 1 || a[0].Name != "Mail, here" {
		t.Errorf("from %+v", a)
	}
	for line := range bytes.Lines(b) {
		if len(line) > foldAt+2 {
			t.Errorf("long line %q", line)
		}
	}
}

func TestDSN(t *testing.T) {
	original := "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <o@x>\r\nX: \xff\r\n\r\nbody\r\n"
	for _, c := range []struct {
		name       string
		full, utf8 bool
		types      string
		returned   string
	}{
		{"header", false, false, "text/plain message/delivery-status text/rfc822-headers", ""},
		{"full", true, false, "text/plain message/delivery-status message/rfc822", original},
		{"full in UTF-8", true, true, "text/plain message/global-delivery-status message/global", original},
		{"header in UTF-8", false, true, "text/plain message/global-delivery-status message/global-headers", original[:strings.Index(original, "\r\n\r\n")+2]},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := DSN{ReportingMTA: "mx.example.org", From: Address{"MAILER-DAEMON", "mx.example.org"}, To: Address{"a", "b.example"},
				Date: testTime, MessageID: NewMessageID("mx.example.org"), EnvID: "e1", Arrival: testTime,
				Original: strings.NewReader(original), Full: c.full, UTF8: c.utf8,
				Recipients: []RecipientStatus{
					{Final: Address{"ø", "c.example"}, Original: "rfc822;c@c", Action: Failed, Status: "5.1.1", RemoteMTA: "mx.c.example",
						Diagnostic: "550 5.1.1 no\r\nX-Evil: such user", Reason: "The address does not exist there.", Attempted: testTime},
					{Final: Address{"d", "d.example"}, Action: Delayed, Status: "4.4.1", RetryUntil: testTime}}}
			var b bytes.Buffer
			n, err := d.WriteTo(&b)
			if err != nil || n != int64(b.Len()) {
				t.Fatal(n, err)
			}
			s := b.String()
			p := scan(t, s)
			var types []string
			for _, c := range p.Parts {
				types = append(types, c.Type+"/"+c.Subtype)
			}
			if got := strings.Join(types, " "); p.Subtype != "report" || got != c.types {
				t.Fatalf("%s of %s\n%s", p.Subtype, got, s)
			}
			last := p.Parts[2].Body
			if got := s[last.Start:last.End]; c.returned != "" && got != c.returned {
				t.Errorf("returned %q", got)
			}
			status := s[p.Parts[1].Body.Start:p.Parts[1].Body.End]
			want := "Final-Recipient: utf-8; ø@c.example\r\n"
			if !c.utf8 {
				want = "Final-Recipient: utf-8; \\x{F8}@c.example\r\n"
			}
			if !strings.Contains(status, want) || !strings.Contains(status, "\r\nAction: delayed\r\n") ||
				!strings.Contains(status, "Diagnostic-Code: smtp; 550 5.1.1 no X-Evil: such user\r\n") {
				t.Errorf("status:\n%s", status)
			}
			if !c.full && !c.utf8 && !isASCII(s) {
				t.Error("8-bit bytes")
			}
		})
	}
}

func TestParseDate(t *testing.T) {
	for in, want := range map[string]string{
		"Wed, 04 Mar 2026 05:06:07 +0100":       "2026-03-04T05:06:07+01:00",
		"4 Mar 26 05:06 GMT (comment)":          "2026-03-04T05:06:00Z",
		"Thu,  1 Jan 1970 00:00:00 -0000":       "1970-01-01T00:00:00Z",
		"Mon Jan  2 15:04:05 2006":              "2006-01-02T15:04:05Z",
		"Mon Jan  2 15:04:05 PST 2006":          "2006-01-02T15:04:05-08:00",
		"Mon, 2 January 2006 3:04:05 PM -08:00": "2006-01-02T15:04:05-08:00",
		"2006-01-02T15:04:05.25Z":               "2006-01-02T15:04:05Z",
		"2006-01-02 15:04:05+02:00":             "2006-01-02T15:04:05+02:00",
		"2-Jan-2006 15:04:05 +0000":             "2006-01-02T15:04:05Z",
		"Sun, 2 Jan 100 15:04 EST":              "2000-01-02T15:04:00-05:00",
		"Fri, 31 Dec 99 23:59:60 +0000":         "1999-12-31T23:59:59Z",
		"":                                      "", "yesterday": "", "32 Jan 2006 10:00": "", "1 Foo 2006": "", ":::": "", "2006-01-02T": "2006-01-02T00:00:00Z",
	} {
		got, err := ParseDate(in)
		s := got.Format(time.RFC3339)
		if (err == nil) != (want != "") || err == nil && s != want {
			t.Errorf("ParseDate(%q) = %s, %v, want %s", in, s, err, want)
		}
	}
}
