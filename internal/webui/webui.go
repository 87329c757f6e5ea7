// Package webui is what all pages for people share: layout, style, assets,
// sign-in and its sessions, the headers that keep a browser safe, and the errors.
// It knows nothing of mail; what a page shows and who may sign in come from the
// rooms above.
//
//	request ─▶ Guard: headers ─▶ own name? ─▶ same origin? ─▶ session ─▶ Page.Data ─▶ template ─▶ layout
//	                                                             └─ none: /sign-in
//
// A page is data: a Page with its path, title, template and a function that
// gives what the template shows. A form of a page leads to an Action, which does
// one thing and sends the browser on to a page. Both say who may: everybody,
// whoever has an account, operators.
//
// Templates are parsed when their page is first asked for, so that a server whose
// pages nobody looks at holds none of it.
//
// Invariants:
//
//   - every response behind Guard has the policy of policy.go: nothing comes from
//     elsewhere, nothing inline runs, nobody frames us;
//   - all works without script;
//   - a session's token is in the browser alone, its hash in the table;
//   - text reaches a page through html/template only;
//   - what a person reads when something fails is one of the constant texts of
//     problem.go.
package webui

import (
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
)

// Access says for whom something is.
type Access int

const (
	Operators Access = iota // the zero value shuts out most
	People                  // with an account
	Everybody
)

// Visitor is who looks at a page; the zero value is somebody who has not signed in.
type Visitor struct {
	Account  int64
	Address  string // as people write it
	Operator bool
}

// may tells whether somebody is let in.
func (v Visitor) may(a Access) bool {
	return a == Everybody || v.Account != 0 && (a == People || v.Operator)
}

// Page is one page.
type Page struct {
	Path     string // "/admin"
	Title    string
	Access   Access
	Files    fs.FS  // where the template is
	Template string // its file; it defines "main", which the layout puts in its middle
	// Data gives what "main" shows; nil for nothing. An error made by Refuse is
	// shown as what it is, any other is ours. A value with a method
	// Refresh() int has the browser load the page again after so many seconds.
	Data func(*http.Request, Visitor) (any, error)
	// Host tells under which names the page is there; nil is the server's own.
	Host func(host string) bool
	Menu string // what the menu calls it; "" keeps it out
}

// Action is what a form does.
type Action struct {
	Path   string
	Access Access
	// Do does it and gives the path of the page that comes next.
	Do func(*http.Request, Visitor) (next string, err error)
}

// Site is all pages of a server.
type Site struct {
	Name     string // the server's
	Home     string // path of the page where somebody comes who names none
	Log      *slog.Logger
	Accounts Accounts
	Sessions *Sessions
	// Vouched tells whether the certificate that is shown is worth insisting on.
	Vouched func() bool
	Pages   []Page
	Actions []Action

	once   sync.Once // makes all below
	mux    *http.ServeMux
	origin *http.CrossOriginProtection
	static assets

	crowd crowd

	mu     sync.Mutex
	parsed map[string]*template.Template // by path and file
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.once.Do(s.build)
	s.mux.ServeHTTP(w, r)
}

// build turns the data into a mux.
func (s *Site) build() {
	s.mux, s.origin, s.static = http.NewServeMux(), http.NewCrossOriginProtection(), loadAssets()
	for _, p := range s.Pages {
		s.mux.Handle("GET "+p.Path, &route{s, p.Access, p.Host, s.page(p)})
	}
	for _, a := range s.Actions {
		s.mux.Handle("POST "+a.Path, &route{s, a.Access, nil, act(a)})
	}
	s.mux.Handle("GET "+signInPath, &route{s, Everybody, nil, s.askSignIn})
	s.mux.Handle("POST "+signInPath, &route{s, Everybody, nil, s.signIn})
	s.mux.Handle("POST "+signOutPath, &route{s, Everybody, nil, s.signOut})
	s.mux.HandleFunc("GET "+assetPath+"{name}", s.asset)
	s.mux.Handle("/", &route{s, Everybody, func(string) bool { return true }, s.nowhere})
}

// nowhere answers what no page has.
func (s *Site) nowhere(w http.ResponseWriter, r *http.Request, _ Visitor) error {
	if r.URL.Path == "/" && s.Home != "" && s.answersTo(host(r)) {
		http.Redirect(w, r, s.Home, http.StatusSeeOther)
		return nil
	}
	for _, p := range s.Pages {
		if r.URL.Path == "/" && p.Host != nil && p.Host(host(r)) {
			http.Redirect(w, r, p.Path, http.StatusSeeOther)
			return nil
		}
		if p.Path == r.URL.Path && changes(r) {
			w.Header().Set("Allow", "GET, HEAD")
			return Refuse(http.StatusMethodNotAllowed)
		}
	}
	return Refuse(http.StatusNotFound)
}

// act is an action as a handler.
func act(a Action) handler {
	return func(w http.ResponseWriter, r *http.Request, v Visitor) error {
		next, err := a.Do(r, v)
		if err == nil {
			http.Redirect(w, r, next, http.StatusSeeOther)
		}
		return err
	}
}
