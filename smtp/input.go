package smtp

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

const (
	smallInput  = 4 << 10  // between messages; also the longest command line
	largeInput  = 64 << 10 // within a message
	authLine    = 12288    // RFC 4954, 4
	longestJunk = 64 << 10 // of a line that is too long, before we hang up
)

var (
	errLineTooLong = errors.New("line too long")
	errEndlessLine = errors.New("line without end")
)

// input is the buffer that everything from the peer passes through.
type input struct {
	src   io.Reader
	flush func() error // sends the gathered replies; called before every read
	pool  *sync.Pool
	small []byte
	large *[]byte // from pool while a message is read
	buf   []byte  // small, *large, or one grown for a long line
	r, w  int
}

func newInput(src io.Reader, flush func() error, pool *sync.Pool) *input {
	in := &input{src: src, flush: flush, pool: pool, small: make([]byte, smallInput)}
	in.buf = in.small
	return in
}

// bytes are those that have come and are not consumed; valid until the next fill.
func (in *input) bytes() []byte { return in.buf[in.r:in.w] }

// fill reads more, at least one byte, and keeps what is there.
func (in *input) fill() error {
	if err := in.flush(); err != nil {
		return err
	}
	if in.r == in.w {
		in.r, in.w = 0, 0
	} else if in.w == len(in.buf) {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	if in.w == len(in.buf) {
		return errLineTooLong
	}
	for range 100 {
		n, err := in.src.Read(in.buf[in.w:])
		in.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// line returns the next line without its end, at most limit octets long. A line
// that is longer is consumed to its end and gives errLineTooLong.
func (in *input) line(limit int) ([]byte, error) {
	seen := 0
	for {
		b := in.bytes()
		if i := bytes.IndexByte(b[seen:], '\n'); i >= 0 {
			i += seen
			in.r += i + 1
			if i > limit {
				return nil, errLineTooLong
			}
			if i > 0 && b[i-1] == '\r' {
				i--
			}
			return b[:i], nil
		}
		if seen = len(b); seen > limit {
			return nil, in.skipLine()
		}
		if in.w-in.r == len(in.buf) { // a long AUTH response
			grown := make([]byte, authLine+2)
			in.w = copy(grown, b)
			in.r, in.buf = 0, grown
		}
		if err := in.fill(); err != nil {
			return nil, err
		}
	}
}

// skipLine throws a line away that is too long already.
func (in *input) skipLine() error {
	for skipped := 0; skipped < longestJunk; {
		b := in.bytes()
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			in.r += i + 1
			return errLineTooLong
		}
		skipped += len(b)
		in.r = in.w
		if err := in.fill(); err != nil {
			return err
		}
	}
	return errEndlessLine
}

// enlarge takes a big buffer for a message, reduce gives it back.
func (in *input) enlarge() {
	if in.large != nil {
		return
	}
	p, _ := in.pool.Get().(*[]byte)
	if p == nil {
		b := make([]byte, largeInput)
		p = &b
	}
	in.large = p
	in.w = copy(*p, in.bytes())
	in.r, in.buf = 0, *p
}

func (in *input) reduce() {
	rest := in.bytes()
	if len(in.buf) == len(in.small) || len(rest) > len(in.small) {
		return // small already, or a client that pipelines beyond its message: later
	}
	in.w = copy(in.small, rest)
	in.r, in.buf = 0, in.small
	if in.large != nil {
		in.pool.Put(in.large)
		in.large = nil
	}
}

// release gives back what is borrowed when the connection is over.
func (in *input) release() {
	if in.large != nil {
		in.pool.Put(in.large)
		in.large = nil
	}
	in.buf, in.r, in.w = nil, 0, 0
}
