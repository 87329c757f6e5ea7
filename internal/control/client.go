package control

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
	"os"
	"path/filepath"
	"syscall"
)

// ErrNoServer means that no server answers on the data directory's socket.
var ErrNoServer = errors.New("no server runs on this data directory")

// Client calls a running server.
type Client struct {
	path string
	http *http.Client
}

// Dial looks for a server on the data directory. Errors: ErrNoServer; others
// mean that one may run but cannot be reached.
func Dial(ctx context.Context, data string) (*Client, error) {
	c := &Client{path: filepath.Join(data, Socket)}
	c.http = &http.Client{Transport: &http.Transport{DialContext: c.dial, DisableCompression: true}}
	conn, err := c.dial(ctx, "", "")
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, ErrNoServer
	case errors.Is(err, os.ErrPermission):
		return nil, &Error{Kind: Failed, Text: fmt.Sprintf("the server's socket %s may not be opened", c.path),
			Next: "run this as the server's user or as root"}
	case err != nil:
		return nil, fmt.Errorf("reach the server: %w", err)
	}
	conn.Close()
	return c, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	short, done, err := shortPath(c.path)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}

// Do runs an operation on the server.
func (c *Client) Do(ctx context.Context, name string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("control %s: %w", name, err)
	}
	res, err := c.post(ctx, "/op/"+name, "", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return readError(res)
	}
	if out == nil {
		out = new(any)
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("control %s: read the answer: %w", name, err)
	}
	return nil
}

// Stream runs a stream on the server.
func (c *Client) Stream(ctx context.Context, name string, in any, r io.Reader, w io.Writer) error {
	value, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("control %s: %w", name, err)
	}
	if r == nil {
		r = http.NoBody
	}
	res, err := c.post(ctx, "/stream/"+name, url.Values{"in": {string(value)}}.Encode(), io.NopCloser(r))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return readError(res)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return explain(fmt.Errorf("%s: the connection to the server broke: %w", name, err))
	}
	if text := res.Trailer.Get(errTrailer); text != "" {
		return decodeError([]byte(unescape(text)))
	}
	if res.Trailer.Get(endTrailer) == "" {
		return &Error{Kind: Failed, Text: name + ": the server stopped in the middle", Next: "see its log; run the same command again"}
	}
	return nil
}

func (c *Client) post(ctx context.Context, path, query string, body io.Reader) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "control", Path: path, RawQuery: query}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("control %s: %w", path, err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, explain(fmt.Errorf("ask the server: %w", err))
	}
	return res, nil
}

func readError(res *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(res.Body, maxInput))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return decodeError(text)
}

func decodeError(text []byte) error {
	e := new(Error)
	if err := json.Unmarshal(text, e); err != nil || e.Text == "" {
		return &Error{Kind: Failed, Text: fmt.Sprintf("the server answered %.200q", text)}
	}
	return e
}

func unescape(text string) string {
	plain, err := url.QueryUnescape(text)
	if err != nil {
		return text
	}
	return plain
}
