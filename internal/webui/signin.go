package webui

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
)

// Accounts proves who somebody is.
type Accounts interface {
	// SignIn checks a person's own password. Errors: ErrWrong, ErrTooMany, and
	// ErrClosed for who knows the password of an account that is closed.
	SignIn(ctx context.Context, name, password string, from netip.Addr) (Visitor, error)
	// Visitor gives an account that is open. Errors: ErrClosed.
	Visitor(ctx context.Context, account int64) (Visitor, error)
}

// Errors of Accounts.
var (
	ErrWrong   = errors.New("wrong address or password")
	ErrTooMany = errors.New("too many failed sign-ins")
	ErrClosed  = errors.New("the account is closed")
)

const (
	signInPath  = "/sign-in"
	signOutPath = "/sign-out"
)

// cookieName has the prefix that binds it to this host, this path and TLS
// (RFC 6265bis, 4.1.3.2).
const cookieName = "__Host-mailstead"

func cookie(token string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: token, Path: "/", MaxAge: age,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// visitor gives who sends a request: nobody without a living session.
func (s *Site) visitor(r *http.Request) (Visitor, error) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return Visitor{}, nil
	}
	account, err := s.Sessions.account(r.Context(), c.Value)
	if err == nil {
		var v Visitor
		if v, err = s.Accounts.Visitor(r.Context(), account); err == nil {
			return v, nil
		}
	}
	if errors.Is(err, errNoSession) || errors.Is(err, ErrClosed) {
		return Visitor{}, nil
	}
	return Visitor{}, err
}

// signInForm is what the page shows.
type signInForm struct {
	To      string // the page that comes next
	Address string
	Trouble string
}

func (s *Site) askSignIn(w http.ResponseWriter, r *http.Request, v Visitor) error {
	to := s.next(r.URL.Query().Get("to"))
	if v.Account != 0 && s.mayLookAt(v, to) {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	s.showSignIn(w, r, http.StatusOK, signInForm{To: to})
	return nil
}

func (s *Site) showSignIn(w http.ResponseWriter, r *http.Request, status int, form signInForm) {
	s.show(w, r, Visitor{}, status, Page{Title: "Sign in", Files: layoutFiles, Template: "layout/signin.html"}, form)
}

// signIn begins a session. It ends the one that the browser had, so that a token
// from before never gains rights (session fixation).
func (s *Site) signIn(w http.ResponseWriter, r *http.Request, _ Visitor) error {
	leave, ok := s.crowd.enter(remote(r))
	if !ok {
		return Refuse(http.StatusTooManyRequests)
	}
	defer leave()
	form := signInForm{To: s.next(r.PostForm.Get("to")), Address: r.PostForm.Get("address")}
	v, err := s.Accounts.SignIn(r.Context(), form.Address, r.PostForm.Get("password"), remote(r))
	status := http.StatusUnauthorized
	switch {
	case err == nil && s.mayLookAt(v, form.To):
		return s.enter(w, r, v, form.To)
	case err == nil:
		status, form.Trouble = http.StatusForbidden, "This account does not look after this server; only an operator's does."
	case errors.Is(err, ErrClosed):
		status, form.Trouble = http.StatusForbidden, "This account is closed."
	case errors.Is(err, ErrWrong):
		form.Trouble = "The address or the password is wrong."
	case errors.Is(err, ErrTooMany):
		w.Header().Set("Retry-After", "60")
		status, form.Trouble = http.StatusTooManyRequests, "Too many attempts have failed. Wait a minute before the next one."
	default:
		return err
	}
	s.showSignIn(w, r, status, form)
	return nil
}

func (s *Site) enter(w http.ResponseWriter, r *http.Request, v Visitor, to string) error {
	if old, err := r.Cookie(cookieName); err == nil {
		if err := s.Sessions.end(r.Context(), old.Value); err != nil {
			return err
		}
	}
	token, err := s.Sessions.begin(r.Context(), v.Account)
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(token, int(seconds(wholeTime))))
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

func (s *Site) signOut(w http.ResponseWriter, r *http.Request, _ Visitor) error {
	if c, err := r.Cookie(cookieName); err == nil {
		if err := s.Sessions.end(r.Context(), c.Value); err != nil {
			return err
		}
	}
	http.SetCookie(w, cookie("", -1))
	http.Redirect(w, r, signInPath, http.StatusSeeOther)
	return nil
}

// next is where a browser may be sent: a page of ours, never an address that
// somebody put into a link.
func (s *Site) next(path string) string {
	if slices.ContainsFunc(s.Pages, func(p Page) bool { return p.Path == path }) {
		return path
	}
	return s.Home
}

// mayLookAt tells whether signing in leads somewhere.
func (s *Site) mayLookAt(v Visitor, path string) bool {
	i := slices.IndexFunc(s.Pages, func(p Page) bool { return p.Path == path })
	return i >= 0 && v.may(s.Pages[i].Access)
}
