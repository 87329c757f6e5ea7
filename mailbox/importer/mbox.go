package importer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"mailstead/mailbox"
	"mailstead/message"
)

// mbox imports a file of messages, each after a line "From sender date".
//
// Four kinds are in use, and no file says which it is. mboxo and mboxrd put ">"
// before "From " at the start of a line (mboxrd also before ">From "); mboxcl
// does so too and tells the length in Content-Length; mboxcl2 tells the length
// and quotes nothing. A length is believed where the next message, or the end,
// stands behind it; such a message that has an unquoted "From " line is left as
// it is. Everything else loses one ">", as mboxrd asks.
//
// Without a length a line "From " begins a message when at least two of three
// things hold: an empty line stands before it, it ends in a date, a header field
// (or another "From " that was quoted) follows.
func (w *walk) mbox(f *os.File, path, box string, size int64) error {
	start := w.done
	defer func() { w.done = start + size }()
	m := mboxFile{r: f, size: size}
	for n := 1; m.at < size; n++ {
		e, err := m.next()
		if err != nil {
			return err
		}
		if e.skip || e.start == e.end {
			continue
		}
		var content io.Reader = io.NewSectionReader(f, e.start, e.end-e.start)
		if e.quoted && !w.KeepQuotes {
			content = &unquoter{r: bufio.NewReaderSize(content, 16<<10)}
		}
		it := &Item{Mailbox: box, Flags: e.flags, Keywords: e.keywords, Received: e.received,
			Origin: numbered(path, n), Content: message.AddCR(content)}
		if it.Received.IsZero() {
			it.Received = arrival(io.NewSectionReader(f, e.start, e.end-e.start), time.Time{})
		}
		if err := w.bad(it.Origin, w.give(it)); err != nil {
			return err
		}
		w.done = start + m.at
	}
	return nil
}

// mboxFile goes through an mbox. at is the offset of a "From " line.
type mboxFile struct {
	r    io.ReaderAt
	size int64
	at   int64
	br   *bufio.Reader
}

// reader reads from start to end; the one before it is over.
func (m *mboxFile) reader(start, end int64) *bufio.Reader {
	if m.br == nil {
		m.br = bufio.NewReaderSize(nil, 64<<10)
	}
	m.br.Reset(io.NewSectionReader(m.r, start, end-start))
	return m.br
}

// entry is one message of an mbox.
type entry struct {
	start, end int64 // of its bytes
	flags      mailbox.Flags
	keywords   []string
	received   time.Time
	quoted     bool
	skip       bool // deleted, not yet removed
}

func (m *mboxFile) next() (e entry, err error) {
	br := m.reader(m.at, m.size)
	line, err := br.ReadSlice('\n')
	if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		return e, err
	}
	e.start = m.at + int64(len(line))
	e.received, _ = fromDate(line)
	h, err := message.ReadHeader(br)
	if err != nil {
		return e, err
	}
	e.status(h)
	e.quoted = true
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		end, next, ok := m.counted(e.start, n)
		if ok {
			e.end, m.at = end, next
			e.quoted, err = m.noneUnquoted(e.start, end)
			return e, err
		}
	}
	e.end, m.at, err = m.search(e.start)
	return e, err
}

// status reads the fields in which mail programs keep flags.
func (e *entry) status(h message.Header) {
	for _, c := range h.Get("Status") + h.Get("X-Status") {
		switch c {
		case 'R':
			e.flags |= mailbox.Seen
		case 'A':
			e.flags |= mailbox.Answered
		case 'F':
			e.flags |= mailbox.Flagged
		case 'T':
			e.flags |= mailbox.Draft
		case 'D':
			e.flags |= mailbox.Deleted
		}
	}
	if bits, err := strconv.ParseUint(h.Get("X-Mozilla-Status"), 16, 16); err == nil {
		for bit, f := range map[uint64]mailbox.Flags{1: mailbox.Seen, 2: mailbox.Answered, 4: mailbox.Flagged} {
			if bits&bit != 0 {
				e.flags |= f
			}
		}
		e.skip = bits&8 != 0
	}
	for _, name := range []string{"X-Keywords", "X-Mozilla-Keys"} {
		e.keywords = append(e.keywords, strings.Fields(strings.ReplaceAll(h.Get(name), ",", " "))...)
	}
}

// bodyStart is the offset behind the header's empty line.
func (m *mboxFile) bodyStart(start int64) int64 {
	br := m.reader(start, m.size)
	at, begin := start, true
	for {
		line, err := br.ReadSlice('\n')
		at += int64(len(line))
		if begin && len(bytes.TrimRight(line, "\r\n")) == 0 || err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return at
		}
		begin = err == nil
	}
}

// counted tells whether a message of n bytes of body ends with a line and is
// followed by another message, or by the end, with one empty line between or none.
func (m *mboxFile) counted(start, n int64) (end, next int64, ok bool) {
	body := m.bodyStart(start)
	end = body + n
	if end > m.size || end < start {
		return 0, 0, false
	}
	b := make([]byte, min(8, m.size-end)+1)
	if _, err := m.r.ReadAt(b, end-1); err != nil && err != io.EOF || b[0] != '\n' {
		return 0, 0, false
	}
	rest := bytes.TrimPrefix(bytes.TrimPrefix(b[1:], []byte{'\r'}), []byte{'\n'})
	next = end + int64(len(b)-1-len(rest))
	return end, next, next == m.size || bytes.HasPrefix(rest, []byte("From "))
}

// noneUnquoted tells whether no line of a message begins with "From ".
func (m *mboxFile) noneUnquoted(start, end int64) (bool, error) {
	br := m.reader(start, end)
	for begin := true; ; {
		line, err := br.ReadSlice('\n')
		if begin && bytes.HasPrefix(line, []byte("From ")) {
			return false, nil
		}
		begin = err == nil
		if err == io.EOF {
			return true, nil
		} else if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return true, err
		}
	}
}

// search finds the next message, or the end. The empty line before it is none of
// this message.
func (m *mboxFile) search(start int64) (end, next int64, err error) {
	br := m.reader(start, m.size)
	at := start
	blank := int64(0) // length of the empty line just passed
	for begin := true; ; {
		line, err := br.ReadSlice('\n')
		if begin && bytes.HasPrefix(line, []byte("From ")) && separates(line, blank > 0, br) {
			return at - blank, at, nil
		}
		at += int64(len(line))
		if begin && len(line) > 0 {
			blank = 0
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				blank = int64(len(line))
			}
		}
		begin = err == nil
		switch {
		case err == io.EOF:
			return max(at-blank, start), at, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return 0, 0, err
		}
	}
}

func separates(line []byte, blank bool, br *bufio.Reader) bool {
	signs := 0
	if blank {
		signs++
	}
	if _, ok := fromDate(line); ok {
		signs++
	}
	after, _ := br.Peek(100)
	first, _, _ := bytes.Cut(after, []byte{'\n'})
	if isField(first) || bytes.HasPrefix(first, []byte(">From ")) {
		signs++
	}
	return signs >= 2
}

// fromDate reads the date at the end of a "From " line: "Mon Jan  2 15:04:05
// 2006", perhaps with a zone and "remote from host" behind.
func fromDate(line []byte) (time.Time, bool) {
	if len(line) > 1000 {
		return time.Time{}, false
	}
	text := strings.TrimRight(string(line), "\r\n")
	i := weekday(text)
	if i < 0 {
		return time.Time{}, false
	}
	text, _, _ = strings.Cut(text[i:], " remote from ")
	t, err := message.ParseDate(text)
	if err != nil || !plausible(t) {
		return time.Time{}, false
	}
	return t, true
}

// weekday finds where asctime's form begins: the last day of the week that is a
// word of its own, since a sender may be called Sun.
func weekday(s string) int {
	last := -1
	for _, day := range [...]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"} {
		if i := strings.LastIndex(s, " "+day); i > last && i+4 < len(s) && (s[i+4] == ' ' || s[i+4] == ',') {
			last = i
		}
	}
	return last
}

// unquoter takes one ">" off lines that begin with any number of them and "From ".
type unquoter struct {
	r    *bufio.Reader
	out  []byte // of the line that is being given
	cont bool   // the next piece goes on with a line
	err  error
}

func (u *unquoter) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(u.out) == 0 {
			if u.err != nil || n > 0 && u.r.Buffered() == 0 {
				break
			}
			u.line()
			continue
		}
		k := copy(p[n:], u.out)
		n, u.out = n+k, u.out[k:]
	}
	if n > 0 {
		return n, nil
	}
	return 0, u.err
}

// line takes the next line, or a piece of a long one.
func (u *unquoter) line() {
	line, err := u.r.ReadSlice('\n')
	if !u.cont && len(line) > 0 && line[0] == '>' && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
		line = line[1:]
	}
	u.out, u.cont = line, errors.Is(err, bufio.ErrBufferFull)
	if err != nil && !u.cont {
		u.err = err
	}
}
