package imap

import (
	"context"

	"mailstead/mailbox"
)

// statusItems is the table of what STATUS can tell (RFC 9051, 6.3.11; RFC 7889;
// RFC 8438). An item of an extension is a further row.
var statusItems = []struct {
	name  string
	value func(s *session, b mailbox.Mailbox) uint64
}{
	{"MESSAGES", func(_ *session, b mailbox.Mailbox) uint64 { return uint64(b.Messages) }},
	{"RECENT", (*session).statusRecent},
	{"UIDNEXT", func(_ *session, b mailbox.Mailbox) uint64 { return uint64(b.UIDNext) }},
	{"UIDVALIDITY", func(_ *session, b mailbox.Mailbox) uint64 { return uint64(b.UIDValidity) }},
	{"UNSEEN", func(_ *session, b mailbox.Mailbox) uint64 { return uint64(b.Unseen) }},
	{"DELETED", func(_ *session, b mailbox.Mailbox) uint64 { return uint64(b.Deleted) }},
	{"SIZE", func(_ *session, b mailbox.Mailbox) uint64 { return uint64(max(b.Size, 0)) }},
	{"APPENDLIMIT", func(s *session, _ mailbox.Mailbox) uint64 { return uint64(s.srv.maxMessage()) }},
}

// statusRecent counts what no session has claimed yet, by UID: an upper bound
// when some of it is gone again.
func (s *session) statusRecent(b mailbox.Mailbox) uint64 {
	r, ok := s.srv.recents.claim(b.ID, b.UIDNext, false)
	if !ok {
		return 0
	}
	return min(uint64(r.To-r.From)+1, uint64(b.Messages))
}

// statusAtts takes the parenthesised list of STATUS items, as indexes.
func (s *session) statusAtts() (items []int) {
	s.r.List(func() {
		name := s.r.Word()
		for i := range statusItems {
			if statusItems[i].name == name {
				items = append(items, i)
				return
			}
		}
		s.r.Fail("unknown STATUS item")
	})
	if len(items) == 0 {
		s.r.Fail("STATUS item expected")
	}
	return items
}

func (s *session) status() run {
	s.r.SP()
	name := s.mailboxName()
	s.r.SP()
	items := s.statusAtts()
	return func(ctx context.Context) (reply, error) {
		box, err := s.srv.Mailboxes.Mailbox(ctx, s.account.ID, name)
		if err != nil {
			return reply{}, err
		}
		s.writeStatus(box, items)
		return reply{}, nil
	}
}

func (s *session) writeStatus(box mailbox.Mailbox, items []int) {
	s.w.Str("* STATUS ")
	s.writeMailbox(box.Name)
	s.w.Str(" (")
	for i, item := range items {
		if i > 0 {
			s.w.Byte(' ')
		}
		s.w.Str(statusItems[item].name)
		s.w.Byte(' ')
		s.w.Num(statusItems[item].value(s, box))
	}
	s.w.Str(")\r\n")
}
