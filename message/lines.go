package message

import (
	"bytes"
	"io"
)

// lineReader cuts a ReaderAt into lines. A line longer than the buffer comes in
// pieces.
type lineReader struct {
	r        io.ReaderAt
	size     int64
	buf      []byte
	base     int64 // offset of buf[end]
	pos, end int
	begin    bool // what comes next is the start of a line
}

// offset of the byte that comes next.
func (l *lineReader) offset() int64 { return l.base - int64(l.end-l.pos) }

// fill reads more behind what is not yet consumed.
func (l *lineReader) fill() error {
	if l.base >= l.size {
		return io.EOF
	}
	if l.buf == nil {
		l.buf = make([]byte, min(scanBuffer, l.size))
	}
	if l.pos > 0 {
		l.end = copy(l.buf, l.buf[l.pos:l.end])
		l.pos = 0
	}
	want := min(int64(len(l.buf)-l.end), l.size-l.base)
	n, err := l.r.ReadAt(l.buf[l.end:l.end+int(want)], l.base)
	l.end += n
	l.base += int64(n)
	if int64(n) == want {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// line returns the next line with its end, or a piece of it; begin tells
// whether it starts a line. It is valid until the next call.
func (l *lineReader) line() (b []byte, begin bool, err error) {
	from := l.pos
	for {
		if i := bytes.IndexByte(l.buf[from:l.end], '\n'); i >= 0 {
			b = l.buf[l.pos : from+i+1]
			break
		}
		held := l.end - l.pos
		if held > 0 && held == len(l.buf) {
			b = l.buf[l.pos:l.end]
			break
		}
		if err := l.fill(); err == io.EOF && held > 0 {
			b = l.buf[l.pos:l.end]
			break
		} else if err != nil {
			return nil, false, err
		}
		from = l.pos + held
	}
	l.pos += len(b)
	begin = l.begin
	l.begin = b[len(b)-1] == '\n'
	return b, begin, nil
}

// countRest reads to the end and counts line feeds.
func (l *lineReader) countRest() (n int64, err error) {
	for {
		n += int64(bytes.Count(l.buf[l.pos:l.end], []byte{'\n'}))
		l.pos = l.end
		if err := l.fill(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}
