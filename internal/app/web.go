package app

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"mailstead/acme"
	"mailstead/admin"
	"mailstead/internal/control"
	"mailstead/internal/listen"
	"mailstead/internal/maillog"
	"mailstead/internal/metrics"
	"mailstead/internal/webui"
	"mailstead/message"
	"mailstead/web/autoconfig"
	"mailstead/web/mtasts"
)

// page is what answers at a pattern of http.ServeMux behind one of the doors
// "http", "https" and "metrics".
type page struct {
	door    string
	pattern string
	handler http.Handler
}

// pages is the site map: all that is answered over HTTP, but for the pages for
// people, which site lists.
func (a *App) pages() []page {
	set := a.clients()
	return []page{
		{"https", "GET " + autoconfig.ConfigPath, http.HandlerFunc(set.Config)},
		{"https", "GET " + autoconfig.WellKnownPath, http.HandlerFunc(set.Config)},
		{"https", autoconfig.DiscoverPath, http.HandlerFunc(set.Discover)},
		{"https", "GET " + autoconfig.DiscoverV2, http.HandlerFunc(set.DiscoverJSON)},
		{"https", "GET " + autoconfig.DiscoverV2 + "/{version}/{address}", http.HandlerFunc(set.DiscoverJSON)},
		{"https", "GET " + autoconfig.AgentPath, http.HandlerFunc(set.Agent)},
		{"https", "GET " + autoconfig.ProfilePath, http.HandlerFunc(set.Profile)},
		{"https", "GET " + mtasts.Path, &mtasts.Handler{Policy: a.mtastsPolicy, Log: a.Log}},
		{"metrics", "GET /metrics", metrics.Handler(a.figures()...)},
		{"metrics", "GET /healthz", metrics.Health(a.healthy)},
		{"metrics", "GET /readyz", metrics.Health(a.isReady)},
	}
}

// site is the pages for people, on https under our own name.
func (a *App) site(ops *control.Ops, events maillog.Sink) *webui.Site {
	return &webui.Site{
		Name: a.Config.Hostname, Home: admin.Home, Log: a.Log,
		Accounts: &admin.Gate{Accounts: a.Accounts, Events: events},
		Sessions: &webui.Sessions{DB: a.DB},
		Vouched:  a.vouched,
		Pages:    append(admin.Pages(ops, a.lookout), a.clients().Page()),
		Actions:  admin.Actions(a.lookout),
	}
}

// vouched tells whether somebody else than we says who we are.
func (a *App) vouched() bool {
	for _, s := range a.cert.Status() {
		if s.Name == a.Config.Hostname {
			return s.Origin == acme.FromACME || s.Origin == acme.FromFiles
		}
	}
	return false
}

// mtastsPolicy is the policy of one of our domains.
func (a *App) mtastsPolicy(ctx context.Context, d message.Domain) (string, error) {
	s, err := a.Wanted.Settings(ctx, d)
	if err != nil {
		return "", err
	}
	return s.MTASTSPolicy(), nil
}

// optional are the doors that mail can do without.
var optional = []string{"http", "https", "metrics"}

// The limits of the HTTP doors. A page is small and a form smaller.
const (
	headerTime = 10 * time.Second
	answerTime = 2 * time.Minute
	restTime   = 2 * time.Minute
	headerSize = 32 << 10
)

// webDoor makes the door of one name over the pages that stand behind it; nil
// when it has no address, or nothing to show.
func (a *App) webDoor(name string, addrs []string, secure *tls.Config, fallback http.Handler) *listen.Server {
	mux, found := http.NewServeMux(), fallback != nil
	for _, p := range a.pages() {
		if p.door == name {
			mux.Handle(p.pattern, p.handler)
			found = true
		}
	}
	if len(addrs) == 0 || !found {
		return nil
	}
	for _, at := range addrs {
		if ap, err := netip.ParseAddrPort(at); name == "metrics" && (err != nil || !ap.Addr().IsLoopback()) {
			a.Log.Warn("everybody who reaches this address may read the figures", "addr", at)
		}
	}
	var handler http.Handler = mux
	if fallback != nil {
		mux.Handle("/", fallback)
	}
	switch name {
	case "http":
		handler = a.cert.HTTPHandler(mux)
	case "https":
		handler = autoconfig.Paths(mux)
		if site, ok := fallback.(*webui.Site); ok {
			handler = site.Guard(handler)
		}
	}
	return &listen.Server{Name: name, Addrs: addrs, Log: a.Log, Handler: newWeb(handler, secure, a.Log)}
}

// toHTTPS sends what has no page of its own on to the same name behind https.
func toHTTPS(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		if host = h; strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	if host == "" || strings.ContainsAny(host, "/\\@ ") {
		http.Error(w, "no such page", http.StatusNotFound)
		return
	}
	w.Header().Set("Connection", "close")
	http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusMovedPermanently)
}

// web hands the connections of a door to net/http. TLS is its business too,
// because only so does it speak HTTP/2.
type web struct {
	server *http.Server
	tls    bool
	conns  chan net.Conn
	closed chan struct{} // by Close
	serve  sync.Once
	end    sync.Once
	close  sync.Once
}

func newWeb(handler http.Handler, secure *tls.Config, log *slog.Logger) *web {
	return &web{
		tls:   secure != nil,
		conns: make(chan net.Conn), closed: make(chan struct{}),
		server: &http.Server{
			Handler: handler, TLSConfig: secure, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			ReadHeaderTimeout: headerTime, ReadTimeout: answerTime, WriteTimeout: answerTime, IdleTimeout: restTime,
			MaxHeaderBytes: headerSize,
		},
	}
}

// ServeConn implements listen.Handler: it returns when net/http has closed the
// connection.
func (w *web) ServeConn(ctx context.Context, c *listen.Conn) {
	w.serve.Do(func() { go w.run() }) // shutdown ends it
	stop := context.AfterFunc(ctx, w.shutdown)
	defer stop()
	over := make(chan struct{})
	select {
	case w.conns <- &webConn{Conn: c.Deadlines(), over: over}:
		<-over
	case <-w.closed:
	}
}

func (w *web) run() {
	if w.tls {
		w.server.ServeTLS(webListener{w}, "", "")
	} else {
		w.server.Serve(webListener{w})
	}
}

// shutdown ends the connections that rest; the door cuts the others when its
// grace is over.
func (w *web) shutdown() { w.end.Do(func() { w.server.Shutdown(context.Background()) }) }

// webListener is the door as net/http sees it.
type webListener struct{ *web }

func (l webListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l webListener) Close() error {
	l.close.Do(func() { close(l.web.closed) })
	return nil
}

func (l webListener) Addr() net.Addr { return &net.TCPAddr{} }

// webConn tells when it was closed.
type webConn struct {
	net.Conn
	once sync.Once
	over chan struct{}
}

func (c *webConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.over) })
	return err
}
