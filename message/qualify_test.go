package message

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRehost(t *testing.T) {
	home := func(host string) string {
		if host == "" || host == "box" {
			return "mail.example.org"
		}
		return host
	}
	for body, want := range map[string]string{
		" root (Cron Daemon)":              " Cron Daemon <root@mail.example.org>",
		" root@box":                        " root@mail.example.org",
		" alice, bob@example.org":          " alice@mail.example.org, bob@example.org",
		" Ann  <a@example.org>,\r\n\t b@x": " Ann  <a@example.org>,\r\n\t b@x", // as it came
		" undisclosed-recipients:;":        " undisclosed-recipients:;",
		" Team: ann, b@example.org;, carl": " Team: ann@mail.example.org, b@example.org;, carl@mail.example.org",
		" =?utf-8?Q?J=C3=B6rg?= <joerg>":   " =?utf-8?B?SsO2cmc=?= <joerg@mail.example.org>",
		" \"Doe, J.\" <j>":                 " \"Doe, J.\" <j@mail.example.org>",
		" \"two words\"":                   " \"two words\"@mail.example.org",
		"":                                 "",
	} {
		f := Field{"To", []byte("To:" + body + "\r\n")}.Rehost(home)
		if d := cmp.Diff("To:"+want+"\r\n", string(f.Raw)); d != "" {
			t.Errorf("%q (-want +got):\n%s", body, d)
		}
	}
}

func TestParseAddressList(t *testing.T) {
	var got []string
	for _, a := range ParseAddressList("root, Ann <ann@example.org>, Team: b, c@d.example;, <>") {
		got = append(got, a.Mailbox+"@"+a.Host)
	}
	if d := cmp.Diff([]string{"root@", "ann@example.org", "b@", "c@d.example"}, got); d != "" {
		t.Error(d)
	}
}
