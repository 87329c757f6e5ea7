package setup

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/publicsuffix"

	"mailstead/message"
)

// Mistake is an answer that cannot be meant.
type Mistake struct {
	Key      string // of the question
	Sentence string
	Next     string
}

func (m *Mistake) Error() string { return m.Sentence }

// Hint is the next step for a person.
func (m *Mistake) Hint() string { return m.Next }

func mistake(next, format string, args ...any) *Mistake {
	return &Mistake{Sentence: fmt.Sprintf(format, args...), Next: next}
}

const domainForm = "a domain has the form example.org"

// ReadDomain reads a domain as people type and paste it. Capital letters, a final
// dot and letters beyond ASCII are understood; what is something else is refused
// with the domain that may have been meant.
func ReadDomain(text string) (message.Domain, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", mistake(domainForm, "There is no domain.")
	case strings.Contains(text, "://") || strings.Contains(text, "/"):
		return "", mistake(meant(hostOf(text)), "%q is the address of a page, not a domain.", text)
	case strings.Contains(text, "@"):
		_, after, _ := strings.Cut(text, "@")
		return "", mistake(meant(strings.Trim(after, "<> ")), "%q is a mail address, not a domain.", text)
	case strings.ContainsFunc(text, unicode.IsSpace):
		return "", mistake(meant(strings.Join(strings.Fields(text), "")), "%q has a space in it.", text)
	}
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil || strings.HasPrefix(text, "[") {
		return "", mistake(domainForm, "%q is the address of a machine, not a domain.", text)
	}
	d, err := message.ParseDomain(text)
	if err != nil || strings.Contains(text, "_") {
		return "", mistake(domainForm, "%q is not a domain.", text)
	}
	name := string(d)
	if suffix, icann := publicsuffix.PublicSuffix(name); icann && suffix == name {
		return "", mistake("name your own, such as example."+d.Unicode(), "%s belongs to nobody alone: others register their domains below it.", d.Unicode())
	}
	if !strings.Contains(name, ".") {
		return "", mistake(domainForm, "%q is one word, and a domain has a dot in it.", text)
	}
	if rest, ok := strings.CutPrefix(name, "www."); ok && strings.Contains(rest, ".") {
		return "", mistake(meant(rest), "%s is the name of a web server, not a domain for mail.", d.Unicode())
	}
	return d, nil
}

// hostOf finds the host in what was copied out of a browser.
func hostOf(text string) string {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Hostname(), "www.")
}

func meant(name string) string {
	if d, err := message.ParseDomain(name); err != nil || !strings.Contains(string(d), ".") {
		return domainForm
	}
	return "did you mean " + name + "?"
}

// readHostname reads what this machine is called: a name that a domain of the DNS
// can hold, since others look it up and certificates are made for it.
func readHostname(text string) (message.Domain, error) {
	const form = "it has the form mail.example.org"
	d, err := message.ParseDomain(text)
	if err != nil || strings.Contains(text, "_") {
		return "", mistake(form, "%q is not the name of a machine.", text)
	}
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return "", mistake(form, "%q is the address of a machine, not its name.", text)
	}
	if !strings.Contains(string(d), ".") {
		return "", mistake(form, "%q is one word, and the name that others know has a dot in it.", text)
	}
	return d, nil
}

// byItself tells the names that reach the operator without being anybody's.
func byItself(local string) bool {
	return slices.Contains([]string{"postmaster", "abuse", "mailer-daemon", "reports"}, local)
}

// ReadAddress reads an address in a domain, or the part of it before the @.
func ReadAddress(text string, d message.Domain) (message.Address, error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "mailto:")
	if i, j := strings.LastIndexByte(text, '<'), strings.LastIndexByte(text, '>'); i >= 0 && j > i {
		text = text[i+1 : j] // "You <you@example.org>"
	}
	text = strings.TrimSuffix(text, ".")
	form := fmt.Sprintf("it has the form you@%s; you alone is enough", d.Unicode())
	if text == "" {
		return message.Address{}, mistake(form, "There is no address.")
	}
	if strings.ContainsFunc(text, unicode.IsSpace) {
		return message.Address{}, mistake(form, "%q has a space in it.", text)
	}
	local, at, found := cutLast(text)
	if !found {
		local = text
	}
	a, err := message.ParseAddress(local + "@" + string(d))
	if err != nil {
		return a, mistake(form, "%q cannot stand before the @ of an address.", local)
	}
	if found {
		other, err := message.ParseDomain(at)
		if err != nil {
			return a, mistake(form, "%q is not an address.", text)
		}
		if other != d {
			return a, mistake(form, "%s is an address in %s, not in %s.", text, other.Unicode(), d.Unicode())
		}
	}
	a.Local = strings.ToLower(a.Local)
	if byItself(a.Local) {
		return a, mistake("take a name of your own, such as you@"+d.Unicode(), "%s reaches you by itself, as the rules of the mail want it.", a.Unicode())
	}
	return a, nil
}

func cutLast(text string) (local, at string, found bool) {
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}
