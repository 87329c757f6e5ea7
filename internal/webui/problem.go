package webui

import (
	"errors"
	"net/http"

	"mailstead/internal/sqlite"
)

// Problem is a refusal: a status of HTTP with a constant text.
type Problem struct{ Status int }

func (p *Problem) Error() string { return http.StatusText(p.Status) }

// Refuse makes a refusal.
func Refuse(status int) error { return &Problem{status} }

// words are what a person reads.
type words struct{ Title, Text, Next string }

// problems is the border's one table.
func problems() map[int]words {
	return map[int]words{
		http.StatusBadRequest:            {"That could not be read", "The form did not arrive as it was sent.", "Go back and send it again."},
		http.StatusUnauthorized:          {"Please sign in", "You are not signed in, or not any more.", "Sign in and do it again."},
		http.StatusForbidden:             {"Not allowed", "This is for the people who look after this server, and only from its own pages.", "Sign in as an operator. `mailstead account set ADDRESS --operator` makes one."},
		http.StatusNotFound:              {"There is no such page", "Nothing is here under this address.", "Look at the address again, or begin at the start."},
		http.StatusMethodNotAllowed:      {"That cannot be done here", "This page can only be looked at.", "Go back to the start."},
		http.StatusConflict:              {"It is there already", "Somebody made it before you.", "Go back and load the page again."},
		http.StatusRequestEntityTooLarge: {"That is too much", "The form is larger than this page takes.", "Go back and send less."},
		http.StatusTooManyRequests:       {"Too many attempts", "Too many sign-ins have failed from where you are, or are being tried.", "Wait a minute before the next one."},
		http.StatusInternalServerError:   {"Something went wrong here", "It is not your fault; the server's log says more.", "Try again in a moment."},
		http.StatusServiceUnavailable:    {"Not now", "The server is stopping.", "Try again in a moment."},
		http.StatusInsufficientStorage:   {"There is no room", "The disk of this server is full, and nothing was changed.", "Make room on it, then try again."},
	}
}

// statusOf gives the status of any error.
func statusOf(err error) int {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p.Status
	case errors.Is(err, sqlite.ErrFull):
		return http.StatusInsufficientStorage
	case errors.Is(err, sqlite.ErrFailed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fail answers with an error's page. What is our fault is logged, here alone.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, v Visitor, err error) {
	status := statusOf(err)
	if status >= http.StatusInternalServerError && r.Context().Err() == nil {
		s.Log.Error("page not shown", "path", r.URL.Path, "remote", remote(r), "account", v.Account, "err", err)
	}
	text, ok := problems()[status]
	if !ok {
		text = problems()[http.StatusInternalServerError]
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "60")
	}
	s.show(w, r, v, status, Page{Title: text.Title, Files: layoutFiles, Template: "layout/problem.html"}, text)
}
