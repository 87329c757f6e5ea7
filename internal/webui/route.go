package webui

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// maxForm is the size of what a form sends: a password has at most a kilobyte,
// three times as much when it is escaped.
const maxForm = 8 << 10

// handler answers what has passed a route; its error becomes a page.
type handler func(http.ResponseWriter, *http.Request, Visitor) error

// route is what stands before every handler.
type route struct {
	site   *Site
	access Access
	host   func(string) bool // nil is the server's own names
	serve  handler
}

// ServeHTTP implements http.Handler.
func (t *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	visitor, err := t.admit(w, r)
	if err == nil {
		err = t.serve(w, r, visitor)
	}
	var p *Problem
	switch {
	case err == nil:
	case errors.As(err, &p) && p.Status == http.StatusUnauthorized && !changes(r):
		http.Redirect(w, r, signInPath+"?"+url.Values{"to": {r.URL.Path}}.Encode(), http.StatusSeeOther)
	default:
		t.site.fail(w, r, visitor, err)
	}
}

// admit asks in this order: is this name ours, does a page of ours send the
// form, who is it, may they.
func (t *route) admit(w http.ResponseWriter, r *http.Request) (v Visitor, err error) {
	known := t.host
	if known == nil {
		known = t.site.answersTo
	}
	if !known(host(r)) {
		return v, Refuse(http.StatusNotFound)
	}
	if changes(r) {
		if t.site.origin.Check(r) != nil {
			return v, Refuse(http.StatusForbidden)
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			return v, badForm(err)
		}
	}
	if v, err = t.site.visitor(r); err != nil {
		return v, err
	}
	switch {
	case v.may(t.access):
		return v, nil
	case v.Account == 0:
		return v, Refuse(http.StatusUnauthorized)
	}
	return v, Refuse(http.StatusForbidden)
}

func badForm(err error) error {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return Refuse(http.StatusRequestEntityTooLarge)
	}
	return Refuse(http.StatusBadRequest)
}

// changes tells a request that may change something.
func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead
}

// host is the name that the browser asked for.
func host(r *http.Request) string {
	name := r.Host
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
}

// answersTo tells the server's own names. Before its name is in the DNS it is
// looked at by address.
func (s *Site) answersTo(name string) bool {
	_, err := netip.ParseAddr(name)
	return name == strings.ToLower(s.Name) || name == "localhost" || err == nil
}

// remote is the browser's address.
func remote(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero address counts as a place of its own
	return at.Addr().Unmap()
}
