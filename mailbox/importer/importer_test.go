package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
)

const alice = int64(1)

// place is a store of its own.
type place struct {
	t    testing.TB
	im   Importer
	mail *mailbox.Store
}

func newPlace(t testing.TB) *place {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "mailstead.db"), sqlite.Options{
		Synchronous: "OFF", Migrations: []fs.FS{blob.Schema(), mailbox.Schema(), Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	blobs, err := blob.New(t.Context(), db, filepath.Join(dir, "messages"), blob.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mail := mailbox.New(db, blobs, mailbox.Options{})
	if err := db.Update(t.Context(), func(tx *sqlite.Tx) error { return mail.CreateDefaults(tx, alice) }); err != nil {
		t.Fatal(err)
	}
	return &place{t, Importer{DB: db, Mail: mail}, mail}
}

// importFrom passes a source through the whole way.
func (p *place) importFrom(s *Source, o Options) (Result, error) {
	p.t.Helper()
	r, w := io.Pipe()
	go func() {
		e := NewEncoder(w)
		err := s.Each(context.Background(), func(it *Item) error {
			var bad *ItemError
			if err := e.Encode(it); !errors.As(err, &bad) {
				return err
			}
			return nil
		})
		if err == nil {
			err = e.Flush()
		}
		w.CloseWithError(err)
	}()
	defer r.Close()
	return p.im.Import(p.t.Context(), alice, NewDecoder(r).Next, o)
}

// exportTo passes all mail through the whole way.
func (p *place) exportTo(w Writer, names ...string) {
	p.t.Helper()
	r, pw := io.Pipe()
	go func() {
		pw.CloseWithError(Export(context.Background(), p.mail, alice, names, NewEncoder(pw)))
	}()
	for d := NewDecoder(r); ; {
		it, err := d.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			p.t.Fatal(err)
		}
		if _, err := w.Write(it); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// kept is what the store holds, for people: one line a message.
func (p *place) kept() (lines []string) {
	p.t.Helper()
	for _, m := range p.messages() {
		lines = append(lines, fmt.Sprintf("%s %s%v %d %q", m.Mailbox, flagLetters(m.Flags), m.Keywords, m.Received.Unix(), m.text))
	}
	return lines
}

type kept struct {
	Item
	text string
}

func (p *place) messages() (all []kept) {
	p.t.Helper()
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(Export(context.Background(), p.mail, alice, nil, NewEncoder(w)))
	}()
	for d := NewDecoder(r); ; {
		it, err := d.Next()
		if err == io.EOF {
			return all
		} else if err != nil {
			p.t.Fatal(err)
		}
		b, err := io.ReadAll(it.Content)
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, kept{*it, string(b)})
	}
}

// write makes files from a map of names to contents.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		folder := filepath.Dir(path)
		if strings.HasSuffix(name, "/") {
			folder = path
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if folder == path {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Unix(1_000_000_000, 0)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMbox(t *testing.T) {
	const from = "From a@b Sun Sep  9 01:46:40 2001\n"
	unquoted := "one\n\n" + from + "A: c\n\n"
	count := fmt.Sprintf("Content-Length: %d\n\n", len(unquoted))
	for _, c := range []struct {
		name, in string
		keep     bool
		want     []string
	}{
		{"two", from + "Subject: 1\n\none\n\n" + from + "Subject: 2\n\ntwo\n\n", false,
			[]string{"INBOX [] 1000000000 \"Subject: 1\\r\\n\\r\\none\\r\\n\"", "INBOX [] 1000000000 \"Subject: 2\\r\\n\\r\\ntwo\\r\\n\""}},
		{"quoted", from + "A: b\n\n>From x\n>>From y\n> From z\n", false,
			[]string{"INBOX [] 1000000000 \"A: b\\r\\n\\r\\nFrom x\\r\\n>From y\\r\\n> From z\\r\\n\""}},
		{"quotes kept", from + "A: b\n\n>From x\n", true, []string{"INBOX [] 1000000000 \"A: b\\r\\n\\r\\n>From x\\r\\n\""}},
		{"From in the text", from + "A: b\n\nsome\nFrom here on\n\nFrom there\nit goes\n", false,
			[]string{"INBOX [] 1000000000 \"A: b\\r\\n\\r\\nsome\\r\\nFrom here on\\r\\n\\r\\nFrom there\\r\\nit goes\\r\\n\""}},
		{"no empty line between", from + "A: b\n\none\n" + from + "A: c\n\ntwo\n", false,
			[]string{"INBOX [] 1000000000 \"A: b\\r\\n\\r\\none\\r\\n\"", "INBOX [] 1000000000 \"A: c\\r\\n\\r\\ntwo\\r\\n\""}},
		{"CRLF", strings.ReplaceAll(from+"A: b\n\none\n\n"+from+"A: c\n\ntwo\n\n", "\n", "\r\n"), false,
			[]string{"INBOX [] 1000000000 \"A: b\\r\\n\\r\\none\\r\\n\"", "INBOX [] 1000000000 \"A: c\\r\\n\\r\\ntwo\\r\\n\""}},
		{"counted, nothing quoted", from + count + unquoted + "\n" + from + "A: d\n\ntwo\n\n", false,
			[]string{fmt.Sprintf("INBOX [] 1000000000 %q", strings.ReplaceAll(count+unquoted, "\n", "\r\n")),
				"INBOX [] 1000000000 \"A: d\\r\\n\\r\\ntwo\\r\\n\""}},
		{"wrong count", from + "Content-Length: 2\n\none\n\n" + from + "A: c\n\ntwo\n", false,
			[]string{"INBOX [] 1000000000 \"Content-Length: 2\\r\\n\\r\\none\\r\\n\"", "INBOX [] 1000000000 \"A: c\\r\\n\\r\\ntwo\\r\\n\""}},
		{"flags", from + "Status: RO\nX-Status: AFT\nX-Keywords: $Label1 b\n\none\n", false,
			[]string{"INBOX DFRS[$Label1 b] 1000000000 \"Status: RO\\r\\nX-Status: AFT\\r\\nX-Keywords: $Label1 b\\r\\n\\r\\none\\r\\n\""}},
		{"Mozilla", "From - Sun Sep  9 01:46:40 2001\nX-Mozilla-Status: 0005\n\none\n\nFrom - Sun Sep  9 01:46:40 2001\nX-Mozilla-Status: 0009\n\ngone\n", false,
			[]string{"INBOX FS[] 1000000000 \"X-Mozilla-Status: 0005\\r\\n\\r\\none\\r\\n\""}},
		{"no date in the line", "From a@b\nDate: Sun, 9 Sep 2001 03:46:40 +0200\n\none\n", false,
			[]string{"INBOX [] 1000000000 \"Date: Sun, 9 Sep 2001 03:46:40 +0200\\r\\n\\r\\none\\r\\n\""}},
		{"empty message", from + from + "A: b\n\none\n", false, []string{"INBOX [] 1000000000 \"A: b\\r\\n\\r\\none\\r\\n\""}},
		{"last line not ended", from + "A: b\n\none", false, []string{"INBOX [] 1000000000 \"A: b\\r\\n\\r\\none\""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			dir := write(t, map[string]string{"x.mbox": c.in})
			res, err := p.importFrom(&Source{Paths: []string{filepath.Join(dir, "x.mbox")}, KeepQuotes: c.keep}, Options{})
			if err != nil || res.Failed != 0 || res.Imported != int64(len(c.want)) {
				t.Fatalf("%+v, %v", res, err)
			}
			if diff := cmp.Diff(c.want, p.kept()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFolders(t *testing.T) {
	const msg = "Subject: x\n\nbody\rlone\n"
	const want = ` 1000000000 "Subject: x\r\n\r\nbody\rlone\r\n"`
	for _, c := range []struct {
		name, box string
		files     map[string]string
		want      []string
	}{
		{"Maildir++", "", map[string]string{"cur/1:2,FS": msg, "new/2": "Subject: y\n\n", "tmp/3": msg, ".Sent.2026/cur/1:2,Pab": msg, ".Sent.2026/new/": "",
			".Sent.2026/dovecot-keywords": "0 $Junk\n1 work\n", ".Entw&APw-rfe/cur/1:2,D": msg, ".Entw&APw-rfe/new/": "", ".nothing/x": ""},
			[]string{"INBOX FS[]" + want, `INBOX [] 1000000000 "Subject: y\r\n\r\n"`, "Entwürfe D[]" + want, "Sent/2026 [$Forwarded $Junk work]" + want}},
		{"Maildir in folders", "", map[string]string{"cur/1:2,": msg, "new/": "", "Sent/cur/1:2,S": msg, "Sent/new/": "", "Sent/Old/cur/1:2,R": msg, "Sent/Old/new/": ""},
			[]string{"INBOX []" + want, "Sent S[]" + want, "Sent/Old R[]" + want}},
		{"Maildir into a mailbox", "Old/home", map[string]string{"cur/1:2,": msg, "new/": "", ".Sent/cur/1:2,S": msg, ".Sent/new/": ""},
			[]string{"Old/home []" + want, "Old/home/Sent S[]" + want}},
		{"message files", "", map[string]string{"a.eml": msg, "b": "Subject: y\n\n", "deep/c.eml": msg, ".hidden": "x"},
			[]string{"INBOX []" + want, `INBOX [] 1000000000 "Subject: y\r\n\r\n"`, "deep []" + want}},
		{"message files with mbox lines", "", map[string]string{"inmail.1": "From a Sun Sep  9 01:46:40 2001\n" + msg + ">From x\n\n",
			"2001": "From a Sun Sep  9 01:46:40 2001\n" + msg + "\nFrom a Sun Sep  9 01:46:40 2001\n" + msg},
			[]string{`INBOX [] 1000000000 "Subject: x\r\n\r\nbody\rlone\r\n>From x\r\n\r\n"`, "2001 []" + want, "2001 []" + want}},
		{"mbox files", "", map[string]string{"inbox": "From a Sun Sep  9 01:46:40 2001\n" + msg, "Work.sbd/Old.mbox": "From a Sun Sep  9 01:46:40 2001\n" + msg, "Work.msf": "x"},
			[]string{"INBOX []" + want, "Work/Old []" + want}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			res, err := p.importFrom(&Source{Paths: []string{write(t, c.files)}, Mailbox: c.box}, Options{})
			if err != nil || res.Failed != 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			if diff := cmp.Diff(c.want, p.kept()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSecondImportBringsWhatIsMissing(t *testing.T) {
	p := newPlace(t)
	const one, two = "Subject: 1\n\n", "Subject: 2\n\n"
	dir := write(t, map[string]string{"cur/1:2,": one, "cur/2:2,": one, "new/": ""})
	src := func() *Source { return &Source{Paths: []string{dir}} }
	steps := []struct {
		before  func()
		o       Options
		want    Result
		present int
	}{
		{func() {}, Options{}, Result{Imported: 2, Bytes: 28}, 2}, // two equal ones stay two
		{func() {}, Options{}, Result{Present: 2}, 2},
		{func() {
			p.must(os.Rename(filepath.Join(dir, "cur/1:2,"), filepath.Join(dir, "cur/1:2,S")))
			p.must(os.WriteFile(filepath.Join(dir, "cur/3:2,"), []byte(two), 0o600))
		}, Options{}, Result{Imported: 1, Present: 2, Bytes: 14}, 3},
		{func() {}, Options{Again: true}, Result{Imported: 3, Bytes: 42}, 6},
	}
	for i, s := range steps {
		s.before()
		res, err := p.importFrom(src(), s.o)
		p.must(err)
		if diff := cmp.Diff(s.want, res); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
		if n := len(p.kept()); n != s.present {
			t.Errorf("step %d: %d messages", i, n)
		}
	}
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// TestBrokenOffImportGoesOn ends the stream in the middle and starts again.
func TestBrokenOffImportGoesOn(t *testing.T) {
	p := newPlace(t)
	var b bytes.Buffer
	e := NewEncoder(&b)
	for i := range 200 {
		p.must(e.Encode(&Item{Mailbox: "Old", Content: strings.NewReader(fmt.Sprintf("Subject: %d\r\n\r\n", i))}))
	}
	p.must(e.Flush())
	whole := b.Bytes()
	res, err := p.im.Import(t.Context(), alice, NewDecoder(bytes.NewReader(whole[:len(whole)*3/4])).Next, Options{})
	if !errors.Is(err, io.ErrUnexpectedEOF) || res.Imported == 0 || res.Imported > 150 {
		t.Fatalf("%+v, %v", res, err)
	}
	again, err := p.im.Import(t.Context(), alice, NewDecoder(bytes.NewReader(whole)).Next, Options{})
	if err != nil || again.Present != res.Imported || again.Imported != 200-res.Imported {
		t.Fatalf("%+v after %+v, %v", again, res, err)
	}
	all := p.messages()
	for i, m := range all {
		if m.text != fmt.Sprintf("Subject: %d\r\n\r\n", i) {
			t.Fatalf("message %d is %q", i, m.text)
		}
	}
	if len(all) != 200 {
		t.Fatalf("%d messages", len(all))
	}
}

func TestOneBadMessageDoesNotEndAnImport(t *testing.T) {
	p := newPlace(t)
	var b bytes.Buffer
	e := NewEncoder(&b)
	p.must(e.Encode(&Item{Mailbox: "INBOX", Content: strings.NewReader("Subject: 1\r\n\r\n")}))
	var bad *ItemError
	if err := e.Encode(&Item{Mailbox: "INBOX", Origin: "x", Content: io.MultiReader(strings.NewReader("Subject"), broken{errors.New("disk trouble")})}); !errors.As(err, &bad) {
		t.Fatal(err)
	}
	p.must(e.Encode(&Item{Mailbox: "a//b", Origin: "y", Content: strings.NewReader("Subject: 2\r\n\r\n")}))
	p.must(e.Encode(&Item{Mailbox: "INBOX", Content: strings.NewReader("Subject: 3\r\n\r\n")}))
	p.must(e.Flush())
	res, err := p.im.Import(t.Context(), alice, NewDecoder(&b).Next, Options{})
	p.must(err)
	if res.Imported != 2 || res.Failed != 2 || len(res.Problems) != 2 || res.Problems[0] != "x: disk trouble" {
		t.Errorf("%+v", res)
	}
}

func TestImportStopsAtQuota(t *testing.T) {
	p := newPlace(t)
	p.must(p.im.DB.Update(t.Context(), func(tx *sqlite.Tx) error { return p.mail.SetQuota(tx, alice, 100) }))
	var b bytes.Buffer
	e := NewEncoder(&b)
	for i := range 10 {
		p.must(e.Encode(&Item{Mailbox: "INBOX", Content: strings.NewReader(fmt.Sprintf("Subject: %d\r\n\r\n", i))}))
	}
	p.must(e.Flush())
	whole := b.Bytes()
	res, err := p.im.Import(t.Context(), alice, NewDecoder(bytes.NewReader(whole)).Next, Options{})
	if !errors.Is(err, mailbox.ErrOverQuota) || res.Imported != 7 {
		t.Fatalf("%+v, %v", res, err)
	}
	p.must(p.im.DB.Update(t.Context(), func(tx *sqlite.Tx) error { return p.mail.SetQuota(tx, alice, 0) }))
	res, err = p.im.Import(t.Context(), alice, NewDecoder(bytes.NewReader(whole)).Next, Options{})
	if err != nil || res.Imported != 3 || res.Present != 7 {
		t.Fatalf("%+v, %v", res, err)
	}
}

// odd are messages that files find hard.
func odd() []Item {
	when := time.Unix(1_234_567_890, 0)
	var all []Item
	for i, text := range []string{
		"Subject: plain\r\n\r\nFrom here\r\n>From there\r\n>>>From x\r\n From y\r\n",
		"Subject: header only\r\n\r\n",
		"Subject: blank end\r\n\r\nx\r\n\r\n\r\n",
		"Return-Path: <a@b.example>\r\nSubject: lone CR\r\n\r\na\rb\r\n",
		"Subject: From in the middle\r\n\r\nx\r\n\r\nFrom a@b Sun Sep  9 01:46:40 2001\r\nSubject: not mine\r\n\r\n",
		"Subject: long\r\n\r\n" + strings.Repeat("x", 200_000) + "\r\n" + strings.Repeat("y", 16383-2) + "\r\n",
		"Content-Length: 3\r\n\r\none\r\n",
		"Subject: doubled CR\r\n\r\none\r\r\nFrom x\r\n",
	} {
		box := []string{"INBOX", "Archive/2026", "a.b & c", "Größe/日本"}[i%4]
		all = append(all, Item{Mailbox: box, Flags: mailbox.Flags(i * 5 % 32), Received: when.Add(time.Duration(i) * time.Hour),
			Keywords: [][]string{nil, {"$Forwarded"}, {"$Junk", "work"}}[i%3], Content: strings.NewReader(text)})
	}
	return all
}

func (p *place) fill(items []Item) {
	p.t.Helper()
	i := 0
	_, err := p.im.Import(p.t.Context(), alice, func() (*Item, error) {
		if i == len(items) {
			return nil, io.EOF
		}
		i++
		return &items[i-1], nil
	}, Options{})
	p.must(err)
}

// TestRoundTrip takes mail out and in again.
func TestRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name   string
		writer func(dir string) Writer
		flags  bool
	}{
		{"Maildir", func(dir string) Writer { return &Maildir{Dir: dir} }, true},
		{"Maildir with CRLF", func(dir string) Writer { return &Maildir{Dir: dir, CRLF: true} }, true},
		{"mbox", func(dir string) Writer { return &Mbox{Dir: dir} }, false},
		{"mbox with CRLF", func(dir string) Writer { return &Mbox{Dir: dir, CRLF: true} }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			from, to := newPlace(t), newPlace(t)
			from.fill(odd())
			dir := filepath.Join(t.TempDir(), "out")
			from.must(os.Mkdir(dir, 0o700))
			from.exportTo(c.writer(dir))
			if c.flags {
				from.exportTo(c.writer(dir)) // adds nothing
			}
			_, err := to.importFrom(&Source{Paths: []string{dir}}, Options{})
			from.must(err)
			want, got := from.messages(), to.messages()
			if len(want) != len(got) {
				t.Fatalf("%d messages became %d", len(want), len(got))
			}
			for i := range want {
				w, g := want[i], got[i]
				if w.text != g.text || w.Mailbox != g.Mailbox || !w.Received.Equal(g.Received) {
					t.Errorf("%s %v %.200q became %s %v %.200q", w.Mailbox, w.Received, w.text, g.Mailbox, g.Received, g.text)
				}
				if c.flags && (w.Flags != g.Flags || !cmp.Equal(w.Keywords, g.Keywords)) {
					t.Errorf("flags %v %v became %v %v", w.Flags, w.Keywords, g.Flags, g.Keywords)
				}
			}
		})
	}
}

func TestMboxNeverOverwrites(t *testing.T) {
	p := newPlace(t)
	p.fill(odd())
	dir := t.TempDir()
	p.exportTo(&Mbox{Dir: dir, Status: true}, "INBOX")
	b, err := os.ReadFile(filepath.Join(dir, "INBOX.mbox"))
	p.must(err)
	if !bytes.HasPrefix(b, []byte("From MAILER-DAEMON Fri Feb 13 23:31:30 2009\nStatus: O\nSubject: plain\n\n>From here\n>>From there\n>>>>From x\n From y\n\nFrom ")) {
		t.Errorf("%.300q", b)
	}
	w := &Mbox{Dir: dir}
	if _, err := w.Write(&Item{Mailbox: "INBOX", Content: strings.NewReader("x")}); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v", err)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"Sent", "a.b", "a&b", "Größe", "日本語", "x😀y", ".", "&-"} {
		if got := decodeName(encodeName(name)); got != name {
			t.Errorf("%q became %q over %q", name, got, encodeName(name))
		}
	}
	for in, want := range map[string]string{"Entw&APw-rfe": "Entwürfe", "A&B": "A&B", "R&D-": "R&D-", "caf\xe9": "café", "&-": "&"} {
		if got := decodeName(in); got != want {
			t.Errorf("decodeName(%q) = %q", in, got)
		}
	}
}

func FuzzMbox(f *testing.F) {
	f.Add("From a Sun Sep  9 01:46:40 2001\nContent-Length: 3\n\none\n\nFrom b Sun Sep  9 01:46:40 2001\n\n>From x\n")
	f.Fuzz(func(t *testing.T, s string) {
		s = "From " + s
		m := mboxFile{r: strings.NewReader(s), size: int64(len(s))}
		for last := int64(-1); m.at < m.size; {
			if m.at <= last {
				t.Fatalf("stands at %d", last)
			}
			last = m.at
			e, err := m.next()
			if err != nil || e.start < last || e.end < e.start || e.end > m.size || m.at < e.end {
				t.Fatalf("%+v, %v at %d of %d", e, err, m.at, m.size)
			}
		}
	})
}

func FuzzDecoder(f *testing.F) {
	var b bytes.Buffer
	e := NewEncoder(&b)
	e.Encode(&Item{Mailbox: "INBOX", Content: strings.NewReader("x")})
	e.Flush()
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		d := NewDecoder(bytes.NewReader(b))
		for range len(b) + 1 {
			it, err := d.Next()
			if err != nil {
				return
			}
			io.Copy(io.Discard, it.Content)
		}
		t.Fatal("does not end")
	})
}

// Flags that came with a message do not stand beside those that it has now.
func TestStatusIsWrittenOnce(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40<<10) + "\n"
	for in, want := range map[string]string{
		"Status: RO\nX-Status: A\n F\nSubject: a\nX-KEYWORDS : b\n\nStatus: body\n": "Status: O\nSubject: a\n\nStatus: body\n\n",
		"X-Mozilla-Status: 0001\nStatusless: b\n":                                   "Status: O\nStatusless: b\n\n",
		"X-Keywords: " + long + "Subject: " + long + "\nx":                          "Status: O\nSubject: " + long + "\nx\n\n",
		"\nStatus: RO\n": "Status: O\n\nStatus: RO\n\n",
	} {
		dir := t.TempDir()
		m := &Mbox{Dir: dir, Status: true}
		if _, err := m.Write(&Item{Mailbox: "INBOX", Received: time.Unix(1e9, 0), Content: strings.NewReader(in)}); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "INBOX.mbox"))
		_, text, _ := strings.Cut(string(b), "\n")
		if err != nil || text != want {
			t.Errorf("%.80q: %v\n got %.200q\nwant %.200q", in, err, text, want)
		}
	}
}
