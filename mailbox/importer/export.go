package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailstead/mailbox"
)

// Export writes the mail of an account into e, mailbox by mailbox in the order
// of UIDs, each message whole as FETCH BODY[] gives it. names chooses mailboxes
// with what is below them; none means all. Errors: mailbox.ErrNotExist for a
// name that is not there.
func Export(ctx context.Context, mail *mailbox.Store, account int64, names []string, e *Encoder) error {
	all, err := mail.Mailboxes(ctx, account)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(m mailbox.Mailbox) bool { return covers(name, m.Name) }) {
			return fmt.Errorf("export: mailbox %q: %w", name, mailbox.ErrNotExist)
		}
	}
	for _, m := range all {
		chosen := len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return covers(name, m.Name) })
		if m.NoSelect || !chosen {
			continue
		}
		if err := exportMailbox(ctx, mail, m, e); err != nil && !errors.Is(err, mailbox.ErrNotExist) {
			return fmt.Errorf("export %q: %w", m.Name, err)
		}
	}
	return e.Flush()
}

// covers tells whether name is the mailbox or one of its parents.
func covers(name, box string) bool {
	if strings.EqualFold(name, mailbox.Inbox) {
		name = mailbox.Inbox
	}
	return box == name || strings.HasPrefix(box, name+mailbox.Separator)
}

func exportMailbox(ctx context.Context, mail *mailbox.Store, m mailbox.Mailbox, e *Encoder) error {
	v, err := mail.Snapshot(ctx, m.ID)
	if err != nil {
		return err
	}
	const chunk = 100
	for from := 0; from < v.Len(); from += chunk {
		var ids []int64
		for i := from; i < min(from+chunk, v.Len()); i++ {
			ids = append(ids, v.At(i).Email)
		}
		emails := make(map[int64]*mailbox.Email, len(ids))
		if err := mail.Emails(ctx, ids, func(x *mailbox.Email) error { emails[x.ID] = x; return nil }); err != nil {
			return err
		}
		for i := from; i < min(from+chunk, v.Len()); i++ {
			entry := v.At(i)
			if x := emails[entry.Email]; x != nil {
				if err := exportOne(ctx, mail, m, v.UIDValidity(), entry, x, e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// exportOne passes over a message that was expunged meanwhile. One whose bytes
// cannot be read is told to the receiver, and the export goes on.
func exportOne(ctx context.Context, mail *mailbox.Store, m mailbox.Mailbox, validity uint32, entry mailbox.Entry, x *mailbox.Email, e *Encoder) error {
	it := &Item{Mailbox: m.Name, Flags: entry.Flags, Keywords: entry.Keywords, Received: x.Received,
		Origin: fmt.Sprintf("%s, UID %d", m.Name, entry.UID), UIDValidity: validity, UID: entry.UID}
	r, err := mail.Content(ctx, x)
	switch {
	case errors.Is(err, mailbox.ErrExpunged):
		return nil
	case err != nil:
		it.Content = broken{err}
	default:
		defer r.Close()
		it.Content = io.NewSectionReader(r, 0, r.Size())
		if it.CRLF, err = doubledCR(r, r.Size()); err != nil {
			it.Content = broken{err}
		}
	}
	var bad *ItemError
	if err := e.Encode(it); !errors.As(err, &bad) {
		return err
	}
	return nil
}

// doubledCR looks for CR CR LF.
func doubledCR(r io.ReaderAt, size int64) (bool, error) {
	buf := make([]byte, min(size, 32<<10))
	for at := int64(0); at < size; at += int64(len(buf)) - 2 {
		n, err := r.ReadAt(buf, at)
		if bytes.Contains(buf[:n], []byte("\r\r\n")) {
			return true, nil
		}
		if err == io.EOF || len(buf) < 3 {
			break
		} else if err != nil {
			return false, err
		}
	}
	return false, nil
}

// broken is a content that cannot be opened.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
