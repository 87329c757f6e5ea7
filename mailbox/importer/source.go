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
	"slices"
	"strings"
	"time"

	"mailstead/mailbox"
	"mailstead/message"
)

// Source is files and folders that hold mail. What a thing is, is found by
// looking at it:
//
//	a folder with cur and new   Maildir; folders inside it are mailboxes, named
//	                            ".Sent.2026" (Maildir++) or Sent/2026
//	another folder              its folders and mbox files are mailboxes of their
//	                            names, its single messages go to the mailbox itself
//	a file with "From " first   mbox; but one message under a name that counts
//	                            ("17", "inmail.17", "17.eml") is a single message
//	                            that still has the line by which it came
//	a file with a field first   a single message
//
// The outermost one goes to Mailbox, and so what lies inside INBOX's folder is
// named without INBOX.
type Source struct {
	Paths      []string
	Mailbox    string // "" means INBOX
	KeepQuotes bool   // mbox: leave ">From " as it is

	// Bad is called for what cannot be read; the rest goes on.
	Bad func(origin string, err error)

	done int64
}

// ErrNoMail is what Bad is told of a file that holds no mail. Beside mail in a
// folder that is no trouble.
var ErrNoMail = errors.New("neither mbox nor message")

var errTooDeep = errors.New("folders too deep")

// maxFolders deep.
const maxFolders = 32

// Size is the bytes of all files, to tell progress by.
func (s *Source) Size() (total int64, err error) {
	for _, p := range s.Paths {
		err := filepath.WalkDir(p, func(_ string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return nil // told when it is read
			}
			if i, err := e.Info(); err == nil && i.Mode().IsRegular() {
				total += i.Size()
			}
			return nil
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Done is how many bytes of Size were passed.
func (s *Source) Done() int64 { return s.done }

// Each gives every message in order. An error of yield ends it.
func (s *Source) Each(ctx context.Context, yield func(*Item) error) error {
	root := s.Mailbox
	if root == "" {
		root = mailbox.Inbox
	}
	for _, p := range s.Paths {
		if _, err := os.Stat(p); err != nil {
			return err
		}
		w := walk{Source: s, ctx: ctx, root: root, yield: yield}
		if err := w.any(filepath.Clean(p), root, 0); err != nil {
			return err
		}
	}
	return nil
}

// walk is one path on its way.
type walk struct {
	*Source
	ctx   context.Context
	root  string
	yield func(*Item) error
}

// stopped carries an error that is not the item's: of the receiver, or the end
// of the context.
type stopped struct{ error }

func (s stopped) Unwrap() error { return s.error }

func (w *walk) give(it *Item) error {
	if err := w.ctx.Err(); err != nil {
		return stopped{err}
	}
	it.Keywords = keywords(it.Keywords)
	if err := w.yield(it); err != nil {
		return stopped{err}
	}
	return nil
}

// bad reports trouble with one thing, and passes on what ends all.
func (w *walk) bad(origin string, err error) error {
	var s stopped
	if errors.As(err, &s) {
		return err
	}
	if err != nil && w.Bad != nil {
		w.Bad(origin, err)
	}
	return nil
}

// child is the name of a mailbox inside another one.
func (w *walk) child(parent, level string) string {
	level = cleanLevel(level)
	if strings.EqualFold(parent, mailbox.Inbox) && strings.EqualFold(w.root, mailbox.Inbox) {
		return level
	}
	return parent + mailbox.Separator + level
}

// cleanLevel makes a level of a name that every mailbox may have.
func cleanLevel(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '/' || c >= 0x80 && c < 0xa0 || c == '\u2028' || c == '\u2029' || c == '\uFEFF' {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(s, "_"))
	if s == "" || s == "." || s == ".." || s[0] == '#' {
		s = "_" + strings.TrimLeft(s, "#")
	}
	for len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "")
	}
	return s
}

// any imports a file or folder.
func (w *walk) any(path, box string, depth int) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return w.bad(path, err)
	case depth > maxFolders:
		return w.bad(path, errTooDeep)
	case info.IsDir() && (isMaildir(path) || holdsMaildirs(path)):
		return w.maildir(path, box, depth)
	case info.IsDir():
		return w.folder(path, box, depth)
	case !info.Mode().IsRegular():
		return w.bad(path, errors.New("not a file"))
	}
	return w.file(path, box, info)
}

// folder imports what lies in a plain folder.
func (w *walk) folder(path, box string, depth int) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return w.bad(path, err)
	}
	for _, e := range entries {
		name := e.Name()
		inner := filepath.Join(path, name)
		if strings.HasPrefix(name, ".") && !isMaildir(inner) || linked(e, inner) {
			continue
		}
		info, err := os.Stat(inner)
		if err != nil {
			if err := w.bad(inner, err); err != nil {
				return err
			}
			continue
		}
		target := box
		switch {
		case info.IsDir():
			target = w.child(box, strings.TrimSuffix(strings.TrimSuffix(decodeName(name), ".sbd"), ".mbox"))
		case ignoredFile(name):
			continue
		case name != "mbox" && isMbox(inner, info.Size()):
			target = w.child(box, withoutExtension(decodeName(name)))
		}
		if err := w.any(inner, target, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// linked tells a link to a folder: such are not followed, they may lead back.
func linked(e os.DirEntry, path string) bool { return e.Type()&fs.ModeSymlink != 0 && isDir(path) }

// ignoredFile tells what mail programs keep beside mail.
func ignoredFile(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".msf", ".lock", ".dat", ".index", ".log", ".cache", ".html", ".json":
		return true
	}
	return strings.HasPrefix(name, "dovecot") || strings.HasPrefix(name, "courier") || name == "maildirfolder" || name == "subscriptions"
}

func withoutExtension(name string) string {
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".mbox", ".mbx", ".mbs", ".mail":
		return name[:len(name)-len(ext)]
	}
	return name
}

// isMbox looks at the first bytes, and further where the name is that of a
// single message.
func isMbox(path string, size int64) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return beginsMbox(f, filepath.Base(path), size)
}

func beginsMbox(f *os.File, name string, size int64) bool {
	var b [5]byte
	if n, err := f.ReadAt(b[:], 0); n < len(b) || err != nil && err != io.EOF || string(b[:]) != "From " {
		return false
	}
	if !counts(name) {
		return true
	}
	m := mboxFile{r: f, size: size}
	_, err := m.next()
	return err == nil && m.at < size
}

// counts tells names that programs give to single messages.
func counts(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".eml")
	first, last := name[:min(1, len(name))], name[max(len(name)-1, 0):]
	return strings.ContainsAny(first+last, "0123456789")
}

// file imports an mbox or a single message.
func (w *walk) file(path, box string, info fs.FileInfo) error {
	f, err := os.Open(path)
	if err != nil {
		return w.bad(path, err)
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return w.bad(path, err)
	}
	head = head[:n]
	switch {
	case n == 0:
		return nil
	case beginsMbox(f, filepath.Base(path), info.Size()):
		return w.bad(path, w.mbox(f, path, box, info.Size()))
	}
	start, received := int64(0), time.Time{}
	if bytes.HasPrefix(head, []byte("From ")) {
		line, rest, _ := bytes.Cut(head, []byte{'\n'})
		received, _ = fromDate(line)
		start, head = int64(len(line)+1), rest
	}
	if !looksLikeMessage(head) {
		return w.bad(path, ErrNoMail)
	}
	it := &Item{Mailbox: box, Origin: path, Received: received,
		Content: message.AddCR(io.NewSectionReader(f, start, info.Size()-start))}
	if received.IsZero() {
		it.Received = arrival(io.NewSectionReader(f, start, info.Size()-start), info.ModTime())
	}
	err = w.give(it)
	w.done += info.Size()
	return w.bad(path, err)
}

// looksLikeMessage: the first line is a field.
func looksLikeMessage(b []byte) bool {
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	return isField(line)
}

func isField(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte{':'})
	return ok && len(name) > 0 && len(name) < 80 && !bytes.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c >= 0x7f })
}

// arrival guesses when a message came: from its last Received field, else its
// Date, else fallback.
func arrival(r io.Reader, fallback time.Time) time.Time {
	h, err := message.ReadHeader(r)
	if err != nil {
		return fallback
	}
	received := h.Get("Received")
	for _, text := range []string{received[strings.LastIndexByte(received, ';')+1:], h.Get("Date")} {
		if t, err := message.ParseDate(text); err == nil && plausible(t) {
			return t
		}
	}
	return fallback
}

// plausible keeps dates from before mail, and from the future, out of INTERNALDATE.
func plausible(t time.Time) bool {
	return t.Year() >= 1970 && t.Before(time.Now().Add(48*time.Hour))
}

// sortByTime puts files into the order of their arrival.
func sortByTime(files []maildirFile) {
	slices.SortFunc(files, func(a, b maildirFile) int {
		if c := a.time.Compare(b.time); c != 0 {
			return c
		}
		return strings.Compare(a.name, b.name)
	})
}

// numbered names a message of an mbox for people.
func numbered(path string, n int) string { return fmt.Sprintf("%s, message %d", path, n) }
