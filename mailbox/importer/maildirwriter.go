package importer

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mailstead/mailbox"
)

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
