package imap

import (
	"context"

	"mailstead/mailbox"
)

func (s *session) selectBox() run { return s.openBox(false) }
func (s *session) examine() run   { return s.openBox(true) }

// openBox is SELECT and EXAMINE (RFC 9051, 6.3.2). The mailbox that was selected
// is closed even if the new one cannot be opened.
func (s *session) openBox(readOnly bool) run {
	s.r.SP()
	name := s.mailboxName()
	return func(ctx context.Context) (reply, error) {
		if s.view != nil {
			s.deselect()
			s.w.Str("* OK [CLOSED] previous mailbox closed\r\n")
		}
		box, err := s.srv.Mailboxes.Mailbox(ctx, s.account.ID, name)
		if err != nil {
			return reply{}, err
		}
		snap, err := s.srv.Mailboxes.Snapshot(ctx, box.ID)
		if err != nil {
			return reply{}, err
		}
		v := &view{id: box.ID, readOnly: readOnly, snap: snap, told: snap.Len(), keywords: snap.Keywords()}
		s.view, s.state = v, selected
		s.describe(box)
		if readOnly {
			return reply{code: "READ-ONLY", text: "mailbox opened"}, nil
		}
		return reply{code: "READ-WRITE", text: "mailbox opened"}, nil
	}
}

// describe writes what SELECT tells of a mailbox.
func (s *session) describe(box mailbox.Mailbox) {
	v := s.view
	s.writeFlagLists()
	s.w.Str("* ")
	s.w.Num(uint64(v.snap.Len()))
	s.w.Str(" EXISTS\r\n")
	if !s.rev2 { // RFC 9051, appendix E: neither RECENT nor UNSEEN
		s.claimRecent()
		s.tellRecent()
		if i := firstUnseen(v.snap); i >= 0 {
			s.writeOK("UNSEEN", uint64(i+1), "first unseen message")
		}
	}
	s.writeOK("UIDVALIDITY", uint64(v.snap.UIDValidity()), "UIDs are valid")
	s.writeOK("UIDNEXT", uint64(v.snap.UIDNext()), "next UID")
	if s.rev2 {
		s.w.Str("* LIST (")
		if box.Subscribed {
			s.w.Str(`\Subscribed`)
		}
		s.w.Str(`) "` + separator + `" `)
		s.writeMailbox(box.Name)
		s.w.CRLF()
	}
}

func (s *session) writeOK(code string, n uint64, text string) {
	s.w.Str("* OK [")
	s.w.Str(code)
	s.w.Byte(' ')
	s.w.Num(n)
	s.w.Str("] ")
	s.w.Str(text)
	s.w.CRLF()
}

// firstUnseen is the index of the first message without \Seen, -1 for none.
func firstUnseen(v *mailbox.Snapshot) int {
	for i, e := range v.All {
		if e.Flags&mailbox.Seen == 0 {
			return i
		}
	}
	return -1
}

func (s *session) deselect() {
	s.view, s.state = nil, authenticated
}

// closeBox is CLOSE: expunge without a word, then deselect.
func (s *session) closeBox() run {
	return func(ctx context.Context) (reply, error) {
		v := s.view
		s.deselect()
		if v.readOnly {
			return reply{}, nil
		}
		_, err := s.srv.Mailboxes.Expunge(ctx, v.id, nil)
		return reply{}, err
	}
}

// unselect is RFC 3691.
func (s *session) unselect() run {
	return func(context.Context) (reply, error) {
		s.deselect()
		return reply{}, nil
	}
}
