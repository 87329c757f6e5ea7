package mtasts

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mailstead/account"
	"mailstead/message"
)

func TestPolicy(t *testing.T) {
	h := &Handler{Log: slog.New(slog.DiscardHandler), Policy: func(_ context.Context, d message.Domain) (string, error) {
		switch d {
		case "example.org", "xn--bcher-kva.example":
			return "version: STSv1\r\nmx: mail." + string(d) + "\r\n", nil
		case "broken.example":
			return "", errors.New("disk")
		}
		return "", account.ErrNotLocal
	}}
	for _, tt := range []struct {
		host   string
		status int
		body   string
	}{
		{"mta-sts.example.org", 200, "mx: mail.example.org"},
		{"MTA-STS.Example.org:443", 200, "mx: mail.example.org"},
		{"mta-sts.xn--bcher-kva.example", 200, "mx: mail.xn--bcher-kva.example"},
		{"mta-sts.example.net", 404, ""},
		{"example.org", 404, ""},
		{"mta-sts.", 404, ""},
		{"mta-sts.broken.example", 500, ""},
	} {
		r := httptest.NewRequest("GET", "https://"+tt.host+Path, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) {
			t.Errorf("%s: %d %q", tt.host, w.Code, w.Body)
		}
		// RFC 8461, 3.2: the media type is text/plain.
		if kind := w.Header().Get("Content-Type"); tt.status == http.StatusOK && !strings.HasPrefix(kind, "text/plain") {
			t.Errorf("%s: %s", tt.host, kind)
		}
	}
}
