package autoconfig

import (
	"net/url"
	"strings"
	"testing"

	"mailstead/message"
)

// FuzzRequest posts anything to Autodiscover: the answer is always a document,
// and names no other domain than ours.
func FuzzRequest(f *testing.F) {
	f.Add(post("alice@example.org", nsOutlook))
	f.Add(post("jörg@bücher.example", nsMobileSync))
	f.Add(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`)
	f.Add(`<a:b xmlns:a="c"><a:Request><EMailAddress>"&lt;x&gt;"@example.org</EMailAddress></a:Request></a:b>`)
	f.Fuzz(func(t *testing.T, body string) {
		w := ask(newHandler(nil), "POST", "https://example.org"+DiscoverPath, body)
		if w.Code == 404 {
			return
		}
		if w.Code != 200 {
			t.Fatalf("%d", w.Code)
		}
		wellFormed(t, w.Body.String())
	})
}

// FuzzAddress asks about anything as an address: what is taken stands whole in a
// property list, and alone.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"alice@example.org", `"a b"@example.org`, "jörg@bücher.example", "a@[192.0.2.1]", "postmaster", "a%00@example.org"} {
		f.Add(s)
	}
	h := newHandler(nil)
	f.Fuzz(func(t *testing.T, text string) {
		w := ask(h, "GET", "https://example.org"+ConfigPath+"?emailaddress="+url.QueryEscape(text), "")
		if w.Code == 200 {
			wellFormed(t, w.Body.String())
		}
		who, err := parseAddress(text)
		if err != nil {
			return
		}
		if again, err := message.ParseAddress(who.String()); err != nil || again != who {
			t.Errorf("%q is %+v, which is %+v again, %v", text, who, again, err)
		}
		s, err := h.settings(who.Domain)
		if err != nil {
			t.Fatal(err)
		}
		profile := string(s.profile(who, ""))
		wellFormed(t, profile)
		if strings.Count(profile, "<dict>") != 2 {
			t.Errorf("%q breaks out:\n%s", text, profile)
		}
	})
}
