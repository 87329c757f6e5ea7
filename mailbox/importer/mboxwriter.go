package importer

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"mailstead/mailbox"
	"mailstead/message"
)

// Mbox writes one file for each mailbox, mboxrd: INBOX.mbox, Archive/2026.mbox.
// A file that is there is never touched: errors wrap os.ErrExist. Flags have no
// place in an mbox, unless Status writes them as fields Status, X-Status and
// X-Keywords before the message, in the place of those that it has: it is not
// byte for byte then what it was.
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
	if m.Status {
		t.drop = isStatus
	}
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

// isStatus tells the fields in which mail programs keep flags.
func isStatus(field string) bool {
	for _, name := range [...]string{"Status", "X-Status", "X-Keywords", "X-Mozilla-Status", "X-Mozilla-Status2"} {
		if strings.EqualFold(field, name) {
			return true
		}
	}
	return false
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
