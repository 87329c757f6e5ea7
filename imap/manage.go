package imap

import (
	"context"
	"errors"

	"mailstead/mailbox"
)

// create is CREATE, with a special use where the client gives one (RFC 6154, 3).
func (s *session) create() run {
	s.r.SP()
	name := s.mailboxName()
	var uses []string
	if s.r.Accept(' ') {
		s.r.List(func() {
			if !s.r.AcceptWord("USE") {
				s.r.Fail("unknown CREATE parameter")
				return
			}
			s.r.SP()
			uses = append(uses, s.r.Flags()...)
		})
	}
	return func(ctx context.Context) (reply, error) {
		use, err := specialUse(uses)
		if err != nil {
			return reply{}, err
		}
		_, err = s.srv.Mailboxes.Create(ctx, s.account.ID, name, use)
		return reply{}, err
	}
}

// specialUse finds the one use that a mailbox can have; the store knows which
// ones there are.
func specialUse(uses []string) (string, error) {
	switch len(uses) {
	case 0:
		return "", nil
	case 1:
		return uses[0], nil
	}
	return "", no(codeUseAttr, "one special use at most")
}

func (s *session) delete() run {
	s.r.SP()
	name := s.mailboxName()
	return func(ctx context.Context) (reply, error) {
		if err := s.srv.Mailboxes.Delete(ctx, s.account.ID, name); err != nil {
			return reply{}, err
		}
		if s.view != nil {
			_, err := s.srv.Mailboxes.Snapshot(ctx, s.view.id)
			if errors.Is(err, mailbox.ErrNotExist) {
				s.deselect()
				s.w.Str("* OK [CLOSED] selected mailbox deleted\r\n")
			}
		}
		return reply{}, nil
	}
}

func (s *session) rename() run {
	s.r.SP()
	from := s.mailboxName()
	s.r.SP()
	to := s.mailboxName()
	return func(ctx context.Context) (reply, error) {
		return reply{}, s.srv.Mailboxes.Rename(ctx, s.account.ID, from, to)
	}
}

func (s *session) subscribe() run   { return s.setSubscribed(true) }
func (s *session) unsubscribe() run { return s.setSubscribed(false) }

func (s *session) setSubscribed(on bool) run {
	s.r.SP()
	name := s.mailboxName()
	return func(ctx context.Context) (reply, error) {
		return reply{}, s.srv.Mailboxes.Subscribe(ctx, s.account.ID, name, on)
	}
}
