package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is the name of the socket in the data directory.
const Socket = "control.sock"

const (
	maxInput   = 1 << 20 // bytes of an operation's input
	errTrailer = "Mailstead-Error"
	endTrailer = "Mailstead-End"
)

// Server answers on data/control.sock. Whoever serves holds data/lock, so a
// socket file that is there already is left over from a crash.
type Server struct {
	Ops *Ops
	Log *slog.Logger // nil discards

	http     http.Server
	listener net.Listener
}

// Listen makes the socket, open to our user and root alone.
func (s *Server) Listen() error {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	path := filepath.Join(s.Ops.Data, Socket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("control socket: %w", err)
	}
	short, done, err := shortPath(path)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // it knows the short path, which is gone by then
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("control socket: %w", err)
	}
	s.listener = &trusted{l, s.Log}
	// Here and not in Serve: a Shutdown that comes first must be known to it.
	mux := http.NewServeMux()
	mux.HandleFunc("POST /op/{name}", s.serveOp)
	mux.HandleFunc("POST /stream/{name}", s.serveStream)
	s.http.Handler, s.http.ReadHeaderTimeout, s.http.MaxHeaderBytes = mux, 10*time.Second, 64<<10
	s.http.ErrorLog = slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug)
	return nil
}

// Serve answers until Shutdown.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

// Shutdown lets running operations finish until ctx ends, and removes the socket.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	s.listener.Close()
	if e := os.Remove(filepath.Join(s.Ops.Data, Socket)); e != nil && !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

func (s *Server) serveOp(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	in, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInput))
	if err != nil {
		s.refuse(w, name, &Error{Kind: Invalid, Text: fmt.Sprintf("%s: %v", name, err)})
		return
	}
	out, err := s.Ops.run(r.Context(), name, in)
	if err != nil {
		s.refuse(w, name, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		s.Log.Warn("control answer not written", "op", name, "err", err)
	}
}

// refuse answers with an *Error; what is our fault is logged.
func (s *Server) refuse(w http.ResponseWriter, name string, err error) {
	var e *Error
	errors.As(explain(err), &e)
	status := map[Kind]int{Invalid: 400, NotFound: 404, Exists: 409, Busy: 503}[e.Kind]
	if status == 0 {
		status = 500
		s.Log.Error("control operation failed", "op", name, "err", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(e)
}

func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	out := http.NewResponseController(w)
	if err := out.EnableFullDuplex(); err != nil {
		s.refuse(w, name, err)
		return
	}
	w.Header().Set("Trailer", errTrailer+", "+endTrailer)
	w.WriteHeader(http.StatusOK)
	err := out.Flush()
	if err == nil {
		err = s.Ops.stream(r.Context(), name, json.RawMessage(r.URL.Query().Get("in")), r.Body, &flusher{w, out})
	}
	w.Header().Set(endTrailer, "yes")
	if err = explain(err); err != nil {
		text, _ := json.Marshal(err)
		w.Header().Set(errTrailer, url.QueryEscape(string(text)))
		s.Log.Info("control stream ended", "op", name, "err", err)
	}
}

// flusher sends what is written at once.
type flusher struct {
	w   io.Writer
	out *http.ResponseController
}

func (f *flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.out.Flush()
	}
	return n, err
}

// trusted lets only our own user and root in: the folder's mode says so too,
// but modes are changed by accident.
type trusted struct {
	*net.UnixListener
	log *slog.Logger
}

func (l *trusted) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peer(c)
		if err == nil && (uid == 0 || uid == os.Geteuid()) {
			return c, nil
		}
		l.log.Warn("control connection refused", "uid", uid, "err", err)
		c.Close()
	}
}

// peer tells who is at the other end.
func peer(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); e != nil {
		return -1, e
	}
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}

// shortPath gives a name of the socket that fits into the 108 bytes of a
// sockaddr_un, however deep the data directory lies; done when it was used.
func shortPath(path string) (short string, done func(), err error) {
	if len(path) < 100 {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}
