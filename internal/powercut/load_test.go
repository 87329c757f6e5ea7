package powercut

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// deed is one thing that a client asked for, and what it was told.
type deed struct {
	Ack
	mail  mail
	then  string // where the mail stands when it is done, see places
	begun bool
	done  bool
}

func (d *deed) begin(w *wire) { d.Port, d.Sent, d.begun = w.port, time.Now(), true }
func (d *deed) end()          { d.Got, d.done = time.Now(), true }

// diary keeps deeds; those of one mail are in their order.
type diary struct {
	mu    sync.Mutex
	deeds []*deed
}

// note opens a deed. With m it is about a whole message that arrives.
func (y *diary) note(what string, m mail, then ...string) *deed {
	d := &deed{Ack: Ack{What: what + " " + m.token, Row: m.row(), Tail: m.tail()}, mail: m, then: strings.Join(then, " ")}
	d.mail.bytes = nil
	y.mu.Lock()
	defer y.mu.Unlock()
	y.deeds = append(y.deeds, d)
	return d
}

// alter opens a deed that changes a mail that is there.
func (y *diary) alter(what string, m mail, then ...string) *deed {
	d := y.note(what, m, then...)
	d.Row, d.Tail = "", ""
	return d
}

func (y *diary) acks() (out []Ack) {
	for _, d := range y.deeds {
		if d.done {
			out = append(out, d.Ack)
		}
	}
	return out
}

// check compares what a server holds with the deeds. known tells whether the
// client had been told of a deed, and whether it had asked, when the power went.
func (y *diary) check(holds map[string]string, known func(*deed) (asked, told bool)) (wrong []string) {
	want := map[string][]string{} // by token: what may be, told last first
	for _, d := range y.deeds {
		asked, told := known(d)
		switch w := want[d.mail.token]; {
		case told:
			want[d.mail.token] = []string{d.then}
		case asked && len(w) == 0:
			want[d.mail.token] = []string{"", d.then}
		case asked:
			want[d.mail.token] = append(w, d.then)
		case len(w) == 0:
			want[d.mail.token] = []string{""}
		}
	}
	for _, token := range slices.Sorted(maps.Keys(want)) {
		if !slices.Contains(want[token], holds[token]) {
			wrong = append(wrong, fmt.Sprintf("mail %s stands in %q, wanted one of %q", token, holds[token], want[token]))
		}
	}
	for token, at := range holds {
		if _, ok := want[token]; !ok {
			wrong = append(wrong, fmt.Sprintf("mail %s in %q was never sent", token, at))
		}
	}
	return wrong
}

// holds reads all there is: token to places, as "alice:INBOX alice:Kept+kw-x";
// a message in the queue stands in "queue". from gives the first UID wanted
// per "account:mailbox" and is moved on.
func (s *server) holds(y *diary, users []string, from map[string]int) (map[string]string, error) {
	sent := map[string]mail{}
	for _, d := range y.deeds {
		sent[d.mail.token] = d.mail
	}
	out := map[string][]string{}
	for _, user := range users {
		c, err := dialIMAP(s.imaps, user)
		if err != nil {
			return nil, fmt.Errorf("login of %s: %w", user, err)
		}
		defer c.Close()
		boxes, err := c.boxes()
		if err != nil {
			return nil, err
		}
		for _, box := range boxes {
			place := user + ":" + box
			list, err := c.fetch(box, from[place]+1)
			if err != nil {
				return nil, fmt.Errorf("fetch of %s: %w", place, err)
			}
			for _, f := range list {
				from[place] = f.uid
				m := tailRE.FindSubmatch(f.bytes)
				if m == nil || !sent[string(m[1])].in(f.bytes) {
					return nil, fmt.Errorf("%s UID %d is no whole message: it ends %q", place, f.uid, f.bytes[max(0, len(f.bytes)-80):])
				}
				at := place
				if f.keywords != "" {
					at += "+" + f.keywords
				}
				out[string(m[1])] = append(out[string(m[1])], at)
			}
		}
	}
	queue, err := s.run("queue", "list", "--json")
	if err != nil {
		return nil, fmt.Errorf("queue: %w: %s", err, queue)
	}
	holds := map[string]string{}
	for token := range sent {
		if strings.Contains(queue, "hd-"+token+"@") {
			out[token] = append(out[token], "queue")
		}
	}
	for token, at := range out {
		slices.Sort(at)
		holds[token] = strings.Join(at, " ")
	}
	return holds, nil
}

// remote is an address elsewhere that carries the mail's token.
func remote(m mail) string { return m.row() + "@elsewhere.test" }

const (
	small = 3000
	large = 150_000
)

// alone does one thing after another on a server that is otherwise quiet, so
// that every write to the log in between belongs to it.
func alone(t *testing.T, s *server, y *diary) {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, s.out)
		}
	}
	quiet := func() { time.Sleep(400 * time.Millisecond) } // the filer rests
	alice, bob, carol := "alice@"+domain, "bob@"+domain, "carol@"+domain

	in, err := dialSMTP(s.smtp, "")
	ok(err)
	for _, size := range []int{small, small, large} { // the first alone, so that the filer meets a single one
		m := newMail("a@sender.test", alice, size)
		ok(in.send(y.note("smtp", m, "alice:INBOX"), "a@sender.test", m, alice))
		if len(y.deeds) == 1 {
			quiet()
			continue
		}
		m = newMail("a@sender.test", alice, size)
		ok(in.send(y.note("smtp for two", m, "alice:INBOX", "bob:INBOX"), "a@sender.test", m, alice, bob))
		quiet()
	}
	s.addAccount("carol")
	m := newMail("", carol, large)
	ok(in.send(y.note("smtp for a new account", m, "carol:INBOX"), "", m, carol))

	out, err := dialSMTP(s.submissions, "alice")
	ok(err)
	for _, size := range []int{small, large} {
		m := newMail(alice, bob, size)
		ok(out.send(y.note("submission", m, "bob:INBOX"), alice, m, bob))
		m = newMail(alice, "someone@elsewhere.test", size)
		ok(out.send(y.note("submission for elsewhere", m, "queue"), alice, m, remote(m)))
	}

	r, err := dialIMAP(s.imaps, "alice")
	ok(err)
	_, err = r.cmd("CREATE Kept")
	ok(err)
	m = newMail(alice, alice, large)
	ok(r.append(y.note("append", m, "alice:Drafts"), "Drafts", m))
	m = newMail(alice, alice, small)
	ok(r.append(y.note("append", m, "alice:Drafts"), "Drafts", m))
	quiet()
	_, err = r.cmd("SELECT Drafts")
	ok(err)
	ok(r.change(y.alter("store", m, "alice:Drafts+kw-1"), "STORE 2 +FLAGS.SILENT (kw-1)"))
	quiet()
	ok(r.change(y.alter("copy", m, "alice:Drafts+kw-1", "alice:Kept+kw-1"), "COPY 2 Kept"))
	quiet()
	ok(r.change(y.alter("move", m, "alice:Archive+kw-1", "alice:Kept+kw-1"), "MOVE 2 Archive"))
	quiet()
	_, err = r.cmd("SELECT Archive")
	ok(err)
	_, err = r.cmd(`STORE 1 +FLAGS.SILENT (\Deleted)`)
	ok(err)
	quiet()
	ok(r.change(y.alter("expunge", m, "alice:Kept+kw-1"), "EXPUNGE"))
}

// together loads all doors at once until every client has done its share or
// its connection ended. It returns the first error of each client that was cut off.
func together(s *server, y *diary, share int) []error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	client := func(f func(rnd *rand.Rand) error) {
		wg.Go(func() {
			if err := f(rand.New(rand.NewPCG(rand.Uint64(), 1))); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	for k := range 5 {
		client(func(rnd *rand.Rand) error { return inbound(s, y, rnd, share, k == 4) })
	}
	for _, user := range accounts {
		client(func(rnd *rand.Rand) error { return appends(s, y, rnd, share/2, user) })
		client(func(rnd *rand.Rand) error { return submits(s, y, rnd, share/2, user) })
	}
	wg.Wait()
	return errs
}

func inbound(s *server, y *diary, rnd *rand.Rand, n int, big bool) error {
	c, err := dialSMTP(s.smtp, "")
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range n {
		to, then := []string{"alice@" + domain}, []string{"alice:INBOX"}
		if i%3 == 1 {
			to, then = append(to, "bob@"+domain), append(then, "bob:INBOX")
		}
		size := small
		if big {
			size = large
		}
		m := newMail("a@sender.test", to[0], size/2+rnd.IntN(size))
		if err := c.send(y.note("smtp", m, then...), "a@sender.test", m, to...); err != nil {
			return err
		}
	}
	return nil
}

func submits(s *server, y *diary, rnd *rand.Rand, n int, user string) error {
	c, err := dialSMTP(s.submissions, user)
	if err != nil {
		return err
	}
	defer c.Close()
	self := user + "@" + domain
	for i := range n {
		m := newMail(self, "bob@"+domain, rnd.IntN(4*small))
		to, then := "bob@"+domain, "bob:INBOX"
		if i%4 == 3 {
			to, then = remote(m), "queue"
		}
		if err := c.send(y.note("submission", m, then), self, m, to); err != nil {
			return err
		}
	}
	return nil
}

func appends(s *server, y *diary, rnd *rand.Rand, n int, user string) error {
	c, err := dialIMAP(s.imaps, user)
	if err != nil {
		return err
	}
	defer c.Close()
	for range n {
		m := newMail("me@sender.test", user+"@"+domain, rnd.IntN(8*small))
		if err := c.append(y.note("append", m, user+":Drafts"), "Drafts", m); err != nil {
			return err
		}
	}
	return nil
}

// dataDir gives a place for a data directory. Its path has no links in it, so
// that strace names files as we do.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}
