package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Limits of a conversation with a provider.
const (
	attempts   = 4                // of one request
	patience   = 45 * time.Second // longest wait that a provider may ask for; more is an error that says so
	maxAnswer  = 16 << 20
	maxPages   = 250
	maxSaying  = 300 // of a provider's own words in an error
	reqTimeout = 30 * time.Second
)

// client speaks JSON over HTTP to one provider.
type client struct {
	title string
	help  string // the provider's ScopeHelp
	base  string
	http  *http.Client
	wait  func(context.Context, time.Duration) error

	// authorize puts the credentials into a request.
	authorize func(r *http.Request, body []byte)
	// saying finds the provider's own words, and its code, in the body of an error.
	saying func(body []byte) (text, code string)
	// refused tells which codes mean that the credentials are not accepted,
	// where the status does not.
	refused func(status int, code, text string) bool
}

// newClient makes the client of a provider whose API is at base.
func newClient(g given, base string) *client {
	if g.o.BaseURL != "" {
		base = g.o.BaseURL
	}
	c := &client{title: g.info.Title, help: g.info.ScopeHelp, base: strings.TrimSuffix(base, "/"), wait: g.o.Wait}
	own := http.Client{Timeout: reqTimeout}
	if g.o.HTTP != nil {
		own = *g.o.HTTP
	}
	// A redirect would carry the credentials to wherever it points.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &own
	c.authorize = func(r *http.Request, _ []byte) { r.Header.Set("Authorization", "Bearer "+g.cred["token"]) }
	c.refused = func(int, string, string) bool { return false }
	return c
}

// do runs a request and reads its answer into out, if that is not nil. It tries
// again where that can do no harm: after a rate limit, and after a failure where
// the method may be repeated. Errors: *Error.
func (c *client) do(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("ask %s: %w", c.title, err)
		}
	}
	for try := 1; ; try++ {
		head, answer, status, err := c.once(ctx, method, path, body)
		if err == nil && status/100 == 2 {
			return head, c.decode(answer, out)
		}
		pause, again := c.again(method, status, head, err, try)
		if !again {
			return nil, c.problem(status, head, answer, err)
		}
		if err := c.wait(ctx, pause); err != nil {
			return nil, fmt.Errorf("wait for %s: %w", c.title, err)
		}
	}
}

func (c *client) once(ctx context.Context, method, path string, body []byte) (http.Header, []byte, int, error) {
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, nil, 0, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "mailstead")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	c.authorize(req, body)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, nil, 0, bare(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.Header, answer, res.StatusCode, bare(err)
}

// bare leaves the URL out, which may hold what nobody should read.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// again tells whether and when to try once more.
func (c *client) again(method string, status int, head http.Header, err error, try int) (time.Duration, bool) {
	if try >= attempts || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return 0, false
	}
	pause := time.Second << (try - 1)
	if asked, ok := retryAfter(head); ok {
		pause = asked
	}
	if pause > patience {
		return 0, false
	}
	safe := method == http.MethodGet || method == http.MethodPut || method == http.MethodDelete
	var op *net.OpError
	switch {
	case status == http.StatusTooManyRequests:
		return pause, true
	case err != nil:
		// A connection that was never made has changed nothing.
		return pause, safe || errors.As(err, &op) && op.Op == "dial"
	case status == http.StatusServiceUnavailable:
		return pause, true
	case status >= 500:
		return pause, safe
	}
	return 0, false
}

// retryAfter reads RFC 9110, 10.2.3 in seconds, the form that they all use.
func retryAfter(head http.Header) (time.Duration, bool) {
	n, err := strconv.Atoi(head.Get("Retry-After"))
	return time.Duration(n) * time.Second, err == nil && n >= 0
}

// page is an error for a list that does not end.
func (c *client) page(n int) error {
	if n <= maxPages {
		return nil
	}
	return &Error{Kind: ErrUnreachable, Provider: c.title, Text: fmt.Sprintf("the list that %s sends does not end", c.title), Next: "try again later"}
}

func (c *client) decode(answer []byte, out any) error {
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return &Error{Kind: ErrUnreachable, Provider: c.title, Err: err, Text: c.title + " answered something that is not its API's form",
			Next: "try again later; a proxy between here and there may have answered"}
	}
	return nil
}

// problem puts trouble into words.
func (c *client) problem(status int, head http.Header, answer []byte, err error) error {
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return fmt.Errorf("ask %s: %w", c.title, err)
		}
		return &Error{Kind: ErrUnreachable, Provider: c.title, Err: err, Text: fmt.Sprintf("%s does not answer: %v", c.title, err),
			Next: "is this machine's way into the Internet open for HTTPS? Else try again later"}
	}
	text, code := "", ""
	if c.saying != nil {
		text, code = c.saying(answer)
	}
	if text = oneLine(text); text == "" {
		text = "HTTP status " + strconv.Itoa(status)
	}
	e := &Error{Provider: c.title}
	switch {
	case status == http.StatusUnauthorized, c.refused(status, code, text):
		e.Kind, e.Text = ErrToken, fmt.Sprintf("%s refuses the token: %s", c.title, text)
		e.Next = "make a new one: " + c.help
	case status == http.StatusForbidden:
		e.Kind, e.Text = ErrToken, fmt.Sprintf("%s does not let this token do that: %s", c.title, text)
		e.Next = "it needs more rights: " + c.help
	case status == http.StatusNotFound:
		e.Kind, e.Text, e.Next = ErrNoZone, fmt.Sprintf("%s does not know it: %s", c.title, text), "is the zone still there?"
	case status == http.StatusTooManyRequests:
		e.Kind, e.Text, e.Next = ErrRate, fmt.Sprintf("%s was asked too often: %s", c.title, text), "try again later"
		if after, ok := retryAfter(head); ok {
			e.Next = "try again in " + after.String()
		}
	case status >= 500 || status < 400:
		e.Kind, e.Text, e.Next = ErrUnreachable, fmt.Sprintf("%s is in trouble: %s", c.title, text), "try again later"
	default:
		e.Kind, e.Text = ErrRefused, fmt.Sprintf("%s refuses the change: %s", c.title, text)
	}
	return e
}

// oneLine is a provider's saying in a length and form that may be shown.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)), " ")
	if len(s) > maxSaying {
		s = strings.ToValidUTF8(s[:maxSaying], "") + "…"
	}
	return s
}

// findParent finds the zone of a name at a provider that is asked for one after
// the other: has gives an error of kind ErrNoZone for those that it does not have.
func (c *client) findParent(name string, has func(zone string) error) (string, error) {
	for _, zone := range parents(name) {
		err := has(zone)
		if err == nil {
			return zone, nil
		}
		if !isNoZone(err) {
			return "", err
		}
	}
	return "", c.noZone(name)
}

// noZone is what FindZone says when the account has no such zone.
func (c *client) noZone(name string) error {
	return &Error{Kind: ErrNoZone, Provider: c.title, Text: fmt.Sprintf("%s has no zone for %s that this token can see", c.title, name),
		Next: fmt.Sprintf("is %s spelled right, is its DNS hosted at %s, and is the token of that account?", name, c.title)}
}
