package imap

import (
	"context"
	"errors"

	"github.com/emersion/go-imap/v2"

	"mailstead/imap/wire"
	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// needs is what of a message an item is made from.
type needs uint8

const (
	needsNothing needs = iota // beyond the snapshot
	needsRow
	needsParts
	needsBytes
)

// fetchItem is a data item of FETCH.
type fetchItem struct {
	needs needs
	seen  bool // sets \Seen
	write func(f *fetching, m *fetched) error
}

// fetchItems is the table of items without sections. An item of an extension is
// a further row.
var fetchItems = map[string]fetchItem{
	"UID":           {write: (*fetching).writeUID},
	"FLAGS":         {write: (*fetching).writeFlags},
	"INTERNALDATE":  {needs: needsRow, write: (*fetching).writeInternalDate},
	"RFC822.SIZE":   {needs: needsRow, write: (*fetching).writeSize},
	"ENVELOPE":      {needs: needsRow, write: (*fetching).writeEnvelope},
	"BODYSTRUCTURE": {needs: needsRow, write: (*fetching).writeBodyStructure},
	"BODY":          {needs: needsParts, write: (*fetching).writeBody},
}

// fetchMacros stand alone, outside of parentheses (RFC 9051, 6.4.5).
var fetchMacros = map[string][]string{
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

// fetching is a FETCH at work.
type fetching struct {
	s     *session
	set   wire.NumSet
	items []fetchItem
	needs needs // the most of all items
	flags bool  // FLAGS is among the items
	seen  bool  // some item sets \Seen

	marked  map[uint32]mailbox.Entry // flags as this command has told them
	missing bool                     // something is expunged
	failure error                    // something could not be given
	scratch []byte
	found   []byte
}

// fetched is one message at work.
type fetched struct {
	pos    int
	entry  mailbox.Entry
	gone   bool // expunged by another session; the client counts it still
	marked bool // \Seen was set by this command
	row    *mailbox.Email
	root   *message.Part
	bytes  blob.Reader // prefix and body
}

// fetchBatch is how many rows are read, and messages marked, at once.
const fetchBatch = 64

func (s *session) fetch() run {
	f := &fetching{s: s}
	s.r.SP()
	f.set = s.r.NumSet()
	s.r.SP()
	if s.uid {
		f.add(fetchItems["UID"])
	}
	if s.r.Peek() == '(' {
		s.r.List(func() { s.fetchItem(f, s.r.Label()) })
		if len(f.items) == 0 {
			s.r.Fail("data item expected")
		}
	} else if name := s.r.Label(); fetchMacros[name] != nil {
		for _, item := range fetchMacros[name] {
			s.fetchItem(f, item)
		}
	} else {
		s.fetchItem(f, name)
	}
	return f.run
}

func (f *fetching) add(item fetchItem) {
	f.items = append(f.items, item)
	f.needs = max(f.needs, item.needs)
	f.seen = f.seen || item.seen
}

// fetchItem adds the item of a name, taking its section where it has one.
func (s *session) fetchItem(f *fetching, name string) {
	if name == "FLAGS" {
		f.flags = true
	}
	bracket := s.r.Peek() == '['
	switch {
	case name == "UID" && s.uid: // it is there
	case bracket && (name == "BODY" || name == "BODY.PEEK"):
		sec, label := s.section()
		label = s.partialRange(&sec, "BODY"+label)
		f.add(sectionItem(sec, label, name == "BODY"))
	case bracket && (name == "BINARY" || name == "BINARY.PEEK"):
		sec, label := s.section()
		label = s.partialRange(&sec, "BINARY"+label)
		f.add(binaryItem(sec, label, name == "BINARY"))
	case bracket && name == "BINARY.SIZE":
		sec, label := s.section()
		f.add(binarySizeItem(sec, name+label))
	case name == "RFC822":
		f.add(sectionItem(section{}, name, true))
	case name == "RFC822.HEADER":
		f.add(sectionItem(section{spec: header}, name, false))
	case name == "RFC822.TEXT":
		f.add(sectionItem(section{spec: text}, name, true))
	default:
		item, ok := fetchItems[name]
		if !ok {
			s.r.Fail("unknown data item")
			return
		}
		f.add(item)
	}
}

// run answers for the picked messages in order. Where rows or bytes are needed
// it goes in batches: nothing is read from the store while the client is
// written to, but for the file of the message itself.
func (f *fetching) run(ctx context.Context) (reply, error) {
	s, v := f.s, f.s.view
	p, err := s.pick(f.set)
	if err != nil {
		return reply{}, err
	}
	f.seen = f.seen && !v.readOnly
	if f.needs == needsNothing && !f.seen {
		err = v.eachKnown(p, func(pos int, e mailbox.Entry, _ bool) error {
			f.answer(&fetched{pos: pos, entry: e})
			return s.w.Err()
		})
	} else {
		err = f.inBatches(ctx, p)
	}
	if err != nil {
		return reply{}, err
	}
	if len(f.marked) > 0 {
		if err := s.sync(ctx, keep, f.told); err != nil {
			return reply{}, err
		}
	}
	switch {
	case f.failure != nil:
		return reply{}, f.failure
	case f.missing && !s.uid:
		return reply{}, mailbox.ErrExpunged
	}
	return reply{}, nil
}

// told tells a change of flags that is this command's own \Seen.
func (f *fetching) told(e mailbox.Entry) bool {
	m, ok := f.marked[e.UID]
	return ok && m.Flags == e.Flags && sameKeywords(m.Keywords, e.Keywords)
}

func (f *fetching) inBatches(ctx context.Context, p picked) error {
	batch := make([]fetched, 0, fetchBatch)
	err := f.s.view.eachKnown(p, func(pos int, e mailbox.Entry, gone bool) error {
		batch = append(batch, fetched{pos: pos, entry: e, gone: gone})
		if len(batch) < fetchBatch {
			return nil
		}
		err := f.batch(ctx, batch)
		batch = batch[:0]
		return err
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return f.batch(ctx, batch)
}

func (f *fetching) batch(ctx context.Context, batch []fetched) error {
	if err := f.load(ctx, batch); err != nil {
		return err
	}
	if f.seen {
		if err := f.mark(ctx, batch); err != nil {
			return err
		}
	}
	for i := range batch {
		m := &batch[i]
		if f.needs >= needsRow && m.row == nil {
			f.missing = true
			continue
		}
		if err := f.one(ctx, m); err != nil {
			return err
		}
		if err := f.s.w.Err(); err != nil {
			return err
		}
	}
	return nil
}

// load reads the rows of a batch.
func (f *fetching) load(ctx context.Context, batch []fetched) error {
	if f.needs < needsRow {
		return nil
	}
	ids := make([]int64, len(batch))
	at := make(map[int64][]int, len(batch)) // a message may be in the mailbox twice
	for i := range batch {
		ids[i] = batch[i].entry.Email
		at[ids[i]] = append(at[ids[i]], i)
	}
	err := f.s.srv.Mailboxes.Emails(ctx, ids, func(e *mailbox.Email) error {
		for _, i := range at[e.ID] {
			batch[i].row = e
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range batch {
		if m := &batch[i]; m.row == nil {
			err = f.departed(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// departed finds a message that another session expunged, for as long as it is
// to be had.
func (f *fetching) departed(m *fetched) error {
	row, err := f.s.srv.Mailboxes.Departed(m.entry.Email)
	if errors.Is(err, mailbox.ErrExpunged) {
		return nil
	}
	m.row, m.gone = row, true
	return err
}

// mark sets \Seen on those of a batch that lack it.
func (f *fetching) mark(ctx context.Context, batch []fetched) error {
	var uids []uint32
	for i := range batch {
		m := &batch[i]
		if m.entry.Flags&mailbox.Seen == 0 && !m.gone && (f.needs < needsRow || m.row != nil) {
			uids = append(uids, m.entry.UID)
			m.marked = true
		}
	}
	if len(uids) == 0 {
		return nil
	}
	v := f.s.view
	if _, err := f.s.srv.Mailboxes.SetFlags(ctx, v.id, uids, mailbox.AddFlags, mailbox.Seen, nil, 0); err != nil {
		return err
	}
	if f.marked == nil {
		f.marked = make(map[uint32]mailbox.Entry)
	}
	for i := range batch {
		if m := &batch[i]; m.marked {
			m.entry.Flags |= mailbox.Seen
			f.marked[m.entry.UID] = m.entry
		}
	}
	return nil
}

// one opens what a message needs and answers for it. A message whose bytes are
// gone or damaged is left out, and the command says so at its end.
func (f *fetching) one(ctx context.Context, m *fetched) error {
	if f.needs >= needsParts {
		root, err := message.UnmarshalParts(m.row.Parts)
		if err != nil {
			f.damaged(m, err)
			return nil
		}
		m.root = root
	}
	if f.needs >= needsBytes {
		content, err := f.s.srv.Mailboxes.Content(ctx, m.row)
		if errors.Is(err, mailbox.ErrExpunged) {
			f.missing = true
			return nil
		}
		if err != nil {
			f.damaged(m, err)
			return nil
		}
		defer content.Close()
		m.bytes = content
	}
	f.answer(m)
	return nil
}

func (f *fetching) damaged(m *fetched, err error) {
	f.s.log.Error("message cannot be read", "mailbox", f.s.view.id, "uid", m.entry.UID, "err", err)
	if f.failure == nil {
		f.failure = no(imap.ResponseCodeServerBug, "some of the messages cannot be read")
	}
}

// answer writes one untagged FETCH.
func (f *fetching) answer(m *fetched) {
	w := f.s.w
	w.Str("* ")
	w.Num(uint64(m.pos + 1))
	w.Str(" FETCH (")
	for i := range f.items {
		if i > 0 {
			w.Byte(' ')
		}
		if err := f.items[i].write(f, m); err != nil && f.failure == nil {
			f.failure = err
		}
	}
	if m.marked && !f.flags {
		w.Byte(' ')
		f.s.writeFlags(m.entry)
	}
	w.Str(")\r\n")
}

func (f *fetching) writeUID(m *fetched) error {
	f.s.w.Str("UID ")
	f.s.w.Num(uint64(m.entry.UID))
	return nil
}

func (f *fetching) writeFlags(m *fetched) error {
	f.s.writeFlags(m.entry)
	return nil
}

func (f *fetching) writeInternalDate(m *fetched) error {
	f.s.w.Str("INTERNALDATE ")
	f.s.w.DateTime(m.row.Received)
	return nil
}

func (f *fetching) writeSize(m *fetched) error {
	f.s.w.Str("RFC822.SIZE ")
	f.s.w.Num(uint64(m.row.Size()))
	return nil
}

func (f *fetching) writeEnvelope(m *fetched) error {
	f.s.w.Str("ENVELOPE ")
	f.s.w.Bytes(m.row.Envelope)
	return nil
}

func (f *fetching) writeBodyStructure(m *fetched) error {
	f.s.w.Str("BODYSTRUCTURE ")
	f.s.w.Bytes(m.row.BodyStructure)
	return nil
}

func (f *fetching) writeBody(m *fetched) error {
	f.scratch = message.AppendBodyStructure(f.scratch[:0], m.root, false)
	f.s.w.Str("BODY ")
	f.s.w.Bytes(f.scratch)
	return nil
}
