package webui

import "net/http"

// contentPolicy allows what our own layout needs and nothing else: style, images
// and one script from this server, forms that lead to it.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'"

// insistFor is how long a browser shall come by HTTPS only: RFC 6797, 6.1.1. A
// browser that could not verify the certificate does not listen (8.1).
const insistFor = "max-age=31536000"

// Guard puts the headers that keep a browser safe before everything that a door
// answers.
func (s *Site) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")        // of browsers before frame-ancestors
		h.Set("Referrer-Policy", "same-origin") // with no-referrer older browsers send forms with the origin "null"
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.TLS != nil && s.Vouched != nil && s.Vouched() {
			h.Set("Strict-Transport-Security", insistFor)
		}
		next.ServeHTTP(w, r)
	})
}
