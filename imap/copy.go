package imap

import (
	"context"
	"strconv"

	"mailstead/imap/wire"
	"mailstead/mailbox"
)

// copying is a parsed COPY or MOVE.
func (s *session) copying() (target string, pick func() (picked, error)) {
	s.r.SP()
	set := s.r.NumSet()
	s.r.SP()
	target = s.mailboxName()
	return target, func() (picked, error) { return s.pick(set) }
}

// copy is COPY (RFC 9051, 6.4.7): all or nothing.
func (s *session) copy() run {
	target, pick := s.copying()
	return func(ctx context.Context) (reply, error) {
		to, err := s.srv.Mailboxes.Mailbox(ctx, s.account.ID, target)
		if err != nil {
			return reply{}, tryCreate(err)
		}
		p, err := pick()
		if err != nil {
			return reply{}, err
		}
		if p.gone {
			return reply{}, mailbox.ErrExpunged
		}
		uids := s.view.uids(p)
		if len(uids) == 0 {
			return reply{text: "nothing to copy"}, nil
		}
		c, err := s.srv.Mailboxes.Copy(ctx, s.view.id, uids, to.ID)
		if err != nil {
			return reply{}, tryCreate(err)
		}
		return reply{code: copyUID(c)}, nil
	}
}

// move is MOVE (RFC 6851): COPYUID first, untagged, then EXPUNGE.
func (s *session) move() run {
	target, pick := s.copying()
	return func(ctx context.Context) (reply, error) {
		if s.view.readOnly {
			return reply{}, errReadOnly
		}
		to, err := s.srv.Mailboxes.Mailbox(ctx, s.account.ID, target)
		if err != nil {
			return reply{}, tryCreate(err)
		}
		p, err := pick()
		if err != nil {
			return reply{}, err
		}
		uids := s.view.uids(p)
		if len(uids) == 0 {
			if p.gone {
				return reply{}, mailbox.ErrExpunged
			}
			return reply{text: "nothing to move"}, nil
		}
		c, err := s.srv.Mailboxes.Move(ctx, s.view.id, uids, to.ID)
		if len(c.From) > 0 {
			s.w.Str("* OK [")
			s.w.Str(copyUID(c))
			s.w.Str("] moved\r\n")
		}
		if err != nil {
			return reply{}, tryCreate(err)
		}
		if p.gone {
			return reply{}, mailbox.ErrExpunged
		}
		return reply{}, nil
	}
}

// copyUID is the COPYUID response code (RFC 4315, 3); "" when nothing went.
func copyUID(c mailbox.Copied) string {
	if len(c.From) == 0 {
		return ""
	}
	b := strconv.AppendUint([]byte("COPYUID "), uint64(c.UIDValidity), 10)
	b = wire.AppendSet(append(b, ' '), c.From)
	return string(wire.AppendSet(append(b, ' '), c.To))
}
