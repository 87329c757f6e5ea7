package imap

import (
	"sync"

	"mailstead/imap/wire"
)

// recents remembers up to which UID the messages of a mailbox have been shown
// to some session, for IMAP4rev1's \Recent. It lives in memory only: after a
// start nobody knows which session was the first, and then a message "should be
// considered recent" (RFC 3501, 2.3.2).
type recents struct {
	mu   sync.Mutex
	next map[int64]uint32
}

// claim gives the messages from the first unclaimed one up to uidNext, and
// counts them as shown when take is set.
func (r *recents) claim(mailbox int64, uidNext uint32, take bool) (wire.Range, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = make(map[int64]uint32)
	}
	from := max(r.next[mailbox], 1)
	if take && uidNext > from {
		r.next[mailbox] = uidNext
	}
	if from >= uidNext {
		return wire.Range{}, false
	}
	return wire.Range{From: from, To: uidNext - 1}, true
}

// claimRecent makes what has come since the last look recent in this session.
func (s *session) claimRecent() {
	v := s.view
	r, ok := s.srv.recents.claim(v.id, v.snap.UIDNext(), !v.readOnly)
	if !ok {
		return
	}
	if n := len(v.recent); n > 0 && v.recent[n-1].To+1 >= r.From {
		v.recent[n-1].To = max(v.recent[n-1].To, r.To)
		return
	}
	v.recent = append(v.recent, r)
}
