package importer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"mailstead/mailbox"
	"mailstead/message"
)

// Writer puts exported items into files.
type Writer interface {
	// Write takes one item. done is false when it was there already.
	Write(it *Item) (done bool, err error)
	Close() error
}

// toLF writes lines as the system ends them: one CR before each LF is left out,
// unless crlf.
type toLF struct {
	w     *bufio.Writer
	crlf  bool
	quote bool // put ">" before "From " and before what was quoted so (mboxrd)
	n     int64
}

// copy takes a message to its end and tells whether its last line was ended.
func (t *toLF) copy(r io.Reader) (ended bool, err error) {
	br, ok := r.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(r, 16<<10)
	}
	begin := true
	ended = true
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return ended, err
		}
		full := err == nil
		if n := len(line); errors.Is(err, bufio.ErrBufferFull) && line[n-1] == '\r' { // its LF may follow
			if err := br.UnreadByte(); err != nil {
				return ended, err
			}
			line = line[:n-1]
		}
		if len(line) > 0 {
			if err := t.line(line, begin, full); err != nil {
				return ended, err
			}
			begin, ended = full, full
		}
		if err == io.EOF {
			return ended, nil
		}
	}
}

func (t *toLF) line(line []byte, begin, full bool) error {
	if t.quote && begin && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
		if err := t.w.WriteByte('>'); err != nil {
			return err
		}
		t.n++
	}
	end := ""
	if full && !t.crlf {
		line, end = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), "\n"
	}
	t.n += int64(len(line) + len(end))
	if _, err := t.w.Write(line); err != nil {
		return err
	}
	_, err := t.w.WriteString(end)
	return err
}

// Maildir writes Maildirs: Dir is INBOX, the other mailboxes are Maildir++
// folders in it, flags stand in the names, INTERNALDATE is the file's time,
// keywords are letters that the file dovecot-keywords explains. A message whose
// file is there from an earlier run is passed over.
type Maildir struct {
	Dir  string
	CRLF bool // keep CRLF line ends (of all messages; of those where LF would not do, always)

	open map[string]*maildirBox
	w    *bufio.Writer
}

// maildirBox is one folder with what is known of it.
type maildirBox struct {
	dir      string
	there    map[string]bool // names of messages, without flags
	keywords []string
}

// Write makes the message's file in tmp and names it into cur.
func (m *Maildir) Write(it *Item) (bool, error) {
	b, err := m.box(mailbox.Inbox) // there even when empty: the folders stand in it
	if err == nil {
		b, err = m.box(it.Mailbox)
	}
	if err != nil {
		return false, fmt.Errorf("export to %s: %w", m.Dir, err)
	}
	name := fmt.Sprintf("%d.V%dU%d.mailstead", it.Received.Unix(), it.UIDValidity, it.UID)
	if b.there[name] {
		return false, nil
	}
	if err := m.file(b, name, it); err != nil {
		return false, fmt.Errorf("export to %s: %w", b.dir, err)
	}
	b.there[name] = true
	return true, nil
}

func (m *Maildir) file(b *maildirBox, name string, it *Item) (err error) {
	tmp := filepath.Join(b.dir, "tmp", name)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(tmp)
		}
	}()
	if m.w == nil {
		m.w = bufio.NewWriterSize(nil, 32<<10)
	}
	m.w.Reset(f)
	t := toLF{w: m.w, crlf: m.CRLF || it.CRLF}
	if _, err := t.copy(it.Content); err != nil {
		return err
	}
	if err := m.w.Flush(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	flags, err := b.flags(it)
	if err != nil {
		return err
	}
	if err := os.Chtimes(tmp, it.Received, it.Received); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(b.dir, "cur", fmt.Sprintf("%s,S=%d:2,%s", name, t.n, flags)))
}

// flags are the letters of a name, in ASCII order.
func (b *maildirBox) flags(it *Item) (string, error) {
	out := flagLetters(it.Flags)
	var low []byte
	for _, k := range it.Keywords {
		if strings.EqualFold(k, "$Forwarded") {
			out = insertP(out)
			continue
		}
		i, err := b.keyword(k)
		if err != nil {
			return "", err
		}
		if i >= 0 {
			low = append(low, 'a'+byte(i))
		}
	}
	return out + string(low), nil
}

// insertP puts Maildir's "passed" between F and R.
func insertP(s string) string {
	i := strings.IndexAny(s, "RST")
	if i < 0 {
		i = len(s)
	}
	return s[:i] + "P" + s[i:]
}

// keyword gives a keyword's number, a new one if need be; -1 when all 26 letters
// are taken.
func (b *maildirBox) keyword(k string) (int, error) {
	for i, have := range b.keywords {
		if have == k {
			return i, nil
		}
	}
	if len(b.keywords) == 26 {
		return -1, nil
	}
	b.keywords = append(b.keywords, k)
	var text strings.Builder
	for i, k := range b.keywords {
		fmt.Fprintf(&text, "%d %s\n", i, k)
	}
	return len(b.keywords) - 1, os.WriteFile(filepath.Join(b.dir, "dovecot-keywords"), []byte(text.String()), 0o600)
}

// box opens the folder of a mailbox, making it if need be.
func (m *Maildir) box(name string) (*maildirBox, error) {
	if b := m.open[name]; b != nil {
		return b, nil
	}
	b := &maildirBox{dir: m.Dir, there: map[string]bool{}}
	if name != mailbox.Inbox {
		folder := ""
		for _, level := range strings.Split(name, mailbox.Separator) {
			folder += "." + encodeName(level)
		}
		b.dir = filepath.Join(m.Dir, folder)
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(b.dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	entries, err := os.ReadDir(filepath.Join(b.dir, "cur"))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		base, _, _ := strings.Cut(e.Name(), ",")
		b.there[base] = true
	}
	names := keywordFile(filepath.Join(b.dir, "dovecot-keywords"))
	for c := byte('a'); names[c] != ""; c++ {
		b.keywords = append(b.keywords, names[c])
	}
	if m.open == nil {
		m.open = map[string]*maildirBox{}
	}
	m.open[name] = b
	return b, nil
}

// Close ends the export.
func (m *Maildir) Close() error { return nil }

// Mbox writes one file for each mailbox, mboxrd: INBOX.mbox, Archive/2026.mbox.
// A file that is there is never touched: errors wrap os.ErrExist. Flags have no
// place in an mbox, unless Status writes them as fields Status, X-Status and
// X-Keywords before the message, which then is not byte for byte what it was.
type Mbox struct {
	Dir    string
	CRLF   bool
	Status bool

	name string // of the mailbox that is open
	path string
	f    *os.File
	w    *bufio.Writer
}

// Write appends the message to its mailbox's file.
func (m *Mbox) Write(it *Item) (bool, error) {
	if m.f == nil || m.name != it.Mailbox {
		if err := m.start(it.Mailbox); err != nil {
			return false, fmt.Errorf("export %q: %w", it.Mailbox, err)
		}
	}
	if err := m.message(it); err != nil {
		return false, fmt.Errorf("export to %s: %w", m.path, err)
	}
	return true, nil
}

// start begins a file under a name that tells it is not complete.
func (m *Mbox) start(name string) error {
	if err := m.Close(); err != nil {
		return err
	}
	levels := strings.Split(name, mailbox.Separator)
	for i, l := range levels {
		if strings.HasPrefix(l, ".") { // hidden, and passed over by an import
			levels[i] = "_" + l
		}
	}
	m.name, m.path = name, filepath.Join(m.Dir, filepath.Join(levels...)+".mbox")
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return err
	}
	if _, err := os.Lstat(m.path); err == nil {
		return &os.PathError{Op: "write", Path: m.path, Err: os.ErrExist}
	}
	f, err := os.OpenFile(m.path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	m.f, m.w = f, bufio.NewWriterSize(f, 64<<10)
	return nil
}

func (m *Mbox) message(it *Item) error {
	end := "\n"
	if m.CRLF {
		end = "\r\n"
	}
	br := bufio.NewReaderSize(it.Content, 16<<10)
	if _, err := br.Peek(1); err != nil && err != io.EOF {
		return err
	}
	date := it.Received.UTC().Format("Mon Jan _2 15:04:05 2006") // RFC 4155: in UTC
	if _, err := m.w.WriteString("From " + returnPath(br) + " " + date + end); err != nil {
		return err
	}
	if m.Status {
		if _, err := m.w.WriteString(statusFields(it, end)); err != nil {
			return err
		}
	}
	t := toLF{w: m.w, crlf: m.CRLF || it.CRLF, quote: true}
	ended, err := t.copy(br)
	if err != nil {
		return err
	}
	if !ended {
		end += end
	}
	_, err = m.w.WriteString(end)
	return err
}

func statusFields(it *Item, end string) string {
	status, x := "O", ""
	if it.Flags&mailbox.Seen != 0 {
		status = "RO"
	}
	for _, l := range [...]struct {
		flag   mailbox.Flags
		letter string
	}{{mailbox.Answered, "A"}, {mailbox.Flagged, "F"}, {mailbox.Draft, "T"}, {mailbox.Deleted, "D"}} {
		if it.Flags&l.flag != 0 {
			x += l.letter
		}
	}
	text := "Status: " + status + end
	if x != "" {
		text += "X-Status: " + x + end
	}
	if len(it.Keywords) > 0 {
		text += "X-Keywords: " + strings.Join(it.Keywords, " ") + end
	}
	return text
}

// returnPath is the sender for a "From " line: that of a Return-Path at the head.
func returnPath(br *bufio.Reader) string {
	const none = "MAILER-DAEMON"
	head, _ := br.Peek(600)
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	rest, ok := bytes.CutPrefix(line, []byte("Return-Path: "))
	if !ok {
		return none
	}
	a, _, err := message.ParsePath(string(bytes.TrimSpace(rest)))
	if s := a.String(); err == nil && s != "" && !strings.ContainsAny(s, " \t") {
		return s
	}
	return none
}

// Close completes the file that is open.
func (m *Mbox) Close() error {
	if m.f == nil {
		return nil
	}
	err := m.w.Flush()
	if e := m.f.Close(); err == nil {
		err = e
	}
	m.f = nil
	if err != nil {
		return err
	}
	return os.Rename(m.path+".part", m.path)
}
