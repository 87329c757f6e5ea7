package message

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvelope(t *testing.T) {
	const a = `(NIL NIL "a" "b")`
	for _, c := range []struct{ in, want string }{
		{"", `(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"Subject:\nDate: \nIn-Reply-To:\nMessage-ID:", `("" "" NIL NIL NIL NIL NIL NIL "" "")`},
		{"From: a@b", `(NIL NIL (` + a + `) (` + a + `) (` + a + `) NIL NIL NIL NIL NIL)`},
		{"From: a@b\nSender:\nReply-To: c@d", `(NIL NIL (` + a + `) (` + a + `) ((NIL NIL "c" "d")) NIL NIL NIL NIL NIL)`},
		{"Subject: one\n two\n\tthree  ", `(NIL "one two` + "\t" + `three" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"Subject: \"q\" \\ \xe9", `(NIL {7}` + "\r\n\"q\" \\ \xe9" + ` NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"Subject: \"q\" \\", `(NIL "\"q\" \\" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"Subject: a\x00b\rc", `(NIL "abc" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"Subject: first\nSubject: second\nsubject : third", `(NIL "first" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"To: a@b\nbroken\nTo: a@b", `(NIL NIL NIL NIL NIL (` + a + a + `) NIL NIL NIL NIL)`},
	} {
		p := scan(t, crlf(c.in+"\n\n"))
		if diff := cmp.Diff(c.want, string(AppendEnvelope(nil, p.Envelope))); diff != "" {
			t.Errorf("%q:\n%s", c.in, diff)
		}
	}
}

func TestAddressList(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`a@b`, `((NIL NIL "a" "b"))`},
		{`A B <a@b>`, `(("A B" NIL "a" "b"))`},
		{`"A, B" <a@b>, c@d`, `(("A, B" NIL "a" "b")(NIL NIL "c" "d"))`},
		{`"q\"uo\\te" <a@b>`, `(("q\"uo\\te" NIL "a" "b"))`},
		{`=?utf-8?q?a?= =?utf-8?q?b?= <a@b>`, `(("=?utf-8?q?a?= =?utf-8?q?b?=" NIL "a" "b"))`},
		{`John Q. Public <a@b>`, `(("John Q. Public" NIL "a" "b"))`},
		{`a@b (A (x) B)`, `(("A (x) B" NIL "a" "b"))`},
		{`(c) A <a@b> (d)`, `(("A" NIL "a" "b"))`},
		{`"john doe"@b`, `((NIL NIL "john doe" "b"))`},
		{`<@r1,@r2:a@b>`, `((NIL "@r1,@r2" "a" "b"))`},
		{`a @ b . c`, `((NIL NIL "a" "b.c"))`},
		{`first . last @ b`, `((NIL NIL "first.last" "b"))`},
		{`a@[1.2.3.4]`, `((NIL NIL "a" "[1.2.3.4]"))`},
		{`G: a@b, C <c@d>;, e@f`, `((NIL NIL "G" NIL)(NIL NIL "a" "b")("C" NIL "c" "d")(NIL NIL NIL NIL)(NIL NIL "e" "f"))`},
		{`undisclosed-recipients:;`, `((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))`},
		{`G: a@b`, `((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))`},
		{`undisclosed`, `((NIL NIL "undisclosed" ""))`},
		{`<>`, `((NIL NIL "" ""))`},
		{`Foo Bar a@b`, `(("Foo Bar" NIL "a" "b"))`},
		{`a@b <a@b>`, `(("a@b" NIL "a" "b"))`},
		{`A <Undisclosed Recipients@b>`, `(("A" NIL "Undisclosed Recipients" "b"))`},
		{`A <<a@b>>, c@d`, `(("A" NIL "a" "b")(NIL NIL "c" "d"))`},
		{`<a@b, c@d`, `((NIL NIL "a" "b")(NIL NIL "c" "d"))`},
		{`,, a@b ,,`, `((NIL NIL "a" "b"))`},
		{`a@b@c`, `((NIL NIL "a" "b@c"))`},
		{`a@b c@d`, `((NIL NIL "a" "b"))`},
		{` `, `NIL`}, {`(only a comment)`, `NIL`}, {``, `NIL`},
	} {
		if diff := cmp.Diff(c.want, string(appendAddressList(nil, appendAddresses(nil, c.in)))); diff != "" {
			t.Errorf("%q:\n%s", c.in, diff)
		}
	}
}

func TestBodyStructure(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"\nx\n", `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1 NIL NIL NIL NIL)`},
		{"Content-Type: TEXT/HTML; Charset=\"UTF-8\"\nContent-Transfer-Encoding: BASE64 (c)\nContent-ID: <i@d>\nContent-Description: a\n b\n" +
			"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\nContent-Disposition: Attachment; FileName=\"a b\"; size=5\nContent-Language: en, de (x)\nContent-Location: http://a/\n b\n\nx\n",
			`("text" "html" ("charset" "UTF-8") "<i@d>" "a b" "base64" 3 1 "Q2hlY2sgSW50ZWdyaXR5IQ==" ("attachment" ("filename" "a b" "size" "5")) ("en" "de") "http://a/b")`},
		{"Content-Type: image/png\n\nx\n", `("image" "png" NIL NIL NIL "7bit" 3 NIL NIL NIL NIL)`},
		{"Content-Type: nonsense\n\nx\n", `("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1 NIL NIL NIL NIL)`},
		{"Content-Type: multipart/mixed; boundary=a\n\n", `(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)`},
		{"Content-Type: multipart/mixed; boundary=a\n\n--a--\n", `(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)`},
		{"Content-Type: message/rfc822\n\nSubject: x\n\ny\n", `("message" "rfc822" NIL NIL NIL "7bit" 17 (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL) ` +
			`("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)`},
		{"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3Vi\n", `("message" "rfc822" NIL NIL NIL "base64" 6 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ` +
			`("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) 1 NIL NIL NIL NIL)`},
	} {
		p := scan(t, crlf(c.in))
		if diff := cmp.Diff(c.want, string(AppendBodyStructure(nil, p, true))); diff != "" {
			t.Errorf("%q:\n%s", c.in, diff)
		}
	}
	p := scan(t, crlf("Content-Type: multipart/mixed; boundary=a\nContent-Language: en\n\n--a\nContent-MD5: x\n\ny\n--a--\n"))
	if got, want := string(AppendBodyStructure(nil, p, false)), `(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "mixed")`; got != want {
		t.Errorf("BODY %s", got)
	}
}

func TestParams(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`; a=b; C="d e"`, `[{a b} {c d e}]`},
		{`; charset=us-ascii (Plain text)`, `[{charset us-ascii}]`},
		{`; name=foo bar.txt`, `[{name foo bar.txt}]`},
		{`; a=b c=d, e=f`, `[{a b} {c d} {e f}]`},
		{`;; =x; ; a = "b" ;`, `[{a b}]`},
		{`; a="x\"y\\z`, `[{a x"y\z}]`},
		{`; a=`, `[{a }]`},
		{`; f*=utf-8''%e2%82%ac`, `[{f* utf-8''%e2%82%ac}]`},
		{`; f*0=a; x=y; f*1="b c"`, `[{f ab c} {x y}]`},
		{`; f*1=b; f*0=a`, `[{f ab}]`},
		{`; f*0*=utf-8''a%20; f*1="b c"; f*2*=%21`, `[{f* utf-8''a%20b%20c%21}]`},
		{`; f*0=a; f*2=c`, `[{f a} {f*2 c}]`},
		{`; f*9=a`, `[{f*9 a}]`},
		{`; name==?utf-8?q?a?=`, `[{name =?utf-8?q?a?=}]`},
	} {
		var b strings.Builder
		b.WriteByte('[')
		for i, p := range parseParams(c.in) {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString("{" + p.Name + " " + p.Value + "}")
		}
		if got := b.String() + "]"; got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
}

func TestDecodeText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                                   "plain",
		"=?utf-8?Q?gr=C3=B8d?=":                   "grød",
		"a =?iso-8859-1?q?gr=F8d?= b":             "a grød b",
		"=?utf-8?q?a?= =?utf-8?q?b?=":             "ab",
		"=?utf-8?q?a?==?utf-8?q?b?=":              "ab",
		"=?utf-8?q?a?=\t =?utf-8?q?b?= c":         "ab c",
		"=?utf-8?B?w7g=?=":                        "ø",
		"=?utf-8?B?w7g?=":                         "ø",
		"=?utf-8?B?w7?= =?utf-8?B?uA==?=":         "=?utf-8?B?w7?= =?utf-8?B?uA==?=",
		"=?utf-8?Q?=C3?= =?utf-8?Q?=B8?=":         "ø",
		"=?UTF-8*en?Q?a_b?=":                      "a b",
		"\"=?utf-8?Q?a?=\"":                       "\"a\"",
		"=?utf-8?Q?a b?=":                         "a b",
		"=?x-unknown?Q?a=F8?=":                    "aø",
		"=?utf-8?X?a?=":                           "=?X",
		"gr\xf8d":                                 "grød",
		"grød":                                    "grød",
		"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=":      "日本",
		"=?gb2312?B?1tDOxA==?=":                   "中文",
		"=?":                                      "=?",
		"=?utf-8?Q??=":                            "",
		"=?utf-8?Q?a=0D=0AX:_b?=":                 "aX: b",
		"=?windows-1252?Q?=93a=94?= \xe2\x82\xac": "“a” €",
	} {
		got := DecodeText(in)
		switch in {
		case "=?utf-8?B?w7?= =?utf-8?B?uA==?=", "=?utf-8?X?a?=":
			continue // what is broken beyond repair: any valid text
		}
		if got != want {
			t.Errorf("DecodeText(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestBaseSubject(t *testing.T) {
	for in, want := range map[string]string{
		"Re: [list] hello":           "hello",
		"RE : re[2]: [x] Fwd: hello": "hello",
		"[list] hello (fwd) (FWD)":   "hello",
		"[Fwd: Re: hello]":           "hello",
		"[list]":                     "[list]",
		"Re:":                        "",
		"[a] [b] c":                  "c",
		"rehash: a":                  "rehash: a",
		"a  b\tc":                    "a b c",
		"[fwd: [fwd: x]]":            "x",
		"[a[b] c":                    "[a[b] c",
	} {
		if got, _ := baseSubject(in); got != want {
			t.Errorf("baseSubject(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSummarize(t *testing.T) {
	in := typical()
	got, err := Summarize(strings.NewReader(in), int64(len(in)), scan(t, in))
	if err != nil {
		t.Fatal(err)
	}
	got.Preview = got.Preview[:min(len(got.Preview), 60)]
	want := Summary{MessageID: "20260304050601.1234@example.net", InReplyTo: []string{"abc@example.org"},
		References: []string{"first@example.org", "second@example.org", "abc@example.org"},
		Subject:    "Re: [list] About the grød of last week", BaseSubject: "About the grød of last week", Date: 1772597161,
		From: "ann", To: "bob", Cc: "joran", FromName: "Ann Example", Preview: "Line 0 of a text that somebody wrote to somebody else, at so"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPreview(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"\none\n two\t three\n", "one two three"},
		{"Content-Type: text/html\n\n<html><head><title>t</title><style>p{}</style></head><!-- c --><p>a<b>b</b>&amp;c<br>d &nbsp;\n", "ab&c d"},
		{"\n> quoted\n\nanswer\n> more\n", "answer"},
		{"\n> quoted\n", "> quoted"},
		{"Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=iso-8859-1\n\nZ3L4\nZA==\n", "grød"},
		{"Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=utf-8\n\ngr=C3=B8=\nd=\n", "grød"},
		{"Content-Type: application/pdf\n\nx\n", ""},
		{"Content-Type: text/plain; charset=utf-8\n\n" + strings.Repeat("ø", 5000), strings.Repeat("ø", 200)},
	} {
		in := crlf(c.in)
		got, err := Summarize(strings.NewReader(in), int64(len(in)), scan(t, in))
		if err != nil || got.Preview != c.want {
			t.Errorf("%.60q: %q, %v", c.in, got.Preview, err)
		}
	}
}

func TestAttachments(t *testing.T) {
	part := func(h string) string {
		return "Content-Type: multipart/mixed; boundary=a\n\n--a\n\ntext\n--a\n" + h + "\n\nx\n--a--\n"
	}
	for in, want := range map[string]bool{
		"\nx\n":                          false,
		part("Content-Type: text/plain"): false,
		part("Content-Type: text/plain; name=a.txt"):                                    true,
		part("Content-Type: application/pdf"):                                           true,
		part("Content-Type: application/pgp-signature"):                                 false,
		part("Content-Disposition: attachment"):                                         true,
		part("Content-Type: image/png\nContent-Disposition: inline\nContent-ID: <a@b>"): false,
		strings.Replace(part("Content-Type: image/png"), "mixed", "related", 1):         false,
	} {
		in = crlf(in)
		s, err := Summarize(strings.NewReader(in), int64(len(in)), scan(t, in))
		if err != nil || s.Attachments != want {
			t.Errorf("%q: %v %v", in, s.Attachments, err)
		}
	}
}

func TestHeader(t *testing.T) {
	in := crlf("From a@b Mon Jan  1 00:00:00 2001\nSubject: a\n\tb\nbroken\nsubject : c\nX:\n\nbody: no\n")
	for name, h := range map[string]Header{"parse": ParseHeader([]byte(in)), "read": must(ReadHeader(strings.NewReader(in)))(t)} {
		if got := h.Values("SUBJECT"); !cmp.Equal(got, []string{"a\tb", "c"}) || h.Get("x") != "" || !h.Has("X") || h.Has("body") || h.Count("subject") != 2 {
			t.Errorf("%s: %q %+v", name, got, h)
		}
		if h.raw() != in[:strings.Index(in, "\r\n\r\n")+2] {
			t.Errorf("%s: raw %q", name, h.raw())
		}
	}
}

func must(h Header, err error) func(t *testing.T) Header {
	return func(t *testing.T) Header {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}
