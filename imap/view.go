package imap

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailstead/imap/wire"
	"mailstead/mailbox"
)

// view is a session's selected mailbox. Positions are 0-based places in the
// client's list: sequence number minus one.
type view struct {
	id       int64
	readOnly bool

	snap     *mailbox.Snapshot // what the client knows, but for gone
	gone     []absent          // ascending; the client still counts them
	told     int               // the last EXISTS less the EXPUNGEs since
	keywords []string          // announced by FLAGS, sorted
	saved    []uint32          // SEARCHRES: UIDs, ascending
	recent   []wire.Range      // UIDs that are \Recent in this session, ascending
}

// absent is a message that was expunged and not yet reported.
type absent struct {
	mailbox.Entry // as it was last
	pos           int
}

// count is the number of messages the client should know of.
func (v *view) count() int { return v.snap.Len() + len(v.gone) }

// at gives the message at a position; ok is false when it is gone.
func (v *view) at(pos int) (e mailbox.Entry, ok bool) {
	if len(v.gone) == 0 {
		return v.snap.At(pos), true
	}
	k := sort.Search(len(v.gone), func(k int) bool { return v.gone[k].pos >= pos })
	if k < len(v.gone) && v.gone[k].pos == pos {
		return mailbox.Entry{}, false
	}
	return v.snap.At(pos - k), true
}

// known gives the message at a position, also where it is gone.
func (v *view) known(pos int) (e mailbox.Entry, gone bool) {
	if e, ok := v.at(pos); ok {
		return e, false
	}
	k := sort.Search(len(v.gone), func(k int) bool { return v.gone[k].pos >= pos })
	return v.gone[k].Entry, true
}

// pos gives the position of the message with an index in the snapshot.
func (v *view) pos(index int) int {
	k := sort.Search(len(v.gone), func(k int) bool { return v.gone[k].pos-k > index })
	return index + k
}

// advance moves the view to a newer snapshot: what was expunged joins gone.
// It returns what changed; indexes refer to next.
func (v *view) advance(next *mailbox.Snapshot) mailbox.Diff {
	if next == v.snap {
		return mailbox.Diff{Added: next.Len()}
	}
	d := next.Diff(v.snap)
	for _, i := range d.Expunged {
		v.gone = append(v.gone, absent{Entry: v.snap.At(i)})
	}
	if len(d.Expunged) > 0 {
		slices.SortFunc(v.gone, func(a, b absent) int { return int(int64(a.UID) - int64(b.UID)) })
	}
	v.snap = next
	for k := range v.gone {
		i, _ := next.Index(v.gone[k].UID)
		v.gone[k].pos = i + k
	}
	return d
}

// isRecent tells whether the message is \Recent here.
func (v *view) isRecent(uid uint32) bool {
	i := sort.Search(len(v.recent), func(i int) bool { return v.recent[i].To >= uid })
	return i < len(v.recent) && v.recent[i].From <= uid
}

// recentCount counts them.
func (v *view) recentCount() (n int) {
	for _, r := range v.recent {
		from, _ := v.snap.Index(r.From)
		to, _ := v.snap.Index(r.To)
		if _, ok := v.snap.Index(r.To); ok {
			to++
		}
		n += to - from
	}
	return n
}

// sync brings the view up to date and tells the client what changed: EXPUNGE
// unless sequence numbers must stand, FLAGS, EXISTS, RECENT, FETCH. silent tells
// of a change that the client knows already. A session whose mailbox was deleted
// by another one ends (RFC 2180, 3.3): no sequence number means anything more.
func (s *session) sync(ctx context.Context, how report, silent func(mailbox.Entry) bool) error {
	v := s.view
	if v == nil {
		return nil
	}
	next, err := s.srv.Mailboxes.Snapshot(ctx, v.id)
	if errors.Is(err, mailbox.ErrNotExist) {
		s.view = nil
		return s.bye("selected mailbox was deleted")
	}
	if err != nil {
		return err
	}
	d := v.advance(next)
	if how == all {
		s.tellExpunged()
	}
	s.tellKeywords()
	s.tellExists()
	for _, i := range d.Changed {
		if e := next.At(i); silent == nil || !silent(e) {
			s.tellFlags(v.pos(i), e, s.uid || s.rev2)
		}
	}
	return nil
}

func (s *session) tellExpunged() {
	v := s.view
	for k, g := range v.gone {
		s.w.Str("* ")
		s.w.Num(uint64(g.pos - k + 1))
		s.w.Str(" EXPUNGE\r\n")
	}
	v.told -= len(v.gone)
	v.gone = nil
}

// tellExists announces new messages.
func (s *session) tellExists() {
	v := s.view
	n := v.count()
	if n == v.told {
		return
	}
	s.w.Str("* ")
	s.w.Num(uint64(n))
	s.w.Str(" EXISTS\r\n")
	v.told = n
	if !s.rev2 {
		s.claimRecent()
		s.tellRecent()
	}
}

func (s *session) tellRecent() {
	s.w.Str("* ")
	s.w.Num(uint64(s.view.recentCount()))
	s.w.Str(" RECENT\r\n")
}

// tellKeywords announces keywords that the mailbox did not have before. One
// that nobody uses any more stays announced.
func (s *session) tellKeywords() {
	v := s.view
	have := v.snap.Keywords()
	news := false
	for _, k := range have {
		if _, ok := slices.BinarySearch(v.keywords, k); !ok {
			news = true
			break
		}
	}
	if !news {
		return
	}
	v.keywords = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(v.keywords), have...))))
	s.writeFlagLists()
}

// writeFlagLists writes FLAGS and PERMANENTFLAGS.
func (s *session) writeFlagLists() {
	v := s.view
	list := strings.Join(append(slices.Clone(systemFlags), v.keywords...), " ")
	s.w.Str("* FLAGS (")
	s.w.Str(list)
	s.w.Str(")\r\n* OK [PERMANENTFLAGS (")
	if !v.readOnly {
		s.w.Str(list)
		s.w.Str(` \*`)
	}
	s.w.Str(")] flags that can be changed\r\n")
}

var systemFlags = []string{
	string(imap.FlagAnswered), string(imap.FlagFlagged), string(imap.FlagDeleted), string(imap.FlagSeen), string(imap.FlagDraft),
}

// tellFlags writes an untagged FETCH with a message's flags.
func (s *session) tellFlags(pos int, e mailbox.Entry, uid bool) {
	s.w.Str("* ")
	s.w.Num(uint64(pos + 1))
	s.w.Str(" FETCH (")
	if uid {
		s.w.Str("UID ")
		s.w.Num(uint64(e.UID))
		s.w.Byte(' ')
	}
	s.writeFlags(e)
	s.w.Str(")\r\n")
}

// flagNames pairs bits and names, in the order they are written.
var flagNames = [...]struct {
	bit  mailbox.Flags
	name string
}{
	{mailbox.Answered, string(imap.FlagAnswered)}, {mailbox.Flagged, string(imap.FlagFlagged)},
	{mailbox.Deleted, string(imap.FlagDeleted)}, {mailbox.Seen, string(imap.FlagSeen)}, {mailbox.Draft, string(imap.FlagDraft)},
}

// writeFlags writes FLAGS (...).
func (s *session) writeFlags(e mailbox.Entry) {
	s.w.Str("FLAGS (")
	space := false
	put := func(name string) {
		if space {
			s.w.Byte(' ')
		}
		space = true
		s.w.Str(name)
	}
	for _, f := range flagNames {
		if e.Flags&f.bit != 0 {
			put(f.name)
		}
	}
	for _, k := range e.Keywords {
		put(k)
	}
	if len(s.view.recent) > 0 && s.view.isRecent(e.UID) {
		put(`\Recent`)
	}
	s.w.Byte(')')
}

// parseFlags divides flags into bits and keywords. \Recent cannot be set by
// anybody and is passed over; other unknown system flags are an error.
func parseFlags(list []string) (f mailbox.Flags, keywords []string, err error) {
next:
	for _, name := range list {
		if !strings.HasPrefix(name, `\`) {
			keywords = append(keywords, name)
			continue
		}
		for _, known := range flagNames {
			if strings.EqualFold(name, known.name) {
				f |= known.bit
				continue next
			}
		}
		if !strings.EqualFold(name, `\Recent`) {
			return 0, nil, bad("unknown system flag")
		}
	}
	return f, keywords, nil
}
