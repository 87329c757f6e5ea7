package wire

import (
	"bytes"
	"io"
	"strconv"
)

// Reader reads commands. The methods that return tokens do nothing and return
// zero values once an error has happened; Err tells it.
type Reader struct {
	// Continue asks the client for a synchronising literal (RFC 9051, 7.6). It
	// must flush.
	Continue func() error

	src     io.Reader
	buffers *Buffers
	buf     []byte // lent; nil while the reader waits between commands
	rd, wr  int    // buf[rd:wr] was read and not yet used

	line []byte // the line being parsed, without its end; may share buf
	long []byte // holds a line that does not fit buf
	pos  int
	left int64 // of the command's budget
	err  error

	body  literalReader // the literal that Stream gave out
	small [smallSize]byte
}

// NewReader makes a reader of src.
func NewReader(src io.Reader, b *Buffers) *Reader {
	return &Reader{src: src, buffers: b}
}

// Err is the first error since Begin.
func (r *Reader) Err() error { return r.err }

// Fail records a syntax error.
func (r *Reader) Fail(text string) {
	if r.err == nil {
		r.err = &SyntaxError{text}
	}
}

// Buffered is the number of bytes that were read ahead.
func (r *Reader) Buffered() int { return r.wr - r.rd }

// Begin waits for the first line of a command, which may use budget bytes with
// all its lines and literals.
func (r *Reader) Begin(budget int64) error {
	r.err, r.left, r.line = nil, budget, nil
	r.long = nil
	if r.rd == r.wr && r.buf != nil {
		r.buffers.put(r.buf)
		r.buf, r.rd, r.wr = nil, 0, 0
	}
	r.nextLine()
	return r.err
}

// NextLine reads a further line of the same command, such as a SASL response
// or DONE, and returns it whole. It is valid until the next call.
func (r *Reader) NextLine(budget int64) ([]byte, error) {
	r.err, r.left = nil, budget
	r.nextLine()
	r.pos = len(r.line)
	return r.line, r.err
}

// Finish throws away what is left of a command: literals that the client sends
// without waiting, up to drain bytes, and the lines that follow them.
func (r *Reader) Finish(drain int64) error {
	if r.err != nil && !r.recoverable() {
		return r.err
	}
	if n := r.body.n; n > 0 {
		if n > drain {
			return ErrTooLong
		}
		if _, err := io.CopyN(io.Discard, &r.body, n); err != nil {
			return err
		}
		r.err, r.left = nil, drain
		r.nextLine()
	}
	for {
		if r.err != nil && !r.recoverable() {
			return r.err
		}
		n, ok := trailingLiteral(r.line)
		if !ok {
			r.line, r.pos = nil, 0
			return nil
		}
		if n > drain {
			return ErrTooLong
		}
		drain -= n
		r.body.r, r.body.n = r, n
		if _, err := io.CopyN(io.Discard, &r.body, n); err != nil {
			return err
		}
		r.err, r.left = nil, drain
		r.nextLine()
	}
}

// recoverable tells whether the line that was being parsed is all that has to
// be thrown away.
func (r *Reader) recoverable() bool {
	if r.err == ErrLiteralTooBig {
		return true
	}
	_, ok := r.err.(*SyntaxError)
	return ok
}

// trailingLiteral finds a non-synchronising literal announced at the end of a
// line: {123+} or ~{123+}. After a synchronising one a refused client sends
// nothing.
func trailingLiteral(line []byte) (int64, bool) {
	if !bytes.HasSuffix(line, []byte("+}")) {
		return 0, false
	}
	i := bytes.LastIndexByte(line, '{')
	if i < 0 {
		return 0, false
	}
	digits := line[i+1 : len(line)-2]
	if len(digits) == 0 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return 1<<63 - 1, true // more than anybody drains
	}
	return n, true
}

// nextLine reads a line, charges it, and puts it in place. CRLF ends a line; a
// lone LF is taken too.
func (r *Reader) nextLine() {
	r.line, r.pos = nil, 0
	scanned := 0
	for {
		if i := bytes.IndexByte(r.buf[r.rd+scanned:r.wr], '\n'); i >= 0 {
			end := r.rd + scanned + i
			part := r.buf[r.rd:end]
			r.rd = end + 1
			if r.left -= int64(len(part)) + 1; r.left < 0 {
				r.err = ErrTooLong
				return
			}
			if r.line != nil {
				r.long = append(r.long, part...)
				part = r.long
			}
			r.line = bytes.TrimSuffix(part, []byte("\r"))
			return
		}
		scanned = r.wr - r.rd
		if int64(scanned) > r.left {
			r.err = ErrTooLong
			return
		}
		if r.buf != nil && r.rd == 0 && r.wr == len(r.buf) {
			// the buffer is full of one line
			if r.line == nil {
				r.long = r.long[:0]
			}
			r.long = append(r.long, r.buf...)
			r.line = r.long
			r.left -= int64(len(r.buf))
			r.rd, r.wr, scanned = 0, 0, 0
		}
		if err := r.fill(); err != nil {
			r.err = err
			return
		}
	}
}

// fill reads more behind what is there. A reader that holds no buffer waits
// with its small one.
func (r *Reader) fill() error {
	if r.buf == nil {
		n, err := r.read(r.small[:])
		if n > 0 {
			r.buf = r.buffers.get()
			r.rd, r.wr = 0, copy(r.buf, r.small[:n])
			return nil
		}
		return err
	}
	if r.rd > 0 {
		r.wr = copy(r.buf, r.buf[r.rd:r.wr])
		r.rd = 0
	}
	n, err := r.read(r.buf[r.wr:])
	r.wr += n
	if n > 0 {
		return nil
	}
	return err
}

func (r *Reader) read(p []byte) (int, error) {
	for range 100 {
		n, err := r.src.Read(p)
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// Release gives the buffer back when nothing was read ahead.
func (r *Reader) Release() {
	if r.rd == r.wr && r.buf != nil {
		r.buffers.put(r.buf)
		r.buf, r.rd, r.wr, r.line, r.pos = nil, 0, 0, nil, 0
	}
}

// Close gives the buffer back.
func (r *Reader) Close() {
	r.rd, r.wr = 0, 0
	r.Release()
}
