package imap

import (
	"context"
	"slices"
	"strings"

	"mailstead/imap/wire"
	"mailstead/mailbox"
)

// storing is a parsed STORE (RFC 9051, 6.4.6).
type storing struct {
	set      wire.NumSet
	op       mailbox.FlagOp
	silent   bool
	flags    mailbox.Flags
	keywords []string
	err      error // of the flags
}

func (s *session) store() run {
	var c storing
	s.r.SP()
	c.set = s.r.NumSet()
	s.r.SP()
	switch {
	case s.r.Accept('+'):
		c.op = mailbox.AddFlags
	case s.r.Accept('-'):
		c.op = mailbox.RemoveFlags
	default:
		c.op = mailbox.ReplaceFlags
	}
	name := s.r.Word()
	name, c.silent = strings.CutSuffix(name, ".SILENT")
	if name != "FLAGS" {
		s.r.Fail("unknown STORE item")
	}
	s.r.SP()
	var names []string
	if s.r.Peek() == '(' {
		names = s.r.Flags()
	} else {
		names = append(names, s.r.Flag())
		for s.r.Accept(' ') {
			names = append(names, s.r.Flag())
		}
	}
	c.flags, c.keywords, c.err = parseFlags(names)
	return func(ctx context.Context) (reply, error) { return s.runStore(ctx, &c) }
}

// runStore changes flags, then tells every picked message's, or, when silent,
// only those that came out differently from what the client must expect.
func (s *session) runStore(ctx context.Context, c *storing) (reply, error) {
	v := s.view
	switch {
	case c.err != nil:
		return reply{}, c.err
	case v.readOnly:
		return reply{}, errReadOnly
	}
	p, err := s.pick(c.set)
	if err != nil {
		return reply{}, err
	}
	uids := v.uids(p)
	if len(uids) > 0 {
		if _, err := s.srv.Mailboxes.SetFlags(ctx, v.id, uids, c.op, c.flags, c.keywords, 0); err != nil {
			return reply{}, err
		}
	}
	before := v.snap
	err = s.sync(ctx, keep, func(e mailbox.Entry) bool {
		if _, ours := slices.BinarySearch(uids, e.UID); !ours {
			return false
		}
		return !c.silent || c.expected(before, e) // those of a loud one follow all together
	})
	if err != nil {
		return reply{}, err
	}
	if !c.silent {
		for _, uid := range uids {
			if i, ok := v.snap.Index(uid); ok {
				s.tellFlags(v.pos(i), v.snap.At(i), s.uid)
			}
		}
	}
	if p.gone {
		return reply{}, mailbox.ErrExpunged
	}
	return reply{}, nil
}

// expected tells whether a message now has the flags that the client computes
// for itself from what it knew before.
func (c *storing) expected(before *mailbox.Snapshot, now mailbox.Entry) bool {
	i, ok := before.Index(now.UID)
	if !ok {
		return false
	}
	old := before.At(i)
	switch c.op {
	case mailbox.AddFlags:
		return now.Flags == old.Flags|c.flags && sameKeywords(now.Keywords, append(slices.Clone(old.Keywords), c.keywords...))
	case mailbox.RemoveFlags:
		left := slices.DeleteFunc(slices.Clone(old.Keywords), func(k string) bool {
			return slices.ContainsFunc(c.keywords, func(x string) bool { return strings.EqualFold(x, k) })
		})
		return now.Flags == old.Flags&^c.flags && sameKeywords(now.Keywords, left)
	}
	return now.Flags == c.flags && sameKeywords(now.Keywords, c.keywords)
}

// sameKeywords compares sets of keywords without regard to case.
func sameKeywords(a, b []string) bool {
	fold := func(list []string) []string {
		out := make([]string, len(list))
		for i, k := range list {
			out[i] = strings.ToLower(k)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(fold(a), fold(b))
}
