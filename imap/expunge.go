package imap

import (
	"context"

	"mailstead/imap/wire"
)

var errReadOnly = no(codeReadOnly, "mailbox is read-only")

// expunge is EXPUNGE, and UID EXPUNGE with its set (RFC 4315, 2.1). The report
// before the reply tells what went.
func (s *session) expunge() run {
	var set wire.NumSet
	if s.uid {
		s.r.SP()
		set = s.r.NumSet()
	}
	return func(ctx context.Context) (reply, error) {
		if s.view.readOnly {
			return reply{}, errReadOnly
		}
		var uids []uint32
		if s.uid {
			p, err := s.pick(set)
			if err != nil {
				return reply{}, err
			}
			if uids = s.view.uids(p); len(uids) == 0 {
				return reply{}, nil
			}
		}
		_, err := s.srv.Mailboxes.Expunge(ctx, s.view.id, uids)
		return reply{}, err
	}
}
