package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"mailstead/smtp"
	"mailstead/smtp/submission"
)

// LetterboxName is the name of the letterbox, in RuntimeDir where a service
// manager made that for us, and in the data directory.
const (
	LetterboxName = "send.sock"
	RuntimeDir    = "/run/mailstead"
)

// Bounds of the letterbox: every user of the machine may come.
const (
	maxLetters     = 64              // at once
	maxUserLetters = 16              // of one user, root excepted
	maxLetter      = 1 << 20         // bytes of a Letter's JSON
	letterTime     = 5 * time.Minute // for a message, which its program has whole before it comes
)

// Letterbox is the socket at which every user of this machine may hand in mail,
// and do nothing else. Who they are the kernel says (SO_PEERCRED). A request is
// one POST: a line of JSON (submission.Letter), then the message; the answer is a
// Sent. A body that ends too early is no message.
type Letterbox struct {
	Path   string
	Link   string // a symbolic link that leads to Path; "" for none
	Pickup *submission.Pickup
	Log    *slog.Logger // nil discards

	http     http.Server
	listener net.Listener
}

// Sent is what became of a letter.
type Sent struct {
	MID   string `json:"mid,omitempty"`   // our id of the message, once it is durable
	Reply string `json:"reply,omitempty"` // or why it was not taken, as smtp.Reply says it
}

// Refused is the refusal; the zero Reply where there was none.
func (s Sent) Refused() smtp.Reply {
	r, _ := smtp.ParseReply(s.Reply)
	return r
}

// Listen makes the socket, open to everybody.
func (b *Letterbox) Listen() error {
	if b.Log == nil {
		b.Log = slog.New(slog.DiscardHandler)
	}
	l, err := b.listen()
	if err != nil {
		return fmt.Errorf("letterbox: %w", err)
	}
	b.listener = l
	b.http.Handler = http.HandlerFunc(b.serve)
	b.http.ReadHeaderTimeout, b.http.ReadTimeout, b.http.WriteTimeout = 10*time.Second, letterTime, 2*letterTime
	b.http.MaxHeaderBytes = 8 << 10
	b.http.ErrorLog = slog.NewLogLogger(b.Log.Handler(), slog.LevelDebug)
	b.http.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, uidKey{}, c.(*userConn).uid)
	}
	return nil
}

func (b *Letterbox) listen() (net.Listener, error) {
	for _, left := range []string{b.Path, b.Link} {
		if err := os.Remove(left); left != "" && err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	short, done, err := shortPath(b.Path)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // as in Server.Listen
	err = os.Chmod(b.Path, 0o666)
	if err == nil && b.Link != "" {
		err = os.Symlink(b.Path, b.Link)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &users{UnixListener: l, log: b.Log, open: make(map[int]int)}, nil
}

// Serve answers until Shutdown.
func (b *Letterbox) Serve() error {
	if err := b.http.Serve(b.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("letterbox: %w", err)
	}
	return nil
}

// Shutdown takes what is being handed in until ctx ends, and removes the socket.
func (b *Letterbox) Shutdown(ctx context.Context) error {
	err := b.http.Shutdown(ctx)
	if err != nil {
		b.http.Close()
	}
	b.listener.Close()
	for _, path := range []string{b.Path, b.Link} {
		if e := os.Remove(path); path != "" && e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (b *Letterbox) serve(w http.ResponseWriter, r *http.Request) {
	sent, err := b.take(w, r)
	if err != nil {
		b.Log.Warn("letter not taken", "uid", r.Context().Value(uidKey{}), "err", err)
		sent = Sent{Reply: smtp.LocalError.String()}
	}
	if sent.MID == "" {
		// Whoever is still writing would see a broken pipe and not the answer.
		_, _ = io.Copy(io.Discard, r.Body)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(sent); err != nil {
		b.Log.Warn("letterbox answer not written", "err", err)
	}
}

func (b *Letterbox) take(w http.ResponseWriter, r *http.Request) (Sent, error) {
	uid, ok := r.Context().Value(uidKey{}).(int)
	if !ok || r.Method != http.MethodPost {
		return Sent{}, errors.New("not a letter")
	}
	body := bufio.NewReader(http.MaxBytesReader(w, r.Body, b.Pickup.MaxSize()+maxLetter))
	line, err := readLine(body, maxLetter)
	if errors.Is(err, errLongLine) {
		return Sent{Reply: submission.TooManyRecipients.String()}, nil
	}
	if err != nil {
		return Sent{}, err
	}
	var l submission.Letter
	if err := decode(line, &l); err != nil {
		return Sent{Reply: smtp.BadSyntax.With(err.Error()).String()}, nil
	}
	l.User = UserOf(uid)
	mid, refused, err := b.Pickup.Submit(r.Context(), l, body)
	if err != nil || refused.IsZero() {
		return Sent{MID: mid}, err
	}
	return Sent{Reply: refused.String()}, nil
}

// UserOf names a user of this machine.
func UserOf(uid int) submission.User {
	u := submission.User{ID: uid}
	if entry, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		u.Name = entry.Username
	}
	return u
}

// errLongLine: nothing but recipients makes a Letter as long as that.
var errLongLine = errors.New("line too long")

func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > limit:
			return nil, errLongLine
		}
	}
}

type uidKey struct{}

// users lets everybody in, some of each at a time.
type users struct {
	*net.UnixListener
	log *slog.Logger

	mu   sync.Mutex
	all  int         // under mu
	open map[int]int // under mu: by uid
}

type userConn struct {
	net.Conn
	uid  int
	once sync.Once
	end  func()
}

func (c *userConn) Close() error {
	c.once.Do(c.end)
	return c.Conn.Close()
}

func (l *users) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peer(c)
		if err == nil && l.enter(uid) {
			return &userConn{Conn: c, uid: uid, end: func() { l.leave(uid) }}, nil
		}
		l.log.Warn("letterbox connection refused", "uid", uid, "err", err)
		c.Close()
	}
}

func (l *users) enter(uid int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxLetters || uid != 0 && l.open[uid] >= maxUserLetters {
		return false
	}
	l.all++
	l.open[uid]++
	return true
}

func (l *users) leave(uid int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.open[uid]--; l.open[uid] == 0 {
		delete(l.open, uid)
	}
}

// Hand puts a letter into the letterbox at path; the message has size bytes.
// Errors: ErrNoServer when nobody is there; any other leaves open whether the
// message was taken.
func Hand(ctx context.Context, path string, l submission.Letter, message io.Reader, size int64) (Sent, error) {
	line, err := json.Marshal(l)
	if err != nil {
		return Sent{}, err
	}
	line = append(line, '\n')
	c := &Client{path: path}
	conn, err := c.dial(ctx, "", "")
	if err != nil {
		return Sent{}, fmt.Errorf("%w: %w", ErrNoServer, err)
	}
	conns := make(chan net.Conn, 1)
	conns <- conn
	once := &http.Transport{DisableCompression: true, DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		select {
		case conn := <-conns:
			return conn, nil
		default:
			return nil, errors.New("the connection broke")
		}
	}}
	defer once.CloseIdleConnections()
	body := io.MultiReader(bytes.NewReader(line), message)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://letterbox/send", body)
	if err != nil {
		return Sent{}, err
	}
	req.ContentLength = int64(len(line)) + size
	res, err := (&http.Client{Transport: once}).Do(req)
	if err != nil {
		return Sent{}, fmt.Errorf("hand the message in: %w", err)
	}
	defer res.Body.Close()
	var sent Sent
	if err := json.NewDecoder(io.LimitReader(res.Body, maxLetter)).Decode(&sent); err != nil {
		return Sent{}, fmt.Errorf("hand the message in: %w", err)
	}
	if sent.MID == "" && sent.Refused().IsZero() {
		return Sent{}, errors.New("hand the message in: the server said nothing")
	}
	return sent, nil
}

// Letterboxes are the places where the letterbox of a data directory is looked
// for; wellKnown adds the one that the service manager made.
func Letterboxes(data string, wellKnown bool) []string {
	list := []string{filepath.Join(data, LetterboxName)}
	if wellKnown {
		list = append([]string{filepath.Join(RuntimeDir, LetterboxName)}, list...)
	}
	return list
}
