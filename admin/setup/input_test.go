package setup

import (
	"testing"

	"mailstead/message"
)

// said is what a reader made of an answer: the value, or its sentence and hint.
func said(value string, err error) string {
	if m, ok := err.(*Mistake); ok {
		return m.Sentence + " | " + m.Next
	}
	return value
}

func TestReadDomain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"example.org":              "example.org",
		" Example.ORG. ":           "example.org",
		"bücher.example":           "xn--bcher-kva.example",
		"BÜCHER.example.":          "xn--bcher-kva.example",
		"mail.example.org":         "mail.example.org",
		"example.co.uk":            "example.co.uk",
		"":                         "There is no domain. | a domain has the form example.org",
		"https://example.org":      `"https://example.org" is the address of a page, not a domain. | did you mean example.org?`,
		"http://www.example.org/a": `"http://www.example.org/a" is the address of a page, not a domain. | did you mean example.org?`,
		"example.org/mail":         `"example.org/mail" is the address of a page, not a domain. | did you mean example.org?`,
		"you@example.org":          `"you@example.org" is a mail address, not a domain. | did you mean example.org?`,
		"<you@example.org>":        `"<you@example.org>" is a mail address, not a domain. | did you mean example.org?`,
		"example .org":             `"example .org" has a space in it. | did you mean example.org?`,
		"example":                  `"example" is one word, and a domain has a dot in it. | a domain has the form example.org`,
		"co.uk":                    "co.uk belongs to nobody alone: others register their domains below it. | name your own, such as example.co.uk",
		"com.":                     "com belongs to nobody alone: others register their domains below it. | name your own, such as example.com",
		"www.example.org":          "www.example.org is the name of a web server, not a domain for mail. | did you mean example.org?",
		"192.0.2.1":                `"192.0.2.1" is the address of a machine, not a domain. | a domain has the form example.org`,
		"[192.0.2.1]":              `"[192.0.2.1]" is the address of a machine, not a domain. | a domain has the form example.org`,
		"exa_mple.org":             `"exa_mple.org" is not a domain. | a domain has the form example.org`,
		"-example.org":             `"-example.org" is not a domain. | a domain has the form example.org`,
		"example..org":             `"example..org" is not a domain. | a domain has the form example.org`,
		"example.org\x1b[31m":      "\"example.org\\x1b[31m\" is not a domain. | a domain has the form example.org",
	} {
		d, err := ReadDomain(text)
		if got := said(string(d), err); got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestReadAddress(t *testing.T) {
	t.Parallel()
	const form = " | it has the form you@example.org; you alone is enough"
	for text, want := range map[string]string{
		"you":                       "you@example.org",
		"You@Example.org":           "you@example.org",
		"you@example.org.":          "you@example.org",
		"mailto:you@example.org":    "you@example.org",
		"Alice <alice@example.org>": "alice@example.org",
		"jörg":                      "jörg@example.org",
		"":                          "There is no address." + form,
		"a b":                       `"a b" has a space in it.` + form,
		"you@example.net":           "you@example.net is an address in example.net, not in example.org." + form,
		"you@":                      `"you@" is not an address.` + form,
		"@example.org":              `"" cannot stand before the @ of an address.` + form,
		".you":                      `".you" cannot stand before the @ of an address.` + form,
		"y..ou":                     `"y..ou" cannot stand before the @ of an address.` + form,
		"you(home)":                 `"you(home)" cannot stand before the @ of an address.` + form,
		"postmaster":                "postmaster@example.org reaches you by itself, as the rules of the mail want it. | take a name of your own, such as you@example.org",
		"Abuse@example.org":         "abuse@example.org reaches you by itself, as the rules of the mail want it. | take a name of your own, such as you@example.org",
	} {
		a, err := ReadAddress(text, message.Domain("example.org"))
		if got := said(a.String(), err); got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestHostnameOfNoMachine: an address or one word is a name that nobody can look
// up or certify.
func TestHostnameOfNoMachine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Mail.Example.ORG.":   "mail.example.org",
		"192.0.2.1":           `"192.0.2.1" is the address of a machine, not its name. | it has the form mail.example.org`,
		"localhost":           `"localhost" is one word, and the name that others know has a dot in it. | it has the form mail.example.org`,
		"https://mail.x.org/": `"https://mail.x.org/" is not the name of a machine. | it has the form mail.example.org`,
		"ma_il.example.org":   `"ma_il.example.org" is not the name of a machine. | it has the form mail.example.org`,
	} {
		d, err := readHostname(text)
		if got := said(string(d), err); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
