package autoconfig

import (
	"embed"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"mailstead/internal/webui"
	"mailstead/message"
)

//go:embed page.html
var pageFiles embed.FS

// view is what the page shows.
type view struct {
	Domain  string // whose settings these are; "" before an address is given
	Address string // as it was typed
	Person  string // the name, for the profile
	Trouble string // with it
	Known   bool   // it is one of the domain
	User    string // the user name, "" without an address
	Typed   string // the same for texts to copy, or what to put in its place
	Closed  bool   // there is no door for programs
	Settings
}

// Best is the first of the servers to read and to send with.
func (v view) Best() (b struct{ In, Out Server }) {
	if !v.Closed && v.Domain != "" {
		b.In, b.Out = v.Incoming[0], v.Outgoing[0]
	}
	return b
}

// TypedInURL is Typed as the user of a URL (RFC 3986, 3.2.1).
func (v view) TypedInURL() string { return strings.ReplaceAll(url.PathEscape(v.Typed), "@", "%40") }

// Page is the one for people: the settings, and the steps for each program. It
// stands under every name that belongs to a domain of ours, and the host's own.
func (h *Handler) Page() webui.Page {
	return webui.Page{
		Path: PagePath, Title: "Set up your mail", Access: webui.Everybody, Files: pageFiles, Template: "page.html", Menu: "Mail programs",
		Host: func(string) bool { return true }, Data: h.page,
	}
}

// page is webui.Page's Data. An address of elsewhere is a mistake of whoever
// typed it, not a page that is missing.
func (h *Handler) page(r *http.Request, _ webui.Visitor) (any, error) {
	text := strings.TrimSpace(r.URL.Query().Get("address"))
	v := view{Address: clip(text, maxAddress), Person: personName(r), Typed: "YOUR-ADDRESS"}
	domain, err := h.domainOf(r)
	if errors.Is(err, errForeign) && h.ownName(hostName(r.Host)) {
		err = nil
	}
	if errors.Is(err, errForeign) {
		return nil, webui.Refuse(http.StatusNotFound)
	}
	if err != nil {
		return nil, err
	}
	if text != "" {
		who, of, err := h.about(r, text)
		switch {
		case errors.Is(err, errAddress):
			v.Trouble = "That is not a whole address. It looks like name@" + shownDomain(domain) + "."
		case errors.Is(err, errForeign):
			v.Trouble = "This server keeps no mail for " + of.Unicode() + ". Look at the address again."
		case err != nil:
			return nil, err
		default:
			domain, v.Known, v.User = of, true, who.String()
			if plain(v.User) {
				v.Typed = v.User
			}
		}
	}
	if domain == "" {
		return v, nil
	}
	v.Domain = domain.Unicode()
	if v.Settings, err = h.settings(domain); errors.Is(err, errClosed) {
		v.Closed, err = true, nil
	}
	return v, err
}

func shownDomain(d message.Domain) string {
	if d == "" {
		return "example.org"
	}
	return d.Unicode()
}

// ownName tells names of this server that belong to no domain of ours.
func (h *Handler) ownName(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == string(h.Host) || host == "localhost" || err == nil
}

// plain tells whether an address may stand in a text that is copied into a file
// of settings. Some of those run what stands between certain quotes, and the
// address may come from whoever made the link.
func plain(address string) bool {
	return !strings.ContainsFunc(address, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("@.-_+", c)
	})
}
