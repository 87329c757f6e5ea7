package message

import (
	"bytes"
	"io"
	"strings"
)

const (
	scanBuffer = 32 << 10
	maxKept    = 1 << 20 // header text kept for all parts of one message
)

// Scan reads the structure of the message in the first size bytes of r: once,
// from its start to its end, with one buffer of at most 32 KiB. It never fails
// on bad input, only on a failing reader. Line ends may be CRLF or LF; a lone
// CR is none.
//
// Boundaries are found as RFC 2046, 5.1.1 says: "--" and the boundary at the
// start of a line, what follows on the line does not matter. Where several open
// multiparts would match, one that fills the line (before "--" and white space)
// wins over a mere prefix, an inner over an outer, a longer over a shorter. The
// line end before it belongs to it. An outer boundary ends all inner parts.
func Scan(r io.ReaderAt, size int64) (*Part, error) {
	s := scanner{in: lineReader{r: r, size: size, begin: true}}
	s.openMessage(&Part{}, 0)
	if err := s.run(); err != nil {
		return nil, err
	}
	if s.header {
		s.endHeader(size)
	}
	s.closeAbove(-1, size, s.lf)
	return s.root, nil
}

// scanner holds the entities that are open at the present line, outermost
// first. The innermost one is either in its header or in its body.
type scanner struct {
	in     lineReader
	root   *Part
	stack  []entity
	live   int  // entities in stack that have a boundary
	header bool // the innermost entity is in its header
	fields fieldReader
	parts  int
	kept   int   // header text kept so far
	lf     int64 // line feeds passed
	nl     int64 // length of the line end just passed
}

type entity struct {
	part     *Part
	boundary string // "--" and the boundary; "" when none, or it was closed
	lf       int64  // line feeds before the body
	digest   bool   // parts of this one are messages by default
}

func (s *scanner) run() error {
	for {
		if !s.header && s.live == 0 {
			n, err := s.in.countRest()
			s.lf += n
			return err
		}
		line, begin, err := s.in.line()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		start := s.in.offset() - int64(len(line))
		if begin && s.live > 0 && len(line) > 2 && line[0] == '-' && line[1] == '-' {
			if i, last := s.match(line); i >= 0 && (last || s.parts < MaxParts) {
				if err := s.delimiter(i, last, line, start); err != nil {
					return err
				}
				continue
			}
		}
		if s.header {
			s.headerLine(line, begin)
		}
		s.passed(line)
	}
}

// passed counts the line end.
func (s *scanner) passed(line []byte) {
	n := len(line)
	switch {
	case n == 0 || line[n-1] != '\n':
		s.nl = 0
		return
	case n > 1 && line[n-2] == '\r':
		s.nl = 2
	default:
		s.nl = 1
	}
	s.lf++
}

// match finds the open entity whose boundary the line is, and whether it is
// the closing one.
func (s *scanner) match(line []byte) (best int, last bool) {
	best = -1
	text := bytes.TrimRight(line, " \t\r\n")
	for i := len(s.stack) - 1; i >= 0; i-- {
		b := s.stack[i].boundary
		if b == "" || len(b) > len(text) || string(text[:len(b)]) != b {
			continue
		}
		closing := len(text) >= len(b)+2 && text[len(b)] == '-' && text[len(b)+1] == '-'
		if len(text) == len(b) || closing && len(text) == len(b)+2 {
			return i, closing
		}
		if best < 0 || len(s.stack[best].boundary) < len(b) {
			best, last = i, closing
		}
	}
	return best, last
}

// delimiter ends what is open inside the multipart i and opens its next part,
// unless the boundary was the last.
func (s *scanner) delimiter(i int, last bool, line []byte, start int64) error {
	if s.header {
		s.endHeader(start)
	}
	nl, lf := s.nl, s.lf-min(s.nl, 1)
	s.closeAbove(i, start-nl, lf)
	s.passed(line)
	for begin := false; !begin && line[len(line)-1] != '\n'; { // the rest of a long line
		rest, again, err := s.in.line()
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		line, begin = rest, again
		s.passed(line)
	}
	if last {
		m := s.stack[i].part
		if len(m.Parts) == 0 { // closed before any part: what stood before is all there is
			m.wholeBody(max(start-nl, m.Body.Start), max(lf-s.stack[i].lf, 0))
		}
		s.stack[i].boundary = ""
		s.live--
		return nil
	}
	p := &Part{Header: Span{Start: s.in.offset()}}
	s.stack[i].part.Parts = append(s.stack[i].part.Parts, p)
	s.open(p)
	return nil
}

// open begins a part's header.
func (s *scanner) open(p *Part) {
	s.parts++
	s.stack = append(s.stack, entity{part: p})
	s.header = true
	s.fields.reset()
}

// openMessage begins the header of a whole message.
func (s *scanner) openMessage(p *Part, at int64) {
	p.Header.Start = at
	p.Envelope = &ImapEnvelope{}
	if s.root == nil {
		s.root = p
	}
	s.open(p)
}

// endHeader is called where the body of the innermost entity begins: it decides
// what the entity is, and opens the message inside it if it holds one.
func (s *scanner) endHeader(at int64) {
	for {
		s.fieldDone()
		s.header = false
		e := &s.stack[len(s.stack)-1]
		p := e.part
		p.Header.End, p.Body.Start = at, at
		e.lf = s.lf
		if s.fields.blank { // the empty line itself is not yet counted
			e.lf++
		}
		if p.Envelope != nil {
			p.Envelope.complete()
		}
		if p.Type == "" {
			p.Type, p.Subtype = "text", "plain"
			if n := len(s.stack); n > 1 && s.stack[n-2].digest { // RFC 2046, 5.1.5
				p.Type, p.Subtype = "message", "rfc822"
			}
		}
		deeper := len(s.stack) < MaxDepth
		switch {
		case p.Multipart() && deeper:
			if b := p.Param("boundary"); b != "" {
				e.boundary = "--" + strings.TrimRight(b, " \t")
				e.digest = p.Subtype == "digest"
				s.live++
			}
			return
		case p.IsMessage() && deeper && s.parts < MaxParts && identity(p.Encoding):
			p.Message = &Part{}
			blank := s.fields.blank
			s.openMessage(p.Message, at)
			if blank {
				return
			}
			// The header was cut short: the inner message is empty as well.
		default:
			return
		}
	}
}

// identity tells encodings that leave the lines of a message as they are;
// RFC 2046, 5.2.1 allows no other for message/rfc822, and what comes in another
// is not looked into.
func identity(encoding string) bool {
	return encoding != "base64" && encoding != "quoted-printable" && !strings.Contains(encoding, "uuencode")
}

// closeAbove ends every entity above index i. lf is the count of line feeds
// before end. An entity whose header reaches beyond end is empty, and those
// around it end where its header does.
func (s *scanner) closeAbove(i int, end, lf int64) {
	for n := len(s.stack) - 1; n > i; n-- {
		e := &s.stack[n]
		p := e.part
		if end < p.Body.Start {
			end, lf = p.Body.Start, e.lf
		}
		p.Body.End = end
		p.Lines = lf - e.lf
		if e.boundary != "" {
			s.live--
		}
		if p.Multipart() && len(p.Parts) == 0 {
			p.wholeBody(end, p.Lines)
		}
	}
	s.stack = s.stack[:i+1]
}

// wholeBody gives a multipart without parts its one child, up to end.
func (p *Part) wholeBody(end, lines int64) {
	at := p.Body.Start
	p.Parts = []*Part{{Type: "text", Subtype: "plain", Header: Span{at, at}, Body: Span{at, end}, Lines: lines}}
}
