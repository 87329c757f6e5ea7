package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/account"
	"mailstead/dns/publish"
	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/internal/trace"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/mailbox/importer"
	"mailstead/message"
	"mailstead/smtp/queue"
)

// stores makes a whole set in a directory of its own.
func stores(t *testing.T) *Ops {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlite.Open(ctx, filepath.Join(dir, "mailstead.db"), sqlite.Options{Migrations: []fs.FS{
		account.Schema(), blob.Schema(), mailbox.Schema(), queue.Schema(), trace.Schema(), importer.Schema(), publish.Schema(),
	}})
	must(err)
	o := &Ops{DB: db, Data: dir, Version: "test"}
	o.Accounts, err = account.Open(ctx, db, account.Options{})
	must(err)
	o.Blobs, err = blob.New(ctx, db, filepath.Join(dir, "messages"), blob.Options{})
	must(err)
	o.Mail = mailbox.New(db, o.Blobs, mailbox.Options{})
	o.Trace, err = trace.Open(ctx, filepath.Join(dir, "trace.db"), db, trace.Options{})
	must(err)
	o.Queue = queue.New(queue.Options{DB: db, Blobs: o.Blobs, Hostname: "mail.example.org", Events: o.Trace})
	t.Cleanup(func() {
		o.Trace.Close()
		o.Accounts.Close(ctx)
		db.Close()
	})
	return o
}

// serve puts a server before the stores and gives its client.
func serve(t *testing.T, o *Ops) *Client {
	t.Helper()
	o.Started = time.Now()
	s := &Server{Ops: o}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(o.Data, Socket)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	c, err := Dial(context.Background(), o.Data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// both runs a test on the stores themselves and through a server.
func both(t *testing.T, test func(t *testing.T, o *Ops, c Caller)) {
	t.Parallel()
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		o := stores(t)
		test(t, o, o)
	})
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		o := stores(t)
		test(t, o, serve(t, o))
	})
}

func do[Out any](t *testing.T, c Caller, name string, in any) Out {
	t.Helper()
	out, err := Call[Out](context.Background(), c, name, in)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

func TestAccounts(t *testing.T) {
	both(t, func(t *testing.T, o *Ops, c Caller) {
		do[Domain](t, c, "domain.add", OneDomain{Name: "example.org"})
		a := do[Account](t, c, "account.add", NewAccount{Address: "alice@example.org", Password: "long enough", Quota: 1000})
		want := Account{ID: 1, Address: "alice@example.org", Operator: true, Created: a.Created, Quota: 1000}
		if d := cmp.Diff(want, a); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		boxes, err := o.Mail.Mailboxes(context.Background(), a.ID)
		if err != nil || len(boxes) != 6 {
			t.Errorf("a new account has the mailboxes %v, %v", boxes, err)
		}
		// An account that cannot be made leaves no mailboxes behind.
		_, err = Call[Account](context.Background(), c, "account.add", NewAccount{Address: "alice@example.org", Password: "long enough"})
		var e *Error
		if !errors.As(err, &e) || e.Kind != Exists {
			t.Errorf("%v", err)
		}
		login := account.Login{Name: "alice@example.org", Scope: account.IMAP}
		if _, err := o.Accounts.CheckPassword(context.Background(), login, "long enough"); err != nil {
			t.Error(err)
		}
		do[Account](t, c, "account.password", NewPassword{Address: "alice@example.org", Password: "quite another"})
		if _, err := o.Accounts.CheckPassword(context.Background(), login, "quite another"); err != nil {
			t.Error(err)
		}
		p := do[AppPass](t, c, "app-password.add", OneAppPass{Address: "alice@example.org", Name: "phone", Scope: []string{"imap"}})
		if _, err := o.Accounts.CheckPassword(context.Background(), login, p.Password); err != nil {
			t.Error(err)
		}
		if s := do[Status](t, c, "status", nil); s.Data != o.Data || s.Version != "test" || s.PID != os.Getpid() {
			t.Errorf("status: %+v", s)
		}
	})
}

func TestErrors(t *testing.T) {
	both(t, func(t *testing.T, o *Ops, c Caller) {
		for _, tt := range []struct {
			name string
			in   any
			want Error
		}{
			{"account.show", Who{"alice@example.org"}, Error{NotFound, "alice@example.org: no such address",
				"`mailstead account list` and `mailstead alias list` show what there is"}},
			{"account.show", Who{"\"><script>"}, Error{Invalid, `"\"><script>" is not an address`, "an address has the form name@domain"}},
			{"account.show", map[string]string{"adress": "x"}, Error{Invalid, `account.show: json: unknown field "adress"`, ""}},
			{"account.frobnicate", nil, Error{NotFound, `no operation "account.frobnicate"`, "the running server may be of another version; restart it"}},
			{"queue.delete", OneItem{All: true}, Error{Invalid, "the queue is not deleted as a whole", "name one item by its number"}},
		} {
			err := c.Do(context.Background(), tt.name, tt.in, nil)
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%s: %v", tt.name, err)
			} else if d := cmp.Diff(tt.want, *e); d != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, d)
			}
		}
	})
}

func TestQueueAndTrace(t *testing.T) {
	both(t, func(t *testing.T, o *Ops, c Caller) {
		ctx := context.Background()
		do[Domain](t, c, "domain.add", OneDomain{Name: "example.org"})
		alice := do[Account](t, c, "account.add", NewAccount{Address: "alice@example.org", Password: "long enough"})
		draft, err := o.Blobs.Put(ctx, strings.NewReader("Subject: x\r\n\r\nx\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		defer draft.Close()
		from, _ := message.ParseAddress("alice@example.org")
		to, _ := message.ParseAddress("bob@elsewhere.example")
		var qid int64
		err = o.DB.Update(ctx, func(tx *sqlite.Tx) error {
			id, err := draft.Commit(tx)
			if err != nil {
				return err
			}
			qid, err = o.Queue.Add(tx, queue.Message{MID: "abc", Account: alice.ID, Body: id, Size: draft.Size(),
				Envelope: message.Envelope{ReversePath: from, Recipients: []message.Recipient{{Address: to}}}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		page := do[QueuePage](t, c, "queue.list", QueueQuery{})
		if len(page.Items) != 1 || page.Waiting != 1 || page.Items[0].Account != "alice@example.org" ||
			page.Items[0].Recipients[0].Address != "bob@elsewhere.example" {
			t.Errorf("queue: %+v", page)
		}
		if plan := do[Plan](t, c, "account.plan", Who{"alice@example.org"}); plan.Queued != 1 {
			t.Errorf("plan: %+v", plan)
		}
		do[None](t, c, "queue.hold", OneItem{QID: qid})
		if it := do[QueueItem](t, c, "queue.show", OneItem{QID: qid}); it.Recipients[0].State != "held" {
			t.Errorf("held: %+v", it)
		}
		do[None](t, c, "queue.retry", OneItem{All: true})
		do[None](t, c, "queue.delete", OneItem{QID: qid})
		o.Trace.Record(maillog.Event{Kind: maillog.Refused, Rcpt: "bob@elsewhere.example", Reason: "a test"})
		all := do[[]Traced](t, c, "trace", TraceQuery{Text: "bob@elsewhere.example"})
		if len(all) != 2 || all[0].MID != "abc" || len(all[0].Story) < 2 || len(all[1].Events) != 1 {
			t.Errorf("trace: %+v", all)
		}
	})
}

// A stream is answered while it is still being sent, and its error comes after
// whatever it wrote.
func TestStreams(t *testing.T) {
	t.Parallel()
	type input struct{ Name string }
	echo := streamOf("echo", func(o *Ops, ctx context.Context, in input, r io.Reader, w io.Writer) error {
		b := make([]byte, 1)
		for {
			if _, err := io.ReadFull(r, b); err == io.EOF {
				return invalid("a hint", "%s is done – jörg\n2", in.Name)
			} else if err != nil {
				return err
			}
			if _, err := w.Write(bytes.ToUpper(b)); err != nil {
				return err
			}
		}
	})
	for _, how := range []string{"in process", "server"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			o := stores(t)
			o.extra = []stream{echo}
			var c Caller = o
			if how == "server" {
				c = serve(t, o)
			}
			in, send := io.Pipe()
			receive, out := io.Pipe()
			result := make(chan error, 1)
			go func() {
				err := c.Stream(context.Background(), "echo", input{"x & y"}, in, out)
				out.Close()
				result <- err
			}()
			b := make([]byte, 1)
			for _, s := range "abc" {
				if _, err := send.Write([]byte(string(s))); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(receive, b); err != nil || string(b) != strings.ToUpper(string(s)) {
					t.Fatalf("%q, %v", b, err)
				}
			}
			send.Close()
			if rest, err := io.ReadAll(receive); len(rest) > 0 || err != nil {
				t.Errorf("%q, %v", rest, err)
			}
			var e *Error
			if err := <-result; !errors.As(err, &e) || *e != (Error{Invalid, "x & y is done – jörg\n2", "a hint"}) {
				t.Errorf("%#v", err)
			}
			err := c.Stream(context.Background(), "nonsense", nil, nil, io.Discard)
			if !errors.As(err, &e) || e.Kind != NotFound {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Dial(context.Background(), dir); !errors.Is(err, ErrNoServer) {
		t.Errorf("no socket: %v", err)
	}
	// What a crash leaves behind.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, Socket), Net: "unix"})
	if err != nil {
		t.Skip(err) // the path is too long here
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if _, err := Dial(context.Background(), dir); !errors.Is(err, ErrNoServer) {
		t.Errorf("a stale socket: %v", err)
	}
	s := &Server{Ops: &Ops{Data: dir}}
	if err := s.Listen(); err != nil {
		t.Errorf("over a stale socket: %v", err)
	}
	s.Shutdown(context.Background())
}

func TestSocketIsOurs(t *testing.T) {
	t.Parallel()
	deep := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	o := &Ops{Data: deep}
	c := serve(t, o)
	info, err := os.Stat(filepath.Join(deep, Socket))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if s := do[Status](t, c, "status", nil); !s.Running {
		t.Errorf("%+v", s)
	}
}

func TestRemoveExpired(t *testing.T) {
	t.Parallel()
	o := stores(t)
	ctx := context.Background()
	do[Domain](t, o, "domain.add", OneDomain{Name: "example.org"})
	do[Account](t, o, "account.add", NewAccount{Address: "alice@example.org", Password: "long enough"})
	bob := do[Account](t, o, "account.add", NewAccount{Address: "bob@example.org", Password: "long enough"})
	do[Account](t, o, "account.delete", Who{"bob@example.org"})
	if err := o.RemoveExpired(ctx); err != nil {
		t.Fatal(err)
	}
	if all := do[[]Account](t, o, "account.list", nil); len(all) != 2 {
		t.Fatalf("removed within its grace: %+v", all)
	}
	err := o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`UPDATE account SET deleted = ? WHERE id = ?`, time.Now().Add(-account.Grace-time.Hour).Unix(), bob.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	do[Account](t, o, "account.set", Changes{Address: "alice@example.org", Name: new(string)}) // so that it is read again
	if err := o.RemoveExpired(ctx); err != nil {
		t.Fatal(err)
	}
	if all := do[[]Account](t, o, "account.list", nil); len(all) != 1 {
		t.Errorf("not removed: %+v", all)
	}
	if boxes, err := o.Mail.Mailboxes(ctx, bob.ID); err != nil || len(boxes) > 0 {
		t.Errorf("its mailboxes: %v, %v", boxes, err)
	}
}

func TestTableNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, op := range operations() {
		if seen[op.name] {
			t.Errorf("%s stands twice", op.name)
		}
		seen[op.name] = true
		if _, err := json.Marshal(op.name); err != nil || strings.ContainsAny(op.name, "/ ") {
			t.Errorf("%q is no name", op.name)
		}
	}
}
