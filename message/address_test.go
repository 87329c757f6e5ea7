package message

import "testing"

func TestParseAddress(t *testing.T) {
	for _, c := range []struct{ in, local, domain, out string }{
		{"a@b.example", "a", "b.example", "a@b.example"},
		{"A.b+c@B.Example", "A.b+c", "b.example", "A.b+c@b.example"},
		{`"john doe"@x.org`, "john doe", "x.org", `"john doe"@x.org`},
		{`"john\"\\doe"@x.org`, `john"\doe`, "x.org", `"john\"\\doe"@x.org`},
		{`"a@b"@x.org`, "a@b", "x.org", `"a@b"@x.org`},
		{`"plain"@x.org`, "plain", "x.org", "plain@x.org"},
		{"a@[192.0.2.1]", "a", "[192.0.2.1]", "a@[192.0.2.1]"},
		{"a@[ipv6:2001:DB8::0:1]", "a", "[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
		{"jøran@blåbærgrød.example", "jøran", "xn--blbrgrd-fxak7p.example", "jøran@xn--blbrgrd-fxak7p.example"},
		{"a@BÜCHER.example", "a", "xn--bcher-kva.example", "a@xn--bcher-kva.example"},
		{"a@例え。テスト", "a", "xn--r8jz45g.xn--zckzah", "a@xn--r8jz45g.xn--zckzah"},
		{"a@under_score.example", "a", "under_score.example", "a@under_score.example"},
		{"Postmaster", "Postmaster", "", "Postmaster"},
		{"a@b", "a", "b", "a@b"},
		{"", "", "", ""}, {"a", "", "", ""}, {"@b", "", "", ""}, {"a@", "", "", ""}, {".a@b", "", "", ""},
		{"a.@b", "", "", ""}, {"a..b@c", "", "", ""}, {"a b@c", "", "", ""}, {"a@b c", "", "", ""}, {"a@b.", "", "", ""},
		{"a@-b", "", "", ""}, {"a@b..c", "", "", ""}, {"a@[1.2.3]", "", "", ""}, {"a@[2001:db8::1]", "", "", ""},
		{"a@[IPv6:fe80::1%eth0]", "", "", ""}, {"a@[IPv6:1.2.3.4]", "", "", ""}, {`""@x`, "", "", ""}, {`"a@x`, "", "", ""},
		{"\"a\x01\"@x", "", "", ""}, {"\xff@x", "", "", ""}, {"a@x\r\n", "", "", ""}, {`"postmaster"`, "", "", ""},
	} {
		a, err := ParseAddress(c.in)
		if (err == nil) != (c.local != "") || a.Local != c.local || string(a.Domain) != c.domain || a.String() != c.out {
			t.Errorf("ParseAddress(%q) = %+v (%s), %v", c.in, a, a, err)
		}
	}
}

func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		in, addr, rest string
		bad            bool
	}{
		{in: "<>", addr: ""},
		{in: "<> SIZE=1", addr: "", rest: " SIZE=1"},
		{in: "<a@b> BODY=8BITMIME", addr: "a@b", rest: " BODY=8BITMIME"},
		{in: "<@a,@b.c:user@dom>", addr: "user@dom"},
		{in: `<"a>b"@c>`, addr: `"a>b"@c`},
		{in: "<Postmaster>", addr: "Postmaster"},
		{in: "<a@[IPv6:::1]>", addr: "a@[IPv6:::1]"},
		{in: "a@b", bad: true}, {in: "<a@b", bad: true}, {in: "<@a:>", bad: true}, {in: "<@a user@b>", bad: true}, {in: "< a@b>", bad: true},
		{in: "<<a@b>>", bad: true}, {in: "<,@a:b@c>", bad: true},
	} {
		a, rest, err := ParsePath(c.in)
		if c.bad != (err != nil) || !c.bad && (a.String() != c.addr || rest != c.rest) {
			t.Errorf("ParsePath(%q) = %q %q %v", c.in, a, rest, err)
		}
	}
}
