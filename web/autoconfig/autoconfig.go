// Package autoconfig tells mail programs how to reach this server, from the
// address alone: which host, which ports, which encryption, which user name. It
// knows the forms in which programs ask, and nothing of accounts: whether an
// address exists is not looked up, so that nobody can learn it here.
//
//	request ─▶ address, or the name asked ─▶ domain of ours? ─▶ Settings ─┬─ config-v1.1.xml     Thunderbird and its kin
//	                                            └ no: 404                 ├─ autodiscover.xml    Outlook (v1, POX)
//	                                                                      ├─ autodiscover.json   Outlook (v2)
//	                                                                      ├─ profile.mobileconfig  Apple, signed (CMS)
//	                                                                      ├─ user-agent-configuration.json  PACC
//	                                                                      └─ a page for people
//
// The settings are those of the doors that are open now, TLS from the first
// octet before STARTTLS (RFC 8314, 3); where a program can take no choice it is
// told of the best alone. OAuth is not offered, because this server has none. A
// user name is always the whole address, its domain as A-label.
//
// # Invariants
//
//   - An answer depends on the domain, the doors, and the address as it was
//     given; never on whether there is such an account. Domains that are not
//     ours get 404, whatever is asked.
//   - What came from outside is written by an encoder of the format (XML, JSON,
//     HTML) and by nothing else. An address has at most 512 octets and no
//     character that cannot be seen.
//   - A request's body has at most 16 KiB; document types, and with them
//     entities, are refused.
//
// # What is followed
//
// draft-ietf-mailmaint-autoconfig-06 (config-v1.1.xml, its version 1.1);
// [MS-OXDSCLI] 2.2.3 and 2.2.4, [MS-ASCMD] 2.2.1.1 (Autodiscover);
// draft-ietf-mailmaint-pacc-04 (user-agent-configuration.json); Apple's
// com.apple.mail.managed payload; RFC 5652 and RFC 5754 (CMS); RFC 8314. SRV
// records (RFC 6186) are dns/zone's, made of the same list of doors.
package autoconfig

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"mailstead/dns/zone"
	"mailstead/message"
)

// The paths that programs know.
const (
	ConfigPath    = "/mail/config-v1.1.xml"
	WellKnownPath = "/.well-known/autoconfig/mail/config-v1.1.xml"
	AgentPath     = "/.well-known/user-agent-configuration.json"
	DiscoverPath  = "/autodiscover/autodiscover.xml"
	DiscoverV2    = "/autodiscover/autodiscover.json"
	ProfilePath   = "/profile.mobileconfig"
	PagePath      = "/clients" // where "/" is somebody else's
)

// Handler answers for all domains of this server. Its methods are the handlers
// of one path each; app's site map says which stands where.
type Handler struct {
	Host  message.Domain                                            // of the mail doors
	Doors func() []zone.Service                                     // those that are open: _imaps, _imap, _submissions, _submission
	Local func(ctx context.Context, d message.Domain) (bool, error) // is it a domain of ours?
	Sign  func() (*tls.Certificate, error)                          // what profiles are signed with
	Log   *slog.Logger
	Now   func() time.Time // nil means time.Now
}

// Errors of about.
var (
	errForeign = errors.New("not a domain of ours")
	errAddress = errors.New("not an address")
)

// maxAddress is more than RFC 5321 (4.5.3.1.3) lets a path have.
const maxAddress = 512

// parseAddress reads an address as a person types it or a program sends it. What
// cannot be seen is refused: it could make one address look like another.
func parseAddress(text string) (message.Address, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxAddress {
		return message.Address{}, errAddress
	}
	for _, c := range text {
		if !unicode.IsPrint(c) {
			return message.Address{}, errAddress
		}
	}
	a, err := message.ParseAddress(text)
	if _, literal := a.Domain.Literal(); err != nil || literal || a.Domain == "" {
		return message.Address{}, errAddress
	}
	return a, nil
}

// about finds what a request is about: the given address, or without one the
// domain whose name was asked. Errors: errForeign, errAddress, and ours.
func (h *Handler) about(r *http.Request, text string) (a message.Address, d message.Domain, err error) {
	if text = strings.TrimSpace(text); text != "" {
		if a, err = parseAddress(text); err != nil {
			return a, "", err
		}
		return a, a.Domain, h.check(r.Context(), a.Domain)
	}
	d, err = h.domainOf(r)
	return a, d, err
}

// Prefixes are the labels before a domain under which its settings are asked.
// The last is PACC's, which no record of ours publishes.
var prefixes = [...]string{"autoconfig.", "autodiscover.", "ua-auto-config."}

// ClientName tells whether the name asked is one that only mail programs ask.
func ClientName(host string) bool {
	host = hostName(host)
	return strings.HasPrefix(host, prefixes[0]) || strings.HasPrefix(host, prefixes[1])
}

// domainOf is the domain that the name in the request stands for: the one below
// a known prefix, the name itself, or the one that it lies in.
func (h *Handler) domainOf(r *http.Request) (message.Domain, error) {
	name := hostName(r.Host)
	candidates := []string{name}
	for _, p := range prefixes {
		if rest, found := strings.CutPrefix(name, p); found {
			candidates = []string{rest}
		}
	}
	if _, parent, found := strings.Cut(candidates[0], "."); found && candidates[0] == name {
		candidates = append(candidates, parent)
	}
	for _, c := range candidates {
		d, err := message.ParseDomain(c)
		if err != nil {
			return "", errForeign
		}
		if err := h.check(r.Context(), d); !errors.Is(err, errForeign) {
			return d, err
		}
	}
	return "", errForeign
}

func (h *Handler) check(ctx context.Context, d message.Domain) error {
	ours, err := h.Local(ctx, d)
	if err == nil && !ours {
		err = errForeign
	}
	return err
}

func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// refuse is the one table of what a program is told that gets no settings.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errForeign), errors.Is(err, errClosed):
		http.Error(w, "no settings here", http.StatusNotFound)
	case errors.Is(err, errAddress):
		http.Error(w, "not an address", http.StatusBadRequest)
	default:
		h.Log.Error("settings for clients not served", "err", err)
		http.Error(w, "ask again later", http.StatusInternalServerError)
	}
}

// answer writes a whole document.
func answer(w http.ResponseWriter, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache") // ports change
	_, _ = w.Write(body)
}

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

// Paths brings what is asked to the paths above: programs write those of
// Autodiscover in any case, and the start of a name that only clients ask is the
// page.
func Paths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		switch known := discoverPath(p); {
		case known != "":
			p = known
		case p == "/" && ClientName(r.Host):
			p = PagePath
		}
		if p != r.URL.Path {
			moved, target := *r, *r.URL
			target.Path, target.RawPath = p, ""
			moved.URL, r = &target, &moved
		}
		next.ServeHTTP(w, r)
	})
}

// discoverPath is a path of Autodiscover as we write it, "" for another. Behind
// the one of version 2 an address may follow, which stays as it is.
func discoverPath(p string) string {
	for _, known := range []string{DiscoverPath, DiscoverV2} {
		if len(p) >= len(known) && strings.EqualFold(p[:len(known)], known) && (len(p) == len(known) || p[len(known)] == '/') {
			return known + p[len(known):]
		}
	}
	return ""
}
