// Package mtasts serves the policy files of our domains (RFC 8461, 3.2 and 3.3):
// https://mta-sts.DOMAIN/.well-known/mta-sts.txt. The text is dns/zone's, which
// also makes the id of the TXT record of it, so that the two never disagree.
//
// The name in the request says whose policy is wanted. The certificate for it is
// the door's business; a name that is not mta-sts. of a domain of ours is told
// nothing but that there is no such page.
package mtasts

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"mailstead/account"
	"mailstead/message"
)

// Path is where the policy stands, on every name.
const Path = "/.well-known/mta-sts.txt"

// Handler answers GET of Path.
type Handler struct {
	// Policy gives a domain's text. Errors: account.ErrNotLocal.
	Policy func(ctx context.Context, d message.Domain) (string, error)
	Log    *slog.Logger
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	name, ok := strings.CutPrefix(strings.ToLower(host), "mta-sts.")
	domain, err := message.ParseDomain(name)
	if !ok || err != nil {
		http.NotFound(w, r)
		return
	}
	text, err := h.Policy(r.Context(), domain)
	switch {
	case errors.Is(err, account.ErrNotLocal):
		http.NotFound(w, r)
		return
	case err != nil:
		h.Log.Error("policy of MTA-STS not served", "domain", domain, "err", err)
		http.Error(w, "ask again later", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, text)
}
